/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows where a device's marks go, message by message of a migration, seen
 * from the front-end's log: staging while logging is on without a log, swaps,
 * leaving a log, stop, restart, cancel; that each mark is in a log that the
 * front-end still reads; and that what is refused changes nothing.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dirtylog_room.h"
#include "shm.h"
#include "test_program.h"

/* Another kernel's page size; 0: this one's. */
static long kernel_page;

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long
__wrap_sysconf(int name)
{
	return name == _SC_PAGESIZE && kernel_page != 0 ? kernel_page : __real_sysconf(name);
}

static void
kernel_pages(void **state)
{
	struct dirtylog *dl;

	(void)state;
	kernel_page = 65536;
	assert_int_equal(dirtylog_create("unit", &dl), -ENOTSUP);
	kernel_page = 16384;
	assert_int_equal(dirtylog_create("unit", &dl), 0);
	dirtylog_destroy(dl);
	kernel_page = 0;
}

static void
nothing_without_logging(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	burst(room, 0, 1);
	device_is(room, "logging off, no log, 1 queues open, 1 closed, 2 regions");
	device_is(room, "marks go to nowhere");
	assert_int_equal(set_log(room, &room->log), 0);
	burst(room, 0, 1);
	publishing_burst(room, 0);
	publishing_burst(room, 0);
	close_queue(room, 0);
	assert_int_equal(frontend_log_count(&room->log), 0);
	/* Off when it is off. */
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
}

static void
migration(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	open_queue(room, 1);
	burst(room, 0, 1);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	device_is(room, "logging on, log in use, 2 queues open");
	assert_int_equal(frontend_log_count(&room->log), 0);
	burst(room, 0, 9);
	burst(room, 1, HIGH_PAGE + HIGH_PAGES - 1);
	burst(room, 1, HIGH_PAGE);
	assert_true(frontend_log_test(&room->log, 9));
	assert_true(frontend_log_test(&room->log, HIGH_PAGE + HIGH_PAGES - 1));
	assert_true(frontend_log_test(&room->log, HIGH_PAGE));
	assert_int_equal(frontend_log_count(&room->log), 3);
	frontend_log_clear(&room->log);
	burst(room, 0, 9);
	assert_true(frontend_log_is_exactly(&room->log, 9, 1));
	/* Stop: each queue's index page is in the log when close returns. */
	close_queue(room, 0);
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(0)));
	assert_false(dirtylog_stopped(room->dl));
	publishing_burst(room, 1);
	close_queue(room, 1);
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
	assert_true(dirtylog_stopped(room->dl));
	assert_int_equal(frontend_log_count(&room->log), 3);
	/* Again: nothing. */
	frontend_log_clear(&room->log);
	close_queue(room, 1);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_false(dirtylog_burst_begin(&room->markers[1]));
}

/* LOG_ALL on, log later: marks are staged, and moved by the call that brings it. */
static void
log_comes_after_logging(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	device_is(room, "logging on, no log");
	device_is(room, "marks go to staging");
	burst(room, 0, 0);
	burst(room, 0, HIGH_PAGE + 77);
	assert_true(bitmap_dirty_at(region_bitmap(room->dl, 0), 0));
	/* A queue that closes meanwhile has nowhere to move them: kept. */
	open_queue(room, 1);
	close_queue(room, 1);
	assert_int_equal(set_log(room, &room->log), 0);
	device_is(room, "marks go to the log");
	assert_true(frontend_log_test(&room->log, 0));
	assert_true(frontend_log_test(&room->log, HIGH_PAGE + 77));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
	assert_int_equal(frontend_log_count(&room->log), 3);
	/* Moved, not copied: the next log does not get them again. */
	assert_int_equal(set_log(room, &room->other), 0);
	assert_int_equal(frontend_log_count(&room->other), 0);
	assert_int_equal(frontend_log_count(&room->log), 3);
}

static void
swap(void **state)
{
	struct room *room = *state;
	unsigned int i;

	open_queue(room, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	for (i = 0; i < 100; i++) {
		struct frontend_log *old = i % 2 == 0 ? &room->log : &room->other;
		struct frontend_log *new = i % 2 == 0 ? &room->other : &room->log;
		uint64_t page = i % LOW_PAGES;

		burst(room, 0, page);
		assert_true(frontend_log_is_exactly(old, page, 1));
		assert_int_equal(set_log(room, new), 0);
		burst(room, 0, HIGH_PAGE + i % HIGH_PAGES);
		/* Nothing more in the old one, nothing taken over. */
		assert_true(frontend_log_is_exactly(old, page, 1));
		assert_true(frontend_log_is_exactly(new, HIGH_PAGE + i % HIGH_PAGES, 1));
		frontend_log_clear(old);
		frontend_log_clear(new);
	}
	/* The same log again, as QEMU sends it once per queue pair. */
	burst(room, 0, 1);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_true(frontend_log_is_exactly(&room->log, 1, 1));
	/* An index that was stored under the old log is marked in the new one. */
	publishing_burst(room, 0);
	assert_int_equal(set_log(room, &room->other), 0);
	publishing_burst(room, 0);
	assert_true(frontend_log_is_exactly(&room->other, INDEX_PAGE(0), 1));
}

/* Only views of the front-end's log and the device keep it mapped. */
static void
old_log_is_let_go(void **state)
{
	struct room *room = *state;
	struct dirtylog_shm *first, *second;

	assert_int_equal(dirtylog_shm_map(room->log.fd, 0, LOG_LEN, &first), 0);
	assert_int_equal(dirtylog_shm_map(room->other.fd, 0, LOG_LEN, &second), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(dirtylog_set_log(room->dl, first), 0);
	assert_int_equal(first->refs, 4);
	assert_int_equal(dirtylog_set_log(room->dl, second), 0);
	assert_int_equal(first->refs, 1);
	assert_int_equal(second->refs, 4);
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	assert_int_equal(second->refs, 1);
	dirtylog_shm_unref(first);
	dirtylog_shm_unref(second);
}

static void
leave_and_swap(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	burst(room, 0, 0);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	device_is(room, "log left");
	device_is(room, "marks go to staging");
	frontend_log_clear(&room->log);
	burst(room, 0, 1);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, HIGH_PAGE);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_int_equal(set_log(room, &room->other), 0);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_true(frontend_log_test(&room->other, 1));
	assert_true(frontend_log_test(&room->other, HIGH_PAGE));
	assert_int_equal(frontend_log_count(&room->other), 2);
	burst(room, 0, 5);
	assert_true(frontend_log_test(&room->other, 5));
}

/* The front-end brings no other log: it finds the marks in the one it has. */
static void
leave_and_stop(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	open_queue(room, 1);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, 7);
	close_queue(room, 0);
	assert_true(frontend_log_test(&room->log, 7));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(0)));
	assert_int_equal(frontend_log_count(&room->log), 2);
	close_queue(room, 1);
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
}

/* And when it turns logging off. */
static void
leave_and_cancel(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, 7);
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	assert_true(frontend_log_test(&room->log, 7));
}

/*
 * The guest reboots during the migration: the device stops, its log is dead;
 * it starts again, a queue even closes once more, before the new log comes.
 */
static void
restart_during_migration(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	burst(room, 0, 1);
	close_queue(room, 0);
	assert_true(dirtylog_stopped(room->dl));
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	/* The last harvest; nobody looks at this log from here on. */
	frontend_log_clear(&room->log);

	open_queue(room, 0);
	open_queue(room, 1);
	burst(room, 0, 5);
	burst(room, 1, HIGH_PAGE + 5);
	close_queue(room, 1);
	burst(room, 0, 6);
	assert_int_equal(set_log(room, &room->other), 0);
	assert_true(frontend_log_test(&room->other, 5));
	assert_true(frontend_log_test(&room->other, 6));
	assert_true(frontend_log_test(&room->other, HIGH_PAGE + 5));
	assert_true(frontend_log_test(&room->other, INDEX_PAGE(1)));
	assert_int_equal(frontend_log_count(&room->other), 4);
	burst(room, 0, 8);
	assert_true(frontend_log_test(&room->other, 8));
}

static void
cancel_leaves_the_marks(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	open_queue(room, 1);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(set_log(room, &room->log), 0);
	burst(room, 0, 7);
	publishing_burst(room, 1);
	assert_int_equal(dirtylog_set_logging(room->dl, false), 0);
	/* The marks of before are there, the stored index's too. */
	assert_true(frontend_log_test(&room->log, 7));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
	device_is(room, "logging off, no log");
	frontend_log_clear(&room->log);
	burst(room, 0, 8);
	assert_false(room->markers[0].logging);
	publishing_burst(room, 1);
	publishing_burst(room, 1);
	close_queue(room, 1);
	assert_int_equal(frontend_log_count(&room->log), 0);

	/* A new migration knows nothing of the old log, nor of staged marks. */
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	burst(room, 0, 9);
	assert_int_equal(set_log(room, &room->other), 0);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_true(frontend_log_is_exactly(&room->other, 9, 1));
}

/* A log that is refused leaves everything as it was, with a log and without. */
static void
log_is_refused(void **state)
{
	struct room *room = *state;
	struct frontend_log small;

	assert_int_equal(frontend_log_create(&small, LOG_LEN - 1), 0);
	open_queue(room, 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	burst(room, 0, 1);
	assert_int_equal(set_log(room, &small), -ERANGE);
	burst(room, 0, 2);
	assert_int_equal(set_log(room, &room->log), 0);
	assert_true(frontend_log_is_exactly(&room->log, 1, 2));
	assert_int_equal(set_log(room, &small), -ERANGE);
	burst(room, 0, 3);
	assert_true(frontend_log_is_exactly(&room->log, 1, 3));
	device_is(room, "log in use");
	/* While it is left, too. */
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, 4);
	assert_int_equal(set_log(room, &small), -ERANGE);
	burst(room, 0, 5);
	assert_int_equal(set_log(room, &room->other), 0);
	assert_true(frontend_log_is_exactly(&room->other, 4, 2));
	assert_int_equal(frontend_log_count(&small), 0);
	assert_true(frontend_log_canary_alive(&small));
	frontend_log_destroy(&small);
}

static void
open_checks_the_index(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->markers[0];

	assert_int_equal(dirtylog_open(room->dl, marker, LOW_PAGES * PAGE, DIRTYLOG_INDEX_LEN),
			-EFAULT);
	assert_int_equal(dirtylog_open(room->dl, marker, (HIGH_PAGE + HIGH_PAGES) * PAGE,
					 DIRTYLOG_INDEX_LEN),
			-EFAULT);
	assert_int_equal(dirtylog_open(room->dl, marker, UINT64_MAX - 1, DIRTYLOG_INDEX_LEN),
			-EFAULT);
	assert_false(dirtylog_burst_begin(marker));
	assert_true(dirtylog_stopped(room->dl));
	/* The last bytes of a region: what lies beyond is ignored. */
	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	assert_int_equal(dirtylog_open(room->dl, marker, LOW_PAGES * PAGE - 2, DIRTYLOG_INDEX_LEN),
			0);
	dirtylog_close(room->dl, marker);
	assert_true(frontend_log_is_exactly(&room->log, LOW_PAGES - 1, 1));
	frontend_log_clear(&room->log);
	/* None at all. */
	assert_int_equal(dirtylog_open(room->dl, marker, DIRTYLOG_NO_GPA, 0), 0);
	burst(room, 0, 1);
	dirtylog_close(room->dl, marker);
	assert_true(frontend_log_is_exactly(&room->log, 1, 1));
	/* An open queue is not opened again under its bursts' feet. */
	open_queue(room, 0);
	assert_int_equal(dirtylog_open(room->dl, marker, DIRTYLOG_NO_GPA, 0), -EBUSY);
	publishing_burst(room, 0);
	publishing_burst(room, 0);
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(0)));
}

/* Removing a queue closes it; the device's memory outlives a kept reference. */
static void
removed_queue(void **state)
{
	struct room *room = *state;

	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	open_queue(room, 0);
	publishing_burst(room, 0);
	dirtylog_remove_queue(room->dl, &room->markers[0]);
	assert_true(frontend_log_is_exactly(&room->log, INDEX_PAGE(0), 1));
	memset(&room->markers[0], 0xff, sizeof(room->markers[0]));
	room->markers[0].reader.section = 0;
	room->markers[0].gate = DIRTYLOG_GATE_CLOSED;
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	dirtylog_add_queue(room->dl, &room->markers[0]);
	assert_false(dirtylog_burst_begin(&room->markers[0]));
}

/* The next connection of a front-end starts from nothing, with the same queues. */
static void
reset_forgets(void **state)
{
	struct room *room = *state;

	assert_int_equal(set_log(room, &room->log), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	open_queue(room, 0);
	burst(room, 0, 1);
	assert_int_equal(dirtylog_reset(room->dl), -EBUSY);
	burst(room, 0, 0);
	assert_true(frontend_log_is_exactly(&room->log, 0, 2));
	assert_int_equal(dirtylog_suspend_log(room->dl), 0);
	burst(room, 0, 3);
	close_queue(room, 0);
	assert_int_equal(dirtylog_reset(room->dl), 0);
	device_is(room, "logging off, no log, 0 queues open, 2 closed, 0 regions");
	frontend_log_clear(&room->log);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	open_queue(room, 0);
	burst(room, 0, 1);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	burst(room, 0, 4);
	assert_int_equal(set_log(room, &room->other), 0);
	assert_true(frontend_log_is_exactly(&room->other, 4, 1));
	assert_int_equal(frontend_log_count(&room->log), 0);
}

static void
destroy_with_everything(void **state)
{
	struct dirtylog *dl;
	struct frontend_log log;
	struct dirtylog_shm *shm;

	(void)state;
	dirtylog_destroy(NULL);
	assert_int_equal(frontend_log_create(&log, LOG_LEN), 0);
	assert_int_equal(dirtylog_shm_map(log.fd, 0, log.len, &shm), 0);
	assert_int_equal(dirtylog_create("", &dl), 0);
	assert_true(dirtylog_stopped(dl));
	/* Before any memory table a log of any size will do. */
	assert_int_equal(dirtylog_set_log(dl, shm), 0);
	assert_int_equal(dirtylog_set_logging(dl, true), 0);
	assert_int_equal(dirtylog_set_regions(dl, memory, 2), 0);
	assert_int_equal(dirtylog_suspend_log(dl), 0);
	dirtylog_destroy(dl);
	assert_int_equal(shm->refs, 1);
	dirtylog_shm_unref(shm);
	frontend_log_destroy(&log);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_ROOM(nothing_without_logging),
		IN_ROOM(migration),
		IN_ROOM(log_comes_after_logging),
		IN_ROOM(swap),
		IN_ROOM(old_log_is_let_go),
		IN_ROOM(leave_and_swap),
		IN_ROOM(leave_and_stop),
		IN_ROOM(leave_and_cancel),
		IN_ROOM(restart_during_migration),
		IN_ROOM(cancel_leaves_the_marks),
		IN_ROOM(log_is_refused),
		IN_ROOM(open_checks_the_index),
		IN_ROOM(removed_queue),
		IN_ROOM(reset_forgets),
		cmocka_unit_test(destroy_with_everything),
		cmocka_unit_test(kernel_pages),
	};

	return run_test_program(argc, argv, "dirtylog", tests, NULL, NULL);
}
