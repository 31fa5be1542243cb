/* SPDX-License-Identifier: BSD-3-Clause */

/* A queue's counters by name, read and reset by a control thread while bursts count on. */

#ifndef VNET_COUNTERS_H
#define VNET_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#include "datapath/queue.h"

/* One counter under a name; `offset` of it in the struct that is read. */
struct vnet_counter {
	const char *name;
	size_t offset;
};

/* What was counted since the last reset; all of them are 64-bit words. */
struct vnet_queue_counters {
	struct vnet_queue_stats queue;
	struct dirtylog_marker_stats marks;
	uint64_t faults; /* of any kind */
};

#define VNET_NB_QUEUE_COUNTERS 20

/* Of a struct vnet_queue_counters. The first ones are librte_vhost's, in its order. */
extern const struct vnet_counter vnet_queue_counters[VNET_NB_QUEUE_COUNTERS];

/* Read them; of no queue (NULL) they are 0. */
void vnet_counters_read(const struct vnet_queue *queue, struct vnet_queue_counters *counters);

/* From now on they are read from 0 on. */
void vnet_counters_reset(struct vnet_queue *queue);

static inline uint64_t
vnet_counter_value(const void *counters, const struct vnet_counter *counter)
{
	return *(const uint64_t *)((const uint8_t *)counters + counter->offset);
}

#endif /* VNET_COUNTERS_H */
