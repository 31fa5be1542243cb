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

#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>

#include "dirtylog_epoch.h"
#include "dirtylog_shm.h"

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

/** Where the marks of one region go. Constant once made. */
struct dirtylog_view {
	uint64_t *words; /**< the word that holds the region's first page */
	uint64_t start;  /**< GPA of the region modulo DIRTYLOG_WORD_SPAN */
	uint64_t len;    /**< bytes of guest memory */
	uint64_t gpa;    /**< guest physical address of the region */
	/**
	 * Staging only, else NULL: a bit for each cache line of `words` that may
	 * have bits set, so that emptying costs what is dirty, not what is mapped.
	 */
	uint64_t *summary;
	struct dirtylog_shm *shm;
};

/** Words in a cache line of a bitmap: one bit of a summary. */
#define DIRTYLOG_LINE_WORDS 8

/** The bitmap of one region. */
struct dirtylog_bitmap {
	struct dirtylog_view *view; /**< NULL: marks are no-ops */
};

/**
 * Make the view of one region on a mapped log.
 *
 * The region's part of the log is populated, up to 64 MiB: 2 TiB of memory.
 *
 * @param shm
 *   the log, mapped from GPA 0 on; the view takes a reference of its own
 * @param gpa
 *   guest physical address of the region's first byte
 * @param len
 *   bytes of the region
 * @param[out] view
 *   the view; ends with dirtylog_view_free()
 * @return
 *   0, or -EINVAL: the region is empty; -EOVERFLOW: gpa + len overflows;
 *   -ERANGE: the log does not cover the region's last page; -ENOMEM
 */
int dirtylog_view_create(struct dirtylog_shm *shm, uint64_t gpa, uint64_t len,
		struct dirtylog_view **view);

/**
 * Make a view on zeroed memory of its own: a place for marks while there is no
 * log to put them in, or the log is far away.
 *
 * The memory is populated, up to 64 MiB, on the NUMA node of the region's memory,
 * range by range where the region lies on several. Up to that length it is in
 * huge pages, where there are some.
 *
 * @param len
 *   bytes of the region
 * @param gpa
 *   guest physical address of the region's first byte
 * @param host
 *   where the region is mapped, to learn its node; NULL: anywhere
 * @param[out] view
 *   the view; ends with dirtylog_view_free()
 * @return 0, -EINVAL, -EOVERFLOW, -ENOMEM as dirtylog_view_create(), or an
 *   errno of dirtylog_shm_alloc()
 */
int dirtylog_view_create_staging(uint64_t gpa, uint64_t len, const void *host,
		struct dirtylog_view **view);

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

/**
 * Put a view, or none (NULL), in place of a bitmap's present one, which may be
 * in use until the next dirtylog_epoch_sync() returned.
 */
static inline void
dirtylog_bitmap_set_view(struct dirtylog_bitmap *bitmap, struct dirtylog_view *view)
{
	/* Release: the view's fields are written before a marker can find it. */
	__atomic_store_n(&bitmap->view, view, __ATOMIC_RELEASE);
}

/** Free a view that no bitmap uses any more. NULL is allowed. */
void dirtylog_view_free(struct dirtylog_view *view);

/**
 * Move marks: each page that is marked in both views' common GPA range of
 * `from` becomes marked in `to` and unmarked in `from`.
 *
 * `from` must be our own staging memory, since its bits are cleared. Markers
 * may mark in either view meanwhile; marks that are made during the call may
 * stay in `from`.
 *
 * @return the number of pages that were not marked in `to` before
 */
uint64_t dirtylog_view_move(struct dirtylog_view *from, struct dirtylog_view *to);

/**
 * Copy marks: as dirtylog_view_move(), but they stay in `from` too, which may
 * be any view.
 */
void dirtylog_view_copy(struct dirtylog_view *from, struct dirtylog_view *to);

/** The pages of a view that are marked. */
uint64_t dirtylog_view_count(const struct dirtylog_view *view);

/**
 * Mark a range in a view, from a control thread.
 *
 * For the few marks that no burst makes. Executes the full fence that promise
 * 2 needs between the data writes before the call and the mark. Beyond the
 * end is ignored.
 *
 * @param view
 *   to mark in
 * @param offset
 *   bytes from the start of the region
 * @param len
 *   bytes; 0 marks nothing
 */
void dirtylog_view_mark(struct dirtylog_view *view, uint64_t offset, uint64_t len);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_BITMAP_H */
