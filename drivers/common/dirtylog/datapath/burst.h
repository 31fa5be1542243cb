/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A burst: what both kinds of rings have in common, for the doors that offer
 * it. Between begin and end the control thread leaves the queue as it is, its
 * kind of ring too.
 */

#ifndef VNET_BURST_H
#define VNET_BURST_H

#include <stdint.h>

#include <rte_mbuf.h>

#include "datapath/count.h"
#include "datapath/packed.h"
#include "datapath/rarp.h"
#include "datapath/split.h"

/* Packets that the guest has sent. Returns how many; the mbufs are the caller's. */
static inline uint16_t
vnet_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t done = 0;

	if (unlikely(!dirtylog_burst_begin(&queue->marker)))
		return 0;
	if (vnet_rarp_is_due(queue))
		done = vnet_rarp_receive(queue, pkts, nb_pkts);
	if (queue->packed)
		done += vnet_packed_receive(queue, pkts + done, nb_pkts - done);
	else
		done += vnet_split_receive(queue, pkts + done, nb_pkts - done);
	dirtylog_burst_end(&queue->marker);
	vnet_count_burst(queue, pkts, done);
	return done;
}

/* Packets to the guest. Returns how many went, or were dropped: to be freed by the caller. */
static inline uint16_t
vnet_transmit(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t done;

	if (unlikely(!dirtylog_burst_begin(&queue->marker)))
		return 0;
	if (queue->packed)
		done = vnet_packed_transmit(queue, pkts, nb_pkts);
	else
		done = vnet_split_transmit(queue, pkts, nb_pkts);
	dirtylog_burst_end(&queue->marker);
	vnet_count_burst(queue, pkts, done);
	return done;
}

#endif /* VNET_BURST_H */
