/* SPDX-License-Identifier: BSD-3-Clause */

/* Packed virtqueues (virtio 1.1, 2.7): the entry points. */

#ifndef DIRTYLOG_PACKED_H
#define DIRTYLOG_PACKED_H

#include "datapath/queue.h"

/*
 * Check the ring that the control thread filled in, and tell the guest that
 * kicks are not needed: the caller marks the device event area. The queue is
 * closed.
 * Returns 0; -EINVAL: size, position or alignment (virtio 1.1, 2.7); -EFAULT:
 * a part is outside of guest memory.
 */
int dirtylog_packed_start(struct dirtylog_queue *queue);

/*
 * Inside a burst: take packets from the guest, or bring them to it. Returns
 * how many; those brought still belong to the caller.
 */
uint16_t dirtylog_packed_receive(struct dirtylog_queue *queue, struct rte_mbuf **pkts,
		uint16_t nb_pkts);
uint16_t dirtylog_packed_transmit(struct dirtylog_queue *queue, struct rte_mbuf **pkts,
		uint16_t nb_pkts);

#endif /* DIRTYLOG_PACKED_H */
