/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Offloads towards the guest: each feature with each protocol, and what a guest
 * lacks. Whatever arrives is finished as a guest would finish it, and then its
 * checksums are checked by code that is not the driver's. Guest memory and log
 * are compared after each burst, as in the other tests.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_errno.h>

#include <cmocka.h>

#include "rig/offload_rig.h"
#include "rig/program.h"

static struct frame frame, other;
static uint8_t arrived[FRAME_MAX + 16];

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

/* Nothing of it may arrive, and it is counted; who asks before is told why. */
static void
is_dropped(struct rig *rig, struct rte_mbuf *mbuf, int reason)
{
	uint64_t before = rig->to_guest.queue->stats.dropped;
	struct rte_mbuf *pkts[3] = { mbuf_of(rig->pool, &frame, UINT32_MAX), mbuf, mbuf };
	struct rig_chain chain;

	rte_errno = 0;
	assert_int_equal(eth_dirtylog_tx_prepare(rig->to_guest.queue, pkts, 3), 1);
	assert_int_equal(rte_errno, reason);
	rte_pktmbuf_free(pkts[0]);
	rig_offer(rig, &rig->to_guest, 2048, SHAPE_ONE, &chain);
	ring_publish(&rig->to_guest.ring);
	assert_int_equal(rig_transmit(rig, &mbuf, 1), 1);
	assert_int_equal(rig->to_guest.queue->stats.dropped, before + 1);
	rig_check(rig);
	/* The buffer is still there for a good one. */
	frame_make(&other, frame_kind_of(0), 1, 100);
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
			segments == 0                 ? UINT32_MAX :
					segments == 1 ? 200 :
							131);
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
		struct rig *rig = offload_create(lacking ? BIT(CSUM) : ALL, 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			for (i = 0; i < RTE_DIM(payloads) * 3; i++) {
				unsigned int flags = i % 4;
				uint64_t more = (flags & 1 ? RTE_MBUF_F_TX_VLAN : 0) |
						(flags & 2 ? RTE_MBUF_F_TX_IP_CKSUM : 0);
				struct virtio_net_hdr_mrg_rxbuf header;
				struct rte_mbuf *mbuf;

				shape = (i + k) % NB_SHAPES;
				frame_make(&frame, frame_kind_of(k), i, payloads[i / 3]);
				mbuf = unfinished(rig, more | checksum_flag(&frame), i % 3);
				header = offload_send(rig, mbuf, shape, frame.len, arrived);
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
		offload_destroy(rig);
	}
}

/* What is sent is not changed: others may hold it, and it may be sent again. */
static void
packets_are_not_written(void **state)
{
	struct rig *rig = offload_create(0, 0, false);
	struct rte_mbuf *mbuf;
	unsigned int k;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		uint64_t flags = RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_IP_CKSUM;
		uint64_t before;

		frame_make(&frame, frame_kind_of(k), k, 300);
		flags |= checksum_flag(&frame);
		if (frame.kind.ipv6)
			flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
		memset(frame.bytes + frame_checksum_at(&frame), 0x5a, 2);
		mbuf = mbuf_of(rig->pool, &frame, UINT32_MAX);
		mbuf->ol_flags |= flags;
		before = mbuf->ol_flags;
		rte_mbuf_refcnt_set(mbuf, 3);
		offload_send(rig, mbuf, SHAPE_ONE, frame.len + 4, arrived);
		offload_send(rig, mbuf, SHAPE_HEADER_APART, frame.len + 4, arrived);
		assert_true(frame_is_sound(arrived, frame.len + 4));
		assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
		assert_int_equal(mbuf->ol_flags, before);
		rte_pktmbuf_free(mbuf);
	}
	offload_destroy(rig);
}

static void
long_packets_to_guest(void **state)
{
	static const uint32_t payloads[] = { 2900, 9001, 65000 };
	unsigned int i, k, ecn;

	(void)state;
	for (ecn = 0; ecn < 2; ecn++) {
		struct rig *rig = offload_create(ecn ? ALL : ALL & ~BIT(GUEST_ECN), 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			for (i = 0; i < RTE_DIM(payloads) * 2; i++) {
				struct virtio_net_hdr_mrg_rxbuf header;
				struct rte_mbuf *mbuf;
				uint8_t type;

				frame_make(&frame, frame_kind_of(k), i, payloads[i / 2]);
				mbuf = unfinished(rig,
						(frame.kind.udp ? RTE_MBUF_F_TX_UDP_SEG :
								  RTE_MBUF_F_TX_TCP_SEG) |
								RTE_MBUF_F_TX_IP_CKSUM |
								(i % 2 ? RTE_MBUF_F_TX_VLAN : 0),
						1 + i % 2);
				mbuf->tso_segsz = SEGMENT;
				header = offload_send(rig, mbuf, i % NB_SHAPES, frame.len, arrived);
				type = frame.kind.udp           ? VIRTIO_NET_HDR_GSO_UDP :
						frame.kind.ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 :
								  VIRTIO_NET_HDR_GSO_TCPV4;
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
		offload_destroy(rig);
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
		rig = offload_create(features[i], 0, false);
		for (k = 0; k < RTE_DIM(kinds); k++) {
			frame_make(&frame, frame_kind_of(kinds[k]), k, 4000);
			mbuf = unfinished(rig,
					frame.kind.udp ? RTE_MBUF_F_TX_UDP_SEG :
							 RTE_MBUF_F_TX_TCP_SEG,
					0);
			mbuf->tso_segsz = SEGMENT;
			if (k == i)
				is_dropped(rig, mbuf, ENOTSUP);
			else if (eth_dirtylog_tx_prepare(rig->to_guest.queue, &mbuf, 1) == 1)
				offload_send(rig, mbuf, SHAPE_ONE, frame.len, arrived);
			else
				fail_msg("it can be sent, and is refused");
		}
		offload_destroy(rig);
	}
	rig = offload_create(ALL, 0, false);
	for (i = 0; i < 10; i++) {
		frame_make(&frame, frame_kind_of(0), 0, 100);
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
		is_dropped(rig, mbuf, i == 6 ? ENOTSUP : EINVAL);
	}
	offload_destroy(rig);
}

/* The check itself: it must see every bit that is wrong. */
static void
check_can_fail(void **state)
{
	unsigned int k, bit;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		uint32_t first;

		frame_make(&frame, frame_kind_of(k), k, 61);
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
	};
	const struct program program = {
		.name = "offload_to_guest",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
