/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ring_writer.h"

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

void
ring_init(struct ring_writer *ring, struct guest_ram *ram, uint64_t gpa, uint16_t size,
		uint16_t start)
{
	memset(ring, 0, sizeof(*ring));
	ring->ram = ram;
	ring->size = size;
	ring->desc = gpa;
	ring->avail = gpa + ring_desc_len(size);
	ring->used = gpa + whole_pages(ring_desc_len(size) + ring_avail_len(size));
	ring->next_avail = start;
	ring->next_used = start;
	ring_publish(ring);
	ram_write(ram, ring->used + 2, &start, sizeof(start));
}

uint16_t
ring_take_desc(struct ring_writer *ring)
{
	/* An odd factor makes a permutation of the indices of a power of two. */
	return (uint16_t)((ring->next_desc++ * 5U + 3) & (ring->size - 1U));
}

static struct vring_desc
make_desc(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	return (struct vring_desc){ .addr = addr, .len = len, .flags = flags, .next = next };
}

void
ring_set_desc(struct ring_writer *ring, uint16_t index, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next)
{
	struct vring_desc desc = make_desc(addr, len, flags, next);

	ram_write(ring->ram, ring->desc + index * sizeof(desc), &desc, sizeof(desc));
}

uint16_t
ring_describe(struct ring_writer *ring, const struct guest_buffer *buffers,
		unsigned int nb_buffers, bool device_writes, enum chain_form form, uint64_t table)
{
	uint16_t direction = device_writes ? VRING_DESC_F_WRITE : 0;
	unsigned int nb_direct = form == FORM_DIRECT ? nb_buffers : form == FORM_MIXED ? 1 : 0;
	unsigned int nb_indirect = nb_buffers - nb_direct;
	uint16_t head = ring_take_desc(ring), index = head;
	unsigned int i;

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
	ring_set_desc(ring, index, table,
			(uint32_t)(nb_indirect * sizeof(struct vring_desc)),
			VRING_DESC_F_INDIRECT, 0);
	return head;
}

void
ring_add(struct ring_writer *ring, uint16_t head)
{
	ram_write(ring->ram, ring->avail + 4 + (ring->next_avail & (ring->size - 1)) * 2U,
			&head, sizeof(head));
	ring->next_avail++;
}

void
ring_publish(struct ring_writer *ring)
{
	/* Release: what describes the buffers is seen by who sees the index. */
	__atomic_store_n((uint16_t *)ram_host(ring->ram, ring->avail + 2), ring->next_avail,
			__ATOMIC_RELEASE);
	ram_write(ring->ram, ring->avail + 2, &ring->next_avail, sizeof(ring->next_avail));
}

uint16_t
ring_used_index(struct ring_writer *ring)
{
	return __atomic_load_n((uint16_t *)ram_host(ring->ram, ring->used + 2),
			__ATOMIC_ACQUIRE);
}

uint64_t
ring_used_entry(const struct ring_writer *ring, uint16_t index)
{
	return ring->used + 4 + (index & (ring->size - 1)) * sizeof(struct vring_used_elem);
}

bool
ring_take_used(struct ring_writer *ring, struct vring_used_elem *entry)
{
	if (ring_used_index(ring) == ring->next_used)
		return false;
	ram_read(ring->ram, ring_used_entry(ring, ring->next_used), entry, sizeof(*entry));
	ring->next_used++;
	return true;
}

void
ring_set_avail_flags(struct ring_writer *ring, uint16_t flags)
{
	ram_write(ring->ram, ring->avail, &flags, sizeof(flags));
}

void
ring_set_used_event(struct ring_writer *ring, uint16_t index)
{
	ram_write(ring->ram, ring->avail + 4 + ring->size * 2U, &index, sizeof(index));
}

bool
ring_wants_kick(struct ring_writer *ring, uint16_t old, bool event_idx)
{
	const uint64_t word = event_idx ? 4 + (uint64_t)ring->size * 8 : 0;
	const uint16_t *wish = ram_host(ring->ram, ring->used + word);
	uint16_t value;

	/* Full fence: the index is there before we look whether it is waited for. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	value = __atomic_load_n(wish, __ATOMIC_RELAXED);
	if (event_idx)
		return vring_need_event(value, ring->next_avail, old);
	return !(value & VRING_USED_F_NO_NOTIFY);
}
