/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows the ways that marks take to a log. Staged: they reach it at a bounded
 * delay without anybody's call, and completely whenever the front-end may rely
 * on it; direct: at once; auto: direct, on a machine with one node. And that
 * the drainer sleeps when nobody waits for marks. What the log does not show yet
 * is made sure by a delay longer than any test.
 */

#include <dirent.h>
#include <errno.h>
#include <numa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dirtylog_room.h"
#include "test_program.h"

#define NEVER_US 4000000000u /* more than an hour */
#define LIMIT_MS 20000       /* of every wait */

static struct room *
room_placed(enum dirtylog_placement placement, uint32_t drain_us)
{
	const struct dirtylog_options options = {
		.placement = placement,
		.drain_us = drain_us,
	};

	return room_open(&options);
}

static void
set_logging(struct room *room, bool on)
{
	assert_int_equal(dirtylog_set_logging(room->dl, on), 0);
}

static struct dirtylog_stats
stats_of(struct room *room)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(room->dl, &stats);
	return stats;
}

/* Two pages of two regions, staged in a log's use. */
static struct room *
room_with_staged_marks(void)
{
	struct room *room = room_placed(DIRTYLOG_PLACEMENT_STAGED, NEVER_US);

	open_queue(room, 0);
	open_queue(room, 1);
	assert_int_equal(set_log(room, &room->log), 0);
	set_logging(room, true);
	assert_int_equal(stats_of(room).regions_staged, 2);
	assert_int_equal(stats_of(room).regions_direct, 0);
	burst(room, 0, 5);
	burst(room, 1, HIGH_PAGE + 89);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_true(bitmap_dirty_at(region_bitmap(room->dl, 0), 5 * PAGE));
	return room;
}

/* What room_with_staged_marks() marked is in the log, and nb pages in all. */
static void
marks_are_in(const struct frontend_log *log, uint64_t nb)
{
	assert_true(frontend_log_test(log, 5));
	assert_true(frontend_log_test(log, HIGH_PAGE + 89));
	assert_int_equal(frontend_log_count(log), nb);
}

static void
complete_at_close(void **state)
{
	struct room *room = room_with_staged_marks();

	(void)state;
	close_queue(room, 0);
	/* Of the whole device, and the index of the queue that closed. */
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(0)));
	marks_are_in(&room->log, 3);
	frontend_log_clear(&room->log);
	/* The other one runs on, staged. */
	burst(room, 1, 6);
	assert_int_equal(frontend_log_count(&room->log), 0);
	close_queue(room, 1);
	assert_true(frontend_log_test(&room->log, 6));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
	assert_int_equal(frontend_log_count(&room->log), 2);
	room_close(room);
}

static void
complete_at_set_log(void **state)
{
	struct room *room = room_with_staged_marks();

	(void)state;
	assert_int_equal(set_log(room, &room->other), 0);
	/* In the old or the new; here: the new. Nothing goes to the old any more. */
	marks_are_in(&room->other, 2);
	burst(room, 0, 7);
	close_queue(room, 0);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_true(frontend_log_test(&room->other, 7));
	room_close(room);
}

/* Left: the marks go to the log that comes. */
static void
complete_after_suspended_log(void **state)
{
	struct room *room = room_with_staged_marks();

	(void)state;
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, 7);
	assert_int_equal(set_log(room, &room->other), 0);
	marks_are_in(&room->other, 3);
	assert_true(frontend_log_test(&room->other, 7));
	assert_int_equal(frontend_log_count(&room->log), 0);
	room_close(room);

	/* Or, if none comes, to the one that was left. */
	room = room_with_staged_marks();
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, 7);
	close_queue(room, 1);
	marks_are_in(&room->log, 4);
	assert_true(frontend_log_test(&room->log, 7));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
	/* And still to the next one. */
	assert_int_equal(set_log(room, &room->other), 0);
	marks_are_in(&room->other, 4);
	room_close(room);
}

static void
complete_at_logging_off(void **state)
{
	struct room *room = room_with_staged_marks();

	(void)state;
	set_logging(room, false);
	/* With the indexes of the queues, which run on. */
	marks_are_in(&room->log, 4);
	frontend_log_clear(&room->log);
	burst(room, 0, 7);
	close_queue(room, 0);
	assert_int_equal(frontend_log_count(&room->log), 0);
	room_close(room);
}

static void
complete_at_remove_queue(void **state)
{
	struct room *room = room_with_staged_marks();

	(void)state;
	dirtylog_remove_queue(room->dl, &room->markers[0]);
	marks_are_in(&room->log, 3);
	dirtylog_add_queue(room->dl, &room->markers[0]);
	room_close(room);
}

/* Before a new memory table all queues close; then it stays staged. */
static void
new_table_is_staged(void **state)
{
	const struct dirtylog_region more[] = {
		memory[0],
		memory[1],
		{ .gpa = 100000 * PAGE, .len = 10 * PAGE },
	};
	struct room *room = room_with_staged_marks();
	struct frontend_log larger;

	(void)state;
	close_queue(room, 0);
	close_queue(room, 1);
	marks_are_in(&room->log, 4);
	frontend_log_clear(&room->log);
	assert_int_equal(dirtylog_set_regions(room->dl, more, 3), 0);
	assert_int_equal(stats_of(room).regions_staged, 3);
	open_queue(room, 0);
	burst(room, 0, 8);
	burst(room, 0, 100009);
	assert_int_equal(frontend_log_count(&room->log), 0);
	close_queue(room, 0);
	assert_true(frontend_log_test(&room->log, 8));
	assert_int_equal(frontend_log_count(&room->log), 2);
	/* What is beyond this log waits for a larger one. */
	assert_int_equal(frontend_log_create(&larger, 100010 / 8 + 1), 0);
	assert_int_equal(set_log(room, &larger), 0);
	assert_true(frontend_log_is_exactly(&larger, 100009, 1));
	close_queue(room, 0);
	assert_int_equal(dirtylog_reset(room->dl), 0);
	frontend_log_destroy(&larger);
	room_close(room);
}

/* Wait until a page is in the log; nobody calls the device meanwhile. */
static void
arrives(const struct frontend_log *log, uint64_t page)
{
	unsigned int ms;

	for (ms = 0; !frontend_log_test(log, page); ms++) {
		assert_true(ms < LIMIT_MS);
		usleep(1000);
	}
}

static void
drained_in_time(void **state)
{
	static const uint32_t delays[] = { 0 /* 1000 */, 1, 100, 20000 };
	unsigned int i, j;

	(void)state;
	for (i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		struct room *room = room_placed(DIRTYLOG_PLACEMENT_STAGED, delays[i]);

		open_queue(room, 0);
		set_logging(room, true);
		assert_int_equal(set_log(room, &room->log), 0);
		for (j = 0; j < 5; j++) {
			burst(room, 0, 4 + j);
			arrives(&room->log, 4 + j);
			burst(room, 0, HIGH_PAGE + j);
			arrives(&room->log, HIGH_PAGE + j);
			/* Harvested, marked again: it comes again. */
			frontend_log_clear(&room->log);
			burst(room, 0, 4 + j);
			arrives(&room->log, 4 + j);
		}
		/* The next log, and after it was left. */
		assert_int_equal(set_log(room, &room->other), 0);
		burst(room, 0, 9);
		arrives(&room->other, 9);
		assert_int_equal(dirtylog_suspend_log(room->dl), 0);
		frontend_log_clear(&room->log);
		assert_int_equal(set_log(room, &room->log), 0);
		burst(room, 0, HIGH_PAGE + 9);
		arrives(&room->log, HIGH_PAGE + 9);
		set_logging(room, false);
		room_close(room);
	}
}

/* ---- the drainer's thread ---- */

/* How often the threads of this name went to sleep so far; their number in *nb. */
static uint64_t
sleeps_of_drainers(unsigned int *nb)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	uint64_t sleeps = 0;

	assert_non_null(dir);
	*nb = 0;
	while ((entry = readdir(dir)) != NULL) {
		char path[300], line[256];
		bool drainer = false;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
			drainer |= strcmp(line, "Name:\tdirtylog-drain\n") == 0;
			if (drainer && strncmp(line, "voluntary", 9) == 0)
				sleeps += strtoull(strchr(line, '\t'), NULL, 10);
		}
		*nb += drainer;
		if (file != NULL)
			fclose(file);
	}
	closedir(dir);
	return sleeps;
}

static void
drainer_is_asleep(void)
{
	unsigned int nb;
	uint64_t sleeps;

	usleep(20 * 1000); /* one more call may come */
	sleeps = sleeps_of_drainers(&nb);
	assert_int_equal(nb, 1);
	usleep(50 * 1000);
	assert_int_equal(sleeps_of_drainers(&nb), sleeps);
}

static void
drainer_works(void)
{
	unsigned int nb, ms;
	uint64_t sleeps = sleeps_of_drainers(&nb);

	assert_int_equal(nb, 1);
	for (ms = 0; sleeps_of_drainers(&nb) < sleeps + 3; ms++) {
		assert_true(ms < LIMIT_MS);
		usleep(1000);
	}
}

static void
drainer_sleeps_when_it_can(void **state)
{
	struct room *room = room_placed(DIRTYLOG_PLACEMENT_STAGED, 0);
	unsigned int nb;

	(void)state;
	sleeps_of_drainers(&nb);
	assert_int_equal(nb, 0);
	set_logging(room, true);
	/* There is no log to drain to. */
	sleeps_of_drainers(&nb);
	assert_int_equal(nb, 0);
	assert_int_equal(set_log(room, &room->log), 0);
	drainer_works();
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	drainer_is_asleep();
	assert_int_equal(set_log(room, &room->other), 0);
	drainer_works();
	set_logging(room, false);
	drainer_is_asleep();
	assert_int_equal(set_log(room, &room->other), 0);
	set_logging(room, true);
	drainer_works();
	/* The front-end is gone. */
	assert_int_equal(dirtylog_reset(room->dl), 0);
	drainer_is_asleep();
	room_close(room);
	sleeps_of_drainers(&nb);
	assert_int_equal(nb, 0);
}

/* ---- the other placements ---- */

static void
marks_go_direct(enum dirtylog_placement placement)
{
	struct room *room = room_placed(placement, 0);
	unsigned int nb;

	open_queue(room, 0);
	assert_int_equal(set_log(room, &room->log), 0);
	set_logging(room, true);
	assert_int_equal(stats_of(room).regions_direct, 2);
	assert_int_equal(stats_of(room).regions_staged, 0);
	burst(room, 0, 5);
	burst(room, 0, HIGH_PAGE);
	assert_true(frontend_log_test(&room->log, 5));
	assert_true(frontend_log_test(&room->log, HIGH_PAGE));
	assert_int_equal(set_log(room, &room->other), 0);
	burst(room, 0, 6);
	assert_true(frontend_log_is_exactly(&room->other, 6, 1));
	/* Staged as long as there is none; then direct again. */
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	assert_int_equal(stats_of(room).regions_staged, 2);
	burst(room, 0, 7);
	frontend_log_clear(&room->log);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(stats_of(room).regions_direct, 2);
	assert_true(frontend_log_is_exactly(&room->log, 7, 1));
	burst(room, 0, 8);
	assert_true(frontend_log_test(&room->log, 8));
	sleeps_of_drainers(&nb);
	assert_int_equal(nb, 0);
	room_close(room);
}

static void
direct(void **state)
{
	(void)state;
	marks_go_direct(DIRTYLOG_PLACEMENT_DIRECT);
}

static void
auto_with_one_node(void **state)
{
	(void)state;
	if (numa_available() >= 0 && numa_num_configured_nodes() > 1) {
		print_message("this machine has more than one NUMA node\n");
		skip();
	}
	marks_go_direct(DIRTYLOG_PLACEMENT_AUTO);
}

static void
configured_before_regions(void **state)
{
	const struct dirtylog_options staged = {
		.placement = DIRTYLOG_PLACEMENT_STAGED,
		.drain_us = NEVER_US,
	};
	struct room *room = room_placed(DIRTYLOG_PLACEMENT_DIRECT, 0);

	(void)state;
	assert_int_equal(dirtylog_configure(room->dl, &staged), -EBUSY);
	assert_int_equal(set_log(room, &room->log), 0);
	set_logging(room, true);
	assert_int_equal(stats_of(room).regions_direct, 2);
	/* Before the next connection's: yes. The options outlive a reset. */
	assert_int_equal(dirtylog_reset(room->dl), 0);
	assert_int_equal(dirtylog_configure(room->dl, &staged), 0);
	assert_int_equal(dirtylog_reset(room->dl), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	assert_int_equal(dirtylog_configure(room->dl, &staged), -EBUSY);
	assert_int_equal(set_log(room, &room->log), 0);
	set_logging(room, true);
	assert_int_equal(stats_of(room).regions_staged, 2);
	room_close(room);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete_at_close),
		cmocka_unit_test(complete_at_set_log),
		cmocka_unit_test(complete_after_suspended_log),
		cmocka_unit_test(complete_at_logging_off),
		cmocka_unit_test(complete_at_remove_queue),
		cmocka_unit_test(new_table_is_staged),
		cmocka_unit_test(drained_in_time),
		cmocka_unit_test(drainer_sleeps_when_it_can),
		cmocka_unit_test(direct),
		cmocka_unit_test(auto_with_one_node),
		cmocka_unit_test(configured_before_regions),
	};

	return run_test_program(argc, argv, "placement", tests, NULL, NULL);
}
