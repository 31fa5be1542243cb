/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed virtqueues, driver side. */
#include <stddef.h>

#include "ring_packed.h"

#define EVENT_F_DISABLE 1u

static inline uint64_t
desc_rest(uint32_t len, uint16_t id, uint16_t flags)
{
	return len | (uint64_t)id << 32 | (uint64_t)flags << 48;
}

static inline bool
is_used(const struct guest_queue *q, uint64_t rest)
{
	bool avail = (rest >> 48 & PACKED_F_AVAIL) != 0;
	bool used = (rest >> 48 & PACKED_F_USED) != 0;

	return avail == used && used == q->used_wrap;
}

/* Posts a buffer under an id at the next position. */
static inline void
post(struct guest_queue *q, uint16_t id, uint64_t buffer)
{
	struct packed_desc *d = &q->ring[q->avail_idx], *table = q->tables;
	uint16_t owner = (uint16_t)(q->avail_wrap ? PACKED_F_AVAIL : PACKED_F_USED);
	uint16_t flags = q->tx ? 0 : DESC_F_WRITE;
	uint64_t gpa = BUFFER_GPA(buffer);
	uint32_t len = BUFFER_LEN(buffer);

	q->slot[id] = buffer;
	if (table != NULL) {
		table += TABLE_DESCS * id;
		table[0] = (struct packed_desc){ gpa, desc_rest(NET_HEADER_LEN, 0, flags) };
		table[1] = (struct packed_desc){ gpa + NET_HEADER_LEN,
			desc_rest(len - NET_HEADER_LEN, 0, flags) };
		gpa = guest_ram_gpa(q->ram, q->tables_offset + TABLE_BYTES * id);
		len = TABLE_BYTES;
		flags = DESC_F_INDIRECT;
	}
	d->addr = gpa;
	__atomic_store_n(&d->rest, desc_rest(len, id, flags | owner), __ATOMIC_RELEASE);
	if (++q->avail_idx == q->size) {
		q->avail_idx = 0;
		q->avail_wrap = !q->avail_wrap;
	}
}

static void
kick_if_wanted(struct guest_queue *q)
{
	ring_note_written(q);
	/*
	 * The store of the last descriptor comes before the load of the back-end's flags. The
	 * back-end allows kicks and then looks at the ring: one of both sees the other's store.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->device_event->flags, __ATOMIC_RELAXED) != EVENT_F_DISABLE)
		ring_kick(q);
}

void
packed_fill(struct guest_queue *q)
{
	uint16_t id;

	q->driver_event->flags = EVENT_F_DISABLE;
	for (id = 0; id < q->size; id++)
		post(q, id, buffer_get(&q->pool));
	kick_if_wanted(q);
}

/* How many ids an id lies behind the expected one: ids go round like positions. */
static inline unsigned int
in_order_batch(const struct guest_queue *q, unsigned int at, uint16_t id)
{
	return (id >= at ? 0u : q->size) + id - at + 1u;
}

unsigned int
packed_pending(const struct guest_queue *q)
{
	unsigned int n = q->batch_left, at = q->used_idx + q->batch_left, step = 1;
	bool wrap = q->used_wrap;
	uint64_t rest, flags;

	if (at >= q->size) {
		at -= q->size;
		wrap = !wrap;
	}
	while (n < q->size) {
		rest = __atomic_load_n(&q->ring[at].rest, __ATOMIC_ACQUIRE);
		flags = rest >> 48;
		if (((flags & PACKED_F_AVAIL) != 0) != wrap ||
				((flags & PACKED_F_USED) != 0) != wrap)
			break;
		if (q->in_order)
			step = in_order_batch(q, at, (uint16_t)(rest >> 32));
		n += step;
		at += step;
		if (at >= q->size) {
			at -= q->size;
			wrap = !wrap;
		}
	}
	return n;
}

/* The id in a used descriptor, if the back-end can have meant it, or -1. */
static inline int
used_id(struct guest_queue *q, uint64_t rest)
{
	uint16_t id = (uint16_t)(rest >> 32);

	if (id < q->size && q->slot[id] != 0)
		return id;
	ring_violation(q, "used descriptor with id %u, which was never posted", id);
	return -1;
}

/* What one poll took out of the ring, to be posted anew at its end. */
struct taken {
	unsigned int n;
	uint16_t ids[POLL_BATCH];
	uint64_t buffers[POLL_BATCH];
};

/* Takes one buffer back. False: it made no sense. */
static inline bool
take(struct guest_queue *q, uint16_t id, uint32_t len, struct taken *taken,
		struct queue_stats *stats)
{
	uint64_t buffer = q->slot[id];

	/* Until it is posted anew it may not be returned again. */
	q->slot[id] = 0;
	if (q->tx) {
		ring_sent(buffer, stats);
	} else if (!ring_received(q, buffer, len, stats)) {
		ring_violation(q, "used descriptor with id %u and length %u, the buffer has %u", id,
				len, q->buf_len);
		return false;
	}
	if (++q->used_idx == q->size) {
		q->used_idx = 0;
		q->used_wrap = !q->used_wrap;
	}
	taken->ids[taken->n] = id;
	taken->buffers[taken->n++] = buffer;
	return true;
}

/*
 * In order, ids go round like positions. One used descriptor may stand for a
 * whole batch: it then carries the id of the last.
 */
static inline bool
take_in_order(struct guest_queue *q, uint16_t id, uint32_t len, struct taken *taken,
		struct queue_stats *stats)
{
	if (q->batch_left == 0)
		q->batch_left = (uint16_t)in_order_batch(q, q->used_idx, id);
	if (q->batch_left > 1 && !q->tx) {
		ring_violation(q, "used descriptor with id %u, in order it would be %u", id,
				q->used_idx);
		return false;
	}
	/* What does not fit is left to the next poll. */
	for (; q->batch_left > 0 && taken->n < POLL_BATCH; q->batch_left--) {
		/* The position is the id: buffers are used in the order of their posting. */
		if (q->slot[q->used_idx] == 0) {
			ring_violation(q,
					"used descriptor with id %u stands for more than was posted",
					id);
			return false;
		}
		if (!take(q, q->used_idx, len, taken, stats))
			return false;
	}
	return true;
}

/* All but a few descriptors of the ring are used: the back-end has next to nothing left. */
static bool
starved(const struct guest_queue *q)
{
	unsigned int far = q->used_idx + q->size - 33u;
	bool wrap = far >= q->size ? !q->used_wrap : q->used_wrap;
	uint64_t flags = __atomic_load_n(&q->ring[far % q->size].rest, __ATOMIC_RELAXED) >> 48;

	return q->size > 64 && ((flags & PACKED_F_AVAIL) != 0) == wrap &&
			((flags & PACKED_F_USED) != 0) == wrap;
}

unsigned int
packed_poll(struct guest_queue *q, struct queue_stats *stats)
{
	const unsigned int limit = q->size < POLL_BATCH ? q->size : POLL_BATCH;
	const uint16_t first = q->used_idx;
	uint16_t last = first;
	struct taken taken;
	unsigned int i;
	uint64_t rest;
	bool good;
	int id;

	if (q->batch_left == 0 &&
			!is_used(q, __atomic_load_n(&q->ring[first].rest, __ATOMIC_ACQUIRE)))
		return 0;
	if (starved(q))
		stats->starved++;
	taken.n = 0;
	if (q->batch_left > 0 && !take_in_order(q, 0, 0, &taken, stats))
		return 0;
	while (taken.n < limit) {
		rest = __atomic_load_n(&q->ring[q->used_idx].rest, __ATOMIC_ACQUIRE);
		if (!is_used(q, rest))
			break;
		id = used_id(q, rest);
		if (id < 0)
			return 0;
		last = q->used_idx;
		if (q->in_order)
			good = take_in_order(q, (uint16_t)id, (uint32_t)rest, &taken, stats);
		else
			good = take(q, (uint16_t)id, (uint32_t)rest, &taken, stats);
		if (!good)
			return 0;
	}
	ring_see_page(q, q->ring_page + (first * sizeof(struct packed_desc) >> PAGE_SHIFT));
	ring_see_page(q, q->ring_page + (last * sizeof(struct packed_desc) >> PAGE_SHIFT));
	for (i = 0; i < taken.n; i++)
		post(q, taken.ids[i], ring_next_buffer(q, taken.buffers[i]));
	kick_if_wanted(q);
	return taken.n;
}
