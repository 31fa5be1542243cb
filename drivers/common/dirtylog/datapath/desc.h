/* SPDX-License-Identifier: BSD-3-Clause */

/* Descriptors of split rings and indirect tables: how they are read. */

#ifndef VNET_DESC_H
#define VNET_DESC_H

#include <stdint.h>

#include <linux/virtio_ring.h>

/*
 * Read a descriptor once: the guest may change it at any time, and what was
 * checked must be what is used.
 */
static inline struct vring_desc
vnet_read_desc(const struct vring_desc *desc)
{
	const uint64_t *raw = (const uint64_t *)desc;
	union {
		uint64_t raw[2];
		struct vring_desc desc;
	} copy;

	copy.raw[0] = __atomic_load_n(&raw[0], __ATOMIC_RELAXED);
	copy.raw[1] = __atomic_load_n(&raw[1], __ATOMIC_RELAXED);
	return copy.desc;
}

#endif /* VNET_DESC_H */
