/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a staging view's summary finds what is marked, whoever marked it,
 * and nothing else: what is emptied costs what is dirty. That a partial move
 * keeps the rest findable; and that movers, markers and a harvest at the same
 * time lose no mark. How many lines a move reads is shown by words that hold
 * bits which the summary does not know of: a move that looked would take them.
 */

#include <inttypes.h>
#include <sched.h>
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
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define LINE_PAGES (64 * DIRTYLOG_LINE_WORDS) /* of one cache line, one bit of summary */
#define TIB (UINT64_C(1) << 40)

static struct dirtylog_view *
staging_view(uint64_t first_page, uint64_t nb_pages)
{
	struct dirtylog_view *view;

	assert_int_equal(dirtylog_view_create_staging(first_page * PAGE, nb_pages * PAGE, NULL,
					 &view),
			0);
	assert_non_null(view->summary);
	return view;
}

/* A region's view on a front-end's log. */
static struct dirtylog_view *
log_view(const struct frontend_log *log, uint64_t first_page, uint64_t nb_pages)
{
	struct dirtylog_view *view;
	struct dirtylog_shm *shm;

	assert_int_equal(dirtylog_shm_map(log->fd, 0, log->len, &shm), 0);
	assert_int_equal(dirtylog_view_create(shm, first_page * PAGE, nb_pages * PAGE, &view), 0);
	assert_null(view->summary);
	dirtylog_shm_unref(shm);
	return view;
}

static uint64_t
lines_of(const struct dirtylog_view *view)
{
	return ((view->start + view->len - 1) / PAGE) / LINE_PAGES + 1;
}

/* The lines that the summary names. */
static uint64_t
lines_named(const struct dirtylog_view *view)
{
	uint64_t i, named = 0;

	for (i = 0; i < (lines_of(view) + 63) / 64; i++)
		named += (uint64_t)__builtin_popcountll(view->summary[i]);
	return named;
}

/* A queue without a device around it: its gate is always open. */
struct queue {
	struct dirtylog_epoch epoch;
	struct dirtylog_marker marker;
	struct dirtylog_bitmap bitmap;
};

static void
queue_open(struct queue *queue, struct dirtylog_view *view)
{
	assert_int_equal(dirtylog_epoch_init(&queue->epoch), 0);
	memset(&queue->marker, 0, sizeof(queue->marker));
	dirtylog_marker_join(&queue->marker, &queue->epoch);
	dirtylog_marker_set_gate(&queue->marker, &queue->epoch, DIRTYLOG_GATE_LOGGING);
	queue->bitmap.view = view;
}

/* The view is the caller's. */
static void
queue_close(struct queue *queue)
{
	dirtylog_marker_leave(&queue->marker, &queue->epoch);
	dirtylog_epoch_fini(&queue->epoch);
}

static void
mark(struct queue *queue, uint64_t page, uint64_t nb_pages)
{
	assert_true(dirtylog_burst_begin(&queue->marker));
	dirtylog_mark(&queue->marker, &queue->bitmap, page * PAGE, nb_pages * PAGE);
	dirtylog_burst_end(&queue->marker);
}

/* Each page, by a queue and by a control thread, at every edge of a line. */
static void
marks_are_found(void **state)
{
	static const uint64_t firsts[] = { 0, 1, 63, 64, 100 };
	const uint64_t nb = 70 * LINE_PAGES + 3; /* more than one word of summary */
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		const uint64_t pages[] = {
			0,
			1,
			LINE_PAGES - 1,
			LINE_PAGES,
			LINE_PAGES + 1,
			63 * LINE_PAGES,
			64 * LINE_PAGES - 1,
			64 * LINE_PAGES,
			nb - 2,
			nb - 1,
		};
		struct dirtylog_view *from = staging_view(firsts[i], nb), *to;
		struct frontend_log log;
		struct queue queue;
		unsigned int j;

		assert_int_equal(frontend_log_create(&log, (firsts[i] + nb - 1) / 8 + 1), 0);
		to = log_view(&log, firsts[i], nb);
		queue_open(&queue, from);
		for (j = 0; j < sizeof(pages) / sizeof(pages[0]); j++) {
			mark(&queue, pages[j], 1);
			assert_int_equal(lines_named(from), 1);
			assert_int_equal(dirtylog_view_move(from, to), 1);
			assert_true(frontend_log_is_exactly(&log, firsts[i] + pages[j], 1));
			assert_int_equal(lines_named(from), 0);
			frontend_log_clear(&log);

			dirtylog_view_mark(from, pages[j] * PAGE, 1);
			dirtylog_view_copy(from, to);
			assert_true(frontend_log_is_exactly(&log, firsts[i] + pages[j], 1));
			/* Copied, it is still there and still found; moved, it is new to nobody. */
			assert_int_equal(lines_named(from), 1);
			assert_int_equal(dirtylog_view_move(from, to), 0);
			assert_int_equal(lines_named(from), 0);
			frontend_log_clear(&log);
		}
		/* All of it, in one range. */
		mark(&queue, 0, nb);
		assert_int_equal(lines_named(from), lines_of(from));
		assert_int_equal(dirtylog_view_move(from, to), nb);
		assert_true(frontend_log_is_exactly(&log, firsts[i], nb));
		assert_true(frontend_log_canary_alive(&log));
		queue_close(&queue);
		dirtylog_view_free(from);
		dirtylog_view_free(to);
		frontend_log_destroy(&log);
	}
}

/* A bit that is set already is one that the summary knows of. */
static void
marked_again_after_a_move(void **state)
{
	struct dirtylog_view *from = staging_view(0, 10 * LINE_PAGES);
	struct dirtylog_view *to = staging_view(0, 10 * LINE_PAGES);
	struct queue queue;
	unsigned int i;

	(void)state;
	queue_open(&queue, from);
	for (i = 0; i < 100; i++) {
		uint64_t page = (i * 97) % (10 * LINE_PAGES);

		mark(&queue, page, 1);
		mark(&queue, page, 1);
		assert_int_equal(dirtylog_view_move(from, to), 1);
		assert_int_equal(dirtylog_view_move(from, to), 0);
	}
	/* And `to`, staging too, finds all of them. */
	queue_close(&queue);
	assert_int_equal(dirtylog_view_move(to, from), 100);
	dirtylog_view_free(from);
	dirtylog_view_free(to);
}

/* Only a part is common: the rest stays, and a later move finds it. */
static void
partial_moves(void **state)
{
	/* `from` over five lines and more, `to` from within a line to within another. */
	const uint64_t first = 37, nb = 5 * LINE_PAGES + 11;
	const uint64_t cuts[] = {
		first,
		first + 1,
		64,
		LINE_PAGES - 1,
		LINE_PAGES,
		LINE_PAGES + 1,
		3 * LINE_PAGES + 5,
		first + nb - 1,
		first + nb,
	};
	const unsigned int nb_cuts = sizeof(cuts) / sizeof(cuts[0]);
	unsigned int a, b, i;

	(void)state;
	for (a = 0; a < nb_cuts; a++) {
		for (b = a + 1; b < nb_cuts; b++) {
			struct dirtylog_view *from = staging_view(first, nb);
			struct dirtylog_view *to = staging_view(cuts[a], cuts[b] - cuts[a]);
			struct dirtylog_view *rest = staging_view(0, first + nb + 64);
			uint64_t expected = 0, kept = 0;

			/* Every 7th page. */
			for (i = 0; i < nb; i += 7) {
				uint64_t page = first + i;

				dirtylog_view_mark(from, i * PAGE, 1);
				if (page >= cuts[a] && page < cuts[b])
					expected++;
				else
					kept++;
			}
			assert_int_equal(dirtylog_view_move(from, to), expected);
			assert_int_equal(dirtylog_view_move(from, to), 0);
			assert_int_equal(dirtylog_view_move(from, rest), kept);
			assert_int_equal(dirtylog_view_move(from, rest), 0);
			assert_int_equal(lines_named(from), 0);
			/* Together they are what was marked. */
			assert_int_equal(dirtylog_view_move(to, rest), expected);
			dirtylog_view_free(from);
			dirtylog_view_free(to);
			dirtylog_view_free(rest);
		}
	}
}

/*
 * A guest of 1 TiB with 1,000 dirty pages, each in a line of its own. Lines of
 * 64 bytes read to empty it: those of the summary, and the 1,000.
 */
static void
cost_is_what_is_dirty(void **state)
{
	struct dirtylog_view *view = staging_view(0, TIB / PAGE), *to;
	uint64_t all = lines_of(view), summary_lines = all / 64 / 8, line, i, read;
	struct frontend_log log;

	(void)state;
	assert_int_equal(all, 524288);
	assert_int_equal(frontend_log_create(&log, TIB / PAGE / 8), 0);
	to = log_view(&log, 0, TIB / PAGE);
	/* Bits that nobody told the summary of, in each line that will not be dirty. */
	for (line = 0; line < all; line++)
		if (line % 524 != 0 || line / 524 >= 1000)
			for (i = 0; i < DIRTYLOG_LINE_WORDS; i++)
				view->words[line * DIRTYLOG_LINE_WORDS + i] = UINT64_MAX;
	for (i = 0; i < 1000; i++)
		dirtylog_view_mark(view, (i * 524 * LINE_PAGES + i % LINE_PAGES) * PAGE, 1);
	assert_int_equal(lines_named(view), 1000);
	/* None of them came along: no other line was read. */
	assert_int_equal(dirtylog_view_move(view, to), 1000);
	assert_int_equal(frontend_log_count(&log), 1000);
	for (line = 0; line < all; line++)
		assert_int_equal(view->words[line * DIRTYLOG_LINE_WORDS],
				line % 524 != 0 || line / 524 >= 1000 ? UINT64_MAX : 0);
	read = summary_lines + 1000;
	print_message("1 TiB, 1000 dirty pages: %" PRIu64 " lines read of %" PRIu64 ", 1/%" PRIu64
		      "\n",
			read, all, all / read);
	assert_true(all / read >= 50);
	dirtylog_view_free(view);
	dirtylog_view_free(to);
	frontend_log_destroy(&log);
}

#define RACE_PAGES (40 * LINE_PAGES)
#define ROUNDS 150
#define MARKERS 2

/*
 * Each marker marks page after page, in an order of its own, each page in each
 * round, and says after the burst's end how far it got in which round.
 */
struct racer {
	pthread_t thread;
	struct dirtylog_marker marker;
	struct dirtylog_bitmap *bitmap;
	uint64_t stride;
	uint64_t *rounds; /* of each page, stored before the mark: the page's data */
	bool done;
};

static void *
mark_in_rounds(void *arg)
{
	struct racer *self = arg;
	uint64_t round, i;

	for (round = 1; round <= ROUNDS; round++) {
		for (i = 0; i < RACE_PAGES; i++) {
			uint64_t page = i * self->stride % RACE_PAGES;

			dirtylog_burst_begin(&self->marker);
			__atomic_store_n(&self->rounds[page], round, __ATOMIC_RELAXED);
			dirtylog_mark(&self->marker, self->bitmap, page * PAGE, 1);
			dirtylog_burst_end(&self->marker);
			/* Now and then, so that the others get in between everywhere. */
			if (i % 4096 == round)
				sched_yield();
		}
	}
	__atomic_store_n(&self->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Take the log's bits and "copy" their pages: the round that is seen. */
static void
harvest(struct frontend_log *log, struct racer *racers, uint64_t (*copies)[RACE_PAGES])
{
	uint64_t *words = (uint64_t *)(void *)log->bytes;
	uint64_t i, bits;
	unsigned int r;

	for (i = 0; i < RACE_PAGES / 64; i++) {
		if (__atomic_load_n(&words[i], __ATOMIC_RELAXED) == 0)
			continue;
		bits = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1) {
			uint64_t page = i * 64 + (uint64_t)__builtin_ctzll(bits);

			for (r = 0; r < MARKERS; r++)
				copies[r][page] = __atomic_load_n(&racers[r].rounds[page],
						__ATOMIC_RELAXED);
		}
	}
}

/*
 * Two queues mark in staging, this thread moves to the log, by the whole and
 * by halves, and harvests: when all is done the copy is what was written last.
 */
static void
movers_and_markers(void **state)
{
	struct racer *racers = aligned_alloc(RTE_CACHE_LINE_SIZE, MARKERS * sizeof(*racers));
	static uint64_t rounds[MARKERS][RACE_PAGES], copies[MARKERS][RACE_PAGES];
	struct dirtylog_view *staging = staging_view(0, RACE_PAGES), *log_views[3];
	struct dirtylog_bitmap bitmap = { .view = staging };
	struct dirtylog_epoch epoch;
	struct frontend_log log;
	uint64_t page, moves = 0, moved = 0;
	unsigned int i;
	bool done;

	(void)state;
	assert_non_null(racers);
	assert_int_equal(frontend_log_create(&log, RACE_PAGES / 8), 0);
	log_views[0] = log_view(&log, 0, RACE_PAGES);
	log_views[1] = log_view(&log, 0, RACE_PAGES / 2 + 77);
	log_views[2] = log_view(&log, RACE_PAGES / 2 + 77, RACE_PAGES / 2 - 77);
	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	for (i = 0; i < MARKERS; i++) {
		racers[i].bitmap = &bitmap;
		racers[i].stride = i == 0 ? 1 : 7919;
		racers[i].rounds = rounds[i];
		racers[i].done = false;
		memset(&racers[i].marker, 0, sizeof(racers[i].marker));
		dirtylog_marker_join(&racers[i].marker, &epoch);
		dirtylog_marker_set_gate(&racers[i].marker, &epoch, DIRTYLOG_GATE_LOGGING);
	}
	for (i = 0; i < MARKERS; i++)
		assert_int_equal(
				pthread_create(&racers[i].thread, NULL, mark_in_rounds, &racers[i]),
				0);
	do {
		done = true;
		for (i = 0; i < MARKERS; i++)
			done &= __atomic_load_n(&racers[i].done, __ATOMIC_ACQUIRE);
		moved += dirtylog_view_move(staging, log_views[moves % 3]);
		harvest(&log, racers, copies);
		moves++;
	} while (!done);
	for (i = 0; i < MARKERS; i++)
		pthread_join(racers[i].thread, NULL);
	dirtylog_view_move(staging, log_views[0]);
	harvest(&log, racers, copies);
	for (i = 0; i < MARKERS; i++)
		for (page = 0; page < RACE_PAGES; page++)
			if (copies[i][page] != ROUNDS)
				fail_msg("page %" PRIu64 " of marker %u: lost, %" PRIu64 " of %u",
						page, i, copies[i][page], ROUNDS);
	for (page = 0; page < RACE_PAGES / 64; page++)
		assert_int_equal(staging->words[page], 0);
	print_message("%" PRIu64 " moves of %" PRIu64 " pages raced with %u markers\n", moves,
			moved, MARKERS);
	assert_true(moves > 10);
	for (i = 0; i < MARKERS; i++)
		dirtylog_marker_leave(&racers[i].marker, &epoch);
	dirtylog_epoch_fini(&epoch);
	for (i = 0; i < 3; i++)
		dirtylog_view_free(log_views[i]);
	dirtylog_view_free(staging);
	frontend_log_destroy(&log);
	free(racers);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks_are_found),
		cmocka_unit_test(marked_again_after_a_move),
		cmocka_unit_test(partial_moves),
		cmocka_unit_test(cost_is_what_is_dirty),
		cmocka_unit_test(movers_and_markers),
	};

	return run_test_program(argc, argv, "summary", tests, NULL, NULL);
}
