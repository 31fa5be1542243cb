/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A virtqueue's marks: the hot path.
 *
 * A marker belongs to one virtqueue and is used by one thread at a time. It
 * does three things in each burst:
 *
 *  - it announces the burst to the control thread and learns whether the queue
 *    is open, and whether the device logs (dirtylog_burst_begin());
 *  - it collects the pages that the burst wrote, as (word, mask) pairs
 *    (dirtylog_mark());
 *  - it writes the batch out (dirtylog_flush()): one full fence, then per word
 *    a plain load, and an atomic OR only where a bit is missing. Between two
 *    harvests almost every page is marked already, so almost every atomic
 *    write goes away.
 *
 * No page is lost because of the order of things in a burst:
 *
 *     if (!dirtylog_burst_begin(m))
 *             return 0;                          queue is closed
 *     write the buffers and the ring entries
 *     dirtylog_mark(m, ...)                      or, before the writes, a run
 *     dirtylog_flush(m)                          after the writes
 *     store the used index (release)             the guest can see them now
 *     dirtylog_mark_index(m)                     marked by the next burst
 *     dirtylog_burst_end(m)
 *
 * The index is written after the flush, so its page is marked by the queue's
 * next burst, idle or not, or by the control thread when it closes the queue
 * (dirtylog_close()), whichever comes first. In a packed ring the flags
 * of the burst's first used descriptor take the place of the index: they are
 * held back until after the flush.
 *
 * Nothing here locks, calls the kernel, allocates, or counts references.
 */

#ifndef DIRTYLOG_MARKER_H
#define DIRTYLOG_MARKER_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_prefetch.h>

#include "dirtylog_bitmap.h"
#include "dirtylog_epoch.h"

#ifdef __cplusplus
extern "C" {
#endif

/** (word, mask) pairs that a marker collects before it has to flush. */
#define DIRTYLOG_BATCH 128

/** Ranges that a run takes. Each needs two pairs at most. */
#define DIRTYLOG_RUN_RANGES 32

/** Bytes of what is stored after the flush: a used index, or a packed descriptor's flags. */
#define DIRTYLOG_INDEX_LEN 4

/** What a queue's bursts may do; set by the control thread. */
enum dirtylog_gate {
	DIRTYLOG_GATE_CLOSED, /**< touch neither ring nor guest memory */
	DIRTYLOG_GATE_OPEN,   /**< go on; nothing is logged */
	DIRTYLOG_GATE_LOGGING /**< go on; mark what is written */
};

/** Pages of one word of a bitmap. */
struct dirtylog_mark {
	uint64_t *word;
	uint64_t mask;
	const struct dirtylog_view *view; /**< the bitmap's, for its summary */
};

/**
 * What a marker did. Counted by the queue's thread alone, per flush and not
 * per mark, in its own line; read by others without a lock.
 */
struct dirtylog_marker_stats {
	uint64_t marks; /**< (word, mask) pairs, before they were merged */
	uint64_t words_tested;
	uint64_t words_written; /**< by an atomic OR: a bit was missing */
	/**
	 * Bits of a log, not of staging, that were missing. Two queues that set
	 * one bit in the same moment may both count it.
	 */
	uint64_t pages_dirtied;
};

/** One virtqueue's marker. In memory of the caller, on the node of its core. */
struct dirtylog_marker {
	/** Stored by the queue's thread, twice per burst; has a line of its own. */
	struct dirtylog_reader reader;

	/* Stored by the control thread only. */
	enum dirtylog_gate gate;
	/** Of the region that holds the used index, or the packed ring. */
	struct dirtylog_bitmap *index_bitmap;
	struct dirtylog_marker *next; /**< in the list of the device's markers */

	/* The queue's thread's own. */
	bool logging __attribute__((aligned(RTE_CACHE_LINE_SIZE)));
	bool index_pending; /**< the index was stored, and its page is not marked yet */
	/** Of the index in its region. In a packed ring it moves: dirtylog_mark_flags(). */
	uint64_t index_offset;
	uint32_t nb_marks;
	uint32_t nb_merged; /**< pairs since the last flush that became part of another */
	struct dirtylog_marker_stats stats;
	struct dirtylog_mark marks[DIRTYLOG_BATCH];
} __attribute__((aligned(RTE_CACHE_LINE_SIZE)));

/** Write the collected marks out. After it the burst may publish what it wrote. */
static inline void dirtylog_flush(struct dirtylog_marker *marker);

/** Add to a counter that other threads may read meanwhile. */
static inline void
dirtylog_marker_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/** Collect one pair. The pages' data is written already. */
static inline void
dirtylog_collect(struct dirtylog_marker *marker, const struct dirtylog_view *view, uint64_t index,
		uint64_t mask)
{
	uint64_t *word = &view->words[index];
	uint32_t n = marker->nb_marks;

	/* Buffers that follow each other in memory share a word: merge in O(1). */
	if (n != 0 && marker->marks[n - 1].word == word) {
		marker->marks[n - 1].mask |= mask;
		marker->nb_merged++;
		return;
	}
	if (unlikely(n == DIRTYLOG_BATCH)) {
		dirtylog_flush(marker);
		n = marker->nb_marks;
	}
	/* The flush comes after the burst's other buffers: time to fetch the word. */
	rte_prefetch0(word);
	marker->marks[n].word = word;
	marker->marks[n].mask = mask;
	marker->marks[n].view = view;
	marker->nb_marks = n + 1;
}

/**
 * Mark the pages of a range that was written, as part of the batch.
 *
 * Inside a burst, after the writes. A range of 0 bytes marks nothing; what
 * lies beyond the region's end is ignored, page by page; without a view this
 * is a no-op.
 *
 * @param bitmap
 *   of the region
 * @param offset
 *   bytes from the start of the region
 * @param len
 *   bytes
 */
static inline void
dirtylog_mark(struct dirtylog_marker *marker, const struct dirtylog_bitmap *bitmap, uint64_t offset,
		uint64_t len)
{
	/* Acquire: the fields of a view that was put in place just now. */
	const struct dirtylog_view *view = __atomic_load_n(&bitmap->view, __ATOMIC_ACQUIRE);
	uint64_t first, last;

	if (view == NULL)
		return;
	/* Empty, beyond the end in part or at all, or it overflows. */
	if (unlikely(offset + len > view->len || offset + len <= offset)) {
		if (len == 0 || offset >= view->len)
			return;
		len = RTE_MIN(len, view->len - offset);
	}
	first = (view->start + offset) >> DIRTYLOG_PAGE_SHIFT;
	last = (view->start + offset + len - 1) >> DIRTYLOG_PAGE_SHIFT;
	while (unlikely(first / 64 != last / 64)) {
		dirtylog_collect(marker, view, first / 64, UINT64_MAX << (first % 64));
		first = (first / 64 + 1) * 64;
	}
	/* Bits first to last. If last is bit 63 the shift gives 0: 2^64, as unsigned. */
	dirtylog_collect(marker, view, first / 64,
			(UINT64_C(2) << (last % 64)) - (UINT64_C(1) << (first % 64)));
}

/**
 * A run: marks of up to DIRTYLOG_RUN_RANGES ranges that are about to be written.
 *
 * A page's bit must be tested after the page is written; that is the flush's
 * part. Collecting the marks beforehand has two advantages: the log's words are
 * fetched together with the buffers, and the pairs' stores do not wait behind
 * those to buffers whose cache lines are still on their way. So a run makes
 * room for its marks when it begins, and nothing is flushed until it is over:
 *
 *     run = dirtylog_run_begin(m)
 *     for each range:
 *             if (!dirtylog_run_mark(&run, addr, len))
 *                     dirtylog_run_move(m, &run, bitmap, base, addr, len)
 *     dirtylog_run_end(m, &run)
 *     write them
 *
 * Ranges are named by addresses in a space in which each region is one piece,
 * such as the back-end's own: while they stay within one word's span, neither
 * region nor view has to be looked at.
 */
struct dirtylog_run {
	uint64_t start; /**< address of the first page of the word */
	uint64_t mask;
	uint64_t index; /**< of the word */
	const struct dirtylog_view *view;
	uint32_t nb_marks;
};

/** A run that is at no word: no range lies as high as its start. */
static inline struct dirtylog_run
dirtylog_run_empty(void)
{
	return (struct dirtylog_run){ UINT64_C(1) << 63, 0, 0, NULL, 0 };
}

/** Begin a run. No other marks until it ends. */
static inline struct dirtylog_run
dirtylog_run_begin(struct dirtylog_marker *marker)
{
	if (unlikely(marker->nb_marks > DIRTYLOG_BATCH - 2 * DIRTYLOG_RUN_RANGES))
		dirtylog_flush(marker);
	return dirtylog_run_empty();
}

/** End it, before the flush. */
static inline void
dirtylog_run_end(struct dirtylog_marker *marker, const struct dirtylog_run *run)
{
	if (run->mask != 0) {
		dirtylog_collect(marker, run->view, run->index, run->mask);
		marker->nb_merged += run->nb_marks - 1;
	}
}

/**
 * Mark a range, if it lies in the word that the run is at.
 *
 * @param len
 *   bytes, at least 1
 * @return
 *   false: it does not, or not all of it; call dirtylog_run_move()
 */
static inline bool
dirtylog_run_mark(struct dirtylog_run *run, uint64_t addr, uint32_t len)
{
	uint64_t first = addr - run->start, last = first + len - 1;

	/* One comparison: the span is a power of two. */
	if ((first | last) >= DIRTYLOG_WORD_SPAN)
		return false;
	run->mask |= (UINT64_C(2) << (last >> DIRTYLOG_PAGE_SHIFT)) -
			(UINT64_C(1) << (first >> DIRTYLOG_PAGE_SHIFT));
	run->nb_marks++;
	return true;
}

/**
 * Mark a range wherever it lies, and go on with its word.
 *
 * @param bitmap
 *   of the region
 * @param base
 *   address of the region's start
 * @param addr
 *   of the range
 * @param len
 *   bytes, 1 to 256 Ki (DIRTYLOG_WORD_SPAN): longer ones need more pairs
 */
static inline void
dirtylog_run_move(struct dirtylog_marker *marker, struct dirtylog_run *run,
		const struct dirtylog_bitmap *bitmap, uint64_t base, uint64_t addr, uint32_t len)
{
	/* Acquire: as in dirtylog_mark(). */
	const struct dirtylog_view *view = __atomic_load_n(&bitmap->view, __ATOMIC_ACQUIRE);
	uint64_t offset = addr - base, in_word;
	bool whole;

	dirtylog_run_end(marker, run);
	*run = dirtylog_run_empty();
	if (view == NULL)
		return;
	in_word = (view->start + offset) % DIRTYLOG_WORD_SPAN;
	/*
	 * A run may only stay at a word that is the region's as a whole. Else an
	 * address within the word's span could belong to another region.
	 */
	whole = in_word <= offset && offset - in_word + DIRTYLOG_WORD_SPAN <= view->len;
	if (unlikely(!whole || in_word + len > DIRTYLOG_WORD_SPAN)) {
		dirtylog_mark(marker, bitmap, offset, len);
		return;
	}
	run->start = addr - in_word;
	run->index = (view->start + offset) / DIRTYLOG_WORD_SPAN;
	run->view = view;
	rte_prefetch0(&view->words[run->index]);
	dirtylog_run_mark(run, addr, len);
}

/**
 * Begin a burst.
 *
 * @return
 *   true: go on, and call dirtylog_burst_end(); `marker->logging` tells
 *   whether marks are wanted, for a caller that has a faster way without.
 *   false: the queue is closed; touch nothing and do not call
 *   dirtylog_burst_end().
 */
static inline bool
dirtylog_burst_begin(struct dirtylog_marker *marker)
{
	enum dirtylog_gate gate;

	dirtylog_reader_enter(&marker->reader);
	/* Acquire: what the control thread prepared before it opened the gate. */
	gate = __atomic_load_n(&marker->gate, __ATOMIC_ACQUIRE);
	if (unlikely(gate == DIRTYLOG_GATE_CLOSED)) {
		dirtylog_reader_leave(&marker->reader);
		return false;
	}
	marker->logging = gate == DIRTYLOG_GATE_LOGGING;
	if (marker->index_pending) {
		marker->index_pending = false;
		if (likely(marker->logging))
			dirtylog_mark(marker, marker->index_bitmap, marker->index_offset,
					DIRTYLOG_INDEX_LEN);
	}
	return true;
}

/** The used index was stored: have its page marked by the next burst. */
static inline void
dirtylog_mark_index(struct dirtylog_marker *marker)
{
	marker->index_pending = marker->logging;
}

/**
 * The counterpart for a packed ring, which has no index: the descriptor flags
 * that the burst stored last, because they show all of it to the guest.
 *
 * Once in a burst.
 *
 * @param offset
 *   of the flags, bytes from the start of the region that holds the ring
 */
static inline void
dirtylog_mark_flags(struct dirtylog_marker *marker, uint64_t offset)
{
	/* Not without logging: the control thread may be marking the last ones. */
	if (marker->logging) {
		marker->index_offset = offset;
		marker->index_pending = true;
	}
}

/** Set bits of which some are missing: at most once per word and harvest. */
static inline void
dirtylog_write_mark(struct dirtylog_marker *marker, const struct dirtylog_mark *mark,
		uint64_t missing)
{
	/* The old value is not wanted: x86 would need a loop of compare-and-swap. */
	__atomic_fetch_or(mark->word, mark->mask, __ATOMIC_RELAXED);
	dirtylog_marker_count(&marker->stats.words_written, 1);
	if (mark->view->summary != NULL)
		dirtylog_view_summarise(mark->view, mark->word);
	else
		dirtylog_marker_count(&marker->stats.pages_dirtied,
				(uint64_t)__builtin_popcountll(missing));
}

static inline void
dirtylog_flush(struct dirtylog_marker *marker)
{
	uint32_t i, n = marker->nb_marks;

	if (n == 0)
		return;
	/*
	 * Full fence: orders the stores of the pages' data before the loads of
	 * their bits. Release would not do, on x86 neither: the load could be
	 * served while the data is still in the store buffer; the front-end clears
	 * the bit and copies the old page, and the bit that was found set is gone.
	 * DPDK's, since clang's own is an mfence on x86: five times a locked add.
	 */
	rte_atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < n; i++) {
		const struct dirtylog_mark *mark = &marker->marks[i];
		uint64_t missing = mark->mask & ~__atomic_load_n(mark->word, __ATOMIC_RELAXED);

		if (unlikely(missing != 0))
			dirtylog_write_mark(marker, mark, missing);
	}
	dirtylog_marker_count(&marker->stats.marks, (uint64_t)n + marker->nb_merged);
	dirtylog_marker_count(&marker->stats.words_tested, n);
	marker->nb_merged = 0;
	marker->nb_marks = 0;
}

/**
 * End the burst. Flushes what is left, so that the control thread, once the
 * burst is over, finds every mark in the log.
 */
static inline void
dirtylog_burst_end(struct dirtylog_marker *marker)
{
	if (unlikely(marker->nb_marks != 0))
		dirtylog_flush(marker);
	dirtylog_reader_leave(&marker->reader);
}

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_MARKER_H */
