/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Queues whose packets take librte_vhost's own datapath: those of a port that is to
 * have a vIOMMU, which this project's datapath lacks.
 *
 * Such a queue is a struct vnet_queue for all that reads it, counters above all; its
 * marker is never opened. librte_vhost sees to the ring, its log, and which of its
 * virtqueues are enabled. A queue is open while a device runs that it belongs to.
 *
 * A burst holds the queue's lock, and may wait within librte_vhost for a message
 * that is being handled. So who opens or closes a queue must hold nothing that a
 * message's handler waits for: vring_state_changed() is called by one.
 */

#ifndef ETH_DIRTYLOG_STOCK_H
#define ETH_DIRTYLOG_STOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_spinlock.h>

#include "datapath/queue.h"

struct eth_dirtylog_stock_queue {
	struct vnet_queue queue; /* the first member */
	rte_spinlock_t lock;
	int vid; /* -1: closed */
};

/* A queue of zeros, but for what the owner fills in: it is closed. */
void eth_dirtylog_stock_init(struct vnet_queue *queue);

/* A device runs. Waits for the burst that is under way, as does the next one. */
void eth_dirtylog_stock_open(struct vnet_queue *queue, int vid,
		const struct vnet_rx_config *rx_config);

/* It does not, any more; or the application wants no packets. */
void eth_dirtylog_stock_close(struct vnet_queue *queue);

/* As eth_dirtylog_rx() and eth_dirtylog_tx(). */
uint16_t eth_dirtylog_stock_rx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t eth_dirtylog_stock_tx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

/* librte_vhost has sent an interrupt; a member of struct rte_vhost_device_ops. */
void eth_dirtylog_stock_guest_notified(int vid);

/* As the functions of notify.h. Those that wait in a packed ring are not counted. */
uint16_t eth_dirtylog_stock_waiting(struct vnet_queue *queue);
int eth_dirtylog_stock_enable_kicks(struct vnet_queue *queue, bool on);

#endif /* ETH_DIRTYLOG_STOCK_H */
