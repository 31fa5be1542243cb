/* SPDX-License-Identifier: BSD-3-Clause */

/* Views: made, marked, emptied into each other. See dirtylog_bitmap.h. Private. */

#ifndef DIRTYLOG_BITMAP_PVT_H
#define DIRTYLOG_BITMAP_PVT_H

#include "dirtylog_bitmap.h"
#include "dirtylog_shm.h"

/* All of a view: each one is a part of such a struct. Constant once made. */
struct dirtylog_whole_view {
	struct dirtylog_view view;
	uint64_t gpa; /* guest physical address of the region */
	struct dirtylog_shm *shm;
};

static inline const struct dirtylog_whole_view *
dirtylog_view_whole(const struct dirtylog_view *view)
{
	return (const struct dirtylog_whole_view *)view; /* its first member */
}

/* The first GPA of its region. */
static inline uint64_t
dirtylog_view_gpa(const struct dirtylog_view *view)
{
	return dirtylog_view_whole(view)->gpa;
}

/* The memory that it lies in. The view holds a reference. */
static inline struct dirtylog_shm *
dirtylog_view_shm(const struct dirtylog_view *view)
{
	return dirtylog_view_whole(view)->shm;
}

/*
 * Make the view of one region on a log, which is mapped from GPA 0 on; the view
 * takes a reference of its own. The region's part of the log is populated, up to
 * 64 MiB: 2 TiB of memory. Returns
 *   0, or -EINVAL: the region is empty; -EOVERFLOW: gpa + len overflows;
 *   -ERANGE: the log does not cover the region's last page; -ENOMEM.
 */
int dirtylog_view_create(struct dirtylog_shm *shm, uint64_t gpa, uint64_t len,
		struct dirtylog_view **view);

/*
 * Make a view on zeroed memory of its own: a place for marks while there is no
 * log to put them in, or the log is far away.
 *
 * The memory is populated, up to 64 MiB, on the NUMA node of the region's memory,
 * range by range where the region lies on several. Up to that length it is in
 * huge pages, where there are some. `host` is where the region is mapped, to
 * learn its node; NULL: anywhere.
 *
 * Returns 0, -EINVAL, -EOVERFLOW, -ENOMEM as dirtylog_view_create(), or an errno
 * of dirtylog_shm_alloc().
 */
int dirtylog_view_create_staging(uint64_t gpa, uint64_t len, const void *host,
		struct dirtylog_view **view);

/* Free a view that no bitmap uses any more. NULL is allowed. */
void dirtylog_view_free(struct dirtylog_view *view);

/*
 * Put a view, or none (NULL), in place of a bitmap's present one, which may be
 * in use until the next dirtylog_epoch_sync() returned.
 */
static inline void
dirtylog_bitmap_set_view(struct dirtylog_bitmap *bitmap, struct dirtylog_view *view)
{
	/* Release: the view's fields are written before a marker can find it. */
	__atomic_store_n(&bitmap->view, view, __ATOMIC_RELEASE);
}

/*
 * Mark a range in a view, from a control thread: for the few marks that no burst
 * makes. Executes the full fence that promise 2 needs between the data writes
 * before the call and the mark. Beyond the end is ignored; `len` may be 0.
 */
void dirtylog_view_mark(struct dirtylog_view *view, uint64_t offset, uint64_t len);

/*
 * Move marks: each page that is marked in both views' common GPA range of
 * `from` becomes marked in `to` and unmarked in `from`.
 *
 * `from` must be our own staging memory, since its bits are cleared. Markers
 * may mark in either view meanwhile; marks that are made during the call may
 * stay in `from`. Returns the number of pages that were not marked in `to`
 * before.
 */
uint64_t dirtylog_view_move(struct dirtylog_view *from, struct dirtylog_view *to);

/*
 * Copy marks: as dirtylog_view_move(), but they stay in `from` too, which may
 * be any view.
 */
void dirtylog_view_copy(struct dirtylog_view *from, struct dirtylog_view *to);

/* The pages of a view that are marked. */
uint64_t dirtylog_view_count(const struct dirtylog_view *view);

#endif /* DIRTYLOG_BITMAP_PVT_H */
