/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that what a front-end says of its guest's memory is no more than that:
 * a device may name so much and not more, with figures in the log line and a
 * counter.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_log.h>

#include "dirtylog.h"
#include "frontend_log.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

struct room {
	struct dirtylog *dl;
	FILE *lines; /* the library's log lines */
	char *text;
	size_t text_len;
};

static int
setup(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	assert_non_null(room);
	room->lines = open_memstream(&room->text, &room->text_len);
	assert_non_null(room->lines);
	rte_openlog_stream(room->lines);
	assert_int_equal(dirtylog_create("unit", &room->dl), 0);
	*state = room;
	return 0;
}

static int
teardown(void **state)
{
	struct room *room = *state;

	dirtylog_destroy(room->dl);
	rte_openlog_stream(NULL);
	fclose(room->lines);
	free(room->text);
	free(room);
	return 0;
}

/* How often a text was logged. */
static unsigned int
times_logged(struct room *room, const char *what)
{
	unsigned int count = 0;
	const char *at;

	fflush(room->lines);
	for (at = room->text; at != NULL && (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static struct dirtylog_stats
stats_of(struct room *room)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(room->dl, &stats);
	return stats;
}

/* ---- how much ---- */

static void
no_more_than_the_machine_has(void **state)
{
	const uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct dirtylog_region regions[] = { { .gpa = 0, .len = all - PAGE },
		{ .gpa = all, .len = PAGE }, { .gpa = 2 * all, .len = PAGE } };
	struct room *room = *state;
	struct dirtylog_bitmap *bitmap;
	char figures[128];

	assert_int_equal(dirtylog_check_regions(room->dl, regions, 2), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 2), 0);
	assert_int_equal(stats_of(room).refused_regions, 0);
	bitmap = dirtylog_region_bitmap(room->dl, 1);

	assert_int_equal(dirtylog_check_regions(room->dl, regions, 3), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 1);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 3), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 2);
	snprintf(figures, sizeof(figures), "unit: %llu MiB of guest memory in 3 regions, but %llu",
			(unsigned long long)((all + PAGE) >> 20), (unsigned long long)(all >> 20));
	assert_int_equal(times_logged(room, figures), 2);
	/* The old table stays. */
	assert_ptr_equal(dirtylog_region_bitmap(room->dl, 1), bitmap);
	assert_null(dirtylog_region_bitmap(room->dl, 2));
}

static void
no_more_than_it_may(void **state)
{
	const struct dirtylog_options options = { .max_memory = 4 * GIB };
	struct dirtylog_region regions[DIRTYLOG_MAX_REGIONS];
	struct room *room = *state;
	unsigned int i;

	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	for (i = 0; i < DIRTYLOG_MAX_REGIONS; i++)
		regions[i] = (struct dirtylog_region){ .gpa = i * TIB, .len = GIB };
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 4), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 6), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 2);
	/* Where the regions lie does not matter, only how much they are; nor do sums overflow. */
	for (i = 0; i < DIRTYLOG_MAX_REGIONS; i++)
		regions[i] = (struct dirtylog_region){ .gpa = 0, .len = UINT64_C(1) << 60 };
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 16), -EFBIG);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 512), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 2 + 16 + 512);
	/* What it cannot be is refused for that. */
	regions[0].gpa = UINT64_MAX;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), -EOVERFLOW);
	regions[0].len = 0;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), -EINVAL);
	assert_int_equal(stats_of(room).refused_regions, 2 + 16 + 512);
	/* The option outlives a connection. */
	assert_int_equal(dirtylog_reset(room->dl), 0);
	regions[0] = (struct dirtylog_region){ .gpa = 0, .len = 4 * GIB + 1 };
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), -EFBIG);
	regions[0].len--;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), 0);
}

static void
as_much_as_it_may(void **state)
{
	const struct dirtylog_options options = { .max_memory = 64 * TIB };
	struct room *room = *state;
	struct dirtylog_region regions[] = { { .gpa = 0, .len = 32 * TIB },
		{ .gpa = 40 * TIB, .len = 32 * TIB } };

	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 2), 0);
	regions[1].len++;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 2), -EFBIG);
}

int
main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_ROOM(no_more_than_the_machine_has),
		IN_ROOM(no_more_than_it_may),
		IN_ROOM(as_much_as_it_may),
	};

	return cmocka_run_group_tests_name("guest_memory", tests, NULL, NULL);
}
