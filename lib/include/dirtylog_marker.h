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
 *     dirtylog_mark_ring(m, ...)                 the entries
 *     dirtylog_flush(m)                          after the writes
 *     store the used index (release)             the guest can see them now
 *     dirtylog_mark_index(m, ...)                marked by the next burst
 *     dirtylog_burst_end(m)
 *
 * The index is written after the flush, so its page is marked by the queue's
 * next burst, idle or not, or by the control thread when it closes the queue
 * (dirtylog_close()), whichever comes first. In a packed ring the flags
 * of the burst's first used descriptor take the place of the index: they are
 * held back until after the flush.
 *
 * What costs a look-up is looked up once and kept from burst to burst: the words
 * of the ring's own pages, and the word that buffers were marked in last. Both
 * point into a view. Whoever replaces views changes the gate too, before he
 * waits for the bursts: a burst that finds the gate as it was may use what was
 * kept, and one that finds it changed looks up anew.
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
#include "dirtylog_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/** (word, mask) pairs that a marker collects before it has to flush. */
#define DIRTYLOG_BATCH 128

/** Ranges that a run takes. Each needs two pairs at most. */
#define DIRTYLOG_RUN_RANGES 32

/** Bytes of what is stored after the flush: a used index, or a packed descriptor's flags. */
#define DIRTYLOG_INDEX_LEN 4

/** Bytes that a queue writes in its ring at most: a packed ring of 32,768 descriptors. */
#define DIRTYLOG_MAX_RING (UINT64_C(32768) * 16)

/** Words of a bitmap that the pages of such a ring lie in, wherever it begins. */
#define DIRTYLOG_RING_WORDS 3

/** What a queue's bursts may do; set by the control thread. */
enum dirtylog_gate {
	DIRTYLOG_GATE_CLOSED, /**< touch neither ring nor guest memory */
	DIRTYLOG_GATE_OPEN,   /**< go on; nothing is logged */
	DIRTYLOG_GATE_LOGGING /**< go on; mark what is written */
};

/** Bits of a marker's gate that tell this; the others change with each change of gate or view. */
#define DIRTYLOG_GATE_MASK 3

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

/**
 * The pages that a queue writes beside the buffers: of the used ring, or of a packed
 * ring's descriptors. Where a view has them, and which are to be marked.
 */
struct dirtylog_ring {
	uint64_t *words; /**< the one that holds the ring's first page */
	const struct dirtylog_view *view;
	uint64_t skip;     /**< bytes from the first page of that word to the ring */
	uint32_t nb_pages; /**< from that page to the ring's last; 0: no ring, or no logging */
	uint32_t nb_marks; /**< ranges since the last flush */
	uint64_t masks[DIRTYLOG_RING_WORDS];
};

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
 *             if (!dirtylog_run_mark(&run, gpa, room, len, &host))
 *                     region = dirtylog_memory_find_range(..., gpa, room, ...)
 *                     host = dirtylog_run_move(m, &run, region, gpa, len)
 *     dirtylog_run_end(m, &run, how many)
 *     write them
 *
 * A run is at one word of a bitmap, of which all pages are a single region's. As
 * long as ranges lie there, they are known to be memory, where it is mapped, and
 * which bits they have: neither region nor view has to be looked at. A marker's
 * next run begins at the word that the last one ended at.
 */
struct dirtylog_run {
	uint64_t gpa;  /**< of the word's first page */
	uint64_t span; /**< DIRTYLOG_WORD_SPAN; 0: the run is at no word */
	uint64_t host; /**< what a GPA there is less than its address here, modulo 2^64 */
	uint64_t mask; /**< of pages that are marked and not collected yet */
	uint64_t *word;
	const struct dirtylog_view *view;
};

/** One virtqueue's marker. In memory of the caller, on the node of its core. */
struct dirtylog_marker {
	/** Stored by the queue's thread, twice per burst; has a line of its own. */
	struct dirtylog_reader reader;

	/* Stored by the control thread only. */
	/** An enum dirtylog_gate; in the bits above, what makes each change another value. */
	uint64_t gate;
	struct dirtylog_bitmap *ring_bitmap; /**< of the region that holds the ring; or NULL */
	uint64_t ring_offset;                /**< bytes from the start of that region */
	uint64_t ring_len;                   /**< bytes */
	struct dirtylog_marker *next;        /**< in the list of the device's markers */

	/* The queue's thread's own. */
	bool logging __attribute__((aligned(RTE_CACHE_LINE_SIZE)));
	bool index_pending; /**< the index was stored, and its page is not marked yet */
	uint32_t nb_marks;
	uint32_t nb_pairs; /**< since the last flush, before they were merged; without the ring's */
	uint64_t gate_seen; /**< the gate, when what is kept was looked up */
	/** Of what was stored last, in the ring. */
	uint64_t index_offset;
	struct dirtylog_ring ring;
	struct dirtylog_run run; /**< where the next one begins; its mask is 0 */
	struct dirtylog_marker_stats stats;
	struct dirtylog_mark marks[DIRTYLOG_BATCH];
} __attribute__((aligned(RTE_CACHE_LINE_SIZE)));

/**
 * The gate has changed since the queue's last burst: look up anew what is kept.
 * dirtylog_burst_begin()'s part.
 */
void dirtylog_burst_follow(struct dirtylog_marker *marker, uint64_t gate);

/** Write the collected marks out. After it the burst may publish what it wrote. */
static inline void dirtylog_flush(struct dirtylog_marker *marker);

/** Add to a counter that other threads may read meanwhile. */
static inline void
dirtylog_marker_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/** A mask with one more bit set, `bit` modulo 64. */
static inline uint64_t
dirtylog_with_bit(uint64_t mask, uint64_t bit)
{
#ifdef RTE_ARCH_X86_64
	/* In a loop, compilers keep the 1 in a register and shift a copy: four instructions. */
	__asm__("btsq %1, %0" : "+r"(mask) : "r"(bit) : "cc");
	return mask;
#else
	return mask | UINT64_C(1) << (bit % 64);
#endif
}

/** Bits of pages `first` to `last`, which share a word. */
static inline uint64_t
dirtylog_bits(uint64_t first, uint64_t last)
{
	/* If last is bit 63 the shift gives 0: 2^64, as unsigned. */
	return (UINT64_C(2) << (last % 64)) - (UINT64_C(1) << (first % 64));
}

/** Collect one pair. The pages' data is written already. */
static inline void
dirtylog_collect(struct dirtylog_marker *marker, const struct dirtylog_view *view, uint64_t *word,
		uint64_t mask)
{
	uint32_t n = marker->nb_marks;

	/* Buffers that follow each other in memory share a word: merge in O(1). */
	if (n != 0 && marker->marks[n - 1].word == word) {
		marker->marks[n - 1].mask |= mask;
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
	marker->nb_pairs++;
	while (unlikely(first / 64 != last / 64)) {
		marker->nb_pairs++;
		dirtylog_collect(marker, view, &view->words[first / 64],
				UINT64_MAX << (first % 64));
		first = (first / 64 + 1) * 64;
	}
	dirtylog_collect(marker, view, &view->words[first / 64], dirtylog_bits(first, last));
}

/** Begin a run. No other marks until it ends. */
static inline struct dirtylog_run
dirtylog_run_begin(struct dirtylog_marker *marker)
{
	if (unlikely(marker->nb_marks > DIRTYLOG_BATCH - 2 * DIRTYLOG_RUN_RANGES))
		dirtylog_flush(marker);
	return marker->run;
}

/**
 * End it, before the flush.
 *
 * @param nb_ranges
 *   that were marked, to be counted; each is in one word
 */
static inline void
dirtylog_run_end(struct dirtylog_marker *marker, const struct dirtylog_run *run, uint32_t nb_ranges)
{
	if (run->mask != 0)
		dirtylog_collect(marker, run->view, run->word, run->mask);
	marker->run = *run;
	marker->run.mask = 0;
	marker->nb_pairs += nb_ranges;
}

/**
 * Mark a range, if it lies in the word that the run is at.
 *
 * @param gpa
 *   guest physical address of the range
 * @param room
 *   bytes that must be memory, at least `len`
 * @param len
 *   bytes that are marked, at least 1
 * @param[out] host
 *   where the range is mapped here
 * @return
 *   false: not all of it lies there, or it is longer than a page: call
 *   dirtylog_run_move()
 */
static inline bool
dirtylog_run_mark(struct dirtylog_run *run, uint64_t gpa, uint64_t room, uint64_t len,
		uint8_t **host)
{
	uint64_t first = gpa - run->gpa;

	/* One comparison for both ends: the span is a power of two. */
	if ((first | (first + room - 1)) >= run->span || len > DIRTYLOG_PAGE_SIZE)
		return false;
	/* Two pages at most: a bit each, which is cheaper than all bits between them. */
	run->mask = dirtylog_with_bit(run->mask, first >> DIRTYLOG_PAGE_SHIFT);
	run->mask = dirtylog_with_bit(run->mask, (first + len - 1) >> DIRTYLOG_PAGE_SHIFT);
	*host = (uint8_t *)(uintptr_t)(run->host + gpa);
	return true;
}

/** Have a run be at the word of a range; at none if that is not the region's. */
static inline void
dirtylog_run_place(struct dirtylog_run *run, const struct dirtylog_region *region,
		const struct dirtylog_view *view, uint64_t gpa)
{
	uint64_t in_word = gpa % DIRTYLOG_WORD_SPAN, offset = gpa - region->gpa;

	/*
	 * The word's pages must all be the region's: else an address within its
	 * span could be another region's, or nobody's.
	 */
	run->span = in_word <= offset && offset - in_word + DIRTYLOG_WORD_SPAN <= region->len ?
			DIRTYLOG_WORD_SPAN :
			0;
	run->gpa = gpa - in_word;
	run->host = (uintptr_t)region->host - region->gpa;
	run->word = &view->words[(view->start + offset) / DIRTYLOG_WORD_SPAN];
	run->view = view;
}

/**
 * Mark a range wherever it lies, and go on with its word.
 *
 * @param region
 *   that holds all of the range
 * @param gpa
 *   guest physical address of the range
 * @param len
 *   bytes, 1 to 256 Ki (DIRTYLOG_WORD_SPAN): longer ones need more pairs
 * @return
 *   where the range is mapped here
 */
static inline uint8_t *
dirtylog_run_move(struct dirtylog_marker *marker, struct dirtylog_run *run,
		const struct dirtylog_region *region, uint64_t gpa, uint32_t len)
{
	/* Acquire: as in dirtylog_mark(). */
	const struct dirtylog_view *view = __atomic_load_n(&region->bitmap->view, __ATOMIC_ACQUIRE);
	uint64_t in_word = gpa % DIRTYLOG_WORD_SPAN, last = in_word + len - 1;

	if (run->mask != 0)
		dirtylog_collect(marker, run->view, run->word, run->mask);
	run->mask = 0;
	if (likely(view != NULL)) {
		dirtylog_run_place(run, region, view, gpa);
		if (likely(last < run->span)) {
			rte_prefetch0(run->word);
			run->mask = dirtylog_bits(in_word >> DIRTYLOG_PAGE_SHIFT,
					last >> DIRTYLOG_PAGE_SHIFT);
		} else {
			dirtylog_mark(marker, region->bitmap, gpa - region->gpa, len);
			marker->nb_pairs--; /* dirtylog_run_end() counts it */
		}
	}
	return dirtylog_region_host(region, gpa);
}

/**
 * Mark pages of the ring that were written, as part of the batch.
 *
 * Inside a burst that logs (`marker->logging`), after the writes.
 *
 * @param offset
 *   bytes from the start of the ring that dirtylog_open() was told of
 * @param len
 *   bytes, at least 1; what lies beyond the ring is ignored
 */
static inline void
dirtylog_mark_ring(struct dirtylog_marker *marker, uint64_t offset, uint64_t len)
{
	struct dirtylog_ring *ring = &marker->ring;
	uint64_t begin = ring->skip + offset;
	uint64_t first = begin >> DIRTYLOG_PAGE_SHIFT;
	uint64_t last = (begin + len - 1) >> DIRTYLOG_PAGE_SHIFT;

	if (unlikely(last >= ring->nb_pages)) {
		if (first >= ring->nb_pages)
			return;
		last = ring->nb_pages - 1;
	}
	/* Nearly always one page, or two. */
	do
		ring->masks[first / 64] = dirtylog_with_bit(ring->masks[first / 64], first);
	while (unlikely(++first <= last));
	ring->nb_marks++;
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
	uint64_t gate;

	dirtylog_reader_enter(&marker->reader);
	/* Acquire: what the control thread prepared before it changed the gate. */
	gate = __atomic_load_n(&marker->gate, __ATOMIC_ACQUIRE);
	if (unlikely((gate & DIRTYLOG_GATE_MASK) == DIRTYLOG_GATE_CLOSED)) {
		dirtylog_reader_leave(&marker->reader);
		return false;
	}
	if (unlikely(gate != marker->gate_seen))
		dirtylog_burst_follow(marker, gate);
	if (marker->index_pending) {
		marker->index_pending = false;
		dirtylog_mark_ring(marker, marker->index_offset, DIRTYLOG_INDEX_LEN);
	}
	return true;
}

/**
 * The used index was stored, or a packed ring's flags that were held back: have the
 * page marked by the next burst. Once in a burst, after the flush.
 *
 * @param offset
 *   of the DIRTYLOG_INDEX_LEN bytes that show the burst to the guest, from the start
 *   of the ring
 */
static inline void
dirtylog_mark_index(struct dirtylog_marker *marker, uint64_t offset)
{
	/* Not without logging: the control thread may be marking the last one. */
	if (!marker->logging)
		return;
	marker->index_offset = offset;
	marker->index_pending = true;
}

/** Set bits of which some are missing: at most once per word and harvest. */
static inline void
dirtylog_write_mark(struct dirtylog_marker *marker, const struct dirtylog_view *view,
		uint64_t *word, uint64_t mask, uint64_t missing)
{
	/* The old value is not wanted: x86 would need a loop of compare-and-swap. */
	__atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
	dirtylog_marker_count(&marker->stats.words_written, 1);
	if (view->summary != NULL)
		dirtylog_view_summarise(view, word);
	else
		dirtylog_marker_count(&marker->stats.pages_dirtied,
				(uint64_t)__builtin_popcountll(missing));
}

/** Write out the marks of the ring's own pages. Returns how many words were tested. */
static inline uint32_t
dirtylog_flush_ring(struct dirtylog_marker *marker)
{
	struct dirtylog_ring *ring = &marker->ring;
	uint32_t i, n = 0;

	for (i = 0; i * 64 < ring->nb_pages; i++) {
		uint64_t mask = ring->masks[i], missing;

		if (mask == 0)
			continue;
		ring->masks[i] = 0;
		n++;
		missing = mask & ~__atomic_load_n(&ring->words[i], __ATOMIC_RELAXED);
		if (unlikely(missing != 0))
			dirtylog_write_mark(marker, ring->view, &ring->words[i], mask, missing);
	}
	return n;
}

static inline void
dirtylog_flush(struct dirtylog_marker *marker)
{
	uint32_t i, n = marker->nb_marks, nb_ring = marker->ring.nb_marks;

	if ((n | nb_ring) == 0)
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
			dirtylog_write_mark(marker, mark->view, mark->word, mark->mask, missing);
	}
	if (nb_ring != 0)
		n += dirtylog_flush_ring(marker);
	dirtylog_marker_count(&marker->stats.marks, (uint64_t)marker->nb_pairs + nb_ring);
	dirtylog_marker_count(&marker->stats.words_tested, n);
	marker->nb_pairs = 0;
	marker->nb_marks = 0;
	marker->ring.nb_marks = 0;
}

/**
 * End the burst. Flushes what is left, so that the control thread, once the
 * burst is over, finds every mark in the log.
 */
static inline void
dirtylog_burst_end(struct dirtylog_marker *marker)
{
	if (unlikely((marker->nb_marks | marker->ring.nb_marks) != 0))
		dirtylog_flush(marker);
	dirtylog_reader_leave(&marker->reader);
}

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_MARKER_H */
