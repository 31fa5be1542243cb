/* SPDX-License-Identifier: BSD-3-Clause */

#include <rte_errno.h>

#include "datapath/burst.h"
#include "datapath/packet.h"
#include "rxtx.h"

uint16_t
eth_dirtylog_rx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	return vnet_receive(queue, pkts, nb_pkts);
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
eth_dirtylog_tx(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t done = vnet_transmit(queue, pkts, nb_pkts);

	free_sent(pkts, done);
	return done;
}

uint16_t
eth_dirtylog_tx_prepare(void *ctx, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct vnet_queue *queue = ctx;
	int ret = 0;
	uint16_t i;

	/* What the guest can take may change while the queue is closed. */
	if (!dirtylog_burst_begin(&queue->marker))
		return nb_pkts;
	for (i = 0; i < nb_pkts; i++) {
		if (vnet_has_work(pkts[i]))
			ret = vnet_offload_check(queue, pkts[i]);
		if (ret < 0)
			break;
	}
	dirtylog_burst_end(&queue->marker);
	if (ret < 0)
		rte_errno = -ret;
	return i;
}
