/* SPDX-License-Identifier: BSD-3-Clause */

/* librte_vhost's statistics of a virtqueue, with what the door's queues have counted. */

#ifndef DOOR_STATS_H
#define DOOR_STATS_H

#include "api.h"

int door_vring_stats_get(int vid, uint16_t vring, struct rte_vhost_stat *stats, unsigned int n);
int door_vring_stats_reset(int vid, uint16_t vring);

#endif /* DOOR_STATS_H */
