/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rig/ring_writer.h"

#define WRAP 0x8000
#define F_AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define F_USED (1U << VRING_PACKED_DESC_F_USED)

static uint64_t
whole_pages(uint64_t len)
{
	return (len + RAM_PAGE - 1) / RAM_PAGE * RAM_PAGE;
}

uint64_t
ring_footprint(uint16_t size)
{
	return whole_pages(ring_desc_len(size) + ring_avail_len(size)) +
			whole_pages(ring_used_len(size));
}

/* Flags of a descriptor that has not been made available in the round of a position. */
static uint16_t
old_flags(uint16_t position)
{
	return position & WRAP ? 0 : F_AVAIL | F_USED;
}

void
ring_clear(struct ring_writer *ring)
{
	unsigned int i;

	for (i = 0; i < ring->size; i++) {
		uint16_t position = ring_step(ring, ring->next_avail, (int)i);
		struct vring_packed_desc none = { .flags = old_flags(position) };

		ram_write(ring->ram, ring_used_entry(ring, position), &none, sizeof(none));
	}
}

void
ring_init(struct ring_writer *ring, struct guest_ram *ram, uint64_t gpa, uint16_t size,
		uint16_t start, uint16_t *packed_slots)
{
	memset(ring, 0, sizeof(*ring));
	ring->ram = ram;
	ring->size = size;
	ring->desc = gpa;
	ring->avail = gpa + ring_desc_len(size);
	ring->used = gpa + whole_pages(ring_desc_len(size) + ring_avail_len(size));
	if (packed_slots != NULL) {
		ring->packed = true;
		ring->slots = packed_slots;
		/* From the first round on, whose wrap counter is 1. */
		ring->next_avail = ring_step(ring, WRAP, start);
		ring->next_used = ring->next_avail;
		ring_clear(ring);
		return;
	}
	ring->next_avail = start;
	ring->next_used = start;
	ring_publish(ring);
	ram_write(ram, ring->used + 2, &start, sizeof(start));
}

uint16_t
ring_take_desc(struct ring_writer *ring)
{
	unsigned int factor = ring->size % 5 != 0 ? 5 : ring->size % 7 != 0 ? 7 : 1;

	/* A factor that shares no divisor with the size makes a permutation. */
	if (ring->packed)
		return (uint16_t)((ring->next_desc++ % ring->size * factor + 3) % ring->size);
	return (uint16_t)((ring->next_desc++ * 5U + 3) & (ring->size - 1U));
}

uint16_t
ring_step(const struct ring_writer *ring, uint16_t position, int n)
{
	int size = ring->size, place;

	if (!ring->packed)
		return (uint16_t)(position + n);
	/* Two rounds in one count, the one with the wrap counter 1 first. */
	place = (position & ~WRAP) + (position & WRAP ? 0 : size) + n;
	place = (place % (2 * size) + 2 * size) % (2 * size);
	return (uint16_t)(place < size ? place | WRAP : place - size);
}

uint16_t
ring_slot(const struct ring_writer *ring, uint16_t position)
{
	return ring->packed ? position & (uint16_t)~WRAP : position & (ring->size - 1U);
}

static struct vring_desc
make_desc(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	return (struct vring_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

void
ring_set_desc(struct ring_writer *ring, uint16_t index, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	struct vring_desc desc = make_desc(addr, len, flags, next);

	ram_write(ring->ram, ring->desc + index * sizeof(desc), &desc, sizeof(desc));
}

void
ring_set_packed(struct ring_writer *ring, unsigned int ahead, uint64_t addr, uint32_t len,
		uint16_t id, uint16_t flags)
{
	uint16_t position = ring_step(ring, ring->next_avail, (int)ahead);
	uint64_t at = ring_used_entry(ring, position);
	struct vring_packed_desc desc = { .addr = addr,
		.len = len,
		.id = id,
		.flags = flags | (position & WRAP ? F_AVAIL : F_USED) };

	if (ring->held == 0) {
		/* Never in memory before it is published: a back-end may be looking. */
		ring->held = at + offsetof(struct vring_packed_desc, flags);
		ring->held_flags = desc.flags;
		desc.flags = old_flags(position);
		ram_write(ring->ram, at, &desc, sizeof(desc));
		/* A test may say what the back-end writes before it publishes. */
		ram_foresee(ring->ram, ring->held, &ring->held_flags, sizeof(ring->held_flags));
		return;
	}
	ram_write(ring->ram, at, &desc, sizeof(desc));
}

static uint16_t
describe_packed(struct ring_writer *ring, const struct guest_buffer *buffers,
		unsigned int nb_buffers, uint16_t direction, enum chain_form form, uint64_t table)
{
	uint16_t id = ring_take_desc(ring);
	unsigned int i;

	if (form == FORM_DIRECT) {
		for (i = 0; i < nb_buffers; i++) {
			bool last = i + 1 == nb_buffers;

			/* Only the last one's id counts. */
			ring_set_packed(ring, i, buffers[i].gpa, buffers[i].len,
					last ? id : (uint16_t)~id,
					direction | (last ? 0 : VRING_DESC_F_NEXT));
		}
		ring->slots[id] = (uint16_t)nb_buffers;
		return id;
	}
	assert_int_equal(form, FORM_INDIRECT);
	for (i = 0; i < nb_buffers; i++) {
		/* Id and flags other than the direction mean nothing here. */
		struct vring_packed_desc desc = { .addr = buffers[i].gpa,
			.len = buffers[i].len,
			.id = (uint16_t)~id,
			.flags = direction | (i % 2 ? VRING_DESC_F_NEXT : 0) };

		ram_write(ring->ram, table + i * sizeof(desc), &desc, sizeof(desc));
	}
	ring_set_packed(ring, 0, table, (uint32_t)(nb_buffers * sizeof(struct vring_packed_desc)),
			id, VRING_DESC_F_INDIRECT);
	ring->slots[id] = 1;
	return id;
}

uint16_t
ring_describe(struct ring_writer *ring, const struct guest_buffer *buffers, unsigned int nb_buffers,
		bool device_writes, enum chain_form form, uint64_t table)
{
	uint16_t direction = device_writes ? VRING_DESC_F_WRITE : 0;
	unsigned int nb_direct = form == FORM_DIRECT ? nb_buffers : form == FORM_MIXED ? 1 : 0;
	unsigned int nb_indirect = nb_buffers - nb_direct;
	uint16_t head, index;
	unsigned int i;

	if (ring->packed)
		return describe_packed(ring, buffers, nb_buffers, direction, form, table);
	head = index = ring_take_desc(ring);
	for (i = 0; i < nb_direct; i++) {
		bool last = i + 1 == nb_direct && nb_indirect == 0;
		uint16_t next = last ? 0 : ring_take_desc(ring);

		ring_set_desc(ring, index, buffers[i].gpa, buffers[i].len,
				direction | (last ? 0 : VRING_DESC_F_NEXT), next);
		index = next;
	}
	if (nb_indirect == 0)
		return head;
	for (i = 0; i < nb_indirect; i++) {
		/* Backwards, so that `next` matters. */
		unsigned int at = nb_indirect - 1 - i;
		uint64_t slot = table + (i == 0 ? 0 : at + 1) * sizeof(struct vring_desc);
		bool last = i + 1 == nb_indirect;
		struct vring_desc desc = make_desc(buffers[nb_direct + i].gpa,
				buffers[nb_direct + i].len,
				direction | (last ? 0 : VRING_DESC_F_NEXT),
				(uint16_t)(last ? 0 : at));

		ram_write(ring->ram, slot, &desc, sizeof(desc));
	}
	ring_set_desc(ring, index, table, (uint32_t)(nb_indirect * sizeof(struct vring_desc)),
			VRING_DESC_F_INDIRECT, 0);
	return head;
}

void
ring_add(struct ring_writer *ring, uint16_t head)
{
	if (ring->packed) {
		ring->next_avail = ring_step(ring, ring->next_avail, ring->slots[head]);
		return;
	}
	ram_write(ring->ram, ring->avail + 4 + (ring->next_avail & (ring->size - 1)) * 2U, &head,
			sizeof(head));
	ring->next_avail++;
}

void
ring_publish(struct ring_writer *ring)
{
	if (ring->packed) {
		if (ring->held == 0)
			return;
		/* Release: as below. */
		__atomic_store_n((uint16_t *)ram_host(ring->ram, ring->held), ring->held_flags,
				__ATOMIC_RELEASE);
		ring->held = 0;
		return;
	}
	/* Release: what describes the buffers is seen by who sees the index. */
	__atomic_store_n((uint16_t *)ram_host(ring->ram, ring->avail + 2), ring->next_avail,
			__ATOMIC_RELEASE);
	ram_write(ring->ram, ring->avail + 2, &ring->next_avail, sizeof(ring->next_avail));
}

void
ring_take_back(struct ring_writer *ring, uint16_t position)
{
	if (ring->packed) {
		while (position != ring->next_avail) {
			uint16_t flags;

			ring->next_avail = ring_step(ring, ring->next_avail, -1);
			flags = old_flags(ring->next_avail);
			ram_write(ring->ram, ring_used_entry(ring, ring->next_avail) + 14, &flags,
					sizeof(flags));
		}
		return;
	}
	ring->next_avail = position;
	ring_publish(ring);
}

/* Whether the descriptor at a position is used; `entry` receives what it says. */
static bool
is_used(struct ring_writer *ring, uint16_t position, struct vring_used_elem *entry)
{
	uint64_t at = ring_used_entry(ring, position);
	struct vring_packed_desc desc;
	/* Acquire: what the flags show is written by then. */
	uint16_t flags = __atomic_load_n((uint16_t *)ram_host(ring->ram, at + 14),
			__ATOMIC_ACQUIRE);

	if ((flags & (F_AVAIL | F_USED)) != (position & WRAP ? F_AVAIL | F_USED : 0))
		return false;
	ram_read(ring->ram, at, &desc, sizeof(desc));
	entry->id = desc.id;
	entry->len = desc.len;
	return true;
}

uint16_t
ring_used_index(struct ring_writer *ring)
{
	uint16_t position = ring->next_used;
	struct vring_used_elem entry;

	if (ring->packed) {
		while (position != ring->next_avail && is_used(ring, position, &entry))
			position = ring_step(ring, position, ring->slots[entry.id]);
		return position;
	}
	return __atomic_load_n((uint16_t *)ram_host(ring->ram, ring->used + 2), __ATOMIC_ACQUIRE);
}

uint64_t
ring_used_entry(const struct ring_writer *ring, uint16_t index)
{
	if (ring->packed)
		return ring->desc + ring_slot(ring, index) * sizeof(struct vring_packed_desc);
	return ring->used + 4 + (index & (ring->size - 1)) * sizeof(struct vring_used_elem);
}

bool
ring_take_used(struct ring_writer *ring, struct vring_used_elem *entry)
{
	if (ring->packed) {
		if (ring->next_used == ring->next_avail || !is_used(ring, ring->next_used, entry))
			return false;
		assert_true(entry->id < ring->size);
		ring->next_used = ring_step(ring, ring->next_used, ring->slots[entry->id]);
		return true;
	}
	if (ring_used_index(ring) == ring->next_used)
		return false;
	ram_read(ring->ram, ring_used_entry(ring, ring->next_used), entry, sizeof(*entry));
	ring->next_used++;
	return true;
}

void
ring_set_avail_flags(struct ring_writer *ring, uint16_t flags)
{
	ram_write(ring->ram, ring->avail + (ring->packed ? 2 : 0), &flags, sizeof(flags));
}

void
ring_set_used_event(struct ring_writer *ring, uint16_t index)
{
	if (ring->packed) {
		ram_write(ring->ram, ring->avail, &index, sizeof(index));
		ring_set_avail_flags(ring, VRING_PACKED_EVENT_FLAG_DESC);
		return;
	}
	ram_write(ring->ram, ring->avail + 4 + ring->size * 2U, &index, sizeof(index));
}

/* By the event area's flags or, step by step, by the place that it names. */
static bool
packed_wants_kick(struct ring_writer *ring, uint16_t old, uint16_t flags)
{
	uint16_t place;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	ram_read(ring->ram, ring->used, &place, sizeof(place));
	for (; old != ring->next_avail; old = ring_step(ring, old, 1))
		if (old == place)
			return true;
	return false;
}

bool
ring_wants_kick(struct ring_writer *ring, uint16_t old, bool event_idx)
{
	const uint64_t word = ring->packed ? 2 : event_idx ? 4 + (uint64_t)ring->size * 8 : 0;
	const uint16_t *wish = ram_host(ring->ram, ring->used + word);
	uint16_t value;

	/* Full fence: the index is there before we look whether it is waited for. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	value = __atomic_load_n(wish, __ATOMIC_RELAXED);
	if (ring->packed)
		return packed_wants_kick(ring, old, value);
	if (event_idx)
		return vring_need_event(value, ring->next_avail, old);
	return !(value & VRING_USED_F_NO_NOTIFY);
}
