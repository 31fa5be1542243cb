/* SPDX-License-Identifier: BSD-3-Clause */

#include "datapath/chain.h"
#include "datapath/packed_desc.h"
#include "crash_recovery.h"

int
vnet_recover_packed_pos(const struct vnet_queue *queue, uint16_t told)
{
	uint16_t i, flags, last = 0, first = 0, changes = 0, place = 0;

	for (i = 0; i < queue->size; i++) {
		flags = vnet_read_tail(&queue->packed_desc[i]).flags;
		if (flags & VRING_DESC_F_NEXT)
			return told; /* chains: their other descriptors are never returned */
		if (i == 0) {
			first = flags & VNET_PACKED_USED;
		} else if ((flags & VNET_PACKED_USED) != last) {
			changes++;
			place = i;
		}
		last = flags & VNET_PACKED_USED;
	}
	if (changes > 1)
		return -1;
	/* Before the place it is this round's, from there on that of the round before. */
	return place | ((first != 0) == (changes == 1) ? VNET_PACKED_WRAP : 0);
}

static void
mark_pieces(const struct vnet_queue *queue, struct dirtylog *dl, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct vnet_iov *iov = &queue->iov[i];

		dirtylog_mark_gpa(dl, iov->region->gpa +
				(uint64_t)(iov->host - iov->region->host), iov->len);
	}
}

static void
mark_split(struct vnet_queue *queue, struct dirtylog *dl)
{
	uint16_t end = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t at = queue->next_avail;
	uint64_t len;

	if ((uint16_t)(end - at) > queue->size)
		return; /* the first burst will say what is wrong */
	for (; at != end; at++) {
		uint16_t head = __atomic_load_n(&queue->avail->ring[at & queue->mask],
				__ATOMIC_RELAXED);

		mark_pieces(queue, dl, vnet_chain_walk(queue, head, true, 0, &len));
	}
}

static void
mark_packed(struct vnet_queue *queue, struct dirtylog *dl)
{
	struct vnet_packed_pos place = vnet_packed_pos_now(queue);
	struct vnet_packed_buffer buffer;
	uint64_t gpa, len;

	/* Descriptors that were returned, and not shown or not marked. */
	if (dirtylog_memory_gpa(queue->mem, queue->packed_desc, &gpa) == 0)
		dirtylog_mark_gpa(dl, gpa, queue->size * sizeof(struct vring_packed_desc));
	while (vnet_packed_pos_is_available(queue, &place)) {
		int n = vnet_chain_walk_packed(queue, place.index, place.left, true, 0,
				&len, &buffer);

		if (buffer.nb_desc == 0)
			return;
		mark_pieces(queue, dl, n);
		vnet_packed_pos_advance(queue, &place, buffer.nb_desc);
	}
}

void
vnet_recover_marks(struct vnet_queue *queue, struct dirtylog *dl)
{
	if (queue->packed)
		mark_packed(queue, dl);
	else
		mark_split(queue, dl);
}
