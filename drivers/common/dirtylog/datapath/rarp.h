/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The announcement of a guest that has arrived and cannot announce itself.
 *
 * The front-end asks for it (SEND_RARP). The next burst that receives returns
 * a RARP packet first, as if the guest had sent it, so that switches learn
 * where the guest is now before they see its other packets.
 */

#ifndef VNET_RARP_H
#define VNET_RARP_H

#include <stdbool.h>
#include <stdint.h>

#include "datapath/queue.h"

/* Any thread. `mac` is the guest's address, its first byte lowest. */
void vnet_rarp_request(struct vnet_queue *queue, uint64_t mac);

/* Forget a request that no burst has seen. */
void vnet_rarp_cancel(struct vnet_queue *queue);

/* For the burst: whether vnet_rarp_receive() has something to do. */
static inline bool
vnet_rarp_is_due(const struct vnet_queue *queue)
{
	return unlikely(__atomic_load_n(&queue->rarp, __ATOMIC_RELAXED) != 0);
}

/* Put the packet into `pkts`; returns 1, or 0 if there is no mbuf or no room. */
uint16_t vnet_rarp_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* VNET_RARP_H */
