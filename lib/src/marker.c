/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What control threads do to a marker; and what its queue's thread does where the
 * control thread has been: the rest of that is in dirtylog_marker.h.
 */

#include <string.h>

#include "bitmap.h"
#include "marker.h"

/* Release: what was prepared for the bursts is written before they may look. */
static void
store_gate(struct dirtylog_marker *marker, enum dirtylog_gate gate)
{
	/* Another value than any before, also where the gate stays as it is. */
	uint64_t change = marker->gate / (DIRTYLOG_GATE_MASK + 1) + 1;

	__atomic_store_n(&marker->gate, change * (DIRTYLOG_GATE_MASK + 1) + gate, __ATOMIC_RELEASE);
}

static void
forget_ring_marks(struct dirtylog_marker *marker)
{
	marker->index_pending = false;
	marker->ring.nb_marks = 0;
	memset(marker->ring.masks, 0, sizeof(marker->ring.masks));
}

/*
 * All but `reader.section`, which is its thread's: a burst that finds the gate
 * closed touches that one and the gate alone.
 */
void
dirtylog_marker_join(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch)
{
	store_gate(marker, DIRTYLOG_GATE_CLOSED);
	marker->ring_bitmap = NULL;
	marker->next = NULL;
	marker->logging = false;
	marker->index_offset = 0;
	marker->nb_marks = 0;
	marker->nb_pairs = 0;
	forget_ring_marks(marker);
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
	store_gate(marker, gate);
	dirtylog_epoch_sync(epoch);
}

void
dirtylog_marker_open(struct dirtylog_marker *marker, bool logging)
{
	store_gate(marker, logging ? DIRTYLOG_GATE_LOGGING : DIRTYLOG_GATE_OPEN);
}

void
dirtylog_marker_renew(struct dirtylog_marker *marker)
{
	store_gate(marker, dirtylog_marker_gate(marker));
}

void
dirtylog_marker_set_ring(struct dirtylog_marker *marker, struct dirtylog_bitmap *bitmap,
		uint64_t offset, uint64_t len)
{
	marker->ring_bitmap = bitmap;
	marker->ring_offset = offset;
	marker->ring_len = len;
	marker->index_offset = 0;
	forget_ring_marks(marker);
}

/*
 * By the queue's thread. What is kept points into the views that were in place
 * before the gate was what it is now: the ring's words are found again in the
 * present one.
 */
void
dirtylog_burst_follow(struct dirtylog_marker *marker, uint64_t gate)
{
	struct dirtylog_ring *ring = &marker->ring;
	const struct dirtylog_view *view = NULL;
	uint64_t begin;

	marker->gate_seen = gate;
	marker->logging = (gate & DIRTYLOG_GATE_MASK) == DIRTYLOG_GATE_LOGGING;
	marker->run.span = 0;
	marker->run.mask = 0;
	ring->nb_pages = 0;
	/* Acquire: the fields of a view that was put in place just now. */
	if (marker->logging && marker->ring_bitmap != NULL)
		view = __atomic_load_n(&marker->ring_bitmap->view, __ATOMIC_ACQUIRE);
	if (view == NULL) {
		forget_ring_marks(marker);
		return;
	}
	begin = view->start + marker->ring_offset;
	ring->view = view;
	ring->words = &view->words[begin / DIRTYLOG_WORD_SPAN];
	ring->skip = begin % DIRTYLOG_WORD_SPAN;
	ring->nb_pages = (uint32_t)((ring->skip + marker->ring_len - 1) / DIRTYLOG_PAGE_SIZE + 1);
}

void
dirtylog_marker_mark_last_index(struct dirtylog_marker *marker)
{
	const struct dirtylog_bitmap *bitmap = marker->ring_bitmap;

	if (bitmap != NULL && bitmap->view != NULL)
		dirtylog_view_mark(bitmap->view, marker->ring_offset + marker->index_offset,
				DIRTYLOG_INDEX_LEN);
}

void
dirtylog_marker_close(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch)
{
	dirtylog_marker_set_gate(marker, epoch, DIRTYLOG_GATE_CLOSED);
	/* The queue's fields are ours now. */
	dirtylog_marker_mark_last_index(marker);
	dirtylog_marker_set_ring(marker, NULL, 0, 0);
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
		if (dirtylog_marker_gate(markers) != DIRTYLOG_GATE_CLOSED)
			return false;
	return true;
}
