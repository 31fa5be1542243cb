/* SPDX-License-Identifier: BSD-3-Clause */
/* Split virtqueues, driver side; see guest_queue.h for what each function does. */
#ifndef RING_SPLIT_H
#define RING_SPLIT_H

#include "ring.h"

void split_fill(struct guest_queue *q);
unsigned int split_poll(struct guest_queue *q, struct queue_stats *stats);
unsigned int split_pending(const struct guest_queue *q);

#endif
