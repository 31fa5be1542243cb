/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"

/* Notes the owner of a buffer's pages: ring index + 1, by page of RAM. */
static void
note_buffer(uint16_t *owner, const struct guest_queue *q, uint64_t buffer)
{
	uint64_t offset, page;

	if (buffer == 0)
		return;
	offset = guest_ram_offset(q->ram, BUFFER_GPA(buffer));
	for (page = offset / PAGE_SIZE; page <= (offset + BUFFER_LEN(buffer) - 1) / PAGE_SIZE;
			page++)
		owner[page] = (uint16_t)(q->index + 1);
}

static void
note_buffers(uint16_t *owner, const struct guest_queue *q)
{
	uint32_t i;

	if (!q->active)
		return;
	for (i = 0; i < q->size; i++)
		note_buffer(owner, q, q->slot[i]);
	for (i = 0; i < q->pool.size; i++)
		note_buffer(owner, q, q->pool.fifo[i]);
}

/* Says in words what a page is, and counts it as such. */
static void
describe(const struct guest_queue *queues, unsigned int n, uint64_t gpa, uint16_t owner,
		struct results *r, char *what, size_t room)
{
	const char *kind;
	unsigned int i;

	for (i = 0; i < n; i++) {
		kind = guest_queue_page_kind(&queues[i], gpa >> PAGE_SHIFT);
		if (kind == NULL)
			continue;
		r->differing_rings++;
		snprintf(what, room, "%s of ring %u", kind, i);
		return;
	}
	if (owner != 0) {
		r->differing_buffers++;
		snprintf(what, room, "buffer of ring %u", owner - 1);
	} else {
		r->differing_other++;
		snprintf(what, room, "neither ring nor buffer");
	}
}

int
oracle_compare(const struct guest_ram *ram, const struct guest_queue *queues, unsigned int n_queues,
		struct results *r)
{
	uint16_t *owner = calloc(ram->size / PAGE_SIZE, sizeof(*owner));
	struct difference unnamed, *d;
	uint64_t offset;
	unsigned int i;

	if (owner == NULL) {
		warn("comparing memory");
		return -ENOMEM;
	}
	for (i = 0; i < n_queues; i++)
		note_buffers(owner, &queues[i]);
	for (offset = 0; offset < ram->size; offset += PAGE_SIZE) {
		r->pages_compared++;
		if (memcmp(ram->source + offset, ram->destination + offset, PAGE_SIZE) == 0)
			continue;
		r->differing++;
		d = r->n_differences < MAX_DIFFERENCES ? &r->differences[r->n_differences++] :
							 &unnamed;
		d->gpa = guest_ram_gpa(ram, offset);
		describe(queues, n_queues, d->gpa, owner[offset / PAGE_SIZE], r, d->what,
				sizeof(d->what));
	}
	free(owner);
	return 0;
}
