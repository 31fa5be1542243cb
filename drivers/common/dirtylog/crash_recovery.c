/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdbool.h>

#include "crash_recovery.h"
#include "datapath/packed_desc.h"

/* One change without a burst that was cut off, three with. */
#define MAX_CHANGES 3

/* What the descriptors' flags say, all along the ring. */
struct look {
	uint16_t nb_changes; /* of the round in which descriptors were used last */
	uint16_t changes[MAX_CHANGES];
	uint16_t nb_against; /* bits that are not as the reported position has them */
	bool chains;         /* a buffer of several descriptors is seen */
	bool passed;         /* a buffer was returned at the reported position itself */
};

static uint16_t
flags_at(const struct vnet_queue *queue, uint16_t index)
{
	return vnet_read_tail(&queue->packed_desc[index]).flags;
}

static bool
used_bit(const struct vnet_queue *queue, uint16_t index)
{
	return (flags_at(queue, index) & VNET_PACKED_USED) != 0;
}

/* The bits differ when the driver has made it available, are equal when a device returned it. */
static bool
is_available(uint16_t flags)
{
	return ((flags & VNET_PACKED_AVAIL) != 0) != ((flags & VNET_PACKED_USED) != 0);
}

static uint16_t
behind(const struct vnet_queue *queue, uint16_t index)
{
	return index + 1 == queue->size ? 0 : (uint16_t)(index + 1);
}

/* How many descriptors it is from one to another, once around at most. */
static uint16_t
distance(const struct vnet_queue *queue, uint16_t from, uint16_t to)
{
	return (uint16_t)(to > from ? to - from : to + queue->size - from);
}

/* With the wrap counter that makes the descriptor's USED bit that of the round before. */
static uint16_t
position_at(const struct vnet_queue *queue, uint16_t index)
{
	return index | (used_bit(queue, index) ? 0 : VNET_PACKED_WRAP);
}

static struct look
look_along(const struct vnet_queue *queue, uint16_t reported)
{
	const uint16_t start = reported & (uint16_t)~VNET_PACKED_WRAP;
	const bool wrap = (reported & VNET_PACKED_WRAP) != 0;
	struct look look = { 0 };
	/* At the ring's beginning a new round begins, with the other bit. */
	bool used, last = !used_bit(queue, (uint16_t)(queue->size - 1));
	uint16_t i;

	for (i = 0; i < queue->size; i++, last = used) {
		uint16_t flags = flags_at(queue, i);

		used = (flags & VNET_PACKED_USED) != 0;
		look.chains |= (flags & VRING_DESC_F_NEXT) != 0;
		/* Before the position it is this round's, from there on that of the one before. */
		look.nb_against += used != (i < start ? wrap : !wrap);
		if (used != last) {
			if (look.nb_changes < MAX_CHANGES)
				look.changes[look.nb_changes] = i;
			look.nb_changes++;
		}
		/* In this round only a device makes both bits the wrap counter. */
		if (i == start)
			look.passed = used == wrap && ((flags & VNET_PACKED_AVAIL) != 0) == wrap;
	}
	return look;
}

/* Whether a burst was cut off with this descriptor first, and `end` the first that it left. */
static bool
is_cut(const struct vnet_queue *queue, uint16_t first, uint16_t end)
{
	uint16_t i;

	if (!is_available(flags_at(queue, first)))
		return false;
	for (i = behind(queue, first); i != end; i = behind(queue, i))
		if (is_available(flags_at(queue, i)))
			return false;
	return true;
}

static void
set_cut(const struct vnet_queue *queue, uint16_t first, uint16_t end, struct vnet_packed_left *left)
{
	left->cut = position_at(queue, first);
	left->nb_cut = distance(queue, first, end);
	/* All of the ring: the same descriptor, in the next round. */
	left->pos = first == end ? left->cut ^ VNET_PACKED_WRAP : position_at(queue, end);
}

static bool
find_cut(const struct vnet_queue *queue, const struct look *look, struct vnet_packed_left *left)
{
	const uint16_t *changes = look->changes;
	uint16_t i, first = changes[0] == 0 ? queue->size - 1 : changes[0] - 1;

	/* All of the ring: the driver would have made what is behind it available before it. */
	if (look->nb_changes == 1 && is_cut(queue, first, first)) {
		set_cut(queue, first, first, left);
		return true;
	}
	if (look->nb_changes != MAX_CHANGES)
		return false;
	/* The bits change at the first descriptor, behind it, and behind the burst's last. */
	for (i = 0; i < MAX_CHANGES; i++) {
		uint16_t end = changes[(i + 2) % MAX_CHANGES];

		first = changes[i];
		if (behind(queue, first) == changes[(i + 1) % MAX_CHANGES] &&
				is_cut(queue, first, end)) {
			set_cut(queue, first, end, left);
			return true;
		}
	}
	return false;
}

int
vnet_recover_packed_pos(const struct vnet_queue *queue, uint16_t reported,
		struct vnet_packed_left *left)
{
	const struct look look = look_along(queue, reported);
	struct vnet_packed_left found;

	*left = (struct vnet_packed_left){ .pos = reported };
	if (look.chains)
		return 0;
	if (queue->size > 1 && find_cut(queue, &look, &found)) {
		/* Else what looks like a first descriptor is the tail of a buffer of two. */
		if (found.pos != reported)
			*left = found;
		return 0;
	}
	/*
	 * One bit against it can be the tail of a buffer of two descriptors, the
	 * first of which has been overwritten. Two in a row cannot: what lies between
	 * two tails was returned.
	 */
	if (look.nb_against == 0 || (look.nb_against == 1 && !look.passed))
		return 0;
	if (look.nb_changes > 1)
		return -ENODATA;
	left->pos = position_at(queue, look.changes[0]);
	return 0;
}

/*
 * Return the buffer there with nothing in it. Only if nobody has written the
 * descriptor meanwhile: where a buffer of two descriptors was taken for a burst
 * that was cut off, the driver may.
 */
static void
return_empty(const struct vnet_queue *queue, const struct vnet_packed_pos *pos)
{
	struct vring_packed_desc *desc = &queue->packed_desc[pos->index];
	union vnet_packed_tail tail = vnet_read_tail(desc);
	uint64_t seen = tail.raw;

	tail.len = 0;
	tail.flags = pos->wrap ? VNET_PACKED_OWNER : 0;
	/*
	 * Release: orders the stores to the descriptors behind the first one before the
	 * store to that. A guest that saw it first would take a length of the dead one's.
	 */
	__atomic_compare_exchange_n((uint64_t *)desc + 1, &seen, tail.raw, false, __ATOMIC_RELEASE,
			__ATOMIC_RELAXED);
}

void
vnet_return_cut_off(const struct vnet_queue *queue, const struct vnet_packed_left *left)
{
	const struct vnet_packed_pos first = {
		.index = left->cut & (uint16_t)~VNET_PACKED_WRAP,
		.wrap = (left->cut & VNET_PACKED_WRAP) != 0,
		.left = left->nb_cut,
	};
	struct vnet_packed_pos pos = first;

	if (left->nb_cut == 0)
		return;
	for (vnet_packed_pos_advance(queue, &pos, 1); pos.left > 0;
			vnet_packed_pos_advance(queue, &pos, 1))
		return_empty(queue, &pos);
	return_empty(queue, &first);
}
