/* SPDX-License-Identifier: BSD-3-Clause */

/* What a burst counts of its packets, beside the rings' own counters. */

#ifndef VNET_COUNT_H
#define VNET_COUNT_H

#include <stdint.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "datapath/queue.h"

/* Where a packet of this length is counted; no branch, since lengths alternate. */
static inline unsigned int
vnet_size_bin(uint32_t len)
{
	/* 2^n to 2^(n+1) - 1 share a bin, but up to 63, 64 and from 1519 on. */
	unsigned int bin = 27 - (unsigned int)__builtin_clz(len | 32);

	bin = bin - (len <= 64) + (len >= 1519);
	return RTE_MIN(bin, (unsigned int)VNET_NB_SIZE_BINS - 1);
}

static inline void
vnet_count_group(struct vnet_queue_stats *stats, const struct rte_mbuf *pkt)
{
	const struct rte_ether_addr *to = rte_pktmbuf_mtod(pkt, const struct rte_ether_addr *);

	if (pkt->data_len < sizeof(*to))
		return;
	vnet_count(rte_is_broadcast_ether_addr(to) ? &stats->broadcast : &stats->multicast, 1);
}

/*
 * Count the packets of a burst by length and kind of destination. In a pass of
 * its own: lengths and first bytes are in the cache.
 */
static inline void
vnet_count_burst(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct vnet_queue_stats *stats = &queue->stats;
	uint16_t i;

	for (i = 0; i < n; i++) {
		vnet_count(&stats->sizes[vnet_size_bin(pkts[i]->pkt_len)], 1);
		if (unlikely(*rte_pktmbuf_mtod(pkts[i], const uint8_t *) & 1))
			vnet_count_group(stats, pkts[i]);
	}
}

#endif /* VNET_COUNT_H */
