/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A guest that does everything right: how large its buffers are, in which order
 * it gets them back, and rings as drivers negotiate them.
 */

#ifndef GOOD_RING_H
#define GOOD_RING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig/ring_rig.h"

#define BURST 32
#define SHORTEST 60
#define LONGEST 9000

/* Room for one packet without mergeable buffers, as drivers give it. */
#define WHOLE (LONGEST + 12 + 4)
/* One mergeable buffer, as Linux gives it. */
#define MERGEABLE 1526

static const struct rig_options legacy = { .size = 512, .logging = true };
static const struct rig_options modern = { .size = 512, .logging = true, .version_1 = true };
static const struct rig_options mergeable = {
	.size = 512, .logging = true, .version_1 = true, .mergeable = true, .start = 65000
};
static const struct rig_options silent = { .size = 512, .version_1 = true, .mergeable = true };

/* The guest's available buffers, oldest first. */
struct fifo {
	unsigned int n;
	struct rig_chain chains[512];
};

static inline void
fifo_drop(struct fifo *fifo, unsigned int n)
{
	fifo->n -= n;
	memmove(fifo->chains, fifo->chains + n, fifo->n * sizeof(fifo->chains[0]));
}

static inline void
fifo_offer(struct rig *rig, struct fifo *fifo, unsigned int n, uint32_t len, enum rig_shape shape)
{
	while (n-- != 0)
		rig_offer(rig, &rig->to_guest, len, shape, &fifo->chains[fifo->n++]);
	ring_publish(&rig->to_guest.ring);
}

static inline void
check_counters(const struct rig_side *side, uint64_t packets, uint64_t bytes)
{
	const struct vnet_queue_stats *stats = &side->queue->stats;

	assert_int_equal(stats->packets, packets);
	assert_int_equal(stats->bytes, bytes);
	assert_int_equal(stats->dropped, 0);
	assert_int_equal(rig_faults(side), 0);
}

/* Buffers that a split ring's queue knows of; for a packed one nothing is remembered. */
static inline void
assert_known(const struct rig_side *side, uint16_t n)
{
	if (!rig_packed)
		assert_int_equal((uint16_t)(side->queue->avail_seen - side->queue->next_avail), n);
}

#endif /* GOOD_RING_H */
