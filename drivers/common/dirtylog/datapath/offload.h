/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Offloads: the virtio-net header (virtio 1.1, 5.1.6) on the guest's side, the
 * mbuf's flags on the application's, and software for what one of them lacks.
 */

#ifndef VNET_OFFLOAD_H
#define VNET_OFFLOAD_H

#include <string.h>

#include "datapath/queue.h"

/* Flags of an mbuf that ask for something on its way to the guest. */
#define VNET_TX_WORK \
	(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG | \
			RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_VLAN)

/*
 * What they come to. The mbuf itself is never written: others may share it,
 * and it may be sent again. Checksums go over the guest's copy.
 */
struct vnet_tx_offload {
	struct virtio_net_hdr header;
	uint16_t tag_len; /* of a VLAN tag to insert behind the addresses: 4 or 0 */
	uint16_t tag[2];
	uint16_t nb_patches;
	struct {
		uint16_t value;
		uint32_t offset; /* in the packet with its tag */
	} patches[2];
};

/*
 * Set up a closed queue by what the guest has negotiated, and by what the
 * application wants (queue->rx_config).
 */
void vnet_offload_open(struct vnet_queue *queue, uint64_t features);

/*
 * Whether a packet that has VNET_TX_WORK can be brought to this guest. Returns 0;
 * -ENOTSUP: it wants what the guest cannot take; -EINVAL: its lengths are wrong.
 */
int vnet_offload_check(const struct vnet_queue *queue, const struct rte_mbuf *pkt);

/*
 * Find out what to do for a packet that has VNET_TX_WORK. Returns false if it
 * cannot be brought to this guest: see vnet_offload_check().
 */
bool vnet_offload_transmit(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		struct vnet_tx_offload *offload);

/* What vnet_offload_received() does not do inline. */
bool vnet_offload_take(const struct vnet_queue *queue, struct virtio_net_hdr header,
		struct rte_mbuf *pkt);

/*
 * A packet of a queue with `offloads` has been copied to an mbuf: act on its
 * header.
 *
 * Returns false if it cannot be followed: type or size of its segments is not
 * what was negotiated or what the packet is, or a checksum lies outside of the
 * packet. The packet is to be dropped then, as the kernel's tap does: the guest
 * has not finished it, and nobody else can.
 */
static inline bool
vnet_offload_received(const struct vnet_queue *queue, const void *header, struct rte_mbuf *pkt)
{
	struct virtio_net_hdr copy;

	/* Read once: the guest may change it while we look. */
	memcpy(&copy, header, sizeof(copy));
	__asm__ volatile("" : "+m"(copy));
	if ((copy.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) == 0 &&
			copy.gso_type == VIRTIO_NET_HDR_GSO_NONE && !queue->strip_vlan)
		return true;
	return vnet_offload_take(queue, copy, pkt);
}

#endif /* VNET_OFFLOAD_H */
