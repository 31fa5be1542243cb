/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One virtqueue as the guest's driver sees it. A poll takes what the back-end
 * returned, checks it, and posts as many buffers anew: a receive queue is always
 * full of empty buffers, a transmit queue always full of packets.
 */
#ifndef GUEST_QUEUE_H
#define GUEST_QUEUE_H

#include "ring.h"

/* Lays the ring out in RAM and prepares the queue; the pool is there already. */
int guest_queue_create(struct guest_queue *q, unsigned int index, struct guest_ram *ram,
		const struct ring_config *ring, const struct buffer_config *buffers);
/* With its pool; also where its creation failed. */
void guest_queue_destroy(struct guest_queue *q);
/* Bytes of RAM that a ring takes. */
uint64_t guest_queue_need(const struct ring_config *ring);

/* Posts a full ring of buffers. */
void guest_queue_fill(struct guest_queue *q);
/* Takes used entries and posts as many buffers; how many. stats: where they are counted. */
unsigned int guest_queue_poll(struct guest_queue *q, unsigned int stats);
/* Used entries that no poll has taken yet. */
unsigned int guest_queue_pending(const struct guest_queue *q);
/* Notes as the guest's writes the pages that the driver wrote since the last call. */
void guest_queue_take_ring_writes(struct guest_queue *q);
/* Overwrites all receive buffers that the back-end has; it must not use the ring meanwhile. */
void guest_queue_poison_posted(struct guest_queue *q);
/* SET_VRING_BASE's value for a fresh ring, and what GET_VRING_BASE must say. */
uint32_t guest_queue_first_base(const struct guest_queue *q);
uint32_t guest_queue_expected_base(const struct guest_queue *q);
/* Which kind of page this is for the queue: a word for people, or NULL. */
const char *guest_queue_page_kind(const struct guest_queue *q, uint64_t gpa_page);

#endif
