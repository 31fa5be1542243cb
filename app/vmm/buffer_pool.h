/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffers of one virtqueue: where they lie in guest RAM, and which of them
 * the back-end does not have at the moment, first in first out.
 */
#ifndef BUFFER_POOL_H
#define BUFFER_POOL_H

#include <stdint.h>

#include "guest_ram.h"

/* Each buffer begins with the header of virtio-net; what follows is the packet. */
#define NET_HEADER_LEN 12u

/* A buffer in one word: its guest address, and how long it is. 0 is no buffer. */
#define BUFFER_LEN_SHIFT 47
#define BUFFER(gpa, len) ((uint64_t)(gpa) | (uint64_t)(len) << BUFFER_LEN_SHIFT)
#define BUFFER_GPA(b) ((b) & ((1ull << BUFFER_LEN_SHIFT) - 1))
#define BUFFER_LEN(b) ((uint32_t)((b) >> BUFFER_LEN_SHIFT))

enum buffer_order { ORDER_SEQUENTIAL, ORDER_RANDOM };

#define IMIX 0 /* a packet_size: small, middle and large ones, mixed */

struct buffer_config {
	unsigned int n; /* per virtqueue, at least as many as its ring has descriptors */
	unsigned int size;
	unsigned int packet_size; /* of what the guest sends, or IMIX */
	enum buffer_order order;  /* in which they are used */
	bool spread;              /* at random places of all RAM; else side by side */
};

struct buffer_pool {
	uint64_t *fifo;
	uint32_t size; /* entries of fifo: all buffers of the queue */
	uint32_t get;
	uint32_t put;
	uint32_t free; /* buffers that are in it */
};

/* Bytes of RAM that the buffers of n queues take. */
uint64_t buffer_pools_need(const struct buffer_config *c, unsigned int n);
/* Fills the pools; sent[i]: the buffers of pool i hold packets that the guest sends. */
int buffer_pools_create(struct buffer_pool *pools, const bool *sent, unsigned int n,
		struct guest_ram *ram, const struct buffer_config *c);

static inline uint64_t
buffer_get(struct buffer_pool *p)
{
	uint64_t b = p->fifo[p->get];

	if (++p->get == p->size)
		p->get = 0;
	p->free--;
	return b;
}

static inline void
buffer_put(struct buffer_pool *p, uint64_t b)
{
	p->fifo[p->put] = b;
	if (++p->put == p->size)
		p->put = 0;
	p->free++;
}

#endif
