/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a region's bitmap does what dirtylog_bitmap.h says: empty at first,
 * mark, and another view in its place, also while threads mark. Checked from the
 * front-end's side, bit by bit in its own mapping. Views are test_views.c's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bitmap.h"
#include "epoch.h"
#include "frontend_log.h"
#include "marker.h"
#include "region_bitmap.h"
#include "shm.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE

/* A queue that marks: with no device around it, its gate is always open. */
struct queue {
	struct dirtylog_epoch epoch;
	struct dirtylog_marker marker;
};

static void
queue_open(struct queue *queue)
{
	assert_int_equal(dirtylog_epoch_init(&queue->epoch), 0);
	memset(&queue->marker, 0, sizeof(queue->marker));
	dirtylog_marker_join(&queue->marker, &queue->epoch);
	dirtylog_marker_set_gate(&queue->marker, &queue->epoch, DIRTYLOG_GATE_LOGGING);
}

static void
queue_close(struct queue *queue)
{
	dirtylog_marker_leave(&queue->marker, &queue->epoch);
	dirtylog_epoch_fini(&queue->epoch);
}

static void
mark(struct queue *queue, struct dirtylog_bitmap *bitmap, uint64_t offset, uint64_t len)
{
	assert_true(dirtylog_burst_begin(&queue->marker));
	dirtylog_mark(&queue->marker, bitmap, offset, len);
	dirtylog_flush(&queue->marker);
	dirtylog_burst_end(&queue->marker);
}

/* Put another view in place, wait for who is in the old one, and free that. */
static void
replace(struct dirtylog_bitmap *bitmap, struct dirtylog_epoch *epoch, struct dirtylog_view *view)
{
	struct dirtylog_view *old = bitmap->view;

	dirtylog_bitmap_set_view(bitmap, view);
	dirtylog_epoch_sync(epoch);
	dirtylog_view_free(old);
}

/* A view of `len` bytes of guest memory on the log, in place of the bitmap's. */
static void
look_at(struct dirtylog_bitmap *bitmap, struct dirtylog_epoch *epoch,
		const struct frontend_log *log, uint64_t gpa, uint64_t len)
{
	struct dirtylog_shm *shm;
	struct dirtylog_view *view;

	assert_int_equal(dirtylog_shm_map(log->fd, 0, log->len, &shm), 0);
	assert_int_equal(dirtylog_view_create(shm, gpa, len, &view), 0);
	dirtylog_shm_unref(shm);
	replace(bitmap, epoch, view);
}

/* A queue, a log, and one region's bitmap on it: what most tests start from. */
struct room {
	struct queue queue;
	struct frontend_log log;
	struct dirtylog_bitmap bitmap;
};

static void
room_open(struct room *room, uint64_t log_len, uint64_t gpa_page, uint64_t nb_pages)
{
	queue_open(&room->queue);
	assert_int_equal(frontend_log_create(&room->log, log_len), 0);
	room->bitmap.view = NULL;
	look_at(&room->bitmap, &room->queue.epoch, &room->log, gpa_page * PAGE, nb_pages * PAGE);
}

static void
room_close(struct room *room)
{
	assert_true(frontend_log_canary_alive(&room->log));
	replace(&room->bitmap, &room->queue.epoch, NULL);
	frontend_log_destroy(&room->log);
	queue_close(&room->queue);
}

static void
no_view(void **state)
{
	struct dirtylog_bitmap bitmap = { .view = NULL };
	struct queue queue;

	(void)state;
	queue_open(&queue);
	mark(&queue, &bitmap, 0, 10 * PAGE);
	mark(&queue, &bitmap, UINT64_MAX, UINT64_MAX);
	assert_int_equal(queue.marker.nb_marks, 0);
	dirtylog_view_free(NULL);
	queue_close(&queue);
}

static void
mark_and_test(void **state)
{
	struct room room;

	(void)state;
	room_open(&room, 32, 0, 256);
	assert_false(bitmap_dirty_at(&room.bitmap, 5 * PAGE));
	mark(&room.queue, &room.bitmap, 5 * PAGE + 17, 1);
	assert_true(frontend_log_is_exactly(&room.log, 5, 1));
	assert_false(bitmap_dirty_at(&room.bitmap, 5 * PAGE - 1));
	assert_true(bitmap_dirty_at(&room.bitmap, 5 * PAGE));
	assert_true(bitmap_dirty_at(&room.bitmap, 6 * PAGE - 1));
	assert_false(bitmap_dirty_at(&room.bitmap, 6 * PAGE));
	assert_int_equal(dirtylog_view_count(room.bitmap.view), 1);
	/* Bit by bit as the specification has it. */
	assert_int_equal(room.log.bytes[0], 1 << 5);
	room_close(&room);
}

static void
ranges(void **state)
{
	static const struct {
		uint64_t offset, len, first, nb_pages;
	} cases[] = {
		{ 0, 0, 0, 0 },
		{ 3 * PAGE, 0, 0, 0 },
		{ 0, 1, 0, 1 },
		{ 0, PAGE, 0, 1 },
		{ 0, PAGE + 1, 0, 2 },
		{ PAGE - 1, 2, 0, 2 },
		{ 63 * PAGE, PAGE, 63, 1 },
		{ 64 * PAGE, PAGE, 64, 1 },
		{ 64 * PAGE - 1, 2, 63, 2 }, /* over a word */
		{ 60 * PAGE + 5, 8 * PAGE, 60, 9 },
		{ 10 * PAGE, 180 * PAGE, 10, 180 }, /* over whole words */
		{ 64 * PAGE, 128 * PAGE, 64, 128 }, /* words exactly */
		{ 0, 200 * PAGE, 0, 200 },          /* all of it */
		/* Beyond the end is ignored, page by page. */
		{ 199 * PAGE, 2 * PAGE, 199, 1 },
		{ 199 * PAGE + 4095, 9000, 199, 1 },
		{ 150 * PAGE, UINT64_MAX, 150, 50 },
		{ 0, UINT64_MAX, 0, 200 },
		{ 200 * PAGE, 1, 0, 0 },
		{ 200 * PAGE, UINT64_MAX, 0, 0 },
		{ 201 * PAGE, PAGE, 0, 0 },
		{ UINT64_MAX, 1, 0, 0 },
		{ UINT64_MAX, UINT64_MAX, 0, 0 },
		{ UINT64_MAX - PAGE, 2 * PAGE, 0, 0 },
	};
	/* At GPA 0, within the first word, on a word, and far up. */
	static const uint64_t gpa_pages[] = { 0, 1, 63, 64, 127, 1 << 20 };
	unsigned int i, j;

	(void)state;
	for (j = 0; j < sizeof(gpa_pages) / sizeof(gpa_pages[0]); j++) {
		uint64_t base = gpa_pages[j];
		struct room room;

		/* The log ends with the byte that holds the region's last page. */
		room_open(&room, (base + 199) / 8 + 1, base, 200);
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			uint64_t page;

			mark(&room.queue, &room.bitmap, cases[i].offset, cases[i].len);
			assert_true(frontend_log_is_exactly(&room.log, base + cases[i].first,
					cases[i].nb_pages));
			for (page = 0; page < 200; page++)
				assert_int_equal(bitmap_dirty_at(&room.bitmap, page * PAGE + page),
						page >= cases[i].first &&
								page < cases[i].first + cases[i].nb_pages);
			frontend_log_clear(&room.log);
			/* The control thread's way of marking agrees. */
			dirtylog_view_mark(room.bitmap.view, cases[i].offset, cases[i].len);
			assert_true(frontend_log_is_exactly(&room.log, base + cases[i].first,
					cases[i].nb_pages));
			frontend_log_clear(&room.log);
		}
		room_close(&room);
	}
}

/* What others have marked around a region is not counted as its own. */
static void
neighbours_are_not_counted(void **state)
{
	struct room room;
	unsigned int i;

	(void)state;
	room_open(&room, 8, 3, 40);
	for (i = 0; i < 8; i++)
		room.log.bytes[i] = 0xff;
	assert_int_equal(dirtylog_view_count(room.bitmap.view), 40);
	room_close(&room);
}

/* A region whose last page is there in part only: it counts as one. */
static void
partial_pages(void **state)
{
	struct dirtylog_bitmap bitmap = { .view = NULL };
	struct frontend_log log;
	struct queue queue;

	(void)state;
	queue_open(&queue);
	assert_int_equal(frontend_log_create(&log, 1), 0);
	look_at(&bitmap, &queue.epoch, &log, 0, 7 * PAGE + 1);
	mark(&queue, &bitmap, 7 * PAGE, PAGE);
	assert_true(frontend_log_is_exactly(&log, 7, 1));
	assert_true(bitmap_dirty_at(&bitmap, 7 * PAGE));
	assert_false(bitmap_dirty_at(&bitmap, 7 * PAGE + 1));
	frontend_log_clear(&log);

	/* A region that starts within a page: offset 0 is in that page. */
	look_at(&bitmap, &queue.epoch, &log, 2 * PAGE + 4000, PAGE);
	mark(&queue, &bitmap, 0, 96);
	assert_true(frontend_log_is_exactly(&log, 2, 1));
	mark(&queue, &bitmap, 95, 2);
	assert_true(frontend_log_is_exactly(&log, 2, 2));
	mark(&queue, &bitmap, 0, UINT64_MAX);
	assert_true(frontend_log_is_exactly(&log, 2, 2));
	replace(&bitmap, &queue.epoch, NULL);
	assert_true(frontend_log_canary_alive(&log));
	frontend_log_destroy(&log);
	queue_close(&queue);
}

static void
another_view(void **state)
{
	struct frontend_log second;
	struct room room;

	(void)state;
	room_open(&room, 4, 0, 32);
	assert_int_equal(frontend_log_create(&second, 16), 0);
	mark(&room.queue, &room.bitmap, 0, PAGE);

	/* Another place in another log. */
	look_at(&room.bitmap, &room.queue.epoch, &second, 70 * PAGE, 32 * PAGE);
	mark(&room.queue, &room.bitmap, PAGE, PAGE);
	mark(&room.queue, &room.bitmap, 0, PAGE);
	assert_true(frontend_log_is_exactly(&second, 70, 2));
	assert_true(frontend_log_is_exactly(&room.log, 0, 1));

	/* None, and one again. */
	replace(&room.bitmap, &room.queue.epoch, NULL);
	mark(&room.queue, &room.bitmap, 0, 32 * PAGE);
	replace(&room.bitmap, &room.queue.epoch, NULL);
	assert_int_equal(frontend_log_count(&room.log), 1);
	assert_int_equal(frontend_log_count(&second), 2);
	look_at(&room.bitmap, &room.queue.epoch, &room.log, 0, 32 * PAGE);
	mark(&room.queue, &room.bitmap, PAGE, PAGE);
	assert_true(frontend_log_is_exactly(&room.log, 0, 2));
	frontend_log_destroy(&second);
	room_close(&room);
}

/* Two regions whose pages share a word: each marks its own bits only. */
static void
neighbours_in_one_word(void **state)
{
	struct dirtylog_bitmap other = { .view = NULL };
	struct room room;

	(void)state;
	room_open(&room, 32, 70, 11);
	look_at(&other, &room.queue.epoch, &room.log, 84 * PAGE, PAGE);
	mark(&room.queue, &room.bitmap, 0, UINT64_MAX);
	assert_true(frontend_log_is_exactly(&room.log, 70, 11));
	assert_false(bitmap_dirty_at(&other, 0));
	frontend_log_clear(&room.log);
	mark(&room.queue, &other, 0, UINT64_MAX);
	assert_true(frontend_log_is_exactly(&room.log, 84, 1));
	assert_false(bitmap_dirty_at(&room.bitmap, 0));
	assert_false(bitmap_dirty_at(&room.bitmap, 14 * PAGE));
	/* What others marked stays marked. */
	memset(room.log.bytes, 0xff, 32);
	mark(&room.queue, &room.bitmap, 0, UINT64_MAX);
	dirtylog_view_mark(room.bitmap.view, 0, UINT64_MAX);
	assert_int_equal(frontend_log_count(&room.log), 256);
	replace(&other, &room.queue.epoch, NULL);
	room_close(&room);
}

struct marking_thread {
	pthread_t thread;
	struct dirtylog_marker marker;
	struct dirtylog_bitmap *bitmap;
	uint64_t first, step; /* pages */
	unsigned int *swaps;  /* by control */
	bool done;
};

#define THREADS 2
#define THREAD_PAGES 60000
#define SWAPS 50

/* Mark each page of the thread's share once, in the time of that many swaps. */
static void *
mark_pages(void *arg)
{
	struct marking_thread *self = arg;
	uint64_t page;

	for (page = self->first; page < THREAD_PAGES; page += self->step) {
		dirtylog_burst_begin(&self->marker);
		dirtylog_mark(&self->marker, self->bitmap, page * PAGE, 1);
		if (page % 3 == 0)
			dirtylog_flush(&self->marker);
		dirtylog_burst_end(&self->marker);
		while (__atomic_load_n(self->swaps, __ATOMIC_RELAXED) < page * SWAPS / THREAD_PAGES)
			sched_yield();
	}
	__atomic_store_n(&self->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * Views are exchanged while threads mark: after the return nothing lands in
 * the old log, and each mark is in the one or the other.
 */
static void
replace_while_threads_mark(void **state)
{
	struct marking_thread threads[THREADS];
	static uint8_t seen[THREAD_PAGES];
	struct dirtylog_bitmap bitmap = { .view = NULL };
	struct dirtylog_epoch epoch;
	struct frontend_log logs[2];
	unsigned int i, swaps = 0;
	uint64_t page;
	bool done;

	(void)state;
	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	assert_int_equal(frontend_log_create(&logs[0], THREAD_PAGES / 8 + 5), 0);
	assert_int_equal(frontend_log_create(&logs[1], THREAD_PAGES / 8 + 5), 0);
	look_at(&bitmap, &epoch, &logs[0], 33 * PAGE, THREAD_PAGES * PAGE);
	for (i = 0; i < THREADS; i++) {
		threads[i].bitmap = &bitmap;
		threads[i].first = i;
		threads[i].step = THREADS;
		threads[i].swaps = &swaps;
		threads[i].done = false;
		memset(&threads[i].marker, 0, sizeof(threads[i].marker));
		dirtylog_marker_join(&threads[i].marker, &epoch);
		dirtylog_marker_set_gate(&threads[i].marker, &epoch, DIRTYLOG_GATE_LOGGING);
	}
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i].thread, NULL, mark_pages, &threads[i]),
				0);
	do {
		struct frontend_log *old = &logs[swaps % 2];

		done = true;
		for (i = 0; i < THREADS; i++)
			done &= __atomic_load_n(&threads[i].done, __ATOMIC_ACQUIRE);
		look_at(&bitmap, &epoch, &logs[(swaps + 1) % 2], 33 * PAGE, THREAD_PAGES * PAGE);
		__atomic_store_n(&swaps, swaps + 1, __ATOMIC_RELAXED);
		for (page = 0; page < THREAD_PAGES; page++)
			seen[page] |= frontend_log_test(old, page + 33);
		frontend_log_clear(old);
		sched_yield();
		assert_int_equal(frontend_log_count(old), 0);
	} while (!done);
	assert_true(swaps >= SWAPS - 1);
	for (i = 0; i < THREADS; i++) {
		pthread_join(threads[i].thread, NULL);
		dirtylog_marker_leave(&threads[i].marker, &epoch);
	}
	for (page = 0; page < THREAD_PAGES; page++)
		assert_int_equal(seen[page], 1);
	assert_int_equal(frontend_log_count(&logs[swaps % 2]), 0);
	replace(&bitmap, &epoch, NULL);
	for (i = 0; i < 2; i++) {
		assert_true(frontend_log_canary_alive(&logs[i]));
		frontend_log_destroy(&logs[i]);
	}
	dirtylog_epoch_fini(&epoch);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_view),
		cmocka_unit_test(mark_and_test),
		cmocka_unit_test(ranges),
		cmocka_unit_test(neighbours_are_not_counted),
		cmocka_unit_test(partial_pages),
		cmocka_unit_test(another_view),
		cmocka_unit_test(neighbours_in_one_word),
		cmocka_unit_test(replace_while_threads_mark),
	};

	return run_test_program(argc, argv, "bitmap", tests, NULL, NULL);
}
