/* SPDX-License-Identifier: BSD-3-Clause */

/* What a control thread does to a marker. Private. */

#ifndef DIRTYLOG_MARKER_PVT_H
#define DIRTYLOG_MARKER_PVT_H

#include "dirtylog_marker.h"
#include "epoch.h"

/*
 * Make a marker, which is closed, a reader of the epoch, with its counters at
 * 0. Its thread may be polling it.
 */
void dirtylog_marker_join(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch);

/* The counterpart. The marker is closed. */
void dirtylog_marker_leave(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch);

/* What its bursts may do at present. */
static inline enum dirtylog_gate
dirtylog_marker_gate(const struct dirtylog_marker *marker)
{
	return (enum dirtylog_gate)(marker->gate & DIRTYLOG_GATE_MASK);
}

/* Tell a closed marker what its queue writes in the ring; without a bitmap: nothing. */
void dirtylog_marker_set_ring(struct dirtylog_marker *marker, struct dirtylog_bitmap *bitmap,
		uint64_t offset, uint64_t len);

/* Let bursts begin, or have those that begin from now on log, or not. */
void dirtylog_marker_open(struct dirtylog_marker *marker, bool logging);

/*
 * Views were replaced: have bursts that begin from now on look up anew what they
 * keep. Before dirtylog_epoch_sync(), after which the old views are not in use.
 */
void dirtylog_marker_renew(struct dirtylog_marker *marker);

/* Close a marker that is open: no burst, and the page of what it stored last is marked. */
void dirtylog_marker_close(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch);

/* Open or close a marker, and wait until no burst goes by the old state. */
void dirtylog_marker_set_gate(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch,
		enum dirtylog_gate gate);

/*
 * Mark the page of a queue's index, on its behalf: its last store is not
 * marked before the queue's next burst. For when there is no such burst.
 */
void dirtylog_marker_mark_last_index(struct dirtylog_marker *marker);

/* Add its counters, which its thread may be counting on, to a sum. */
void dirtylog_marker_add_stats(const struct dirtylog_marker *marker,
		struct dirtylog_marker_stats *sum);

/* Whether all markers of a list are closed. */
bool dirtylog_markers_closed(const struct dirtylog_marker *markers);

#endif /* DIRTYLOG_MARKER_PVT_H */
