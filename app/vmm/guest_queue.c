/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cycles.h"
#include "guest_queue.h"
#include "ring_packed.h"
#include "ring_split.h"

static uint64_t
pages(uint64_t bytes)
{
	return (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

static void
set_area_sizes(struct guest_queue *q, const struct ring_config *ring)
{
	q->desc_bytes = 16ull * ring->size;
	q->driver_bytes = ring->packed ? 4 : 4 + 2ull * ring->size;
	q->device_bytes = ring->packed ? 4 : 4 + 8ull * ring->size;
	q->tables_bytes = ring->tables ? 1ull * TABLE_BYTES * ring->size : 0;
}

uint64_t
guest_queue_need(const struct ring_config *ring)
{
	struct guest_queue q;

	set_area_sizes(&q, ring);
	return (pages(q.desc_bytes) + pages(q.driver_bytes) + pages(q.device_bytes) +
			       pages(q.tables_bytes)) *
			PAGE_SIZE;
}

int
guest_queue_create(struct guest_queue *q, unsigned int index, struct guest_ram *ram,
		const struct ring_config *ring, const struct buffer_config *buffers)
{
	unsigned int i;

	q->kick_fd = q->call_fd = -1;
	q->index = index;
	q->tx = index % 2 == 1;
	q->packed = ring->packed;
	q->in_order = ring->in_order;
	q->mergeable = ring->mergeable;
	q->may_be_empty = ring->may_be_empty;
	q->size = (uint16_t)ring->size;
	q->buf_len = buffers->size;
	q->cycle = buffers->n > ring->size;
	q->ram = ram;
	q->avail_wrap = q->used_wrap = true;
	q->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	q->call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (q->kick_fd < 0 || q->call_fd < 0) {
		warn("eventfd");
		return -errno;
	}
	set_area_sizes(q, ring);
	/* Each area has pages of its own: the guest's writes to one must not hide a lost mark in another. */
	q->desc_offset = guest_ram_alloc(ram, q->desc_bytes, PAGE_SIZE);
	q->driver_offset = guest_ram_alloc(ram, q->driver_bytes, PAGE_SIZE);
	q->device_offset = guest_ram_alloc(ram, q->device_bytes, PAGE_SIZE);
	if (ring->tables)
		q->tables_offset = guest_ram_alloc(ram, q->tables_bytes, PAGE_SIZE);
	if (q->desc_offset == 0 || q->driver_offset == 0 || q->device_offset == 0 ||
			(ring->tables && q->tables_offset == 0)) {
		warnx("guest memory has no room for the rings");
		return -ENOMEM;
	}
	q->device_page = guest_ram_gpa(ram, q->device_offset) >> PAGE_SHIFT;
	q->ring_page = guest_ram_gpa(ram, q->desc_offset) >> PAGE_SHIFT;
	q->desc = (void *)(ram->source + q->desc_offset);
	q->avail = (void *)(ram->source + q->driver_offset);
	q->used = (void *)(ram->source + q->device_offset);
	q->ring = (void *)(ram->source + q->desc_offset);
	q->driver_event = (void *)(ram->source + q->driver_offset);
	q->device_event = (void *)(ram->source + q->device_offset);

	q->tables = ring->tables ? ram->source + q->tables_offset : NULL;

	q->slot = calloc(q->size, sizeof(*q->slot));
	q->stats = calloc(ring->n_stats, sizeof(*q->stats));
	for (i = 0; i < SEEN_SETS; i++)
		q->seen[i] = calloc(pages(guest_ram_gpa_pages(ram, ram->n_regions) / 8 + 8),
				PAGE_SIZE);
	q->seen_now = q->seen[0];
	if (q->slot == NULL || q->stats == NULL || q->seen[0] == NULL || q->seen[1] == NULL ||
			q->seen[2] == NULL) {
		warn("queue %u", index);
		return -ENOMEM;
	}
	return 0;
}

void
guest_queue_destroy(struct guest_queue *q)
{
	unsigned int i;

	if (q->kick_fd >= 0)
		close(q->kick_fd);
	if (q->call_fd >= 0)
		close(q->call_fd);
	for (i = 0; i < SEEN_SETS; i++)
		free(q->seen[i]);
	free(q->slot);
	free(q->stats);
	free(q->pool.fifo);
	*q = (struct guest_queue){ .kick_fd = -1, .call_fd = -1 };
}

void
guest_queue_fill(struct guest_queue *q)
{
	if (q->packed)
		packed_fill(q);
	else
		split_fill(q);
	q->last_work = cycles();
}

unsigned int
guest_queue_poll(struct guest_queue *q, unsigned int stats)
{
	struct queue_stats *s = &q->stats[stats];
	uint64_t packets = s->packets, bytes = s->bytes;
	unsigned int n;

	if (q->broken)
		return 0;
	n = q->packed ? packed_poll(q, s) : split_poll(q, s);
	if (n > 0) {
		s->works++;
		__atomic_store_n(&q->packets, q->packets + (s->packets - packets),
				__ATOMIC_RELAXED);
		__atomic_store_n(&q->bytes, q->bytes + (s->bytes - bytes), __ATOMIC_RELAXED);
	}
	return n;
}

unsigned int
guest_queue_pending(const struct guest_queue *q)
{
	return q->packed ? packed_pending(q) : split_pending(q);
}

static void
note_guest_wrote(struct guest_queue *q, uint64_t offset, uint64_t bytes)
{
	uint64_t page = guest_ram_gpa(q->ram, offset) >> PAGE_SHIFT, n;

	for (n = pages(bytes); n > 0; n--, page++)
		__atomic_fetch_or(&q->guest_wrote[page / 64], 1ull << page % 64, __ATOMIC_SEQ_CST);
}

void
guest_queue_take_ring_writes(struct guest_queue *q)
{
	if (__atomic_exchange_n(&q->wrote_ring, 0, __ATOMIC_SEQ_CST) == 0)
		return;
	note_guest_wrote(q, q->desc_offset, q->desc_bytes);
	note_guest_wrote(q, q->driver_offset, q->driver_bytes);
	if (q->tables != NULL)
		note_guest_wrote(q, q->tables_offset, q->tables_bytes);
}

void
guest_queue_poison_posted(struct guest_queue *q)
{
	uint32_t id;

	if (q->tx || !q->active)
		return;
	for (id = 0; id < q->size; id++)
		if (q->slot[id] != 0)
			ring_poison(q, q->slot[id]);
}

uint32_t
guest_queue_first_base(const struct guest_queue *q)
{
	/* Packed: position and wrap counter of both sides, as QEMU sends them. */
	return q->packed ? 0x80008000u : 0;
}

uint32_t
guest_queue_expected_base(const struct guest_queue *q)
{
	unsigned int at, pending;
	bool wrap;

	if (!q->packed)
		return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
	if (!q->active)
		return 0x8000;
	pending = packed_pending(q);
	at = q->used_idx + pending;
	wrap = q->used_wrap;
	if (at >= q->size) {
		at -= q->size;
		wrap = !wrap;
	}
	return at | (wrap ? 0x8000u : 0);
}

const char *
guest_queue_page_kind(const struct guest_queue *q, uint64_t gpa_page)
{
	uint64_t offset = guest_ram_offset(q->ram, gpa_page << PAGE_SHIFT);

	if (offset - q->desc_offset < pages(q->desc_bytes) * PAGE_SIZE)
		return q->packed ? "descriptor ring" : "descriptors";
	if (offset - q->driver_offset < pages(q->driver_bytes) * PAGE_SIZE)
		return q->packed ? "driver events" : "available ring";
	if (offset - q->device_offset < pages(q->device_bytes) * PAGE_SIZE)
		return q->packed ? "device events" : "used ring";
	return NULL;
}
