/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each packet carries its number: whoever takes it knows what was lost before it,
 * and what came twice.
 */
#ifndef NUMBERING_H
#define NUMBERING_H

#include <stdint.h>
#include <string.h>

#include "guest_queue.h"

#define NUMBER_AT 48u /* in the packet: behind all headers */
#define NUMBERED_SIZE 64u
/* A number is looked for in buffers that came back, which lie in the queue's pool until
 * as many others were posted. Twice what a poll can take. */
#define NUMBERING_SPARE (2 * POLL_BATCH)

struct numbers_seen {
	uint64_t next; /* the number that is expected */
	uint64_t packets;
	uint64_t lost;     /* numbers that were left out */
	uint64_t repeated; /* numbers that came twice, or too late */
};

static inline void
number_seen(struct numbers_seen *s, uint64_t number)
{
	s->packets++;
	if (__builtin_expect(number == s->next, 1)) {
		s->next++;
	} else if (number > s->next) {
		s->lost += number - s->next;
		s->next = number + 1;
	} else {
		s->repeated++;
	}
}

/* The guest's side of a queue that has NUMBERING_SPARE more buffers than descriptors. */
struct guest_numbering {
	struct guest_queue *queue;
	struct numbers_seen seen; /* receive queue */
	uint64_t next;            /* transmit queue: the next packet's */
};

/* Before the rings are filled: the packets in the pool get their numbers. */
void guest_numbering_start(struct guest_numbering *g, struct guest_queue *queue);
/* n buffers came back: they are read, or get the numbers with which they will be sent next. */
void guest_numbering_returned(void *numbering, unsigned int n);

#endif
