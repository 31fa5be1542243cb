/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that staging bitmaps lie in huge pages where there are some, up to a
 * limit, and that a machine without, or one that promises them and then gives
 * none, costs one warning and no migration. The kernel that has none is this test's: linked
 * with --wrap.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <rte_log.h>

#include "bitmap.h"
#include "frontend_log.h"
#include "host_page.h"
#include "shm.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define HUGE (UINT64_C(2) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

static struct {
	bool none;          /* no huge pages, of no size */
	bool promised;      /* files of them can be had, pages not */
	bool played;        /* normal pages stand in for them */
	unsigned int asked; /* for files in huge pages */
} kernel;

int __real_memfd_create(const char *name, unsigned int flags);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);

int
__wrap_memfd_create(const char *name, unsigned int flags)
{
	if (flags & MFD_HUGETLB) {
		kernel.asked++;
		if (kernel.none) {
			errno = ENODEV;
			return -1;
		}
		/* Normal pages stand in for those that will not be given. */
		if (kernel.promised || kernel.played)
			flags &= ~MFD_HUGETLB & ((1u << MAP_HUGE_SHIFT) - 1);
	}
	return __real_memfd_create(name, flags);
}

int
__wrap_madvise(void *addr, size_t len, int advice)
{
	/* What populating says where a touch would be a SIGBUS. */
	if (kernel.promised && kernel.asked != 0) {
		kernel.asked = 0;
		errno = EFAULT;
		return -1;
	}
	return __real_madvise(addr, len, advice);
}

/* The log lines so far that speak of huge pages. */
static unsigned int
warnings(FILE *lines, char **text)
{
	unsigned int count = 0;
	const char *at;

	fflush(lines);
	for (at = *text; at != NULL && (at = strstr(at, "huge pages")) != NULL; at++)
		count++;
	return count;
}

/* A staging view that works. */
static void
staging_works(uint64_t len, uint64_t page_size)
{
	struct dirtylog_view *view, *to;

	assert_int_equal(dirtylog_view_create_staging(0, len, NULL, &view), 0);
	assert_int_equal(dirtylog_view_shm(view)->page_size, page_size);
	assert_int_equal(dirtylog_view_create_staging(0, len, NULL, &to), 0);
	dirtylog_view_mark(view, 0, PAGE);
	dirtylog_view_mark(view, len - 1, 1);
	assert_int_equal(dirtylog_view_move(view, to), 2);
	dirtylog_view_free(view);
	dirtylog_view_free(to);
}

/* First of all tests: a warning comes once in the life of a process. */
static void
none_at_all(void **state)
{
	char *text = NULL;
	size_t text_len;
	FILE *lines = open_memstream(&text, &text_len);
	unsigned int i;

	(void)state;
	assert_non_null(lines);
	rte_openlog_stream(lines);
	kernel.none = true;
	/* Bitmaps that are too small for huge pages ask for none. */
	staging_works(GIB, host_page());
	assert_int_equal(kernel.asked, 0);
	assert_int_equal(warnings(lines, &text), 0);
	for (i = 0; i < 5; i++)
		staging_works(64 * GIB, host_page());
	assert_int_equal(kernel.asked, 10);
	assert_int_equal(warnings(lines, &text), 1);
	kernel.none = false;
	rte_openlog_stream(NULL);
	fclose(lines);
	free(text);
}

/* A limit of the cgroup shows only when the pages are touched. */
static void
promised_and_not_given(void **state)
{
	char *text = NULL;
	size_t text_len;
	FILE *lines = open_memstream(&text, &text_len);
	unsigned int i;

	(void)state;
	assert_non_null(lines);
	rte_openlog_stream(lines);
	kernel.promised = true;
	for (i = 0; i < 5; i++) {
		kernel.asked = 0;
		staging_works(64 * GIB, host_page());
	}
	assert_int_equal(warnings(lines, &text), 1);
	kernel.promised = false;
	rte_openlog_stream(NULL);
	fclose(lines);
	free(text);
}

/* A process takes 256 MiB of them at most; what it gives back it can have again. */
static void
so_many_and_no_more(void **state)
{
	struct dirtylog_shm *shms[6], *again;
	struct dirtylog_view *view;
	unsigned int i;

	(void)state;
	kernel.played = true;
	for (i = 0; i < 6; i++) {
		/* 60 MiB and a byte: 62 MiB in huge pages. */
		assert_int_equal(dirtylog_shm_alloc(30 * HUGE + 1, true, &shms[i]), 0);
		assert_int_equal(shms[i]->huge, i < 4 ? 31 * HUGE : 0);
		assert_int_equal(shms[i]->len, 30 * HUGE + 1);
	}
	dirtylog_shm_unref(shms[1]);
	assert_int_equal(dirtylog_shm_alloc(35 * HUGE + 1, true, &again), 0);
	assert_int_equal(again->huge, 0);
	dirtylog_shm_unref(again);
	assert_int_equal(dirtylog_shm_alloc(35 * HUGE, true, &shms[1]), 0);
	assert_int_equal(shms[1]->huge, 35 * HUGE);
	for (i = 0; i < 6; i++)
		dirtylog_shm_unref(shms[i]);
	/* More than that in one piece. */
	kernel.asked = 0;
	assert_int_equal(dirtylog_shm_alloc(128 * HUGE + 1, true, &again), 0);
	assert_int_equal(again->huge, 0);
	dirtylog_shm_unref(again);
	assert_int_equal(kernel.asked, 0);
	/* A bitmap that is not populated as a whole has none: they could be gone when they are needed. */
	assert_int_equal(dirtylog_view_create_staging(0, 2 * TIB, NULL, &view), 0);
	assert_int_equal(dirtylog_view_shm(view)->huge, 0);
	dirtylog_view_free(view);
	assert_int_equal(dirtylog_view_create_staging(0, TIB, NULL, &view), 0);
	assert_int_equal(dirtylog_view_shm(view)->huge, 17 * HUGE);
	dirtylog_view_free(view);
	kernel.played = false;
}

static uint64_t
free_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
	unsigned long long nb = 0;

	if (file != NULL && fscanf(file, "%llu", &nb) != 1)
		nb = 0;
	if (file != NULL)
		fclose(file);
	return nb;
}

static void
where_there_are_some(void **state)
{
	int fd = memfd_create("probe", MFD_CLOEXEC | MFD_HUGETLB | (21 << MAP_HUGE_SHIFT));
	struct dirtylog_shm *shm;
	void *all = MAP_FAILED;

	(void)state;
	/* 1 TiB of guest: 32 MiB of bitmap and 64 KiB of summary, twice. */
	if (fd >= 0 && ftruncate(fd, 34 * HUGE) == 0)
		all = mmap(NULL, 34 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (all == MAP_FAILED) {
		print_message("no 34 free huge pages of 2 MiB on this machine (%llu are free)\n",
				(unsigned long long)free_huge_pages());
		skip();
	}
	munmap(all, 34 * HUGE);
	staging_works(TIB, HUGE);
	staging_works(64 * GIB, HUGE);
	staging_works(2 * GIB, HUGE);
	staging_works(GIB, host_page());

	assert_int_equal(dirtylog_shm_alloc(HUGE + 1, true, &shm), 0);
	assert_int_equal(shm->page_size, HUGE);
	assert_int_equal(shm->len, HUGE + 1);
	assert_int_equal(shm->map_len, 2 * HUGE);
	assert_int_equal(dirtylog_shm_populate(shm, 0, shm->len), 0);
	assert_int_equal(((uint8_t *)shm->addr)[HUGE], 0);
	dirtylog_shm_unref(shm);
	/* Not asked for. */
	assert_int_equal(dirtylog_shm_alloc(HUGE + 1, false, &shm), 0);
	assert_int_equal(shm->page_size, host_page());
	dirtylog_shm_unref(shm);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_at_all),
		cmocka_unit_test(promised_and_not_given),
		cmocka_unit_test(so_many_and_no_more),
		cmocka_unit_test(where_there_are_some),
	};

	return run_test_program(argc, argv, "huge", tests, NULL, NULL);
}
