/* SPDX-License-Identifier: BSD-3-Clause */

#include "dirtylog_burst.h"
#include "dirtylog_packed.h"
#include "dirtylog_rarp.h"
#include "dirtylog_split.h"
#include "dirtylog_stats.h"

uint16_t
dirtylog_receive(void *opaque, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct dirtylog_queue *queue = opaque;
	uint16_t announced = 0, done;

	if (unlikely(!dirtylog_burst_begin(&queue->marker)))
		return 0;
	if (dirtylog_rarp_is_due(queue))
		announced = dirtylog_rarp_receive(queue, pkts, nb_pkts);
	done = announced + (queue->packed ? dirtylog_packed_receive : dirtylog_split_receive)(
			queue, pkts + announced, nb_pkts - announced);
	dirtylog_burst_end(&queue->marker);
	dirtylog_count_burst(queue, pkts, done);
	return done;
}

uint16_t
dirtylog_transmit(void *opaque, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct dirtylog_queue *queue = opaque;
	uint16_t done;

	if (unlikely(!dirtylog_burst_begin(&queue->marker)))
		return 0;
	done = queue->packed ? dirtylog_packed_transmit(queue, pkts, nb_pkts) :
			dirtylog_split_transmit(queue, pkts, nb_pkts);
	dirtylog_burst_end(&queue->marker);
	dirtylog_count_burst(queue, pkts, done);
	rte_pktmbuf_free_bulk(pkts, done);
	return done;
}
