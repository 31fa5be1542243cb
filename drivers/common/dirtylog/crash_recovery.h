/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a back-end that died left behind.
 *
 * It may have been killed in a burst: after it wrote buffers, before it marked
 * them. The guest has not got them back and never reads what is in them, but
 * the pages are changed all the same, and a migration that runs would deliver
 * them as they were. They are among the buffers that are available now.
 */

#ifndef VNET_CRASH_RECOVERY_H
#define VNET_CRASH_RECOVERY_H

#include "dirtylog.h"
#include "datapath/queue.h"

/*
 * Where a packed ring stands, as far as the ring tells. The queue is started
 * and not open yet.
 *
 * Only the back-end knows, and tells the front-end when it is asked to stop.
 * QEMU gives the place of the last stop, or the ring's beginning, to a back-end
 * that comes after one that died. But a descriptor's USED bit is the wrap
 * counter of the round in which it was last returned, and the driver that makes
 * it available again leaves it so: along the ring the bit changes at the place
 * and nowhere else. That holds if no buffer has more than one descriptor of
 * the ring, as with a guest that has indirect tables; if one is seen that has,
 * nothing is concluded.
 *
 * told: the place that the front-end gives, with the wrap counter in bit 15.
 * Returns the place; -1: a burst was cut off in the middle, and the ring does
 * not tell.
 */
int vnet_recover_packed_pos(const struct vnet_queue *queue, uint16_t told);

/*
 * Mark the available buffers of a queue that the device writes to, and of a
 * packed ring all descriptors. The queue is started, in place, and not open
 * yet; logging is on.
 */
void vnet_recover_marks(struct vnet_queue *queue, struct dirtylog *dl);

#endif /* VNET_CRASH_RECOVERY_H */
