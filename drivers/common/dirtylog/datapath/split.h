/* SPDX-License-Identifier: BSD-3-Clause */

/* Split virtqueues (virtio 1.1, 2.6): the entry points. */

#ifndef VNET_SPLIT_H
#define VNET_SPLIT_H

#include "datapath/queue.h"

/*
 * Check the ring that the control thread filled in, and tell the guest that
 * kicks are not needed. The queue is closed.
 * Returns 0; -EINVAL: the size is no power of two, or a part of the ring is
 * not aligned (virtio 1.1, 2.6); -EFAULT: a part is outside of guest memory.
 */
int vnet_split_start(struct vnet_queue *queue);

/*
 * Inside a burst: take packets from the guest, or bring them to it. Returns
 * how many; those brought still belong to the caller.
 */
uint16_t vnet_split_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t vnet_split_transmit(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* VNET_SPLIT_H */
