/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what a new memory table does to a device's marks, seen from the
 * front-end's log: regions that come and go, and those beyond the log; that staged
 * marks are kept; and that a table which is refused changes nothing.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dirtylog_room.h"
#include "test_program.h"

static void
regions_added_later_are_logged(void **state)
{
	struct room *room = *state;
	const struct dirtylog_region more[] = {
		{ .gpa = 0, .len = LOW_PAGES * PAGE },
		{ .gpa = LOW_PAGES * PAGE,
				.len = (HIGH_PAGE - LOW_PAGES) * PAGE }, /* fills the hole */
		{ .gpa = HIGH_PAGE * PAGE, .len = HIGH_PAGES * PAGE },
	};

	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, more, 3), 0);
	assert_int_equal(frontend_log_count(&room->log), 0);
	open_queue(room, 0);
	burst(room, 0, LOW_PAGES);
	burst(room, 0, HIGH_PAGE - 1);
	assert_true(frontend_log_test(&room->log, LOW_PAGES));
	assert_true(frontend_log_test(&room->log, HIGH_PAGE - 1));
	assert_int_equal(frontend_log_count(&room->log), 2);
	/* A control thread's writes to several of them. */
	frontend_log_clear(&room->log);
	assert_int_equal(dirtylog_mark_gpa(room->dl, LOW_PAGES * PAGE - 1,
					 (HIGH_PAGE - LOW_PAGES) * PAGE + 2),
			0);
	assert_true(frontend_log_is_exactly(&room->log, LOW_PAGES - 1, HIGH_PAGE - LOW_PAGES + 2));
	/* And when one goes: its marks stay in the log. */
	close_queue(room, 0);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	assert_true(frontend_log_test(&room->log, LOW_PAGES));
	assert_null(region_bitmap(room->dl, 2));
	assert_null(dirtylog_find(room->dl, LOW_PAGES * PAGE, &(uint64_t){ 0 }));
}

/* Memory grows beyond the log: marks there wait for a larger one. */
static void
regions_beyond_the_log(void **state)
{
	struct room *room = *state;
	const struct dirtylog_region more[] = {
		memory[0],
		memory[1],
		{ .gpa = 4096 * PAGE, .len = 64 * PAGE },
	};
	struct frontend_log larger;

	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, more, 3), 0);
	open_queue(room, 0);
	burst(room, 0, 1);
	burst(room, 0, 4096 + 63);
	assert_true(frontend_log_is_exactly(&room->log, 1, 1));
	/* One byte less than needed is refused, and nothing is lost by it. */
	assert_int_equal(frontend_log_create(&larger, (4096 + 64) / 8 - 1), 0);
	assert_int_equal(set_log(room, &larger), -ERANGE);
	assert_int_equal(frontend_log_count(&larger), 0);
	frontend_log_destroy(&larger);
	burst(room, 0, 2);
	assert_true(frontend_log_is_exactly(&room->log, 1, 2));
	assert_int_equal(frontend_log_create(&larger, (4096 + 64) / 8), 0);
	assert_int_equal(set_log(room, &larger), 0);
	assert_true(frontend_log_is_exactly(&larger, 4096 + 63, 1));
	burst(room, 0, 4096);
	assert_true(frontend_log_test(&larger, 4096));
	/* Shrinking: the table first, then a smaller log. */
	assert_int_equal(set_log(room, &room->other), -ERANGE);
	close_queue(room, 0);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	assert_int_equal(set_log(room, &room->other), 0);
	frontend_log_destroy(&larger);
}

/* Staged marks follow their GPA into the new table, whatever its cut. */
static void
staged_marks_survive_a_new_table(void **state)
{
	struct room *room = *state;
	const struct dirtylog_region recut[] = {
		{ .gpa = (HIGH_PAGE + 30) * PAGE, .len = (HIGH_PAGES - 30) * PAGE },
		{ .gpa = HIGH_PAGE * PAGE, .len = 30 * PAGE },
		{ .gpa = 5 * PAGE, .len = 5 * PAGE },
	};

	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	open_queue(room, 0);
	burst(room, 0, 4); /* not in the new table */
	burst(room, 0, 5);
	burst(room, 0, HIGH_PAGE + 29);
	burst(room, 0, HIGH_PAGE + 30);
	close_queue(room, 0); /* marks page 2, not in the new table either */
	assert_int_equal(dirtylog_set_regions(room->dl, recut, 3), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	/* Marks went with memory: all of what there is is marked, and what comes back. */
	assert_int_equal(frontend_log_count(&room->log), HIGH_PAGES + 5);
	frontend_log_clear(&room->log);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	assert_true(frontend_log_test(&room->log, 4));
	assert_false(frontend_log_test(&room->log, 5));
	assert_int_equal(dirtylog_set_regions(room->dl, recut, 3), 0);
	frontend_log_clear(&room->log);

	/* With a log that is left, into the next one. */
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	assert_int_equal(dirtylog_open(room->dl, &room->markers[0], DIRTYLOG_NO_GPA, 0), 0);
	burst(room, 0, 9);
	close_queue(room, 0);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	assert_int_equal(set_log(room, &room->other), 0);
	assert_true(frontend_log_is_exactly(&room->other, 9, 1));
}

/* What a control thread wrote itself: into the log, or where the next one finds it. */
static void
control_thread_marks(void **state)
{
	struct room *room = *state;

	/* Nothing is logged: nothing to do. */
	assert_int_equal(dirtylog_mark_gpa(room->dl, 3 * PAGE, 4), 0);
	assert_int_equal(dirtylog_mark_gpa(room->dl, LOW_PAGES * PAGE, 4), -EFAULT);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(dirtylog_mark_gpa(room->dl, 7 * PAGE + 4092, 4), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_true(frontend_log_is_exactly(&room->log, 7, 1));
	frontend_log_clear(&room->log);
	assert_int_equal(dirtylog_mark_gpa(room->dl, HIGH_PAGE * PAGE + 4094, 4), 0);
	assert_true(frontend_log_is_exactly(&room->log, HIGH_PAGE, 2));
	assert_int_equal(dirtylog_mark_gpa(room->dl, UINT64_MAX, 4), -EFAULT);
}

static void
table_is_refused(void **state)
{
	static struct dirtylog_region many[DIRTYLOG_MAX_REGIONS + 1];
	struct room *room = *state;
	struct dirtylog_region bad[2] = { { .len = PAGE }, { .gpa = PAGE } };
	struct dirtylog_bitmap *bitmap = region_bitmap(room->dl, 0);
	unsigned int i;

	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	open_queue(room, 1);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 1), -EBUSY);
	close_queue(room, 1);
	assert_int_equal(dirtylog_set_regions(room->dl, bad, 2), -EINVAL);
	bad[1].gpa = 0;
	assert_int_equal(dirtylog_set_regions(room->dl, bad, 2), -EINVAL);
	bad[1] = (struct dirtylog_region){ .gpa = UINT64_MAX - PAGE + 1, .len = PAGE + 1 };
	assert_int_equal(dirtylog_set_regions(room->dl, bad, 2), -EOVERFLOW);
	bad[1] = (struct dirtylog_region){ .gpa = PAGE, .len = UINT64_MAX };
	assert_int_equal(dirtylog_set_regions(room->dl, bad, 2), -EOVERFLOW);
	for (i = 0; i <= DIRTYLOG_MAX_REGIONS; i++)
		many[i] = (struct dirtylog_region){ .gpa = i * PAGE, .len = PAGE };
	assert_int_equal(dirtylog_set_regions(room->dl, many, DIRTYLOG_MAX_REGIONS + 1), -E2BIG);
	/* The old table stays, and works. */
	assert_ptr_equal(region_bitmap(room->dl, 0), bitmap);
	frontend_log_clear(&room->log);
	open_queue(room, 0);
	burst(room, 0, HIGH_PAGE);
	assert_true(frontend_log_is_exactly(&room->log, HIGH_PAGE, 1));
	close_queue(room, 0);
	/* At the limit, and none at all. */
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, many, DIRTYLOG_MAX_REGIONS), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, NULL, 0), 0);
	assert_null(region_bitmap(room->dl, 0));
	assert_int_equal(dirtylog_open(room->dl, &room->markers[0], 0, DIRTYLOG_INDEX_LEN),
			-EFAULT);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_ROOM(regions_added_later_are_logged),
		IN_ROOM(regions_beyond_the_log),
		IN_ROOM(staged_marks_survive_a_new_table),
		IN_ROOM(control_thread_marks),
		IN_ROOM(table_is_refused),
	};

	return run_test_program(argc, argv, "regions", tests, NULL, NULL);
}
