/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ethdev's bursts: what all kinds of rings have in common. Between begin
 * and end the control thread leaves the queue as it is, its kind of ring too.
 */

#ifndef DIRTYLOG_BURST_H
#define DIRTYLOG_BURST_H

#include <stdint.h>

#include <rte_mbuf.h>

/* `queue` is a struct dirtylog_queue. */
uint16_t dirtylog_receive(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t dirtylog_transmit(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* DIRTYLOG_BURST_H */
