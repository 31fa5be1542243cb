/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The dirty bitmap of one guest memory region, replaceable at run time.
 *
 * A *bitmap* is what the region's users hold, as long as the region lives.
 * What marks really go to is a *view*: a window on shared memory, either on
 * the region's part of the front-end's log or on a staging area of the same
 * layout. A bitmap has no view while nothing is logged: marks are then cheap
 * no-ops. Another view takes effect for every user of the bitmap at once.
 *
 * Layout, given by the vhost-user specification ("Migration"): one bit per
 * 4096-byte page, page p is bit p % 8 of byte p / 8, counted from GPA 0. The
 * code works on 64-bit words; on a little-endian machine these are the same
 * bits. A region need not begin on a word: bits of its neighbours are never
 * written, and the bytes after the end of a log whose length is no multiple
 * of 8 keep their value (they lie in the same mapped page).
 *
 * A log is never owned: the front-end shares it among all vhost devices of a
 * VM, also across processes. Bits are only ever set, by atomic OR.
 *
 * Marking is the business of a virtqueue's marker (dirtylog_marker.h).
 */

#ifndef DIRTYLOG_BITMAP_H
#define DIRTYLOG_BITMAP_H

#include <stdint.h>

#include <rte_byteorder.h>

#if RTE_BYTE_ORDER != RTE_LITTLE_ENDIAN
#error "64-bit words are the log's bits on little-endian machines only"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** log2 of the bytes that one bit stands for. */
#define DIRTYLOG_PAGE_SHIFT 12
#define DIRTYLOG_PAGE_SIZE (UINT64_C(1) << DIRTYLOG_PAGE_SHIFT)
/** Bytes of guest memory that one 64-bit word stands for. */
#define DIRTYLOG_WORD_SPAN (DIRTYLOG_PAGE_SIZE * 64)

/** Where the marks of one region go, as far as bursts need it. Made by the library; constant. */
struct dirtylog_view {
	uint64_t *words; /**< the word that holds the region's first page */
	uint64_t start;  /**< GPA of the region modulo DIRTYLOG_WORD_SPAN */
	uint64_t len;    /**< bytes of guest memory */
	/**
	 * Staging only, else NULL: a bit for each cache line of `words` that may
	 * have bits set, so that emptying costs what is dirty, not what is mapped.
	 */
	uint64_t *summary;
};

/** Words in a cache line of a bitmap: one bit of a summary. */
#define DIRTYLOG_LINE_WORDS 8

/** The bitmap of one region. */
struct dirtylog_bitmap {
	struct dirtylog_view *view; /**< NULL: marks are no-ops */
};

/** Bits were set in a staging view's word: have its line found when it is emptied. */
static inline void
dirtylog_view_summarise(const struct dirtylog_view *view, const uint64_t *word)
{
	uint64_t line = (uint64_t)(word - view->words) / DIRTYLOG_LINE_WORDS;
	uint64_t *summary = &view->summary[line / 64];
	uint64_t bit = UINT64_C(1) << (line % 64);

	/*
	 * Full fence: orders the atomic OR of the word before the load of the
	 * summary. Who empties clears the summary, then reads the words: if the
	 * load went first, the bit could be found set that is cleared next, and
	 * the word read before the OR.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(summary, __ATOMIC_RELAXED) & bit) == 0)
		__atomic_fetch_or(summary, bit, __ATOMIC_SEQ_CST);
}

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_BITMAP_H */
