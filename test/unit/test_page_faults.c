/* SPDX-License-Identifier: BSD-3-Clause */

/* Shows that after a swap of logs no page fault is left to a polling core. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "dirtylog.h"
#include "region_bitmap.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define HUGE (UINT64_C(2) << 20)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

/* An address sanitizer's shadow of the log is faulted in by each mark. */
static void
skip_if_sanitized(void)
{
	if (SANITIZED) {
		print_message("page faults are those of the address sanitizer\n");
		skip();
	}
}

static long
page_faults(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_minflt + usage.ru_majflt;
}

/* A guest of 8 GiB: mark in every word of its log after a swap. */
static void
mark_everywhere(int fd, uint64_t offset, enum dirtylog_placement placement)
{
	/* Whatever this machine has. */
	const struct dirtylog_options options = {
		.placement = placement,
		.max_memory = UINT64_MAX,
	};
	const struct dirtylog_region guest = { .gpa = 0, .len = UINT64_C(8) << 30 };
	struct dirtylog_marker *marker = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*marker));
	struct dirtylog_bitmap *bitmap;
	struct dirtylog *dl;
	struct dirtylog_shm *shm;
	uint64_t at;
	int i;

	assert_non_null(marker);
	memset(marker, 0, sizeof(*marker));
	assert_int_equal(dirtylog_create("unit", &dl), 0);
	assert_int_equal(dirtylog_configure(dl, &options), 0);
	dirtylog_add_queue(dl, marker);
	assert_int_equal(dirtylog_set_regions(dl, &guest, 1), 0);
	bitmap = region_bitmap(dl, 0);
	assert_int_equal(dirtylog_set_logging(dl, true), 0);
	assert_int_equal(dirtylog_open(dl, marker, DIRTYLOG_NO_GPA, 0), 0);
	/* Each time a fresh mapping; the first one warms the code up. */
	for (i = 0; i < 3; i++) {
		long before;

		assert_int_equal(dirtylog_shm_map(fd, offset, guest.len / PAGE / 8, &shm), 0);
		assert_int_equal(dirtylog_set_log(dl, shm), 0);
		dirtylog_shm_unref(shm);
		before = page_faults();
		for (at = 0; at < guest.len; at += DIRTYLOG_WORD_SPAN) {
			dirtylog_burst_begin(marker);
			dirtylog_mark(marker, bitmap, at, DIRTYLOG_WORD_SPAN);
			dirtylog_burst_end(marker);
		}
		if (i > 0)
			assert_int_equal(page_faults() - before, 0);
	}
	dirtylog_remove_queue(dl, marker);
	dirtylog_destroy(dl);
	free(marker);
}

static void
no_page_fault_after_a_swap(void **state)
{
	int fd;

	(void)state;
	skip_if_sanitized();
	fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	mark_everywhere(fd, 4096, DIRTYLOG_PLACEMENT_DIRECT);
	mark_everywhere(fd, 4096, DIRTYLOG_PLACEMENT_STAGED);
	close(fd);
}

static void
no_page_fault_after_a_huge_swap(void **state)
{
	void *all = MAP_FAILED;
	int fd;

	(void)state;
	skip_if_sanitized();
	fd = memfd_create("log", MFD_CLOEXEC | MFD_HUGETLB | (21 << MAP_HUGE_SHIFT));
	if (fd >= 0 && ftruncate(fd, 2 * HUGE) == 0)
		all = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED) {
		close(fd);
		print_message("no two free huge pages of 2 MiB on this machine\n");
		skip();
	}
	munmap(all, 2 * HUGE);
	/* Over the edge of two huge pages. */
	mark_everywhere(fd, HUGE - 4096, DIRTYLOG_PLACEMENT_DIRECT);
	mark_everywhere(fd, HUGE - 4096, DIRTYLOG_PLACEMENT_STAGED);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_page_fault_after_a_swap),
		cmocka_unit_test(no_page_fault_after_a_huge_swap),
	};

	return run_test_program(argc, argv, "page_faults", tests, NULL, NULL);
}
