/* SPDX-License-Identifier: BSD-3-Clause */

#include "rxtx.h"
#include "datapath/packed.h"
#include "datapath/rarp.h"
#include "datapath/split.h"
#include "stats.h"

uint16_t
eth_dirtylog_rx(void *opaque, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct vnet_queue *queue = opaque;
	uint16_t announced = 0, done;

	if (unlikely(!dirtylog_burst_begin(&queue->marker)))
		return 0;
	if (vnet_rarp_is_due(queue))
		announced = vnet_rarp_receive(queue, pkts, nb_pkts);
	done = announced + (queue->packed ? vnet_packed_receive : vnet_split_receive)(
			queue, pkts + announced, nb_pkts - announced);
	dirtylog_burst_end(&queue->marker);
	vnet_count_burst(queue, pkts, done);
	return done;
}

/*
 * Free what was sent. Mostly all of it is whole mbufs of one pool that nobody
 * shares, which can go back as they are.
 */
static inline void
free_sent(struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t flags = 0;
	uintptr_t pools = 0;
	uint16_t shared = 0, i;

	for (i = 0; i < n; i++) {
		flags |= pkts[i]->ol_flags;
		pools |= (uintptr_t)pkts[i]->pool ^ (uintptr_t)pkts[0]->pool;
		shared |= (uint16_t)((rte_mbuf_refcnt_read(pkts[i]) - 1) | (pkts[i]->nb_segs - 1));
	}
	if (likely(n != 0 && pools == 0 && shared == 0 &&
			(flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) == 0))
		rte_mempool_put_bulk(pkts[0]->pool, (void **)pkts, n);
	else
		rte_pktmbuf_free_bulk(pkts, n);
}

uint16_t
eth_dirtylog_tx(void *opaque, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct vnet_queue *queue = opaque;
	uint16_t done;

	if (unlikely(!dirtylog_burst_begin(&queue->marker)))
		return 0;
	done = queue->packed ? vnet_packed_transmit(queue, pkts, nb_pkts) :
			vnet_split_transmit(queue, pkts, nb_pkts);
	dirtylog_burst_end(&queue->marker);
	vnet_count_burst(queue, pkts, done);
	free_sent(pkts, done);
	return done;
}
