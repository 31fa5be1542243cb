/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings with offloads: what was negotiated, what an application wants, and
 * packets with a virtio-net header into the guest and out of it.
 */

#ifndef OFFLOAD_RIG_H
#define OFFLOAD_RIG_H

#include <rte_ethdev.h>

#include "rig/frame.h"
#include "rig/ring_rig.h"

#define BIT(feature) (1ULL << VIRTIO_NET_F_##feature)
#define HOST_GSO (BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_UFO) | BIT(HOST_ECN))
#define GUEST_GSO (BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_UFO) | BIT(GUEST_ECN))
#define ALL (BIT(CSUM) | BIT(GUEST_CSUM) | HOST_GSO | GUEST_GSO)
#define RX_CHECKSUMS (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define SEGMENT 1400

/* A rig of 256 entries, with features and receive offloads. */
struct rig *offload_create(uint64_t features, uint64_t rx_offloads, bool legacy);
void offload_destroy(struct rig *rig);

#define NB_KINDS 32

/* All 32 kinds of frames. */
struct frame_kind frame_kind_of(unsigned int i);

/* Whether a sound mbuf has these bytes, in whatever segments. */
bool mbuf_holds(const struct rte_mbuf *mbuf, const uint8_t *bytes, uint32_t len);

/*
 * Send to a guest that has a buffer; `arrived` receives the `expected` bytes that
 * it finds behind the header.
 */
struct virtio_net_hdr_mrg_rxbuf offload_send(struct rig *rig, struct rte_mbuf *mbuf,
		enum rig_shape shape, uint32_t expected, uint8_t *arrived);

/* As a guest fills it in for a frame with a partial checksum; 0: not a long packet. */
struct virtio_net_hdr offload_header(const struct frame *from, uint16_t gso_size);

/* The guest sends bytes behind a header. Returns what comes of it, or NULL. */
struct rte_mbuf *offload_receive(struct rig *rig, struct rte_mempool *pool,
		const struct virtio_net_hdr *header, const uint8_t *bytes, uint32_t len,
		enum rig_shape shape);

#endif /* OFFLOAD_RIG_H */
