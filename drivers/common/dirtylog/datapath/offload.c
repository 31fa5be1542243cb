/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: what a queue needs to know when it opens; checksums computed here;
 * to the guest (what an mbuf's flags ask for, whether this guest can take it, the
 * header and the patches it comes to); from the guest (what a header says, and
 * what the application wants to have done, or told in the mbuf's flags).
 */

#include <errno.h>
#include <stddef.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "datapath/offload.h"

/* Features that let a guest send a header that is not all zero. */
#define HOST_FEATURES \
	((1ULL << VIRTIO_NET_F_CSUM) | (1ULL << VIRTIO_NET_F_HOST_TSO4) | \
			(1ULL << VIRTIO_NET_F_HOST_TSO6) | (1ULL << VIRTIO_NET_F_HOST_UFO) | \
			(1ULL << VIRTIO_NET_F_GSO))

#define TCP_CHECKSUM offsetof(struct rte_tcp_hdr, cksum)
#define UDP_CHECKSUM offsetof(struct rte_udp_hdr, dgram_cksum)

/* Widths of mbuf fields. */
#define MAX_L2_LEN ((1U << RTE_MBUF_L2_LEN_BITS) - 1)
#define MAX_L3_LEN ((1U << RTE_MBUF_L3_LEN_BITS) - 1)

static bool
has(uint64_t features, unsigned int bit)
{
	return (features >> bit) & 1;
}

/* Bit n: packets of gso_type n are taken. */
static uint8_t
gso_types(bool tcp4, bool tcp6, bool udp)
{
	return (uint8_t)(tcp4 << VIRTIO_NET_HDR_GSO_TCPV4 | tcp6 << VIRTIO_NET_HDR_GSO_TCPV6 |
			udp << VIRTIO_NET_HDR_GSO_UDP);
}

void
vnet_offload_open(struct vnet_queue *queue, uint64_t features)
{
	bool gso = has(features, VIRTIO_NET_F_GSO);

	/* Before virtio 1.0 one bit stood for all types. */
	queue->host_gso_types = gso_types(gso || has(features, VIRTIO_NET_F_HOST_TSO4),
			gso || has(features, VIRTIO_NET_F_HOST_TSO6),
			gso || has(features, VIRTIO_NET_F_HOST_UFO));
	queue->guest_gso_types = gso_types(has(features, VIRTIO_NET_F_GUEST_TSO4),
			has(features, VIRTIO_NET_F_GUEST_TSO6),
			has(features, VIRTIO_NET_F_GUEST_UFO));
	queue->guest_checksums = has(features, VIRTIO_NET_F_GUEST_CSUM);
	queue->guest_ecn = has(features, VIRTIO_NET_F_GUEST_ECN);
	queue->offloads = (features & HOST_FEATURES) != 0 || queue->rx_config.strip_vlan;
	queue->strip_vlan = queue->rx_config.strip_vlan;
	queue->legacy_ol_flags = queue->rx_config.legacy_ol_flags;
	/*
	 * Without checksum offload an application takes every packet for one with
	 * its checksum in it, and would send partial ones on. Legacy flags take
	 * care of themselves: transmitted again, they ask for the rest.
	 */
	queue->complete_checksums = !queue->rx_config.legacy_ol_flags &&
			!queue->rx_config.partial_checksums;
}

/* ---- checksums ---- */

/* Ones' complement sums (RFC 1071), in the byte order of memory. */
static uint16_t
fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * Of a part of a packet, which must be there. rte_raw_cksum_mbuf() of 22.11
 * loses carries where a segment begins at an odd byte.
 */
static uint16_t
sum_packet(const struct rte_mbuf *seg, uint32_t skip, uint32_t len)
{
	uint64_t sum = 0;
	bool odd = false;

	for (; len != 0; seg = seg->next) {
		uint32_t n;
		uint16_t part;

		if (skip >= seg->data_len) {
			skip -= seg->data_len;
			continue;
		}
		n = RTE_MIN(len, seg->data_len - skip);
		part = rte_raw_cksum(rte_pktmbuf_mtod_offset(seg, const void *, skip), n);
		sum += odd ? rte_bswap16(part) : part;
		odd ^= n & 1;
		skip = 0;
		len -= n;
	}
	return fold(sum);
}

static uint16_t
load16(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Of the pseudo-header, with the length of header and payload as they are. */
static uint16_t
sum_pseudo_header(const uint8_t *ip, bool is_ipv4, uint8_t protocol, uint32_t len)
{
	uint64_t sum = (uint64_t)rte_cpu_to_be_16(protocol) + rte_cpu_to_be_16(len & 0xffff) +
			rte_cpu_to_be_16((uint16_t)(len >> 16));

	if (is_ipv4)
		sum += rte_raw_cksum(ip + offsetof(struct rte_ipv4_hdr, src_addr), 8);
	else
		sum += rte_raw_cksum(ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	return fold(sum);
}

/* Bytes behind the IP header, which need not be all that follow: frames are padded. */
static uint32_t
payload_len(const uint8_t *ip, bool is_ipv4, uint32_t l3_len, uint32_t present)
{
	uint32_t len = is_ipv4 ?
			rte_be_to_cpu_16(load16(ip + offsetof(struct rte_ipv4_hdr, total_length))) :
			rte_be_to_cpu_16(load16(ip + offsetof(struct rte_ipv6_hdr, payload_len))) +
					sizeof(struct rte_ipv6_hdr);

	return len > l3_len && len - l3_len <= present ? len - l3_len : present;
}

static void
patch(struct vnet_tx_offload *offload, uint32_t offset, uint16_t value)
{
	offload->patches[offload->nb_patches].offset = offset + offload->tag_len;
	offload->patches[offload->nb_patches++].value = value;
}

/* ---- to the guest ---- */

/* What the flags of an mbuf ask for. */
struct tx_wish {
	bool is_gso;
	bool is_tcp; /* else UDP, or neither */
	bool is_l4;  /* a checksum of TCP or UDP */
	bool is_ipv4;
	uint32_t start; /* of the header of TCP or UDP */
	uint32_t field; /* its checksum */
};

static struct tx_wish
read_wish(const struct rte_mbuf *pkt)
{
	uint64_t flags = pkt->ol_flags, l4 = flags & RTE_MBUF_F_TX_L4_MASK;
	struct tx_wish wish = {
		.is_gso = flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG),
		.is_ipv4 = flags & RTE_MBUF_F_TX_IPV4,
		.start = pkt->l2_len + pkt->l3_len,
	};

	wish.is_tcp = wish.is_gso ? (flags & RTE_MBUF_F_TX_TCP_SEG) != 0 :
				    l4 == RTE_MBUF_F_TX_TCP_CKSUM;
	wish.is_l4 = wish.is_gso || l4 != 0;
	wish.field = wish.start + (wish.is_tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
	return wish;
}

static uint8_t
gso_type_of(const struct tx_wish *wish)
{
	if (!wish->is_tcp)
		return VIRTIO_NET_HDR_GSO_UDP;
	return wish->is_ipv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

static int
check_wish(const struct vnet_queue *queue, const struct rte_mbuf *pkt, const struct tx_wish *wish)
{
	uint32_t ip_len = wish->is_ipv4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
	uint32_t l4_len = wish->is_tcp ? sizeof(struct rte_tcp_hdr) : sizeof(struct rte_udp_hdr);
	uint64_t flags = pkt->ol_flags;

	/* A CRC is nothing that a virtio-net header can ask for. */
	if (!wish->is_gso && (flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_SCTP_CKSUM)
		return -ENOTSUP;
	if (wish->is_gso && !(queue->guest_gso_types >> gso_type_of(wish) & 1))
		return -ENOTSUP;
	if ((flags & RTE_MBUF_F_TX_VLAN) && pkt->data_len < RTE_ETHER_HDR_LEN)
		return -EINVAL;
	if (wish->is_gso &&
			(pkt->tso_segsz == 0 || pkt->l4_len < l4_len ||
					wish->start + pkt->l4_len > pkt->data_len))
		return -EINVAL;
	if (wish->is_l4 && (pkt->l3_len < ip_len || wish->field + sizeof(uint16_t) > pkt->data_len))
		return -EINVAL;
	if ((flags & RTE_MBUF_F_TX_IP_CKSUM) &&
			(pkt->l3_len < sizeof(struct rte_ipv4_hdr) || wish->start > pkt->data_len))
		return -EINVAL;
	return 0;
}

int
vnet_offload_check(const struct vnet_queue *queue, const struct rte_mbuf *pkt)
{
	const struct tx_wish wish = read_wish(pkt);

	return check_wish(queue, pkt, &wish);
}

/* The checksum of TCP or UDP: the guest's part of the work, or all of it. */
static void
transmit_checksum(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		const struct tx_wish *wish, struct vnet_tx_offload *offload)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(pkt, const uint8_t *, pkt->l2_len);
	uint32_t present = pkt->pkt_len - wish->start, len;
	uint32_t in_header = wish->field - wish->start;
	uint64_t sum;

	len = wish->is_gso ? present : payload_len(ip, wish->is_ipv4, pkt->l3_len, present);
	sum = sum_pseudo_header(ip, wish->is_ipv4, wish->is_tcp ? IPPROTO_TCP : IPPROTO_UDP, len);
	if (queue->guest_checksums) {
		offload->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		offload->header.csum_start = (uint16_t)(wish->start + offload->tag_len);
		offload->header.csum_offset = (uint16_t)in_header;
		patch(offload, wish->field, fold(sum));
		return;
	}
	/* What stands in the field now does not count. */
	sum += sum_packet(pkt, wish->start, RTE_MAX(len, in_header + 2));
	sum += (uint16_t)~load16(rte_pktmbuf_mtod_offset(pkt, const uint8_t *, wish->field));
	sum = (uint16_t)~fold(sum);
	/* RFC 768: 0 would mean that there is no checksum. */
	patch(offload, wish->field, sum == 0 && !wish->is_tcp ? 0xffff : (uint16_t)sum);
}

static void
transmit_segments(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		const struct tx_wish *wish, struct vnet_tx_offload *offload)
{
	uint8_t type = gso_type_of(wish);

	if (wish->is_tcp && queue->guest_ecn &&
			(rte_pktmbuf_mtod_offset(pkt, const struct rte_tcp_hdr *, wish->start)
							->tcp_flags &
					RTE_TCP_CWR_FLAG))
		type |= VIRTIO_NET_HDR_GSO_ECN;
	offload->header.gso_type = type;
	offload->header.gso_size = pkt->tso_segsz;
	offload->header.hdr_len = (uint16_t)(wish->start + pkt->l4_len + offload->tag_len);
}

/* Guests do not doubt a checksum of IP that a device has seen, but it must be there. */
static void
transmit_ip_checksum(const struct rte_mbuf *pkt, struct vnet_tx_offload *offload)
{
	const uint8_t *ip = rte_pktmbuf_mtod_offset(pkt, const uint8_t *, pkt->l2_len);
	uint32_t field = offsetof(struct rte_ipv4_hdr, hdr_checksum);

	patch(offload, pkt->l2_len + field,
			(uint16_t)~fold((uint64_t)rte_raw_cksum(ip, pkt->l3_len) +
					(uint16_t)~load16(ip + field)));
}

bool
vnet_offload_transmit(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		struct vnet_tx_offload *offload)
{
	const struct tx_wish wish = read_wish(pkt);

	if (check_wish(queue, pkt, &wish) < 0)
		return false;
	memset(offload, 0, sizeof(*offload));
	if (pkt->ol_flags & RTE_MBUF_F_TX_VLAN) {
		offload->tag[0] = rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN);
		offload->tag[1] = rte_cpu_to_be_16(pkt->vlan_tci);
		offload->tag_len = sizeof(offload->tag);
	}
	if (wish.is_gso)
		transmit_segments(queue, pkt, &wish, offload);
	if (wish.is_l4)
		transmit_checksum(queue, pkt, &wish, offload);
	if (pkt->ol_flags & RTE_MBUF_F_TX_IP_CKSUM)
		transmit_ip_checksum(pkt, offload);
	return true;
}

/* ---- from the guest ---- */

/* Store a byte of a packet, which must be there. */
static void
store_byte(struct rte_mbuf *seg, uint32_t offset, uint8_t value)
{
	while (offset >= seg->data_len) {
		offset -= seg->data_len;
		seg = seg->next;
	}
	*rte_pktmbuf_mtod_offset(seg, uint8_t *, offset) = value;
}

/* Do what VIRTIO_NET_HDR_F_NEEDS_CSUM asks for; the field is in the packet. */
static void
complete_checksum(struct rte_mbuf *pkt, uint32_t start, uint32_t field)
{
	uint16_t sum = (uint16_t)~sum_packet(pkt, start, pkt->pkt_len - start);
	uint8_t bytes[sizeof(sum)];

	/* As good as 0, and right for UDP too. */
	if (sum == 0)
		sum = 0xffff;
	memcpy(bytes, &sum, sizeof(sum));
	store_byte(pkt, field, bytes[0]);
	store_byte(pkt, field + 1, bytes[1]);
}

/* Take the tag of a packet into its mbuf. Returns the bytes taken out. */
static uint32_t
strip_tag(struct rte_mbuf *pkt)
{
	/* A tag that lies across segments stays: nobody makes mbufs that small. */
	if (pkt->data_len < RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN || rte_vlan_strip(pkt) != 0)
		return 0;
	return RTE_VLAN_HLEN;
}

/* Whether the packet is what gso_type says. */
static bool
is_of_type(uint32_t ptype, uint8_t gso_type)
{
	if (gso_type == VIRTIO_NET_HDR_GSO_UDP)
		return (ptype & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_UDP;
	return (ptype & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP &&
			(gso_type == VIRTIO_NET_HDR_GSO_TCPV4 ? RTE_ETH_IS_IPV4_HDR(ptype) :
								RTE_ETH_IS_IPV6_HDR(ptype)) != 0;
}

/* Whether a partial checksum is the one that mbuf flags speak of. */
static bool
is_l4_checksum(const struct virtio_net_hdr *header, uint32_t ptype,
		const struct rte_net_hdr_lens *lens)
{
	uint32_t l4 = ptype & RTE_PTYPE_L4_MASK;

	return header->csum_start == lens->l2_len + lens->l3_len && lens->l2_len <= MAX_L2_LEN &&
			lens->l3_len <= MAX_L3_LEN &&
			((l4 == RTE_PTYPE_L4_TCP && header->csum_offset == TCP_CHECKSUM) ||
					(l4 == RTE_PTYPE_L4_UDP &&
							header->csum_offset == UDP_CHECKSUM));
}

/*
 * Whether there is a header of TCP or UDP of the length that is told on. TCP's is
 * what the guest says; a NIC that is given a wrong one may stop its whole port.
 */
static bool
has_l4_header(const struct rte_mbuf *pkt, uint32_t ptype, const struct rte_net_hdr_lens *lens)
{
	return lens->l4_len >= ((ptype & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP ?
							       sizeof(struct rte_tcp_hdr) :
							       sizeof(struct rte_udp_hdr)) &&
			(uint32_t)lens->l2_len + lens->l3_len + lens->l4_len <= pkt->pkt_len;
}

/* What net_vhost does by legacy-ol-flags=1: transmitted again, the packet is as it was. */
static void
set_legacy_flags(struct rte_mbuf *pkt, uint32_t ptype, const struct rte_net_hdr_lens *lens,
		bool is_gso)
{
	bool is_tcp = (ptype & RTE_PTYPE_L4_MASK) == RTE_PTYPE_L4_TCP;

	pkt->ol_flags |= RTE_ETH_IS_IPV4_HDR(ptype) ? RTE_MBUF_F_TX_IPV4 : RTE_MBUF_F_TX_IPV6;
	pkt->ol_flags |= is_tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (is_gso)
		pkt->ol_flags |= is_tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
	pkt->l2_len = lens->l2_len & MAX_L2_LEN;
	pkt->l3_len = lens->l3_len & MAX_L3_LEN;
	pkt->l4_len = lens->l4_len;
}

bool
vnet_offload_take(const struct vnet_queue *queue, struct virtio_net_hdr header,
		struct rte_mbuf *pkt)
{
	bool partial = header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	uint8_t type = header.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	bool is_gso = type != VIRTIO_NET_HDR_GSO_NONE;
	uint64_t checksum = partial ? RTE_MBUF_F_RX_L4_CKSUM_NONE : 0;
	struct rte_net_hdr_lens lens = { .l2_len = 0 };
	uint32_t ptype, stripped = 0;

	if ((partial && (uint32_t)header.csum_start + header.csum_offset + 2 > pkt->pkt_len) ||
			(is_gso &&
					(type > 7 || !(queue->host_gso_types >> type & 1) ||
							header.gso_size == 0 ||
							header.hdr_len > pkt->pkt_len)))
		return false;
	if (queue->strip_vlan)
		stripped = strip_tag(pkt);
	if (!partial && !is_gso)
		return true;
	if (partial) {
		if (header.csum_start < RTE_ETHER_HDR_LEN + stripped)
			return false;
		header.csum_start -= (uint16_t)stripped;
	}
	if (partial && queue->complete_checksums) {
		complete_checksum(pkt, header.csum_start, header.csum_start + header.csum_offset);
		partial = false;
		checksum = RTE_MBUF_F_RX_L4_CKSUM_GOOD;
		if (!is_gso) {
			pkt->ol_flags |= checksum;
			return true;
		}
	}

	ptype = rte_net_get_ptype(pkt, &lens, RTE_PTYPE_ALL_MASK);
	if (is_gso &&
			(!is_of_type(ptype, type) ||
					(partial && !is_l4_checksum(&header, ptype, &lens)) ||
					!has_l4_header(pkt, ptype, &lens) ||
					lens.l2_len > MAX_L2_LEN || lens.l3_len > MAX_L3_LEN))
		return false;
	pkt->packet_type = ptype;
	/* Of a tunnel's inner packet, or of what flags have no name or number for. */
	if (partial &&
			(!is_l4_checksum(&header, ptype, &lens) ||
					(queue->legacy_ol_flags &&
							!has_l4_header(pkt, ptype, &lens)))) {
		complete_checksum(pkt, header.csum_start, header.csum_start + header.csum_offset);
		return true;
	}
	pkt->tx_offload = 0; /* what another packet left there */
	if (is_gso)
		pkt->tso_segsz = header.gso_size;
	if (queue->legacy_ol_flags) {
		set_legacy_flags(pkt, ptype, &lens, is_gso);
		return true;
	}
	pkt->ol_flags |= checksum;
	if (is_gso)
		pkt->ol_flags |= RTE_MBUF_F_RX_LRO;
	return true;
}
