/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Descriptors of packed rings: how they are read, whose they are, and positions
 * in the ring (virtio 1.1, 2.7).
 */

#ifndef VNET_PACKED_DESC_H
#define VNET_PACKED_DESC_H

#include "datapath/queue.h"

#define VNET_PACKED_AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define VNET_PACKED_USED (1U << VRING_PACKED_DESC_F_USED)
#define VNET_PACKED_OWNER (VNET_PACKED_AVAIL | VNET_PACKED_USED)

/* In an index as front-ends and queues keep it: the wrap counter. */
#define VNET_PACKED_WRAP (1U << VRING_PACKED_EVENT_F_WRAP_CTR)

/*
 * A packed descriptor behind its address, read and written as one: what it
 * describes is never mixed with what it described before.
 */
union vnet_packed_tail {
	uint64_t raw;
	struct {
		uint32_t len;
		uint16_t id;
		uint16_t flags;
	};
};

static inline union vnet_packed_tail
vnet_read_tail(const struct vring_packed_desc *desc)
{
	/*
	 * Acquire: orders the load of the flags before those of the address and of
	 * the descriptors that follow in the chain; else stale ones could be taken.
	 */
	return (union vnet_packed_tail){
		.raw = __atomic_load_n((const uint64_t *)desc + 1, __ATOMIC_ACQUIRE),
	};
}

static inline uint64_t
vnet_read_addr(const struct vring_packed_desc *desc)
{
	return __atomic_load_n((const uint64_t *)desc, __ATOMIC_RELAXED);
}

/* How far a walk along the ring has come; once around at most. */
struct vnet_packed_pos {
	uint16_t index; /* of the next descriptor */
	bool wrap;      /* the driver's wrap counter there, which ours equals */
	uint16_t left;  /* descriptors that the walk may still take */
};

/*
 * Where the queue is in its ring. Written field by field: compilers build a struct that
 * is returned by parts and copy it as a whole, a load that waits for all those stores.
 */
static inline void
vnet_packed_pos_now(const struct vnet_queue *queue, struct vnet_packed_pos *pos)
{
	const uint16_t now = queue->next_used;

	pos->index = now & (uint16_t)~VNET_PACKED_WRAP;
	pos->wrap = (now & VNET_PACKED_WRAP) != 0;
	pos->left = queue->size;
}

static inline void
vnet_packed_pos_advance(const struct vnet_queue *queue, struct vnet_packed_pos *pos, uint16_t n)
{
	pos->left -= n;
	pos->index += n; /* both at most 32768, their sum at most 65535 */
	if (pos->index >= queue->size) {
		pos->index -= queue->size;
		pos->wrap = !pos->wrap;
	}
}

/* The flags that tell whose a descriptor is, when the driver has made it available. */
static inline uint16_t
vnet_packed_available(bool wrap)
{
	return wrap ? VNET_PACKED_AVAIL : VNET_PACKED_USED;
}

static inline bool
vnet_packed_pos_is_available(const struct vnet_queue *queue, const struct vnet_packed_pos *pos)
{
	uint16_t flags;

	if (pos->left == 0)
		return false;
	flags = vnet_read_tail(&queue->packed_desc[pos->index]).flags;
	return (flags & VNET_PACKED_OWNER) == vnet_packed_available(pos->wrap);
}

#endif /* VNET_PACKED_DESC_H */
