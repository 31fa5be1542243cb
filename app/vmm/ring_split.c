/* SPDX-License-Identifier: BSD-3-Clause */
/* Split virtqueues, driver side. */
#include <stddef.h>

#include "ring_split.h"

#define USED_F_NO_NOTIFY 1u
#define AVAIL_F_NO_INTERRUPT 1u
#define USED_RING_OFFSET 4u

/* Makes the new available entries visible, and wakes a back-end that sleeps. */
static void
publish(struct guest_queue *q)
{
	__atomic_store_n(&q->avail->idx, q->avail_idx, __ATOMIC_RELEASE);
	ring_note_written(q);
	/*
	 * The store of the index comes before the load of the back-end's flags. The back-end
	 * allows kicks and then looks at the index: one of both sees the other's store.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & USED_F_NO_NOTIFY) == 0)
		ring_kick(q);
}

static void
write_desc(struct guest_queue *q, uint32_t id, uint64_t buffer)
{
	const uint16_t flags = q->tx ? 0 : DESC_F_WRITE;
	struct split_desc *table = q->tables;

	q->slot[id] = buffer;
	if (table == NULL) {
		q->desc[id] = (struct split_desc){ BUFFER_GPA(buffer), BUFFER_LEN(buffer), flags,
			0 };
		return;
	}
	table += TABLE_DESCS * id;
	table[0] = (struct split_desc){ BUFFER_GPA(buffer), NET_HEADER_LEN, flags | DESC_F_NEXT,
		1 };
	table[1] = (struct split_desc){ BUFFER_GPA(buffer) + NET_HEADER_LEN,
		BUFFER_LEN(buffer) - NET_HEADER_LEN, flags, 0 };
	q->desc[id] = (struct split_desc){
		guest_ram_gpa(q->ram, q->tables_offset + TABLE_BYTES * id), TABLE_BYTES,
		DESC_F_INDIRECT, 0
	};
}

void
split_fill(struct guest_queue *q)
{
	uint32_t id;

	q->avail->flags = AVAIL_F_NO_INTERRUPT;
	for (id = 0; id < q->size; id++) {
		write_desc(q, id, buffer_get(&q->pool));
		q->avail->ring[id] = (uint16_t)id;
	}
	q->avail_idx = q->size;
	publish(q);
}

unsigned int
split_pending(const struct guest_queue *q)
{
	return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->used_idx);
}

/* The pages of the used ring that hold n entries from the current one on, and the index. */
static void
see_used_ring(struct guest_queue *q, unsigned int n)
{
	unsigned int first = q->used_idx & (q->size - 1u);
	unsigned int last = (first + n - 1u) & (q->size - 1u);

	ring_see_page(q, q->device_page);
	ring_see_page(q,
			q->device_page +
					((USED_RING_OFFSET +
							 first * sizeof(struct split_used_elem)) >>
							PAGE_SHIFT));
	ring_see_page(q,
			q->device_page +
					((USED_RING_OFFSET +
							 last * sizeof(struct split_used_elem)) >>
							PAGE_SHIFT));
}

/* The id in a used entry, if the back-end can have meant it, or -1. */
static inline int
used_id(struct guest_queue *q, const struct split_used_elem *e, uint16_t used_idx)
{
	const uint16_t mask = (uint16_t)(q->size - 1);
	uint16_t expected = q->avail->ring[used_idx & mask];

	if (q->in_order) {
		/* Of a batch sent in order the back-end may leave out all entries but one. */
		if (q->tx || e->id == expected)
			return expected;
		ring_violation(q, "used entry of descriptor %u, in order it would be %u", e->id,
				expected);
		return -1;
	}
	if (e->id >= q->size || q->slot[e->id] == 0) {
		ring_violation(q, "used entry of descriptor %u, which was never posted", e->id);
		return -1;
	}
	return (int)e->id;
}

unsigned int
split_poll(struct guest_queue *q, struct queue_stats *stats)
{
	const uint16_t mask = (uint16_t)(q->size - 1);
	unsigned int i, n = split_pending(q);
	uint16_t ids[POLL_BATCH];
	uint64_t buffers[POLL_BATCH], next;
	int id;

	if (n == 0)
		return 0;
	if (n > q->size) {
		ring_violation(q, "the used index went %u entries ahead, only %u were posted", n,
				q->size);
		return 0;
	}
	if (n + 32 >= q->size)
		stats->starved++;
	if (n > POLL_BATCH)
		n = POLL_BATCH;
	see_used_ring(q, n);
	for (i = 0; i < n; i++) {
		const struct split_used_elem *e =
				&q->used->ring[(uint16_t)(q->used_idx + i) & mask];

		id = used_id(q, e, (uint16_t)(q->used_idx + i));
		if (id < 0)
			return 0;
		ids[i] = (uint16_t)id;
		buffers[i] = q->slot[id];
		/* Until it is posted anew it may not be returned again. */
		q->slot[id] = 0;
		if (q->tx) {
			ring_sent(buffers[i], stats);
		} else if (!ring_received(q, buffers[i], e->len, stats)) {
			ring_violation(q,
					"used entry of descriptor %d with length %u, the buffer has %u",
					id, e->len, q->buf_len);
			return 0;
		}
	}
	for (i = 0; i < n; i++) {
		uint16_t *avail = &q->avail->ring[(uint16_t)(q->avail_idx + i) & mask];

		next = ring_next_buffer(q, buffers[i]);
		if (next != buffers[i])
			write_desc(q, ids[i], next);
		else
			q->slot[ids[i]] = next;
		/* An entry that is right already is not written: its line stays with the back-end. */
		if (*avail != ids[i])
			*avail = ids[i];
	}
	q->used_idx = (uint16_t)(q->used_idx + n);
	q->avail_idx = (uint16_t)(q->avail_idx + n);
	publish(q);
	return n;
}
