/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdbool.h>

#include "crash_recovery.h"
#include "datapath/packed_desc.h"

/* What the descriptors' flags say, all along the ring. */
struct look {
	uint16_t nb_changes; /* of the USED bit, from one descriptor to the next */
	uint16_t last_change;
	uint16_t nb_against; /* bits that are not as the reported position has them */
	bool starts_used;    /* the first one's bit */
	bool chains;         /* a buffer of several descriptors is seen */
	bool passed;         /* a buffer was returned at the reported position itself */
};

static uint16_t
flags_at(const struct vnet_queue *queue, uint16_t index)
{
	return vnet_read_tail(&queue->packed_desc[index]).flags;
}

static struct look
look_along(const struct vnet_queue *queue, uint16_t reported)
{
	const uint16_t start = reported & (uint16_t)~VNET_PACKED_WRAP;
	const bool wrap = (reported & VNET_PACKED_WRAP) != 0;
	struct look look = { .starts_used = flags_at(queue, 0) & VNET_PACKED_USED };
	bool used, last = look.starts_used;
	uint16_t i;

	for (i = 0; i < queue->size; i++, last = used) {
		uint16_t flags = flags_at(queue, i);

		used = (flags & VNET_PACKED_USED) != 0;
		look.chains |= (flags & VRING_DESC_F_NEXT) != 0;
		/* Before the position it is this round's, from there on that of the one before. */
		look.nb_against += used != (i < start ? wrap : !wrap);
		if (used != last) {
			look.nb_changes++;
			look.last_change = i;
		}
		/* In this round only a device makes both bits the wrap counter. */
		if (i == start)
			look.passed = used == wrap && ((flags & VNET_PACKED_AVAIL) != 0) == wrap;
	}
	return look;
}

int
vnet_recover_packed_pos(const struct vnet_queue *queue, uint16_t reported)
{
	struct look look = look_along(queue, reported);
	bool wrap;

	if (look.chains || look.nb_against == 0)
		return reported;
	/*
	 * One bit against it can be the tail of a buffer of two descriptors, the
	 * first of which has been overwritten. Two in a row cannot: what lies between
	 * two tails was returned.
	 */
	if (look.nb_against == 1 && !look.passed)
		return reported;
	if (look.nb_changes > 1)
		return -1;
	wrap = look.starts_used == (look.nb_changes == 1);
	return look.last_change | (wrap ? VNET_PACKED_WRAP : 0);
}
