/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a marker can leave one dirtylog and join another while its thread
 * polls it: bursts run in it where it is open and nowhere else, closing waits
 * for them each time, and no wait lasts for ever. A queue of an ethdev is such
 * a marker: it stays when front-ends come and go.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dirtylog_pvt.h"
#include "epoch.h"
#include "frontend_log.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define PAGES 64
#define INDEX_PAGE 1
#define MOVES 10000
#define SECONDS 45 /* for all of it: a wait that lasts for ever ends the test */

/* Where a marker may be. */
struct house {
	struct dirtylog *dl;
	struct frontend_log log;
};

struct poller {
	struct dirtylog_marker marker;
	pthread_t thread;
	const struct dirtylog_memory *memory; /* of the house that it is open in */
	bool in_burst;
	bool quit;
	uint64_t bursts;
	uint64_t turned_away;
};

static void *
poll_marker(void *arg)
{
	struct poller *self = arg;
	struct dirtylog_marker *marker = &self->marker;

	while (!__atomic_load_n(&self->quit, __ATOMIC_RELAXED)) {
		if (!dirtylog_burst_begin(marker)) {
			self->turned_away++;
			continue;
		}
		__atomic_store_n(&self->in_burst, true, __ATOMIC_RELAXED);
		dirtylog_mark(marker, self->memory->regions[0].bitmap, self->bursts % PAGES * PAGE,
				1);
		dirtylog_flush(marker);
		dirtylog_mark_index(marker, 0);
		__atomic_store_n(&self->in_burst, false, __ATOMIC_RELAXED);
		dirtylog_burst_end(marker);
		__atomic_store_n(&self->bursts, self->bursts + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void
house_open(struct house *house, const char *name)
{
	const struct dirtylog_region region = { .len = PAGES * PAGE };
	struct dirtylog_shm *shm;

	assert_int_equal(dirtylog_create(name, &house->dl), 0);
	assert_int_equal(dirtylog_set_regions(house->dl, &region, 1), 0);
	assert_int_equal(frontend_log_create(&house->log, PAGES / 8), 0);
	assert_int_equal(dirtylog_shm_map(house->log.fd, 0, house->log.len, &shm), 0);
	assert_int_equal(dirtylog_set_log(house->dl, shm), 0);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_set_logging(house->dl, true), 0);
}

static void
house_close(struct house *house)
{
	dirtylog_destroy(house->dl);
	assert_true(frontend_log_canary_alive(&house->log));
	frontend_log_destroy(&house->log);
}

/* Open the marker in a house that it has joined, let it poll, close it. */
static void
live_in(struct house *house, struct poller *poller, bool wait)
{
	uint64_t bursts = __atomic_load_n(&poller->bursts, __ATOMIC_RELAXED);

	poller->memory = dirtylog_memory(house->dl);
	frontend_log_clear(&house->log);
	assert_int_equal(dirtylog_open(house->dl, &poller->marker, INDEX_PAGE * PAGE,
					 DIRTYLOG_INDEX_LEN),
			0);
	while (wait && __atomic_load_n(&poller->bursts, __ATOMIC_RELAXED) == bursts)
		usleep(10);
	dirtylog_close(house->dl, &poller->marker);
	assert_false(__atomic_load_n(&poller->in_burst, __ATOMIC_RELAXED));
	if (__atomic_load_n(&poller->bursts, __ATOMIC_RELAXED) != bursts)
		assert_true(frontend_log_test(&house->log, INDEX_PAGE));
}

static void
a_marker_moves_while_it_is_polled(void **state)
{
	struct poller *poller = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*poller));
	struct dirtylog_stats stats;
	struct house houses[2];
	uint64_t marks = 0;
	unsigned int i;

	(void)state;
	assert_non_null(poller);
	memset(poller, 0, sizeof(*poller));
	house_open(&houses[0], "one");
	house_open(&houses[1], "other");
	/* It is polled before it belongs to anything. */
	assert_int_equal(pthread_create(&poller->thread, NULL, poll_marker, poller), 0);
	for (i = 0; i < MOVES; i++) {
		struct house *house = &houses[i % 2];

		dirtylog_add_queue(house->dl, &poller->marker);
		assert_int_equal(poller->marker.stats.marks, 0);
		dirtylog_epoch_sync(&house->dl->epoch);
		/* Each time it is seen at work would take its time. */
		live_in(house, poller, i % 100 < 2);
		dirtylog_remove_queue(house->dl, &poller->marker);
		dirtylog_epoch_sync(&house->dl->epoch);
	}
	poller->quit = true;
	pthread_join(poller->thread, NULL);
	assert_true(poller->bursts >= 2 * MOVES / 100);
	for (i = 0; i < 2; i++) {
		/* Nobody is left behind who would be waited for. */
		dirtylog_epoch_sync(&houses[i].dl->epoch);
		dirtylog_get_stats(houses[i].dl, &stats);
		assert_true(stats.marks.marks > 0);
		marks += stats.marks.marks;
		house_close(&houses[i]);
	}
	/* The burst's own mark, and mostly that of the index before. */
	assert_true(marks >= poller->bursts && marks <= 2 * poller->bursts);
	free(poller);
}

/* A thread that is stopped between bursts, in whatever state it was moved, holds up nobody. */
static void
a_marker_that_is_not_polled_any_more(void **state)
{
	struct dirtylog_marker *marker = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*marker));
	struct house houses[2];
	unsigned int i;

	(void)state;
	assert_non_null(marker);
	memset(marker, 0, sizeof(*marker));
	house_open(&houses[0], "one");
	house_open(&houses[1], "other");
	for (i = 0; i < 4; i++) {
		/* As if its thread were in dirtylog_burst_begin(), not yet at the gate. */
		dirtylog_reader_enter(&marker->reader);
		dirtylog_add_queue(houses[i % 2].dl, marker);
		dirtylog_reader_leave(&marker->reader);
		dirtylog_epoch_sync(&houses[i % 2].dl->epoch);
		assert_false(dirtylog_burst_begin(marker));
		dirtylog_reader_enter(&marker->reader);
		dirtylog_remove_queue(houses[i % 2].dl, marker);
		dirtylog_reader_leave(&marker->reader);
		dirtylog_epoch_sync(&houses[i % 2].dl->epoch);
	}
	house_close(&houses[0]);
	house_close(&houses[1]);
	free(marker);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_marker_moves_while_it_is_polled),
		cmocka_unit_test(a_marker_that_is_not_polled_any_more),
	};

	alarm(SECONDS);
	return run_test_program(argc, argv, "moves", tests, NULL, NULL);
}
