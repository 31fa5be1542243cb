/* SPDX-License-Identifier: BSD-3-Clause */
#include "numbering.h"

static uint8_t *
number_of(const struct guest_queue *q, uint64_t buffer)
{
	return q->ram->source + guest_ram_offset(q->ram, BUFFER_GPA(buffer)) + NET_HEADER_LEN +
			NUMBER_AT;
}

/* The last n of the pool, oldest first. */
static void
last_of_pool(struct guest_numbering *g, unsigned int n)
{
	const struct buffer_pool *p = &g->queue->pool;
	uint32_t at = (p->put + p->size - n) % p->size;
	uint64_t number;
	uint8_t *place;

	for (; n > 0; n--) {
		place = number_of(g->queue, p->fifo[at]);
		if (g->queue->tx) {
			memcpy(place, &g->next, sizeof(g->next));
			g->next++;
		} else {
			memcpy(&number, place, sizeof(number));
			number_seen(&g->seen, number);
		}
		if (++at == p->size)
			at = 0;
	}
}

void
guest_numbering_start(struct guest_numbering *g, struct guest_queue *queue)
{
	*g = (struct guest_numbering){ .queue = queue };
	if (queue->tx)
		last_of_pool(g, queue->pool.size);
}

void
guest_numbering_returned(void *numbering, unsigned int n)
{
	last_of_pool(numbering, n);
}
