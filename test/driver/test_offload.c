/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Offloads: each feature with each protocol, what a guest, an
 * application, or both lack, and headers that cannot be followed. Whatever
 * arrives is finished as a guest would finish it, and then its checksums are
 * checked by code that is not the driver's. Guest memory and log are compared
 * after each burst, as in the other tests.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_net.h>

#include <cmocka.h>

#include "datapath/ext_buffers.h"
#include "rig/frame.h"
#include "rig/program.h"
#include "rig/ring_rig.h"

#define BIT(feature) (1ULL << VIRTIO_NET_F_ ## feature)
#define HOST_GSO (BIT(HOST_TSO4) | BIT(HOST_TSO6) | BIT(HOST_UFO) | BIT(HOST_ECN))
#define GUEST_GSO (BIT(GUEST_TSO4) | BIT(GUEST_TSO6) | BIT(GUEST_UFO) | BIT(GUEST_ECN))
#define ALL (BIT(CSUM) | BIT(GUEST_CSUM) | HOST_GSO | GUEST_GSO)
#define RX_CHECKSUMS (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define SEGMENT 1400

static struct frame frame, other;
static uint8_t arrived[FRAME_MAX + 16];

static struct rig *
create(uint64_t features, uint64_t rx_offloads, bool legacy)
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

static void
destroy(struct rig *rig)
{
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

/* All 32 kinds of frames. */
static struct frame_kind
kind_of(unsigned int i)
{
	return (struct frame_kind){ .ipv6 = i & 1, .udp = i & 2, .tagged = i & 4,
		.extended = i & 8, .congested = (i & 16) && !(i & 2) };
}

#define NB_KINDS 32

static struct rte_mbuf *
mbuf_of(struct rte_mempool *pool, const struct frame *from, uint32_t first_segment)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool), *tail = mbuf;
	uint32_t done = 0, room = first_segment;

	assert_non_null(mbuf);
	for (;;) {
		uint32_t n = RTE_MIN(RTE_MIN(from->len - done, room),
				(uint32_t)rte_pktmbuf_tailroom(tail));

		memcpy(rte_pktmbuf_mtod(tail, void *), from->bytes + done, n);
		tail->data_len = (uint16_t)n;
		done += n;
		if (done == from->len)
			break;
		tail->next = rte_pktmbuf_alloc(pool);
		assert_non_null(tail->next);
		tail = tail->next;
		mbuf->nb_segs++;
		room = 199; /* odd */
	}
	mbuf->pkt_len = from->len;
	mbuf->l2_len = from->l2_len & 0x7f;
	mbuf->l3_len = from->l3_len & 0x1ff;
	mbuf->l4_len = from->l4_len & 0xff;
	mbuf->ol_flags |= from->kind.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	return mbuf;
}

static uint64_t
checksum_flag(const struct frame *from)
{
	return from->kind.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
}

static bool
holds(const struct rte_mbuf *mbuf, const uint8_t *bytes, uint32_t len)
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

/* Send to a guest that has a buffer; `arrived` is what it finds behind the header. */
static struct virtio_net_hdr_mrg_rxbuf
send_one(struct rig *rig, struct rte_mbuf *mbuf, enum rig_shape shape, uint32_t expected)
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

/* Nothing of it may arrive, and it is counted. */
static void
is_dropped(struct rig *rig, struct rte_mbuf *mbuf)
{
	uint64_t before = rig->to_guest.queue->stats.dropped;
	struct rig_chain chain;

	rig_offer(rig, &rig->to_guest, 2048, SHAPE_ONE, &chain);
	ring_publish(&rig->to_guest.ring);
	assert_int_equal(rig_transmit(rig, &mbuf, 1), 1);
	assert_int_equal(rig->to_guest.queue->stats.dropped, before + 1);
	rig_check(rig);
	/* The buffer is still there for a good one. */
	frame_make(&other, kind_of(0), 1, 100);
	mbuf = mbuf_of(rig->pool, &other, UINT32_MAX);
	rig_expect_used(rig, &rig->to_guest, chain.head, rig->header_len + other.len);
	ram_accept(&rig->ram, chain.buffers[0].gpa, rig->header_len + other.len);
	assert_int_equal(rig_transmit(rig, &mbuf, 1), 1);
	ram_read(&rig->ram, chain.buffers[0].gpa, arrived, rig->header_len + other.len);
	ram_write(&rig->ram, chain.buffers[0].gpa, arrived, rig->header_len + other.len);
	assert_memory_equal(arrived + rig->header_len, other.bytes, other.len);
	rig_check(rig);
}

/* Frames with their tag, where the driver puts it in, and their checksums wrong. */
static struct rte_mbuf *
unfinished(struct rig *rig, uint64_t flags, unsigned int segments)
{
	struct rte_mbuf *mbuf;

	memset(frame.bytes + frame_checksum_at(&frame), 0x5a, 2);
	if ((flags & RTE_MBUF_F_TX_IP_CKSUM) && !frame.kind.ipv6)
		memset(frame.bytes + frame.l2_len + 10, 0xa5, 2);
	else
		flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
	mbuf = mbuf_of(segments == 0 ? rig->large : rig->pool, &frame,
			segments == 0 ? UINT32_MAX : segments == 1 ? 200 : 131);
	mbuf->ol_flags |= flags;
	mbuf->vlan_tci = 0x3123;
	if (flags & RTE_MBUF_F_TX_VLAN)
		frame_insert_tag(&frame, 0x3123);
	return mbuf;
}

static void
checksums_to_guest(void **state)
{
	static const uint32_t payloads[] = { 0, 1, 17, 512, 1301, 8000 };
	unsigned int i, k, shape, lacking;

	(void)state;
	for (lacking = 0; lacking < 2; lacking++) {
		struct rig *rig = create(lacking ? BIT(CSUM) : ALL, 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			for (i = 0; i < RTE_DIM(payloads) * 3; i++) {
				unsigned int flags = i % 4;
				uint64_t more = (flags & 1 ? RTE_MBUF_F_TX_VLAN : 0) |
					(flags & 2 ? RTE_MBUF_F_TX_IP_CKSUM : 0);
				struct virtio_net_hdr_mrg_rxbuf header;
				struct rte_mbuf *mbuf;

				shape = (i + k) % NB_SHAPES;
				frame_make(&frame, kind_of(k), i, payloads[i / 3]);
				mbuf = unfinished(rig, more | checksum_flag(&frame), i % 3);
				header = send_one(rig, mbuf, shape, frame.len);
				assert_int_equal(header.hdr.gso_type, 0);
				assert_int_equal(header.hdr.gso_size, 0);
				if (lacking) {
					assert_int_equal(header.hdr.flags, 0);
					assert_int_equal(header.hdr.csum_start, 0);
				} else {
					assert_int_equal(header.hdr.flags,
							VIRTIO_NET_HDR_F_NEEDS_CSUM);
					assert_int_equal(header.hdr.csum_start,
							frame.l2_len + frame.l3_len);
					assert_false(frame_is_sound(arrived, frame.len));
					frame_complete(arrived, frame.len, header.hdr.csum_start,
							header.hdr.csum_offset);
				}
				assert_true(frame_is_sound(arrived, frame.len));
			}
		}
		destroy(rig);
	}
}

/* What is sent is not changed: others may hold it, and it may be sent again. */
static void
packets_are_not_written(void **state)
{
	struct rig *rig = create(0, 0, false);
	struct rte_mbuf *mbuf;
	unsigned int k;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		uint64_t flags = RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_IP_CKSUM;
		uint64_t before;

		frame_make(&frame, kind_of(k), k, 300);
		flags |= checksum_flag(&frame);
		if (frame.kind.ipv6)
			flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
		memset(frame.bytes + frame_checksum_at(&frame), 0x5a, 2);
		mbuf = mbuf_of(rig->pool, &frame, UINT32_MAX);
		mbuf->ol_flags |= flags;
		before = mbuf->ol_flags;
		rte_mbuf_refcnt_set(mbuf, 3);
		send_one(rig, mbuf, SHAPE_ONE, frame.len + 4);
		send_one(rig, mbuf, SHAPE_HEADER_APART, frame.len + 4);
		assert_true(frame_is_sound(arrived, frame.len + 4));
		assert_true(holds(mbuf, frame.bytes, frame.len));
		assert_int_equal(mbuf->ol_flags, before);
		rte_pktmbuf_free(mbuf);
	}
	destroy(rig);
}

static void
long_packets_to_guest(void **state)
{
	static const uint32_t payloads[] = { 2900, 9001, 65000 };
	unsigned int i, k, ecn;

	(void)state;
	for (ecn = 0; ecn < 2; ecn++) {
		struct rig *rig = create(ecn ? ALL : ALL & ~BIT(GUEST_ECN), 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			for (i = 0; i < RTE_DIM(payloads) * 2; i++) {
				struct virtio_net_hdr_mrg_rxbuf header;
				struct rte_mbuf *mbuf;
				uint8_t type;

				frame_make(&frame, kind_of(k), i, payloads[i / 2]);
				mbuf = unfinished(rig, (frame.kind.udp ? RTE_MBUF_F_TX_UDP_SEG :
						RTE_MBUF_F_TX_TCP_SEG) | RTE_MBUF_F_TX_IP_CKSUM |
						(i % 2 ? RTE_MBUF_F_TX_VLAN : 0), 1 + i % 2);
				mbuf->tso_segsz = SEGMENT;
				header = send_one(rig, mbuf, i % NB_SHAPES, frame.len);
				type = frame.kind.udp ? VIRTIO_NET_HDR_GSO_UDP : frame.kind.ipv6 ?
					VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
				if (ecn && frame.kind.congested)
					type |= VIRTIO_NET_HDR_GSO_ECN;
				assert_int_equal(header.hdr.gso_type, type);
				assert_int_equal(header.hdr.gso_size, SEGMENT);
				assert_int_equal(header.hdr.hdr_len,
						frame.l2_len + frame.l3_len + frame.l4_len);
				assert_int_equal(header.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
				/* The pseudo-header has the full length: completed it is right. */
				frame_complete(arrived, frame.len, header.hdr.csum_start,
						header.hdr.csum_offset);
				assert_true(frame_is_sound(arrived, frame.len));
			}
		}
		destroy(rig);
	}
}

/* What this guest cannot take, and what makes no sense. */
static void
drops_to_guest(void **state)
{
	static const uint64_t features[] = { ALL & ~BIT(GUEST_TSO4), ALL & ~BIT(GUEST_TSO6),
		ALL & ~BIT(GUEST_UFO) };
	static const unsigned int kinds[] = { 0, 1, 2 };
	struct rte_mbuf *mbuf;
	struct rig *rig;
	unsigned int i, k;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		rig = create(features[i], 0, false);
		for (k = 0; k < RTE_DIM(kinds); k++) {
			frame_make(&frame, kind_of(kinds[k]), k, 4000);
			mbuf = unfinished(rig, frame.kind.udp ? RTE_MBUF_F_TX_UDP_SEG :
					RTE_MBUF_F_TX_TCP_SEG, 0);
			mbuf->tso_segsz = SEGMENT;
			if (k == i)
				is_dropped(rig, mbuf);
			else
				send_one(rig, mbuf, SHAPE_ONE, frame.len);
		}
		destroy(rig);
	}
	rig = create(ALL, 0, false);
	for (i = 0; i < 10; i++) {
		frame_make(&frame, kind_of(0), 0, 100);
		mbuf = unfinished(rig, RTE_MBUF_F_TX_TCP_CKSUM, 0);
		switch (i) {
		case 0:
			mbuf->l2_len = 127;
			mbuf->l3_len = 500;
			break;
		case 1:
			mbuf->l3_len = 16;
			break;
		case 2: /* the field is just beyond the first segment */
			mbuf->l3_len = frame.len - 14 - 16 - 1;
			break;
		case 3:
			mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG; /* of size 0 */
			break;
		case 4:
			mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
			mbuf->tso_segsz = 100;
			mbuf->l4_len = 12;
			break;
		case 5:
			mbuf->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
			mbuf->tso_segsz = 100;
			mbuf->l4_len = 200;
			break;
		case 6:
			mbuf->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
			mbuf->ol_flags |= RTE_MBUF_F_TX_SCTP_CKSUM;
			break;
		case 7:
			mbuf->ol_flags = RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4;
			mbuf->l3_len = 200;
			break;
		case 8:
			mbuf->ol_flags = RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_IPV4;
			mbuf->l3_len = 0;
			break;
		default:
			mbuf->ol_flags = RTE_MBUF_F_TX_VLAN;
			mbuf->data_len = 13;
			mbuf->pkt_len = 13;
		}
		is_dropped(rig, mbuf);
	}
	destroy(rig);
}

static uint8_t
gso_type_of(const struct frame *from)
{
	if (from->kind.udp)
		return VIRTIO_NET_HDR_GSO_UDP;
	return (from->kind.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) |
		(from->kind.congested ? VIRTIO_NET_HDR_GSO_ECN : 0);
}

/* As a guest fills it in for a frame with a partial checksum. */
static struct virtio_net_hdr
header_of(const struct frame *from, uint16_t gso_size)
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

/* The guest sends bytes behind a header. Returns what comes of it, or NULL. */
static struct rte_mbuf *
receive_one(struct rig *rig, struct rte_mempool *pool, const struct virtio_net_hdr *header,
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

/* An application that knows partial checksums gets them as they are. */
static void
checksums_from_guest(void **state)
{
	struct rig *rig = create(ALL, RX_CHECKSUMS, false);
	struct rte_net_hdr_lens lens;
	unsigned int i, k;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		for (i = 0; i < 9; i++) {
			struct virtio_net_hdr header;
			struct rte_mbuf *mbuf;
			uint32_t payload = i % 3 == 0 ? 0 : i % 3 == 1 ? 777 : 20000;

			frame_make(&frame, kind_of(k), i, payload);
			frame_make_partial(&frame);
			header = header_of(&frame, payload > 1500 ? SEGMENT : 0);
			/* Bits that a driver must not set mean nothing. */
			header.flags |= i == 0 ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
			mbuf = receive_one(rig, i < 6 ? rig->pool : rig->small, &header, frame.bytes,
					frame.len, (i + k) % NB_SHAPES);
			assert_non_null(mbuf);
			assert_true(holds(mbuf, frame.bytes, frame.len));
			assert_int_equal(mbuf->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_NONE |
					(payload > 1500 ? RTE_MBUF_F_RX_LRO : 0));
			assert_int_equal(mbuf->tso_segsz, payload > 1500 ? SEGMENT : 0);
			assert_int_equal(mbuf->packet_type,
					rte_net_get_ptype(mbuf, &lens, RTE_PTYPE_ALL_MASK));
			assert_int_equal(mbuf->port, 7);
			rte_pktmbuf_free(mbuf);
		}
	}
	destroy(rig);
}

/* Any other gets whole ones, also from where mbuf flags have no name for it. */
static void
checksums_are_completed(void **state)
{
	unsigned int i, k, knows;

	(void)state;
	for (knows = 0; knows < 2; knows++) {
		struct rig *rig = create(ALL, knows ? RX_CHECKSUMS : 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			for (i = 0; i < 9; i++) {
				static uint8_t bytes[FRAME_MAX + 64];
				struct virtio_net_hdr header;
				struct rte_mbuf *mbuf;
				uint32_t payload = i % 3 == 0 ? 0 : i % 3 == 1 ? 777 : 20001;
				/* A protocol that nobody knows, in front of the frame. */
				uint32_t outer = knows ? 21 : 0;
				bool is_long = payload > 1500 && !knows;

				frame_make(&frame, kind_of(k), i, payload);
				frame_make_partial(&frame);
				header = header_of(&frame, is_long ? SEGMENT : 0);
				header.csum_start = (uint16_t)(header.csum_start + outer);
				memset(bytes, 0x99, outer);
				memcpy(bytes + outer, frame.bytes, frame.len);
				mbuf = receive_one(rig, i < 6 ? rig->pool : rig->small, &header, bytes,
						frame.len + outer, (i + k) % NB_SHAPES);
				assert_non_null(mbuf);
				assert_int_equal(mbuf->ol_flags, (knows ? 0 :
						RTE_MBUF_F_RX_L4_CKSUM_GOOD) |
						(is_long ? RTE_MBUF_F_RX_LRO : 0));
				frame_complete(bytes, frame.len + outer, header.csum_start,
						header.csum_offset);
				assert_true(holds(mbuf, bytes, frame.len + outer));
				assert_true(frame_is_sound(bytes + outer, frame.len));
				rte_pktmbuf_free(mbuf);
			}
		}
		destroy(rig);
	}
}

/* With legacy flags a packet that is sent on arrives as it was sent: header and all. */
static void
legacy_flags_pass_through(void **state)
{
	struct rig *rig = create(ALL, 0, true);
	unsigned int i, k;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		for (i = 0; i < 6; i++) {
			struct virtio_net_hdr_mrg_rxbuf after;
			struct virtio_net_hdr header;
			struct rte_mbuf *mbuf;
			uint32_t payload = i % 3 == 0 ? 1 : i % 3 == 1 ? 1000 : 30000;

			frame_make(&frame, kind_of(k), i, payload);
			frame_make_partial(&frame);
			header = header_of(&frame, payload > 1500 ? SEGMENT : 0);
			mbuf = receive_one(rig, rig->pool, &header, frame.bytes, frame.len,
					(i + k) % NB_SHAPES);
			assert_non_null(mbuf);
			assert_true(mbuf->ol_flags & (frame.kind.ipv6 ? RTE_MBUF_F_TX_IPV6 :
					RTE_MBUF_F_TX_IPV4));
			after = send_one(rig, mbuf, (i + k) % NB_SHAPES, frame.len);
			assert_memory_equal(&after.hdr, &header, sizeof(header));
			assert_memory_equal(arrived, frame.bytes, frame.len);
		}
	}
	destroy(rig);
}

static void
tags_are_stripped(void **state)
{
	unsigned int k, mode;

	(void)state;
	for (mode = 0; mode < 4; mode++) {
		/* Whole checksums; partial ones known, unknown, in legacy flags. */
		struct rig *rig = create(mode == 0 ? 0 : ALL, RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
				(mode == 1 ? RX_CHECKSUMS : 0), mode == 3);

		for (k = 0; k < NB_KINDS; k++) {
			struct virtio_net_hdr header = { .flags = 0 };
			struct virtio_net_hdr_mrg_rxbuf after;
			struct rte_mbuf *mbuf;
			uint64_t tag;

			frame_make(&frame, kind_of(k), k, 600);
			if (mode != 0) {
				frame_make_partial(&frame);
				header = header_of(&frame, 0);
			}
			mbuf = receive_one(rig, rig->pool, &header, frame.bytes, frame.len,
					k % NB_SHAPES);
			assert_non_null(mbuf);
			tag = mbuf->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
			assert_int_equal(tag, frame.kind.tagged ?
					RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED : 0);
			assert_int_equal(mbuf->vlan_tci, frame.kind.tagged ? FRAME_VLAN : 0);
			if (frame.kind.tagged)
				frame_remove_tag(&frame);
			if (mode == 2)
				frame_complete(frame.bytes, frame.len, frame.l2_len + frame.l3_len,
						header.csum_offset);
			assert_true(holds(mbuf, frame.bytes, frame.len));
			if (mode == 1)
				assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK,
						RTE_MBUF_F_RX_L4_CKSUM_NONE);
			after = send_one(rig, mbuf, SHAPE_ONE, frame.len);
			if (mode == 3)
				frame_complete(arrived, frame.len, after.hdr.csum_start,
						after.hdr.csum_offset);
			if (mode != 1)
				assert_true(frame_is_sound(arrived, frame.len));
		}
		destroy(rig);
	}
}

/* A packet too short for a tag is left alone. */
static void
short_packets(void **state)
{
	struct rig *rig = create(ALL, RTE_ETH_RX_OFFLOAD_VLAN_STRIP, false);
	struct virtio_net_hdr header = { .flags = 0 };
	struct rte_mbuf *mbuf;
	uint32_t len;

	(void)state;
	frame_make(&frame, kind_of(4), 0, 0);
	for (len = 1; len < 40; len++) {
		mbuf = receive_one(rig, rig->pool, &header, frame.bytes, len, SHAPE_ONE);
		assert_non_null(mbuf);
		assert_int_equal(mbuf->pkt_len, len < 18 ? len : len - 4);
		rte_pktmbuf_free(mbuf);
	}
	destroy(rig);
}

/* Headers that cannot be followed: the packet is dropped, the buffer comes back. */
static void
bad_headers(void **state)
{
	static const struct {
		unsigned int kind;
		struct virtio_net_hdr header;
	} cases[] = {
		{ 0, { .flags = 1, .csum_start = 34, .csum_offset = 65535 } },
		{ 0, { .flags = 1, .csum_start = 65535, .csum_offset = 65535 } },
		{ 0, { .flags = 1, .csum_start = 65535, .csum_offset = 1 } },
		{ 0, { .flags = 1, .csum_start = 34, .csum_offset = 531 } }, /* one byte out */
		{ 0, { .flags = 1, .csum_start = 0, .csum_offset = 16 } },
		{ 0, { .flags = 1, .csum_start = 13, .csum_offset = 0 } },
		{ 0, { .gso_type = 1 } },
		{ 0, { .gso_type = 0x81 } },
		{ 0, { .gso_type = 2, .gso_size = 100 } },
		{ 0, { .gso_type = 5, .gso_size = 100 } },
		{ 0, { .gso_type = 127, .gso_size = 100 } },
		{ 0, { .gso_type = 255, .gso_size = 100 } },
		{ 0, { .gso_type = 3, .gso_size = 100 } },
		{ 0, { .gso_type = 4, .gso_size = 100 } },
		{ 1, { .gso_type = 1, .gso_size = 100 } },
		{ 2, { .gso_type = 1, .gso_size = 100 } },
		{ 3, { .gso_type = 4, .gso_size = 100 } },
		{ 0, { .gso_type = 1, .gso_size = 100, .hdr_len = 567 } },
		{ 0, { .gso_type = 1, .gso_size = 100, .hdr_len = 65535 } },
		{ 0, { .flags = 1, .gso_type = 1, .gso_size = 100, .csum_start = 33,
			.csum_offset = 16 } },
		{ 0, { .flags = 1, .gso_type = 1, .gso_size = 100, .csum_start = 34,
			.csum_offset = 6 } },
	};
	unsigned int i, mode, shape;

	(void)state;
	for (mode = 0; mode < 2; mode++) {
		struct rig *rig = create(ALL, mode == 0 ? RX_CHECKSUMS : 0, mode == 1);
		struct vnet_queue *queue = rig->from_guest.queue;

		for (i = 0; i < RTE_DIM(cases); i++) {
			for (shape = 0; shape < NB_SHAPES; shape++) {
				const struct virtio_net_hdr none = { .flags = 0 };
				uint64_t faults = queue->stats.faults[VNET_FAULT_OFFLOAD];
				struct rte_mbuf *mbuf;

				frame_make(&frame, kind_of(cases[i].kind), i, 500);
				assert_null(receive_one(rig, rig->pool, &cases[i].header, frame.bytes,
						frame.len, shape));
				assert_int_equal(queue->stats.faults[VNET_FAULT_OFFLOAD],
						faults + 1);
				assert_int_equal(rig_faults(&rig->from_guest), faults + 1);
				mbuf = receive_one(rig, rig->pool, &none, frame.bytes, frame.len, shape);
				assert_non_null(mbuf);
				assert_int_equal(mbuf->ol_flags, 0);
				rte_pktmbuf_free(mbuf);
			}
		}
		destroy(rig);
	}
}

/* Types that were not negotiated are bad; with nothing negotiated no header is read. */
static void
types_not_negotiated(void **state)
{
	static const uint64_t bits[] = { BIT(HOST_TSO4), BIT(HOST_TSO6), BIT(HOST_UFO) };
	struct rte_mbuf *mbuf;
	struct rig *rig;
	unsigned int i, k;

	(void)state;
	for (i = 0; i < 5; i++) {
		/* The legacy bit stands for all of them. */
		rig = create(i < 3 ? ALL & ~bits[i] : i == 3 ? BIT(CSUM) | BIT(GSO) : 0,
				RX_CHECKSUMS, false);
		for (k = 0; k < 3; k++) {
			struct virtio_net_hdr header;

			frame_make(&frame, kind_of(k), k, 3000);
			frame_make_partial(&frame);
			header = header_of(&frame, 1000);
			mbuf = receive_one(rig, rig->pool, &header, frame.bytes, frame.len, SHAPE_ONE);
			if (k == i) {
				assert_null(mbuf);
				continue;
			}
			assert_non_null(mbuf);
			assert_int_equal(mbuf->tso_segsz, i == 4 ? 0 : 1000);
			assert_true(holds(mbuf, frame.bytes, frame.len));
			rte_pktmbuf_free(mbuf);
		}
		destroy(rig);
	}
}

/* A bad header in the middle of a burst costs that packet only. */
static void
bad_header_in_a_burst(void **state)
{
	struct rig *rig = create(ALL, RX_CHECKSUMS, false);
	struct virtio_net_hdr bad = { .gso_type = 77, .gso_size = 5 };
	struct rte_mbuf *pkts[32];
	struct rig_chain chain;
	unsigned int i, n = 0;

	(void)state;
	for (i = 0; i < 32; i++) {
		rig_offer(rig, &rig->from_guest, rig->header_len + 500, SHAPE_ONE, &chain);
		rig_fill(rig, &chain, i, 500);
		if (i % 5 == 3)
			ram_write(&rig->ram, chain.buffers[0].gpa, &bad, sizeof(bad));
		rig_expect_used(rig, &rig->from_guest, chain.head, 0);
	}
	ring_publish(&rig->from_guest.ring);
	n = rig_receive(rig, rig->pool, pkts, 32);
	assert_int_equal(n, 32 - 6);
	assert_int_equal(rig->from_guest.queue->stats.faults[VNET_FAULT_OFFLOAD], 6);
	for (i = 0, n = 0; i < 32; i++)
		if (i % 5 != 3)
			assert_true(packet_is(pkts[n++], i, 500));
	rte_pktmbuf_free_bulk(pkts, n);
	rig_check(rig);
	destroy(rig);
}

static void
large_buffers(void **state)
{
	struct rig *rig = create(ALL, RX_CHECKSUMS, false);
	struct vnet_queue *queue = rig->from_guest.queue;
	struct rte_mempool *buffers = vnet_ext_buffers_create("dirtylog_7_0", SOCKET_ID_ANY);
	struct rte_mbuf *held[512], *mbuf;
	struct virtio_net_hdr header;
	unsigned int i, n, linear;

	(void)state;
	assert_non_null(buffers);
	queue->ext_buffers = buffers;
	frame_make(&frame, kind_of(0), 3, 65000);
	frame_make_partial(&frame);
	header = header_of(&frame, SEGMENT);
	for (linear = 0; linear < 2; linear++) {
		queue->linear = linear;
		n = 0;
		/* As long as there are some a packet is one segment. */
		while (!rte_mempool_empty(buffers)) {
			mbuf = receive_one(rig, rig->pool, &header, frame.bytes, frame.len,
					n % NB_SHAPES);
			assert_non_null(mbuf);
			assert_int_equal(mbuf->nb_segs, 1);
			assert_int_equal(mbuf->ol_flags, RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_LRO |
					RTE_MBUF_F_RX_L4_CKSUM_NONE);
			assert_true(holds(mbuf, frame.bytes, frame.len));
			held[n++] = mbuf;
		}
		assert_true(n >= 64);
		if (!linear) {
			mbuf = receive_one(rig, rig->pool, &header, frame.bytes, frame.len, SHAPE_ONE);
			assert_non_null(mbuf);
			assert_true(mbuf->nb_segs > 1);
			rte_pktmbuf_free(mbuf);
		} else {
			/* It waits, and goes nowhere else. */
			struct rig_chain chain;

			rig_offer(rig, &rig->from_guest, rig->header_len + 9000, SHAPE_ONE, &chain);
			rig_fill(rig, &chain, 1, 9000);
			ring_publish(&rig->from_guest.ring);
			assert_int_equal(rig_receive(rig, rig->pool, &mbuf, 1), 0);
			assert_int_equal(queue->stats.no_mbuf, 1);
			rte_pktmbuf_free(held[--n]);
			rig_expect_used(rig, &rig->from_guest, chain.head, 0);
			assert_int_equal(rig_receive(rig, rig->pool, &mbuf, 1), 1);
			assert_true(holds(mbuf, packet_bytes(1, 9000), 9000));
			rte_pktmbuf_free(mbuf);
		}
		/* A short one needs none; a bad header gives its buffer back. */
		mbuf = receive_one(rig, rig->pool, &(struct virtio_net_hdr){ .flags = 0 },
				frame.bytes, 1000, SHAPE_ONE);
		assert_non_null(mbuf);
		assert_false(RTE_MBUF_HAS_EXTBUF(mbuf));
		rte_pktmbuf_free(mbuf);
		rte_pktmbuf_free(held[--n]);
		i = rte_mempool_avail_count(buffers);
		assert_null(receive_one(rig, rig->pool, &(struct virtio_net_hdr){ .gso_type = 9 },
				frame.bytes, 9000, SHAPE_ONE));
		assert_int_equal(rte_mempool_avail_count(buffers), i);
		rte_pktmbuf_free_bulk(held, n);
	}
	/* While the application holds one, the pool stays, and is found again. */
	mbuf = receive_one(rig, rig->pool, &header, frame.bytes, frame.len, SHAPE_ONE);
	assert_non_null(mbuf);
	vnet_ext_buffers_release(buffers);
	assert_ptr_equal(vnet_ext_buffers_create("dirtylog_7_0", SOCKET_ID_ANY), buffers);
	assert_true(holds(mbuf, frame.bytes, frame.len));
	rte_pktmbuf_free(mbuf);
	vnet_ext_buffers_release(buffers);
	assert_null(rte_mempool_lookup("dirtylog_7_0"));

	/* One segment or nothing, without such buffers. */
	queue->ext_buffers = NULL;
	assert_null(receive_one(rig, rig->pool, &header, frame.bytes, frame.len, SHAPE_ONE));
	assert_int_equal(queue->stats.faults[VNET_FAULT_LONG], 1);
	mbuf = receive_one(rig, rig->pool, &(struct virtio_net_hdr){ .flags = 0 }, frame.bytes,
			2048, SHAPE_PIECES);
	assert_non_null(mbuf);
	rte_pktmbuf_free(mbuf);
	destroy(rig);
}

/* The check itself: it must see every bit that is wrong. */
static void
check_can_fail(void **state)
{
	unsigned int k, bit;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		uint32_t first;

		frame_make(&frame, kind_of(k), k, 61);
		assert_true(frame_is_sound(frame.bytes, frame.len));
		first = frame.l2_len + frame.l3_len;
		for (bit = first * 8; bit < frame.len * 8; bit++) {
			frame.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(frame_is_sound(frame.bytes, frame.len));
			frame.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		frame_make_partial(&frame);
		assert_false(frame_is_sound(frame.bytes, frame.len));
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_can_fail),
		cmocka_unit_test(checksums_to_guest),
		cmocka_unit_test(packets_are_not_written),
		cmocka_unit_test(long_packets_to_guest),
		cmocka_unit_test(drops_to_guest),
		cmocka_unit_test(checksums_from_guest),
		cmocka_unit_test(checksums_are_completed),
		cmocka_unit_test(legacy_flags_pass_through),
		cmocka_unit_test(tags_are_stripped),
		cmocka_unit_test(short_packets),
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(types_not_negotiated),
		cmocka_unit_test(bad_header_in_a_burst),
		cmocka_unit_test(large_buffers),
	};
	const struct program program = {
		.name = "offload",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
