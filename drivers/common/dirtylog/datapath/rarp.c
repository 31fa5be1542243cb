/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>

#include "datapath/rarp.h"

/* Beside the address in the word, which may be 0. */
#define REQUESTED (1ULL << 63)
#define ADDRESS_MASK ((1ULL << 48) - 1)

void
vnet_rarp_request(struct vnet_queue *queue, uint64_t mac)
{
	__atomic_store_n(&queue->rarp, REQUESTED | (mac & ADDRESS_MASK), __ATOMIC_RELAXED);
}

void
vnet_rarp_cancel(struct vnet_queue *queue)
{
	__atomic_store_n(&queue->rarp, 0, __ATOMIC_RELAXED);
}

__attribute__((cold)) uint16_t
vnet_rarp_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct rte_ether_addr mac;
	uint64_t request;

	if (nb_pkts == 0)
		return 0;
	request = __atomic_exchange_n(&queue->rarp, 0, __ATOMIC_RELAXED);
	if (request == 0)
		return 0;
	memcpy(&mac, &request, sizeof(mac));
	pkts[0] = rte_net_make_rarp_packet(queue->pool, &mac);
	if (pkts[0] == NULL) {
		/* The front-end asks several times; none of them may wait for mbufs. */
		vnet_count(&queue->stats.no_mbuf, 1);
		return 0;
	}
	pkts[0]->port = queue->mbuf_port;
	vnet_count(&queue->stats.packets, 1);
	vnet_count(&queue->stats.bytes, pkts[0]->pkt_len);
	return 1;
}
