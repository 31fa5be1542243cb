/* SPDX-License-Identifier: BSD-3-Clause */

/* Packed virtqueues (virtio 1.1, 2.7): the entry points. */

#ifndef VNET_PACKED_H
#define VNET_PACKED_H

#include "datapath/queue.h"

/*
 * Check the ring that the control thread filled in, and tell the guest that
 * kicks are not needed: the caller marks the device event area. The queue is
 * closed.
 * Returns 0; -EINVAL: size, position or alignment (virtio 1.1, 2.7); -EFAULT:
 * a part is outside of guest memory.
 */
int vnet_packed_start(struct vnet_queue *queue);

/*
 * Inside a burst: take packets from the guest, or bring them to it. Returns
 * how many; those brought still belong to the caller.
 */
uint16_t vnet_packed_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t vnet_packed_transmit(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* VNET_PACKED_H */
