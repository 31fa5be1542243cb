/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig/offload_rig.h"

struct rig *
offload_create(uint64_t features, uint64_t rx_offloads, bool legacy)
{
	const struct rig_options options = {
		.size = 256, .start = 65530, .mergeable = true, .version_1 = true, .logging = true,
		.features = features,
		.rx_config = {
			.strip_vlan = (rx_offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0,
			.partial_checksums = (rx_offloads & RX_CHECKSUMS) != 0,
			.legacy_ol_flags = legacy,
		},
	};

	return rig_create(&options);
}

void
offload_destroy(struct rig *rig)
{
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

struct frame_kind
frame_kind_of(unsigned int i)
{
	return (struct frame_kind){ .ipv6 = i & 1,
		.udp = i & 2,
		.tagged = i & 4,
		.extended = i & 8,
		.congested = (i & 16) && !(i & 2) };
}

bool
mbuf_holds(const struct rte_mbuf *mbuf, const uint8_t *bytes, uint32_t len)
{
	const char *reason;

	if (rte_mbuf_check(mbuf, 1, &reason) != 0 || mbuf->pkt_len != len)
		return false;
	for (; mbuf != NULL; mbuf = mbuf->next) {
		if (memcmp(rte_pktmbuf_mtod(mbuf, const void *), bytes, mbuf->data_len) != 0)
			return false;
		bytes += mbuf->data_len;
	}
	return true;
}

struct virtio_net_hdr_mrg_rxbuf
offload_send(struct rig *rig, struct rte_mbuf *mbuf, enum rig_shape shape, uint32_t expected,
		uint8_t *arrived)
{
	static uint8_t bytes[FRAME_MAX + 64];
	struct virtio_net_hdr_mrg_rxbuf header;
	uint32_t need = rig->header_len + expected, done = 0, i;
	struct rig_chain chain;

	rig_offer(rig, &rig->to_guest, RTE_ALIGN_CEIL(need + 1, 64), shape, &chain);
	ring_publish(&rig->to_guest.ring);
	rig_expect_used(rig, &rig->to_guest, chain.head, need);
	for (i = 0; done < need; i++) {
		uint32_t n = RTE_MIN(need - done, chain.buffers[i].len);

		/* Its pages are to be marked, no other; the contents are checked here. */
		ram_accept(&rig->ram, chain.buffers[i].gpa, n);
		done += n;
	}
	assert_int_equal(rig_transmit(rig, &mbuf, 1), 1);
	for (i = 0, done = 0; done < need; i++) {
		uint32_t n = RTE_MIN(need - done, chain.buffers[i].len);

		ram_read(&rig->ram, chain.buffers[i].gpa, bytes + done, n);
		/* The model takes what was written for what is right. */
		ram_write(&rig->ram, chain.buffers[i].gpa, bytes + done, n);
		done += n;
	}
	rig_check(rig);
	memcpy(&header, bytes, sizeof(header));
	assert_int_equal(header.num_buffers, 1);
	memcpy(arrived, bytes + rig->header_len, expected);
	return header;
}

static uint8_t
gso_type_of(const struct frame *from)
{
	if (from->kind.udp)
		return VIRTIO_NET_HDR_GSO_UDP;
	return (from->kind.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) |
			(from->kind.congested ? VIRTIO_NET_HDR_GSO_ECN : 0);
}

struct virtio_net_hdr
offload_header(const struct frame *from, uint16_t gso_size)
{
	struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)(from->l2_len + from->l3_len),
		.csum_offset = from->kind.udp ? 6 : 16,
	};

	if (gso_size != 0) {
		header.gso_type = gso_type_of(from);
		header.gso_size = gso_size;
		header.hdr_len = (uint16_t)(from->l2_len + from->l3_len + from->l4_len);
	}
	return header;
}

struct rte_mbuf *
offload_receive(struct rig *rig, struct rte_mempool *pool, const struct virtio_net_hdr *header,
		const uint8_t *bytes, uint32_t len, enum rig_shape shape)
{
	static uint8_t all[FRAME_MAX + 64];
	struct rte_mbuf *mbuf = NULL;
	uint32_t done = 0, i;
	struct rig_chain chain;

	rig_offer(rig, &rig->from_guest, rig->header_len + len, shape, &chain);
	memset(all, 0, rig->header_len);
	memcpy(all, header, sizeof(*header));
	memcpy(all + rig->header_len, bytes, len);
	for (i = 0; i < chain.nb_buffers; i++) {
		ram_write(&rig->ram, chain.buffers[i].gpa, all + done, chain.buffers[i].len);
		done += chain.buffers[i].len;
	}
	rig_expect_used(rig, &rig->from_guest, chain.head, 0);
	ring_publish(&rig->from_guest.ring);
	i = rig_receive(rig, pool, &mbuf, 1);
	rig_check(rig);
	return i == 1 ? mbuf : NULL;
}
