/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where a packed ring stands, if a back-end died without being asked.
 *
 * Only the back-end knows, and tells the front-end when it is asked to stop.
 * QEMU gives the position of the last stop, or the ring's beginning, to a
 * back-end that comes after one that died. The ring itself tells, as far as the
 * virtio specification obliges driver and device: a descriptor's USED bit is the
 * wrap counter of the round in which a buffer was last returned there, and the
 * driver that makes the descriptor available again leaves it so. So along the
 * ring the bit changes at the position, except that it says nothing where a
 * buffer had several descriptors: all but one are never returned.
 */

#ifndef VNET_CRASH_RECOVERY_H
#define VNET_CRASH_RECOVERY_H

#include "datapath/queue.h"

/*
 * The position of a packed ring: the one that the front-end reports, unless the
 * ring proves it stale. The queue is started and not open yet; a device on it
 * does not return buffers in batches (VIRTIO_F_IN_ORDER).
 *
 * reported: with the wrap counter in bit 15.
 * Returns the position; -1: a burst was cut off in the middle, and the ring does
 * not tell.
 */
int vnet_recover_packed_pos(const struct vnet_queue *queue, uint16_t reported);

#endif /* VNET_CRASH_RECOVERY_H */
