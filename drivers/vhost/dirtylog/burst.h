/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the application does with a virtqueue: packets, counts, notifications. Each
 * function is librte_vhost's of that name, for its devices too.
 */

#ifndef DOOR_BURST_H
#define DOOR_BURST_H

#include "api.h"

uint16_t door_enqueue_burst(int vid, uint16_t vring, struct rte_mbuf **pkts, uint16_t count);
uint16_t door_dequeue_burst(int vid, uint16_t vring, struct rte_mempool *pool,
		struct rte_mbuf **pkts, uint16_t count);
uint32_t door_rx_queue_count(int vid, uint16_t vring);
uint16_t door_avail_entries(int vid, uint16_t vring);
int door_enable_guest_notification(int vid, uint16_t vring, int enable);
int door_get_monitor_addr(int vid, uint16_t vring, struct rte_vhost_power_monitor_cond *cond);
int door_get_vring_base(int vid, uint16_t vring, uint16_t *last_avail, uint16_t *last_used);

#endif /* DOOR_BURST_H */
