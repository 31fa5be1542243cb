/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The guest's side of a split or a packed ring (virtio 1.1, 2.6 and 2.7), just
 * enough of it to give a back-end buffers of every shape, good and bad ones.
 *
 * A position in a split ring is an index that counts on; in a packed ring an
 * index below its size and, in bit 15, the wrap counter. A chain is named by
 * its head, or by its buffer id.
 */

#ifndef RING_WRITER_H
#define RING_WRITER_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "rig/guest_ram.h"

struct ring_writer {
	struct guest_ram *ram;
	bool packed;
	uint64_t desc;  /* GPAs */
	uint64_t avail; /* packed: the driver event area */
	uint64_t used;  /* packed: the device event area */
	uint16_t size;
	uint16_t next_avail; /* the guest's own positions */
	uint16_t next_used;
	uint16_t next_desc; /* count of descriptors, or ids, handed out */

	/* Packed rings. */
	uint64_t held; /* GPA of flags that the next publish stores, or 0 */
	uint16_t held_flags;
	uint16_t *slots; /* by id: descriptors of the ring that the chain has */
};

/* One buffer of a chain. */
struct guest_buffer {
	uint64_t gpa;
	uint32_t len;
};

/* How the buffers of a chain are described. */
enum chain_form {
	FORM_DIRECT,
	FORM_INDIRECT,
	FORM_MIXED, /* the first one directly, the others by an indirect table */
};

/* Bytes of the parts of a ring; the used ring is the last one. */
static inline uint64_t
ring_desc_len(uint16_t size)
{
	return (uint64_t)size * sizeof(struct vring_desc);
}

static inline uint64_t
ring_avail_len(uint16_t size)
{
	return 6 + (uint64_t)size * 2;
}

static inline uint64_t
ring_used_len(uint16_t size)
{
	return 6 + (uint64_t)size * sizeof(struct vring_used_elem);
}

/*
 * Lay a ring out from a GPA on, which is the start of a page: descriptors,
 * available ring (or driver event area), and on a page of its own the used ring
 * (or device event area). Both positions begin `start` buffers after the first
 * one. A packed ring gets room for `size` numbers, a split one NULL.
 */
void ring_init(struct ring_writer *ring, struct guest_ram *ram, uint64_t gpa, uint16_t size,
		uint16_t start, uint16_t *packed_slots);

/* Bytes that such a layout needs, in whole pages. */
uint64_t ring_footprint(uint16_t size);

/*
 * Descriptors are handed out in an order that is not the ring's, so that
 * nobody can take one for the other.
 */
uint16_t ring_take_desc(struct ring_writer *ring);

/* The position `n` places after another one, or before it. */
uint16_t ring_step(const struct ring_writer *ring, uint16_t position, int n);

/* Where in the ring's arrays a position is. */
uint16_t ring_slot(const struct ring_writer *ring, uint16_t position);

void ring_set_desc(struct ring_writer *ring, uint16_t index, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next);

/*
 * Write a descriptor of a packed ring, `ahead` places after the next one to be
 * made available; `flags` lack those that make it available, which the first
 * one since ring_publish() gets there.
 */
void ring_set_packed(struct ring_writer *ring, unsigned int ahead, uint64_t addr, uint32_t len,
		uint16_t id, uint16_t flags);

/*
 * Describe a chain of buffers; in a packed ring by the next descriptors, and
 * FORM_MIXED does not exist there. `table` is where an indirect table goes.
 * Returns the head.
 */
uint16_t ring_describe(struct ring_writer *ring, const struct guest_buffer *buffers,
		unsigned int nb_buffers, bool device_writes, enum chain_form form, uint64_t table);

/* Put a chain that was described into the ring; the back-end sees it after ring_publish(). */
void ring_add(struct ring_writer *ring, uint16_t head);

void ring_publish(struct ring_writer *ring);

/* Make no descriptor of a packed ring available, nor used. */
void ring_clear(struct ring_writer *ring);

/* Take the buffers back that were added since this position, at which nobody looked. */
void ring_take_back(struct ring_writer *ring, uint16_t position);

/* The used index as it is in memory, or the position behind the used descriptors. */
uint16_t ring_used_index(struct ring_writer *ring);

/* Take the next used entry; false if there is none. */
bool ring_take_used(struct ring_writer *ring, struct vring_used_elem *entry);

/* GPA of the used entry, or descriptor, at a position. */
uint64_t ring_used_entry(const struct ring_writer *ring, uint16_t index);

/* What the guest tells about interrupts: packed flags have the same numbers. */
void ring_set_avail_flags(struct ring_writer *ring, uint16_t flags);
void ring_set_used_event(struct ring_writer *ring, uint16_t index);

/*
 * Whether the back-end wants a kick for what was made available since the
 * available index was `old`.
 */
bool ring_wants_kick(struct ring_writer *ring, uint16_t old, bool event_idx);

#endif /* RING_WRITER_H */
