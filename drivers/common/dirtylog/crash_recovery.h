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
 *
 * A burst that was cut off leaves more: it shows its first descriptor last, so
 * that one is still available, and those behind it are used. The guest's driver
 * waits at the first and has seen none of them. They are returned empty, a loss
 * of packets that a crash excuses: what the first one's length was, and over how
 * many buffers its packet goes, died with the back-end.
 */

#ifndef VNET_CRASH_RECOVERY_H
#define VNET_CRASH_RECOVERY_H

#include "datapath/queue.h"

/* Where a packed ring was left. */
struct vnet_packed_left {
	uint16_t pos;    /* where to go on; all positions have the wrap counter in bit 15 */
	uint16_t nb_cut; /* descriptors before it, of a burst that was cut off */
	uint16_t cut;    /* position of the first of them, which is not shown */
};

/*
 * The position of a packed ring: the one that the front-end reports, unless the
 * ring proves it stale. The queue is started and not open yet; a device on it
 * does not return buffers in batches (VIRTIO_F_IN_ORDER), and the guest has
 * indirect tables.
 *
 * Returns 0, or -ENODATA: the ring was left as no device of one descriptor for
 * each buffer leaves it. `left` is as reported then.
 */
int vnet_recover_packed_pos(const struct vnet_queue *queue, uint16_t reported,
		struct vnet_packed_left *left);

/*
 * Return empty what a burst that was cut off has taken. The caller marks the ring
 * after it, and calls the guest.
 */
void vnet_return_cut_off(const struct vnet_queue *queue, const struct vnet_packed_left *left);

#endif /* VNET_CRASH_RECOVERY_H */
