/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what views are that bitmaps are put on: of one region on a mapped log, with
 * its edge cases, and of staging, which is moved and copied. Checked from the
 * front-end's side, bit by bit in its own mapping.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bitmap.h"
#include "frontend_log.h"
#include "host_page.h"
#include "shm.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE

static void
log_and_region_sizes(void **state)
{
	static const struct {
		uint64_t log_len, gpa, len;
		int ret;
	} cases[] = {
		{ 4, 0, 32 * PAGE, 0 },
		{ 4, 0, 32 * PAGE + 1, -ERANGE },
		{ 4, 0, 33 * PAGE, -ERANGE },
		{ 3, 0, 25 * PAGE, -ERANGE }, /* one byte too small */
		{ 4, 0, 25 * PAGE, 0 },
		{ 4, 31 * PAGE, PAGE, 0 },
		{ 4, 31 * PAGE, PAGE + 1, -ERANGE },
		{ 4, 32 * PAGE, 1, -ERANGE },
		{ 4, 31 * PAGE + 1, PAGE, -ERANGE }, /* its last byte is in page 32 */
		{ 1, 0, 1, 0 },
		{ 1, 0, 16 * PAGE, -ERANGE },
		{ 9, 64 * PAGE, 8 * PAGE, 0 }, /* the tail is no whole word */
		{ 9, 64 * PAGE, 9 * PAGE, -ERANGE },
		{ 4096, 0, 32768 * PAGE, 0 },
		{ 4096, 0, 32769 * PAGE, -ERANGE },
		{ 4, 0, 0, -EINVAL },
		{ 4, UINT64_MAX, 0, -EINVAL },
		{ 4, 0, UINT64_MAX, -ERANGE },
		{ 4, 1, UINT64_MAX, -ERANGE },
		{ 4, 2, UINT64_MAX, -EOVERFLOW },
		{ 4, UINT64_MAX, 1, -ERANGE },
		{ 4, UINT64_MAX, 2, -EOVERFLOW },
		{ 4, UINT64_MAX - PAGE + 1, PAGE, -ERANGE },
		{ 4, UINT64_MAX - PAGE + 1, PAGE + 1, -EOVERFLOW },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dirtylog_view *view = NULL;
		struct frontend_log log;
		struct dirtylog_shm *shm;

		assert_int_equal(frontend_log_create(&log, cases[i].log_len), 0);
		assert_int_equal(dirtylog_shm_map(log.fd, 0, log.len, &shm), 0);
		assert_int_equal(dirtylog_view_create(shm, cases[i].gpa, cases[i].len, &view),
				cases[i].ret);
		/* Refused or not, the log is untouched and has its right users. */
		assert_int_equal(shm->refs, cases[i].ret == 0 ? 2 : 1);
		assert_int_equal(frontend_log_count(&log), 0);
		dirtylog_view_free(view);
		assert_int_equal(shm->refs, 1);
		dirtylog_shm_unref(shm);
		assert_true(frontend_log_canary_alive(&log));
		frontend_log_destroy(&log);
	}
}

static void
staging_views(void **state)
{
	struct dirtylog_view *view = NULL;

	(void)state;
	assert_int_equal(dirtylog_view_create_staging(0, 0, NULL, &view), -EINVAL);
	assert_int_equal(dirtylog_view_create_staging(2, UINT64_MAX, NULL, &view), -EOVERFLOW);
	assert_true(dirtylog_view_create_staging(0, UINT64_MAX, NULL, &view) < 0);
	assert_null(view);
	/* One page before a word's end to one page after its begin. */
	assert_int_equal(dirtylog_view_create_staging(63 * PAGE, 2 * PAGE, NULL, &view), 0);
	/* One cache line of words, and a word of summary. */
	assert_int_equal(dirtylog_view_shm(view)->len, 9 * sizeof(uint64_t));
	dirtylog_view_mark(view, 0, 2 * PAGE);
	assert_int_equal(view->words[0], UINT64_C(1) << 63);
	assert_int_equal(view->words[1], 1);
	dirtylog_view_free(view);
	assert_int_equal(dirtylog_view_create_staging(64 * PAGE, 64 * PAGE, NULL, &view), 0);
	assert_int_equal(dirtylog_view_shm(view)->len, 9 * sizeof(uint64_t));
	dirtylog_view_free(view);
}

static void
moving_marks(void **state)
{
	struct dirtylog_view *from, *to, *elsewhere;

	(void)state;
	/* GPA pages [60, 200) and [100, 300): they have [100, 200) in common. */
	assert_int_equal(dirtylog_view_create_staging(60 * PAGE, 140 * PAGE, NULL, &from), 0);
	assert_int_equal(dirtylog_view_create_staging(100 * PAGE, 200 * PAGE, NULL, &to), 0);
	assert_int_equal(dirtylog_view_create_staging(200 * PAGE, PAGE, NULL, &elsewhere), 0);
	assert_int_equal(dirtylog_view_move(from, to), 0);
	dirtylog_view_mark(from, 0, UINT64_MAX);
	assert_int_equal(dirtylog_view_move(from, elsewhere), 0);
	assert_int_equal(elsewhere->words[0], 0);
	assert_int_equal(dirtylog_view_move(from, to), 100);
	/* What is not in the other stays here; it went nowhere else. */
	assert_int_equal(from->words[0], UINT64_C(0xf) << 60);
	assert_int_equal(from->words[1], (UINT64_C(1) << 36) - 1);
	assert_int_equal(from->words[2], 0);
	assert_int_equal(to->words[0], UINT64_MAX << 36);
	assert_int_equal(to->words[1], UINT64_MAX);
	assert_int_equal(to->words[2], (UINT64_C(1) << 8) - 1);
	assert_int_equal(dirtylog_view_move(from, to), 0);
	dirtylog_view_free(elsewhere);
	dirtylog_view_free(to);
	dirtylog_view_free(from);
}

static void
copying_marks(void **state)
{
	struct dirtylog_view *from, *to;

	(void)state;
	assert_int_equal(dirtylog_view_create_staging(60 * PAGE, 140 * PAGE, NULL, &from), 0);
	assert_int_equal(dirtylog_view_create_staging(100 * PAGE, 200 * PAGE, NULL, &to), 0);
	dirtylog_view_mark(from, 39 * PAGE, 2 * PAGE);
	dirtylog_view_mark(to, 150 * PAGE, PAGE);
	dirtylog_view_copy(from, to);
	assert_int_equal(from->words[1], UINT64_C(3) << 35);
	assert_int_equal(to->words[0], UINT64_C(1) << 36);
	assert_int_equal(to->words[1], 0);
	assert_int_equal(to->words[2], UINT64_C(1) << (250 - 192));
	assert_int_equal(to->words[3], 0);
	dirtylog_view_free(to);
	dirtylog_view_free(from);
}

/* Bytes of a view's memory that are there. */
static uint64_t
bytes_there(const struct dirtylog_view *view)
{
	uint64_t nb_pages = dirtylog_view_shm(view)->map_len / host_page(), i, there = 0;
	unsigned char *resident = malloc(nb_pages);

	assert_non_null(resident);
	assert_int_equal(mincore(dirtylog_view_shm(view)->map_addr,
					 dirtylog_view_shm(view)->map_len, resident),
			0);
	for (i = 0; i < nb_pages; i++)
		there += resident[i] & 1;
	free(resident);
	return there * host_page();
}

/* A region that a front-end says has 4 TiB: it is not worth 128 MiB in one call. */
static void
large_views_come_by_need(void **state)
{
	const uint64_t len = UINT64_C(4) << 40, limit = UINT64_C(64) << 20;
	struct dirtylog_view *staging, *view;
	struct dirtylog_shm *shm;
	int fd = memfd_create("log", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(len / PAGE / 8)), 0);
	assert_int_equal(dirtylog_shm_map(fd, 0, len / PAGE / 8, &shm), 0);
	assert_int_equal(dirtylog_view_create(shm, 0, len, &view), 0);
	dirtylog_shm_unref(shm);
	assert_int_equal(bytes_there(view), limit);
	dirtylog_view_free(view);

	/* What comes by need is as good. */
	assert_int_equal(dirtylog_shm_map(fd, 0, len / PAGE / 8, &shm), 0);
	assert_int_equal(dirtylog_view_create(shm, 0, len, &view), 0);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_view_create_staging(0, len, NULL, &staging), 0);
	assert_int_equal(bytes_there(staging), limit);
	dirtylog_view_mark(staging, 0, 1);
	dirtylog_view_mark(staging, len - 1, 1);
	assert_int_equal(dirtylog_view_move(staging, view), 2);
	assert_int_equal(dirtylog_view_move(staging, view), 0);
	/* The summary, which is looked through: 256 KiB. */
	assert_true(bytes_there(staging) <= limit + (300 << 10));
	assert_true(bytes_there(view) <= limit + host_page());
	dirtylog_view_free(staging);
	dirtylog_view_free(view);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_and_region_sizes),
		cmocka_unit_test(staging_views),
		cmocka_unit_test(moving_marks),
		cmocka_unit_test(copying_marks),
		cmocka_unit_test(large_views_come_by_need),
	};

	return run_test_program(argc, argv, "views", tests, NULL, NULL);
}
