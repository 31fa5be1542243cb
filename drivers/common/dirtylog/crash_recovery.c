/* SPDX-License-Identifier: BSD-3-Clause */

#include "datapath/chain.h"
#include "datapath/packed_desc.h"
#include "crash_recovery.h"

int
dirtylog_predecessor_place(const struct dirtylog_queue *queue, uint16_t told)
{
	uint16_t i, flags, last = 0, first = 0, changes = 0, place = 0;

	for (i = 0; i < queue->size; i++) {
		flags = dirtylog_read_tail(&queue->packed_desc[i]).flags;
		if (flags & VRING_DESC_F_NEXT)
			return told; /* chains: their other descriptors are never returned */
		if (i == 0) {
			first = flags & DIRTYLOG_PACKED_USED;
		} else if ((flags & DIRTYLOG_PACKED_USED) != last) {
			changes++;
			place = i;
		}
		last = flags & DIRTYLOG_PACKED_USED;
	}
	if (changes > 1)
		return -1;
	/* Before the place it is this round's, from there on that of the round before. */
	return place | ((first != 0) == (changes == 1) ? DIRTYLOG_PACKED_WRAP : 0);
}

static void
mark_pieces(const struct dirtylog_queue *queue, struct dirtylog_device *device, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct guest_piece *piece = &queue->pieces[i];

		dirtylog_device_mark(device, piece->region->gpa +
				(uint64_t)(piece->host - piece->region->host), piece->len);
	}
}

static void
mark_split(struct dirtylog_queue *queue, struct dirtylog_device *device)
{
	uint16_t end = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t at = queue->next_avail;
	uint64_t len;

	if ((uint16_t)(end - at) > queue->size)
		return; /* the first burst will say what is wrong */
	for (; at != end; at++) {
		uint16_t head = __atomic_load_n(&queue->avail->ring[at & queue->mask],
				__ATOMIC_RELAXED);

		mark_pieces(queue, device, dirtylog_chain_walk(queue, head, true, 0, &len));
	}
}

static void
mark_packed(struct dirtylog_queue *queue, struct dirtylog_device *device)
{
	struct dirtylog_place place = dirtylog_place_now(queue);
	struct dirtylog_packed_buffer buffer;
	uint64_t len;

	/* Descriptors that were returned, and not shown or not marked. */
	dirtylog_device_mark(device, guest_mem_gpa(queue->mem, queue->packed_desc),
			queue->size * sizeof(struct vring_packed_desc));
	while (dirtylog_place_is_available(queue, &place)) {
		int n = dirtylog_chain_walk_packed(queue, place.index, place.left, true, 0,
				&len, &buffer);

		if (buffer.nb_desc == 0)
			return;
		mark_pieces(queue, device, n);
		dirtylog_place_advance(queue, &place, buffer.nb_desc);
	}
}

void
dirtylog_predecessor_mark(struct dirtylog_queue *queue, struct dirtylog_device *device)
{
	if (queue->packed)
		mark_packed(queue, device);
	else
		mark_split(queue, device);
}
