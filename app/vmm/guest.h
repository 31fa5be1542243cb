/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest: its memory, and virtqueues with buffers in it. */
#ifndef GUEST_H
#define GUEST_H

#include "buffer_pool.h"
#include "guest_queue.h"
#include "guest_ram.h"

/* As the guest sees it. */
enum direction { DIRECTION_RX, DIRECTION_TX, DIRECTION_BOTH };

struct guest_config {
	unsigned int queue_pairs;
	enum direction direction; /* queues of the other one stay empty */
	struct ring_config ring;
	struct buffer_config buffers;
	struct guest_ram_config ram;
};

struct guest {
	struct guest_config config;
	struct guest_ram ram;
	struct guest_queue *queues; /* receive and transmit queue of each pair in turn */
	unsigned int n_queues;
};

/* Rings are not filled yet. After a failure too guest_destroy() is to be called. */
int guest_create(struct guest *g, const struct guest_config *config);
void guest_fill(struct guest *g);
void guest_destroy(struct guest *g);
/* What the back-end did that it may not: printed, -EPROTO. */
int guest_check(const struct guest *g);

#endif
