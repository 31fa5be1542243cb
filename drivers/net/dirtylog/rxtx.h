/* SPDX-License-Identifier: BSD-3-Clause */

/* The ethdev's bursts: those of the datapath, and what was sent is freed. */

#ifndef ETH_DIRTYLOG_RXTX_H
#define ETH_DIRTYLOG_RXTX_H

#include <stdint.h>

#include <rte_mbuf.h>

/* `queue` is a struct vnet_queue. */
uint16_t eth_dirtylog_rx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t eth_dirtylog_tx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

/*
 * Returns how many packets could be sent: the next one would be dropped, and
 * rte_errno says why (it asks for what the guest cannot take, or its lengths are
 * wrong). While there is no guest nothing speaks against any.
 */
uint16_t eth_dirtylog_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* ETH_DIRTYLOG_RXTX_H */
