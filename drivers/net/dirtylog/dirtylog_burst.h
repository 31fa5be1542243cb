/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ethdev's bursts: what all kinds of rings have in common. Between begin
 * and end the control thread leaves the queue as it is, its kind of ring too.
 */

#ifndef DIRTYLOG_BURST_H
#define DIRTYLOG_BURST_H

#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

/* Longest packet that a guest can send: 64 KiB and a tagged Ethernet header. */
#define DIRTYLOG_MAX_PACKET (UINT16_MAX + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)

/* `queue` is a struct dirtylog_queue. */
uint16_t dirtylog_receive(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t dirtylog_transmit(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* DIRTYLOG_BURST_H */
