/* SPDX-License-Identifier: BSD-3-Clause */
/* Packed virtqueues, driver side; see guest_queue.h for what each function does. */
#ifndef RING_PACKED_H
#define RING_PACKED_H

#include "ring.h"

void packed_fill(struct guest_queue *q);
unsigned int packed_poll(struct guest_queue *q, struct queue_stats *stats);
unsigned int packed_pending(const struct guest_queue *q);

#endif
