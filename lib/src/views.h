/* SPDX-License-Identifier: BSD-3-Clause */

/* What bursts go by: gates, and where marks go. Private; with the lock held. */

#ifndef DIRTYLOG_VIEWS_H
#define DIRTYLOG_VIEWS_H

#include "dirtylog_pvt.h"

/* The view that a region's bitmap is to have, by the state as it is; or NULL. */
struct dirtylog_view *dirtylog_views_wanted(const struct dirtylog *dl,
		const struct region_views *views);

/*
 * What a region gets of a log: a view of it, and whether its marks go there
 * directly. Returns 0, or what dirtylog_view_create() returns, with no view.
 */
int dirtylog_views_on_log(const struct dirtylog *dl, struct dirtylog_shm *log,
		const struct dirtylog_region *region, struct dirtylog_view **view, bool *direct);

/* Give every region whose marks would have no place a staging view. Returns 0 or an errno. */
int dirtylog_views_make_staging(const struct dirtylog *dl, struct memory_table *table);

/*
 * Make what the state says true for every burst. Returns after the last burst
 * that went by the old state.
 */
void dirtylog_views_install(struct dirtylog *dl);

/*
 * Put what is staged into the log given last. If that one was left, the marks
 * stay staged too: the front-end may still read it, or may bring another.
 */
void dirtylog_views_drain(struct dirtylog *dl);

/*
 * Mark a range of a region, in bytes from its start, wherever its marks go; while
 * nothing is logged this does nothing.
 */
void dirtylog_views_mark(const struct dirtylog *dl, const struct region_views *views,
		uint64_t offset, uint64_t len);

/* Close a queue: as dirtylog_close(). */
void dirtylog_views_close_queue(struct dirtylog *dl, struct dirtylog_marker *marker);

/* Mark all of memory, if it is wanted and there is a log. */
void dirtylog_views_mark_all(struct dirtylog *dl);

/* Nobody harvests any more: no log, no staged marks, nothing to drain. */
void dirtylog_views_forget_log(struct dirtylog *dl);

/* Tell, once for each log, that its owner has truncated it. */
void dirtylog_views_check_truncation(struct dirtylog *dl);

#endif /* DIRTYLOG_VIEWS_H */
