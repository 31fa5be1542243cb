/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What control threads do to a marker: dirtylog_marker.h is for its queue's thread.
 */

#include <string.h>

#include "bitmap.h"
#include "marker.h"

/*
 * All but `reader.section`, which is its thread's: a burst that finds the gate
 * closed touches that one and the gate alone.
 */
void
dirtylog_marker_join(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch)
{
	__atomic_store_n(&marker->gate, DIRTYLOG_GATE_CLOSED, __ATOMIC_RELAXED);
	marker->index_bitmap = NULL;
	marker->next = NULL;
	marker->logging = false;
	marker->index_pending = false;
	marker->index_offset = 0;
	marker->nb_marks = 0;
	marker->nb_merged = 0;
	memset(&marker->stats, 0, sizeof(marker->stats));
	dirtylog_epoch_add(epoch, &marker->reader);
}

void
dirtylog_marker_leave(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch)
{
	dirtylog_epoch_remove(epoch, &marker->reader);
}

void
dirtylog_marker_set_gate(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch,
		enum dirtylog_gate gate)
{
	/* Release: what was prepared for the bursts is written before they may look. */
	__atomic_store_n(&marker->gate, gate, __ATOMIC_RELEASE);
	dirtylog_epoch_sync(epoch);
}

void
dirtylog_marker_mark_last_index(struct dirtylog_marker *marker)
{
	if (marker->index_bitmap != NULL && marker->index_bitmap->view != NULL)
		dirtylog_view_mark(marker->index_bitmap->view, marker->index_offset,
				DIRTYLOG_INDEX_LEN);
}

void
dirtylog_marker_add_stats(const struct dirtylog_marker *marker, struct dirtylog_marker_stats *sum)
{
	const struct dirtylog_marker_stats *stats = &marker->stats;

	sum->marks += __atomic_load_n(&stats->marks, __ATOMIC_RELAXED);
	sum->words_tested += __atomic_load_n(&stats->words_tested, __ATOMIC_RELAXED);
	sum->words_written += __atomic_load_n(&stats->words_written, __ATOMIC_RELAXED);
	sum->pages_dirtied += __atomic_load_n(&stats->pages_dirtied, __ATOMIC_RELAXED);
}

bool
dirtylog_markers_closed(const struct dirtylog_marker *markers)
{
	for (; markers != NULL; markers = markers->next)
		if (markers->gate != DIRTYLOG_GATE_CLOSED)
			return false;
	return true;
}
