/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows a queue's hot path (dirtylog_marker.h): how pages are batched and
 * merged, what happens when the batch is full, that a page which is marked
 * already costs no write, that a closed gate lets no burst in, and when the
 * page of the used index is marked.
 */

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bitmap.h"
#include "epoch.h"
#include "frontend_log.h"
#include "marker.h"
#include "shm.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define PAGES 32768 /* a log of one page */

struct room {
	struct dirtylog_epoch epoch;
	struct dirtylog_marker marker;
	struct frontend_log log;
	struct dirtylog_shm *shm;
	struct dirtylog_bitmap bitmap;
};

static int
setup(void **state)
{
	struct room *room = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*room));
	struct dirtylog_view *view;

	assert_non_null(room);
	assert_int_equal(dirtylog_epoch_init(&room->epoch), 0);
	memset(&room->marker, 0, sizeof(room->marker));
	dirtylog_marker_join(&room->marker, &room->epoch);
	dirtylog_marker_set_gate(&room->marker, &room->epoch, DIRTYLOG_GATE_LOGGING);
	assert_int_equal(frontend_log_create(&room->log, PAGES / 8), 0);
	assert_int_equal(dirtylog_shm_map(room->log.fd, 0, room->log.len, &room->shm), 0);
	assert_int_equal(dirtylog_view_create(room->shm, 0, PAGES * PAGE, &view), 0);
	room->bitmap.view = view;
	*state = room;
	return 0;
}

static int
teardown(void **state)
{
	struct room *room = *state;

	dirtylog_view_free(room->bitmap.view);
	dirtylog_shm_unref(room->shm);
	frontend_log_destroy(&room->log);
	dirtylog_marker_leave(&room->marker, &room->epoch);
	dirtylog_epoch_fini(&room->epoch);
	free(room);
	return 0;
}

/* As dirtylog_open() does. */
static void
set_ring(struct room *room, uint64_t offset, uint64_t len)
{
	dirtylog_marker_set_gate(&room->marker, &room->epoch, DIRTYLOG_GATE_CLOSED);
	dirtylog_marker_set_ring(&room->marker, &room->bitmap, offset, len);
	dirtylog_marker_set_gate(&room->marker, &room->epoch, DIRTYLOG_GATE_LOGGING);
}

static void
batch_merges_neighbours(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;
	unsigned int i;

	assert_true(dirtylog_burst_begin(marker));
	assert_true(marker->logging);
	/* Buffers that follow each other: one pair, and nothing written so far. */
	for (i = 0; i < 64; i++)
		dirtylog_mark(marker, &room->bitmap, i * PAGE, 1500);
	assert_int_equal(marker->nb_marks, 1);
	assert_int_equal(marker->marks[0].mask, UINT64_MAX);
	assert_int_equal(frontend_log_count(&room->log), 0);
	/* The same page again and again. */
	for (i = 0; i < 10; i++)
		dirtylog_mark(marker, &room->bitmap, 100 * PAGE + i, 1);
	assert_int_equal(marker->nb_marks, 2);
	/* Alternating words do not merge, and are right all the same. */
	dirtylog_mark(marker, &room->bitmap, 5 * PAGE, 1);
	dirtylog_mark(marker, &room->bitmap, 101 * PAGE, 1);
	assert_int_equal(marker->nb_marks, 4);
	dirtylog_flush(marker);
	assert_int_equal(marker->nb_marks, 0);
	assert_int_equal(frontend_log_count(&room->log), 66);
	assert_true(frontend_log_test(&room->log, 100));
	assert_true(frontend_log_test(&room->log, 101));
	/* Nothing left: a second flush has nothing to do. */
	frontend_log_clear(&room->log);
	dirtylog_flush(marker);
	dirtylog_burst_end(marker);
	assert_int_equal(frontend_log_count(&room->log), 0);
}

/* Ranges that may reach beyond their region's end. */
struct range {
	const struct dirtylog_region *region;
	uint64_t offset;
	uint32_t len;
};

/*
 * Any ranges, with neighbours likely: of a bitmap, of a region that begins and
 * ends inside of words and lies behind it in the address space, and of one whose
 * marks are not wanted.
 */
static void
draw_ranges(const struct dirtylog_region *regions, struct range *ranges)
{
	static const uint32_t sizes[] = { 1, 76, 76, 76, 2048, 9000, 65547, DIRTYLOG_WORD_SPAN };
	uint64_t at = (uint64_t)random() % (PAGES * PAGE);
	unsigned int i, kind = 0;

	for (i = 0; i < DIRTYLOG_RUN_RANGES; i++) {
		unsigned int dice = (unsigned int)random() % 64;

		if (dice < 6)
			kind = dice < 3 ? 1 : dice < 5 ? 0 : 2;
		at = dice < 10            ? (uint64_t)random() :
				dice < 12 ? regions[kind].len - 100 :
				dice < 14 ? 0 :
					    at + 2048;
		at %= regions[kind].len;
		ranges[i] = (struct range){
			.region = &regions[kind],
			.offset = at,
			.len = sizes[random() % 8],
		};
	}
}

static void
run_range(struct dirtylog_marker *marker, struct dirtylog_run *run, const struct range *range)
{
	uint64_t gpa = range->region->gpa + range->offset;
	uint8_t *host;

	if (!dirtylog_run_mark(run, gpa, range->len, range->len, &host))
		host = dirtylog_run_move(marker, run, range->region, gpa, range->len);
	assert_ptr_equal(host, range->region->host + range->offset);
}

/* A run marks what single marks do, and nothing before the flush. */
static void
runs_mark_as_single_marks_do(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;
	struct dirtylog_bitmap other, none = { .view = NULL };
	const uint64_t gpa = UINT64_C(0x7f0000000000);
	/* Where they are mapped here is anywhere: nothing is written. */
	const struct dirtylog_region regions[3] = {
		{ gpa, PAGES * PAGE, (uint8_t *)room + 123, &room->bitmap },
		{ gpa + (PAGES + 13) * PAGE, 1000 * PAGE, (uint8_t *)room, &other },
		{ gpa - 1000 * PAGE, 1000 * PAGE, (uint8_t *)room + 77, &none },
	};
	struct range ranges[DIRTYLOG_RUN_RANGES];
	uint8_t *expected = malloc(room->log.len);
	uint64_t counted, pairs = 0;
	unsigned int round, i;

	assert_non_null(expected);
	assert_int_equal(dirtylog_view_create(room->shm, 77 * PAGE, 1000 * PAGE, &other.view), 0);
	srandom(1);
	for (round = 0; round < 20000; round++) {
		unsigned int before = (unsigned int)random() % DIRTYLOG_BATCH;
		struct dirtylog_run run;

		draw_ranges(regions, ranges);
		counted = marker->stats.marks;
		assert_true(dirtylog_burst_begin(marker));
		/* Whatever was collected already. */
		for (i = 0; i < before; i++)
			dirtylog_mark(marker, &room->bitmap, i * 64 * PAGE, 1);
		run = dirtylog_run_begin(marker);
		memcpy(expected, room->log.bytes, room->log.len);
		for (i = 0; i < DIRTYLOG_RUN_RANGES; i++)
			run_range(marker, &run, &ranges[i]);
		dirtylog_run_end(marker, &run, DIRTYLOG_RUN_RANGES);
		assert_memory_equal(expected, room->log.bytes, room->log.len);
		pairs += marker->nb_marks;
		dirtylog_burst_end(marker);
		memcpy(expected, room->log.bytes, room->log.len);
		frontend_log_clear(&room->log);
		counted = marker->stats.marks - counted;

		assert_true(dirtylog_burst_begin(marker));
		for (i = 0; i < before; i++)
			dirtylog_mark(marker, &room->bitmap, i * 64 * PAGE, 1);
		for (i = 0; i < DIRTYLOG_RUN_RANGES; i++)
			dirtylog_mark(marker, ranges[i].region->bitmap, ranges[i].offset,
					ranges[i].len);
		dirtylog_burst_end(marker);
		assert_memory_equal(expected, room->log.bytes, room->log.len);
		frontend_log_clear(&room->log);
	}
	/* Some merged, some not; each of them counted. */
	assert_true(pairs > 20000 * 4 && counted >= DIRTYLOG_RUN_RANGES / 2);
	assert_true(frontend_log_canary_alive(&room->log));
	dirtylog_view_free(other.view);
	free(expected);
}

static void
full_batch_is_written(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;
	unsigned int i;

	assert_true(dirtylog_burst_begin(marker));
	for (i = 0; i < DIRTYLOG_BATCH; i++)
		dirtylog_mark(marker, &room->bitmap, i * 64 * PAGE, 1);
	assert_int_equal(marker->nb_marks, DIRTYLOG_BATCH);
	assert_int_equal(frontend_log_count(&room->log), 0);
	/* Merging into the last pair needs no room. */
	dirtylog_mark(marker, &room->bitmap, ((DIRTYLOG_BATCH - 1) * 64 + 1) * PAGE, 1);
	assert_int_equal(frontend_log_count(&room->log), 0);
	/* One more does: what was collected goes out, the new one stays. */
	dirtylog_mark(marker, &room->bitmap, DIRTYLOG_BATCH * 64 * PAGE, 1);
	assert_int_equal(marker->nb_marks, 1);
	assert_int_equal(frontend_log_count(&room->log), DIRTYLOG_BATCH + 1);
	/* One range that is larger than the batch. */
	dirtylog_mark(marker, &room->bitmap, 0, PAGES * PAGE);
	dirtylog_burst_end(marker);
	assert_int_equal(frontend_log_count(&room->log), PAGES);
	assert_true(frontend_log_canary_alive(&room->log));
}

static void
end_of_burst_flushes(void **state)
{
	struct room *room = *state;

	assert_true(dirtylog_burst_begin(&room->marker));
	dirtylog_mark(&room->marker, &room->bitmap, 7 * PAGE, 1);
	dirtylog_burst_end(&room->marker);
	assert_int_equal(room->marker.nb_marks, 0);
	assert_true(frontend_log_is_exactly(&room->log, 7, 1));
}

/* The log is made read-only: a write would be a SIGSEGV. */
static void
marked_pages_are_not_written(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;

	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark(marker, &room->bitmap, 10 * PAGE, 300 * PAGE);
	dirtylog_burst_end(marker);
	assert_true(frontend_log_is_exactly(&room->log, 10, 300));

	assert_int_equal(mprotect(room->shm->map_addr, room->shm->map_len, PROT_READ), 0);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark(marker, &room->bitmap, 10 * PAGE, 300 * PAGE);
	dirtylog_flush(marker);
	dirtylog_mark(marker, &room->bitmap, 11 * PAGE, 1);
	dirtylog_burst_end(marker);
	assert_int_equal(mprotect(room->shm->map_addr, room->shm->map_len, PROT_READ | PROT_WRITE),
			0);

	/* One bit of a word is missing: it is written. */
	frontend_log_clear(&room->log);
	room->log.bytes[1] = 0x0f;
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark(marker, &room->bitmap, 8 * PAGE, 5 * PAGE);
	dirtylog_burst_end(marker);
	assert_true(frontend_log_is_exactly(&room->log, 8, 5));
}

static void
gates(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;
	uint32_t section;

	dirtylog_marker_set_gate(marker, &room->epoch, DIRTYLOG_GATE_CLOSED);
	section = marker->reader.section;
	assert_false(dirtylog_burst_begin(marker));
	/* A burst that was turned away is over: nobody waits for it. */
	assert_int_equal(marker->reader.section % 2, 0);
	assert_int_equal(marker->reader.section, section + 2);
	dirtylog_epoch_sync(&room->epoch);

	dirtylog_marker_set_gate(marker, &room->epoch, DIRTYLOG_GATE_OPEN);
	assert_true(dirtylog_burst_begin(marker));
	assert_int_equal(marker->reader.section % 2, 1);
	assert_false(marker->logging);
	dirtylog_mark_index(marker, 0);
	assert_false(marker->index_pending);
	dirtylog_burst_end(marker);
	assert_int_equal(marker->reader.section % 2, 0);

	dirtylog_marker_set_gate(marker, &room->epoch, DIRTYLOG_GATE_LOGGING);
	assert_true(dirtylog_burst_begin(marker));
	assert_true(marker->logging);
	dirtylog_burst_end(marker);

	/* A fresh marker is closed. */
	dirtylog_marker_leave(marker, &room->epoch);
	memset(marker, 0, sizeof(*marker));
	dirtylog_marker_join(marker, &room->epoch);
	assert_false(dirtylog_burst_begin(marker));
}

static void
index_is_marked_by_the_next_burst(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;

	set_ring(room, 20 * PAGE + 2, DIRTYLOG_INDEX_LEN);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark(marker, &room->bitmap, 3 * PAGE, 1);
	dirtylog_flush(marker);
	dirtylog_mark_index(marker, 0);
	dirtylog_burst_end(marker);
	assert_true(frontend_log_is_exactly(&room->log, 3, 1));
	/* An idle burst does it. */
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_burst_end(marker);
	assert_true(frontend_log_test(&room->log, 20));
	assert_int_equal(frontend_log_count(&room->log), 2);
	/* Once. */
	frontend_log_clear(&room->log);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_burst_end(marker);
	assert_int_equal(frontend_log_count(&room->log), 0);

	/* Logging was turned off in between: there is nothing to mark in. */
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark_index(marker, 0);
	dirtylog_burst_end(marker);
	dirtylog_marker_set_gate(marker, &room->epoch, DIRTYLOG_GATE_OPEN);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_burst_end(marker);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_false(marker->index_pending);
}

/* A packed ring: what is stored last is elsewhere in each burst. */
static void
flags_are_marked_by_the_next_burst(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;
	unsigned int i;

	set_ring(room, 30 * PAGE, 100 * PAGE);
	for (i = 0; i < 10; i++) {
		assert_true(dirtylog_burst_begin(marker));
		dirtylog_mark_index(marker, 7 * i * PAGE + 14);
		dirtylog_burst_end(marker);
		/* The page of the burst before. */
		if (i == 0)
			assert_int_equal(frontend_log_count(&room->log), 0);
		else
			assert_true(frontend_log_is_exactly(&room->log, 30 + 7 * (i - 1), 1));
		frontend_log_clear(&room->log);
	}
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_burst_end(marker);
	assert_true(frontend_log_is_exactly(&room->log, 30 + 7 * 9, 1));
	frontend_log_clear(&room->log);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_burst_end(marker);
	assert_int_equal(frontend_log_count(&room->log), 0);

	/* Without logging the place stays what the control thread has to mark. */
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark_index(marker, 5 * PAGE);
	dirtylog_burst_end(marker);
	dirtylog_marker_set_gate(marker, &room->epoch, DIRTYLOG_GATE_OPEN);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark_index(marker, 6 * PAGE);
	dirtylog_burst_end(marker);
	assert_int_equal(marker->index_offset, 5 * PAGE);
	assert_false(marker->index_pending);
	assert_int_equal(frontend_log_count(&room->log), 0);
}

/* An index that lies over a page's end. */
static void
index_over_two_pages(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *marker = &room->marker;

	set_ring(room, 64 * PAGE - 2, DIRTYLOG_INDEX_LEN);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_mark_index(marker, 0);
	dirtylog_burst_end(marker);
	assert_true(dirtylog_burst_begin(marker));
	dirtylog_burst_end(marker);
	assert_true(frontend_log_is_exactly(&room->log, 63, 2));
}

/* One of two queues that share every word: each has half of its pages. */
struct neighbour {
	pthread_t thread;
	struct room *room;
	struct dirtylog_marker *marker;
	unsigned int half;
	unsigned int *arrived; /* at the begin of the pass, both queues together */
	unsigned int lost;
};

#define PASSES 3000

static void *
mark_half_of_each_word(void *arg)
{
	struct neighbour *self = arg;
	unsigned int pass, i, page;

	for (pass = 0; pass < PASSES; pass++) {
		/* Start together, and from both ends, to meet at one word. */
		__atomic_fetch_add(self->arrived, 1, __ATOMIC_ACQ_REL);
		for (i = 0; __atomic_load_n(self->arrived, __ATOMIC_ACQUIRE) < 2 * (pass + 1); i++)
			if (i % 10000 == 9999)
				sched_yield();
		page = (pass % 32) + self->half * 32;
		dirtylog_burst_begin(self->marker);
		for (i = 0; i < PAGES; i += 64)
			dirtylog_mark(self->marker, &self->room->bitmap,
					PAGE * (page + (self->half == 0 ? i : PAGES - 64 - i)), 1);
		dirtylog_burst_end(self->marker);
		/* Its own bits are there now, whatever the neighbour does. */
		for (i = 0; i < PAGES; i += 64)
			if (!frontend_log_test(&self->room->log, page + i))
				self->lost++;
		/* For the pass that takes these bits again. */
		for (i = 0; i < PAGES; i += 64)
			__atomic_fetch_and(&self->room->log.bytes[(page + i) / 8],
					(uint8_t) ~(1 << page % 8), __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* Queues, devices and processes share words: no bit of another is lost. */
static void
bits_are_set_atomically(void **state)
{
	struct room *room = *state;
	struct dirtylog_marker *other = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*other));
	unsigned int i, arrived = 0;
	struct neighbour neighbours[2] = {
		{ .room = room, .arrived = &arrived, .marker = &room->marker, .half = 0 },
		{ .room = room, .arrived = &arrived, .marker = other, .half = 1 },
	};

	assert_non_null(other);
	memset(other, 0, sizeof(*other));
	dirtylog_marker_join(other, &room->epoch);
	dirtylog_marker_set_gate(other, &room->epoch, DIRTYLOG_GATE_LOGGING);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&neighbours[i].thread, NULL, mark_half_of_each_word,
						 &neighbours[i]),
				0);
	for (i = 0; i < 2; i++)
		pthread_join(neighbours[i].thread, NULL);
	assert_int_equal(neighbours[0].lost, 0);
	assert_int_equal(neighbours[1].lost, 0);
	dirtylog_marker_leave(other, &room->epoch);
	free(other);
}

/* The hot fields of the two sides are on lines of their own. */
static void
layout(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct dirtylog_reader) % RTE_CACHE_LINE_SIZE, 0);
	assert_int_equal(offsetof(struct dirtylog_marker, gate) % RTE_CACHE_LINE_SIZE, 0);
	assert_int_equal(offsetof(struct dirtylog_marker, logging) % RTE_CACHE_LINE_SIZE, 0);
	assert_true(offsetof(struct dirtylog_marker, gate) / RTE_CACHE_LINE_SIZE !=
			offsetof(struct dirtylog_marker, logging) / RTE_CACHE_LINE_SIZE);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(batch_merges_neighbours, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_mark_as_single_marks_do, setup, teardown),
		cmocka_unit_test_setup_teardown(full_batch_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(end_of_burst_flushes, setup, teardown),
		cmocka_unit_test_setup_teardown(marked_pages_are_not_written, setup, teardown),
		cmocka_unit_test_setup_teardown(gates, setup, teardown),
		cmocka_unit_test_setup_teardown(index_is_marked_by_the_next_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(index_over_two_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(flags_are_marked_by_the_next_burst, setup,
				teardown),
		cmocka_unit_test_setup_teardown(bits_are_set_atomically, setup, teardown),
		cmocka_unit_test(layout),
	};

	return run_test_program(argc, argv, "marker", tests, NULL, NULL);
}
