/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The guest's side of a split ring (virtio 1.1, 2.6), just enough of it to
 * give a back-end buffers of every shape, good and bad ones.
 */

#ifndef RING_WRITER_H
#define RING_WRITER_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest_ram.h"

struct ring_writer {
	struct guest_ram *ram;
	uint64_t desc;  /* GPAs */
	uint64_t avail;
	uint64_t used;
	uint16_t size;
	uint16_t next_avail; /* the guest's own indices */
	uint16_t next_used;
	uint16_t next_desc;  /* count of descriptors handed out */
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
 * available ring, and on a page of its own the used ring. Both indices begin
 * at `start`.
 */
void ring_init(struct ring_writer *ring, struct guest_ram *ram, uint64_t gpa, uint16_t size,
		uint16_t start);

/* Bytes that such a layout needs, in whole pages. */
uint64_t ring_footprint(uint16_t size);

/*
 * Descriptors are handed out in an order that is not the ring's, so that
 * nobody can take one for the other.
 */
uint16_t ring_take_desc(struct ring_writer *ring);

void ring_set_desc(struct ring_writer *ring, uint16_t index, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next);

/*
 * Describe a chain of buffers. `table` is where an indirect table goes.
 * Returns the head.
 */
uint16_t ring_describe(struct ring_writer *ring, const struct guest_buffer *buffers,
		unsigned int nb_buffers, bool device_writes, enum chain_form form,
		uint64_t table);

/* Put a head into the available ring; the back-end sees it after ring_publish(). */
void ring_add(struct ring_writer *ring, uint16_t head);

void ring_publish(struct ring_writer *ring);

/* The used index as it is in memory. */
uint16_t ring_used_index(struct ring_writer *ring);

/* Take the next used entry; false if there is none. */
bool ring_take_used(struct ring_writer *ring, struct vring_used_elem *entry);

/* GPA of the used entry with an index. */
uint64_t ring_used_entry(const struct ring_writer *ring, uint16_t index);

/* What the guest tells about interrupts. */
void ring_set_avail_flags(struct ring_writer *ring, uint16_t flags);
void ring_set_used_event(struct ring_writer *ring, uint16_t index);

/*
 * Whether the back-end wants a kick for what was made available since the
 * available index was `old`.
 */
bool ring_wants_kick(struct ring_writer *ring, uint16_t old, bool event_idx);

#endif /* RING_WRITER_H */
