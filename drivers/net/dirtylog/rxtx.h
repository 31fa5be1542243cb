/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ethdev's bursts: what all kinds of rings have in common. Between begin
 * and end the control thread leaves the queue as it is, its kind of ring too.
 */

#ifndef ETH_DIRTYLOG_RXTX_H
#define ETH_DIRTYLOG_RXTX_H

#include <stdint.h>

#include <rte_mbuf.h>

/* `queue` is a struct vnet_queue. */
uint16_t eth_dirtylog_rx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t eth_dirtylog_tx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* ETH_DIRTYLOG_RXTX_H */
