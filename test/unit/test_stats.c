/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a device's counters are what happened, counted by hand, and that
 * the dirty rate is pages per time: with marks that go to the log and with
 * staged ones, over queues that come and go.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "dirtylog.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define PAGES 100000
#define LOG_LEN (PAGES / 8)
#define NEVER_US 4000000000u

struct room {
	struct dirtylog *dl;
	struct dirtylog_marker markers[2];
	struct dirtylog_bitmap *bitmap;
	struct frontend_log log;
};

static struct room *
room_open(enum dirtylog_placement placement)
{
	const struct dirtylog_options options = {
		.placement = placement,
		.drain_us = NEVER_US,
	};
	const struct dirtylog_region region = { .len = PAGES * PAGE };
	struct room *room = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*room));
	unsigned int i;

	assert_non_null(room);
	memset(room, 0, sizeof(*room));
	assert_int_equal(dirtylog_create("unit", &room->dl), 0);
	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	for (i = 0; i < 2; i++)
		dirtylog_add_queue(room->dl, &room->markers[i]);
	assert_int_equal(dirtylog_set_regions(room->dl, &region, 1), 0);
	room->bitmap = region_bitmap(room->dl, 0);
	assert_int_equal(frontend_log_create(&room->log, LOG_LEN), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(dirtylog_open(room->dl, &room->markers[i], DIRTYLOG_NO_GPA, 0), 0);
	return room;
}

static void
room_close(struct room *room)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		dirtylog_remove_queue(room->dl, &room->markers[i]);
	dirtylog_destroy(room->dl);
	frontend_log_destroy(&room->log);
	free(room);
}

static int
set_log(struct room *room, uint64_t len)
{
	struct dirtylog_shm *shm;
	int ret;

	assert_int_equal(dirtylog_shm_map(room->log.fd, 0, len, &shm), 0);
	ret = dirtylog_set_log(room->dl, shm);
	dirtylog_shm_unref(shm);
	return ret;
}

/* A burst that marks nb ranges of `each` pages, `step` pages apart. */
static void
burst(struct room *room, unsigned int queue, uint64_t first, uint64_t nb, uint64_t step,
		uint64_t each)
{
	struct dirtylog_marker *marker = &room->markers[queue];
	uint64_t i;

	assert_true(dirtylog_burst_begin(marker));
	for (i = 0; i < nb; i++)
		dirtylog_mark(marker, room->bitmap, (first + i * step) * PAGE, each * PAGE);
	dirtylog_burst_end(marker);
}

static struct dirtylog_stats
stats_of(struct room *room)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(room->dl, &stats);
	return stats;
}

static void
marks_are(struct room *room, uint64_t marks, uint64_t tested, uint64_t written, uint64_t dirtied)
{
	struct dirtylog_stats stats = stats_of(room);

	assert_int_equal(stats.marks.marks, marks);
	assert_int_equal(stats.marks.words_tested, tested);
	assert_int_equal(stats.marks.words_written, written);
	assert_int_equal(stats.marks.pages_dirtied, dirtied);
}

static void
marks_direct(void **state)
{
	struct room *room = room_open(DIRTYLOG_PLACEMENT_DIRECT);

	(void)state;
	/* Logging off: nothing. */
	burst(room, 0, 0, 10, 1, 1);
	marks_are(room, 0, 0, 0, 0);
	assert_int_equal(set_log(room, LOG_LEN), 0);
	assert_false(stats_of(room).logging);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_true(stats_of(room).logging);
	/* Ten pages of one word, one after the other: one word. */
	burst(room, 0, 0, 10, 1, 1);
	marks_are(room, 10, 1, 1, 10);
	/* Again: tested, not written. */
	burst(room, 0, 0, 10, 1, 1);
	marks_are(room, 20, 2, 1, 10);
	/* The other queue: five old pages and three new ones in that word. */
	burst(room, 1, 5, 8, 1, 1);
	marks_are(room, 28, 3, 2, 13);
	/* One range over three words: three pairs, of 2 + 64 + 1 pages. */
	burst(room, 1, 126, 1, 1, 67);
	marks_are(room, 31, 6, 5, 80);
	/* More pairs than a batch holds: 100 words. */
	burst(room, 0, 6400, 100, 64, 1);
	marks_are(room, 131, 106, 105, 180);
	/* Harvested: as new. */
	frontend_log_clear(&room->log);
	burst(room, 0, 0, 10, 1, 1);
	marks_are(room, 141, 107, 106, 190);
	/* What a queue that goes has counted stays; its memory starts from 0. */
	dirtylog_remove_queue(room->dl, &room->markers[0]);
	marks_are(room, 141, 107, 106, 190);
	dirtylog_add_queue(room->dl, &room->markers[0]);
	marks_are(room, 141, 107, 106, 190);
	assert_int_equal(room->markers[0].stats.marks, 0);
	assert_int_equal(stats_of(room).drains, 0);
	assert_int_equal(stats_of(room).pages_drained, 0);
	room_close(room);
}

static void
marks_staged(void **state)
{
	struct room *room = room_open(DIRTYLOG_PLACEMENT_STAGED);
	struct dirtylog_stats stats;

	(void)state;
	assert_int_equal(set_log(room, LOG_LEN), 0);
	assert_int_equal(stats_of(room).drains, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	/* In staging they are dirty for nobody yet. */
	burst(room, 0, 0, 10, 1, 1);
	burst(room, 0, 0, 10, 1, 1);
	marks_are(room, 20, 2, 1, 0);
	assert_int_equal(stats_of(room).pages_drained, 0);
	/* Three of them are in the log already: from another back-end. */
	room->log.bytes[0] = 7;
	dirtylog_close(room->dl, &room->markers[1]);
	stats = stats_of(room);
	assert_int_equal(stats.drains, 1);
	assert_int_equal(stats.pages_drained, 7);
	/* Nothing new: a drain of no page. */
	assert_int_equal(set_log(room, LOG_LEN), 0);
	stats = stats_of(room);
	assert_int_equal(stats.drains, 2);
	assert_int_equal(stats.pages_drained, 7);
	assert_int_equal(stats.swaps, 2);
	/* Harvested, marked, drained. */
	frontend_log_clear(&room->log);
	burst(room, 0, 0, 10, 1, 1);
	marks_are(room, 30, 3, 2, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	stats = stats_of(room);
	assert_int_equal(stats.drains, 3);
	assert_int_equal(stats.pages_drained, 17);
	assert_int_equal(stats.regions_direct, 0);
	assert_int_equal(stats.regions_staged, 0);
	room_close(room);
}

static void
logs(void **state)
{
	const struct dirtylog_region two[] = {
		{ .len = PAGES * PAGE },
		{ .gpa = 2 * PAGES * PAGE, .len = PAGE },
	};
	struct room *room = room_open(DIRTYLOG_PLACEMENT_DIRECT);
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++)
		assert_int_equal(set_log(room, LOG_LEN), 0);
	assert_int_equal(set_log(room, LOG_LEN - 1), -ERANGE);
	assert_int_equal(stats_of(room).swaps, 3);
	assert_int_equal(stats_of(room).refused_logs, 1);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(stats_of(room).regions_direct, 1);
	/* A region beyond the log: staged. */
	for (i = 0; i < 2; i++)
		dirtylog_close(room->dl, &room->markers[i]);
	assert_int_equal(dirtylog_set_regions(room->dl, two, 2), 0);
	assert_int_equal(stats_of(room).regions_direct, 1);
	assert_int_equal(stats_of(room).regions_staged, 1);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	assert_int_equal(stats_of(room).regions_direct, 0);
	assert_int_equal(stats_of(room).regions_staged, 2);
	assert_int_equal(set_log(room, LOG_LEN), -ERANGE);
	assert_int_equal(stats_of(room).refused_logs, 2);
	assert_int_equal(stats_of(room).swaps, 3);
	assert_int_equal(stats_of(room).truncated_logs, 0);
	room_close(room);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Pages per second between two looks, whichever way the marks went. */
static void
rate(enum dirtylog_placement placement)
{
	struct room *room = room_open(placement);
	double before_first, after_first, before_second, after_second, rate_seen;
	unsigned int i;

	assert_int_equal(set_log(room, LOG_LEN), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	before_first = now();
	assert_int_equal(stats_of(room).dirty_pages_per_second, 0);
	after_first = now();
	/* 60,000 pages: 20,000, marked twice, in three harvests. */
	for (i = 0; i < 3; i++) {
		burst(room, 0, 0, 1, 1, 20000);
		burst(room, 1, 0, 1, 1, 20000);
		dirtylog_close(room->dl, &room->markers[1]);
		assert_int_equal(dirtylog_open(room->dl, &room->markers[1], DIRTYLOG_NO_GPA, 0), 0);
		assert_int_equal(frontend_log_count(&room->log), 20000);
		frontend_log_clear(&room->log);
	}
	usleep(150 * 1000);
	before_second = now();
	rate_seen = (double)stats_of(room).dirty_pages_per_second;
	after_second = now();
	assert_true(rate_seen <= 60000 / (before_second - after_first) + 1);
	assert_true(rate_seen >= 60000 / (after_second - before_first) - 1);
	/* Soon after: the same figure, whatever was marked, not one of a moment. */
	burst(room, 0, 0, 1, 1, 20000);
	if (now() - before_second < 0.1)
		assert_true((double)stats_of(room).dirty_pages_per_second == rate_seen);
	/* Nothing for a while, by two looks. */
	dirtylog_close(room->dl, &room->markers[0]);
	usleep(120 * 1000);
	stats_of(room);
	usleep(120 * 1000);
	assert_int_equal(stats_of(room).dirty_pages_per_second, 0);
	room_close(room);
}

static void
rate_direct(void **state)
{
	(void)state;
	rate(DIRTYLOG_PLACEMENT_DIRECT);
}

static void
rate_staged(void **state)
{
	(void)state;
	rate(DIRTYLOG_PLACEMENT_STAGED);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_direct),
		cmocka_unit_test(marks_staged),
		cmocka_unit_test(logs),
		cmocka_unit_test(rate_direct),
		cmocka_unit_test(rate_staged),
	};

	return run_test_program(argc, argv, "stats", tests, NULL, NULL);
}
