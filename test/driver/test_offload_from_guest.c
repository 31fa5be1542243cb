/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Offloads of what a guest sends: each feature with each protocol, and what an
 * application lacks. Checksums are checked by code that is not the driver's. Guest
 * memory and log are compared after each burst, as in the other tests.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rte_net.h>

#include <cmocka.h>

#include "datapath/ext_buffers.h"
#include "rig/offload_rig.h"
#include "rig/program.h"

static struct frame frame;
static uint8_t arrived[FRAME_MAX + 16];

/* An application that knows partial checksums gets them as they are. */
static void
checksums_from_guest(void **state)
{
	struct rig *rig = offload_create(ALL, RX_CHECKSUMS, false);
	struct rte_net_hdr_lens lens;
	unsigned int i, k;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		for (i = 0; i < 9; i++) {
			struct virtio_net_hdr header;
			struct rte_mbuf *mbuf;
			uint32_t payload = i % 3 == 0 ? 0 : i % 3 == 1 ? 777 : 20000;

			frame_make(&frame, frame_kind_of(k), i, payload);
			frame_make_partial(&frame);
			header = offload_header(&frame, payload > 1500 ? SEGMENT : 0);
			/* Bits that a driver must not set mean nothing. */
			header.flags |= i == 0 ? VIRTIO_NET_HDR_F_DATA_VALID : 0;
			mbuf = offload_receive(rig, i < 6 ? rig->pool : rig->small, &header,
					frame.bytes, frame.len, (i + k) % NB_SHAPES);
			assert_non_null(mbuf);
			assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
			assert_int_equal(mbuf->ol_flags,
					RTE_MBUF_F_RX_L4_CKSUM_NONE |
							(payload > 1500 ? RTE_MBUF_F_RX_LRO : 0));
			assert_int_equal(mbuf->tso_segsz, payload > 1500 ? SEGMENT : 0);
			assert_int_equal(mbuf->packet_type,
					rte_net_get_ptype(mbuf, &lens, RTE_PTYPE_ALL_MASK));
			assert_int_equal(mbuf->port, 7);
			rte_pktmbuf_free(mbuf);
		}
	}
	offload_destroy(rig);
}

/* Any other gets whole ones, also from where mbuf flags have no name for it. */
static void
checksums_are_completed(void **state)
{
	unsigned int i, k, knows;

	(void)state;
	for (knows = 0; knows < 2; knows++) {
		struct rig *rig = offload_create(ALL, knows ? RX_CHECKSUMS : 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			for (i = 0; i < 9; i++) {
				static uint8_t bytes[FRAME_MAX + 64];
				struct virtio_net_hdr header;
				struct rte_mbuf *mbuf;
				uint32_t payload = i % 3 == 0 ? 0 : i % 3 == 1 ? 777 : 20001;
				/* A protocol that nobody knows, in front of the frame. */
				uint32_t outer = knows ? 21 : 0;
				bool is_long = payload > 1500 && !knows;

				frame_make(&frame, frame_kind_of(k), i, payload);
				frame_make_partial(&frame);
				header = offload_header(&frame, is_long ? SEGMENT : 0);
				header.csum_start = (uint16_t)(header.csum_start + outer);
				memset(bytes, 0x99, outer);
				memcpy(bytes + outer, frame.bytes, frame.len);
				mbuf = offload_receive(rig, i < 6 ? rig->pool : rig->small, &header,
						bytes, frame.len + outer, (i + k) % NB_SHAPES);
				assert_non_null(mbuf);
				assert_int_equal(mbuf->ol_flags,
						(knows ? 0 : RTE_MBUF_F_RX_L4_CKSUM_GOOD) |
								(is_long ? RTE_MBUF_F_RX_LRO : 0));
				frame_complete(bytes, frame.len + outer, header.csum_start,
						header.csum_offset);
				assert_true(mbuf_holds(mbuf, bytes, frame.len + outer));
				assert_true(frame_is_sound(bytes + outer, frame.len));
				rte_pktmbuf_free(mbuf);
			}
		}
		offload_destroy(rig);
	}
}

/* With legacy flags a packet that is sent on arrives as it was sent: header and all. */
static void
legacy_flags_pass_through(void **state)
{
	struct rig *rig = offload_create(ALL, 0, true);
	unsigned int i, k;

	(void)state;
	for (k = 0; k < NB_KINDS; k++) {
		for (i = 0; i < 6; i++) {
			struct virtio_net_hdr_mrg_rxbuf after;
			struct virtio_net_hdr header;
			struct rte_mbuf *mbuf;
			uint32_t payload = i % 3 == 0 ? 1 : i % 3 == 1 ? 1000 : 30000;

			frame_make(&frame, frame_kind_of(k), i, payload);
			frame_make_partial(&frame);
			header = offload_header(&frame, payload > 1500 ? SEGMENT : 0);
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					(i + k) % NB_SHAPES);
			assert_non_null(mbuf);
			assert_true(mbuf->ol_flags &
					(frame.kind.ipv6 ? RTE_MBUF_F_TX_IPV6 :
							   RTE_MBUF_F_TX_IPV4));
			after = offload_send(rig, mbuf, (i + k) % NB_SHAPES, frame.len, arrived);
			assert_memory_equal(&after.hdr, &header, sizeof(header));
			assert_memory_equal(arrived, frame.bytes, frame.len);
		}
	}
	offload_destroy(rig);
}

static void
tags_are_stripped(void **state)
{
	unsigned int k, mode;

	(void)state;
	for (mode = 0; mode < 4; mode++) {
		/* Whole checksums; partial ones known, unknown, in legacy flags. */
		struct rig *rig = offload_create(mode == 0 ? 0 : ALL,
				RTE_ETH_RX_OFFLOAD_VLAN_STRIP | (mode == 1 ? RX_CHECKSUMS : 0),
				mode == 3);

		for (k = 0; k < NB_KINDS; k++) {
			struct virtio_net_hdr header = { .flags = 0 };
			struct virtio_net_hdr_mrg_rxbuf after;
			struct rte_mbuf *mbuf;
			uint64_t tag;

			frame_make(&frame, frame_kind_of(k), k, 600);
			if (mode != 0) {
				frame_make_partial(&frame);
				header = offload_header(&frame, 0);
			}
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					k % NB_SHAPES);
			assert_non_null(mbuf);
			tag = mbuf->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
			assert_int_equal(tag,
					frame.kind.tagged ? RTE_MBUF_F_RX_VLAN |
									RTE_MBUF_F_RX_VLAN_STRIPPED :
							    0);
			assert_int_equal(mbuf->vlan_tci, frame.kind.tagged ? FRAME_VLAN : 0);
			if (frame.kind.tagged)
				frame_remove_tag(&frame);
			if (mode == 2)
				frame_complete(frame.bytes, frame.len, frame.l2_len + frame.l3_len,
						header.csum_offset);
			assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
			if (mode == 1)
				assert_int_equal(mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK,
						RTE_MBUF_F_RX_L4_CKSUM_NONE);
			after = offload_send(rig, mbuf, SHAPE_ONE, frame.len, arrived);
			if (mode == 3)
				frame_complete(arrived, frame.len, after.hdr.csum_start,
						after.hdr.csum_offset);
			if (mode != 1)
				assert_true(frame_is_sound(arrived, frame.len));
		}
		offload_destroy(rig);
	}
}

/* A packet too short for a tag is left alone. */
static void
short_packets(void **state)
{
	struct rig *rig = offload_create(ALL, RTE_ETH_RX_OFFLOAD_VLAN_STRIP, false);
	struct virtio_net_hdr header = { .flags = 0 };
	struct rte_mbuf *mbuf;
	uint32_t len;

	(void)state;
	frame_make(&frame, frame_kind_of(4), 0, 0);
	for (len = 1; len < 40; len++) {
		mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, len, SHAPE_ONE);
		assert_non_null(mbuf);
		assert_int_equal(mbuf->pkt_len, len < 18 ? len : len - 4);
		rte_pktmbuf_free(mbuf);
	}
	offload_destroy(rig);
}

/* A long packet whose checksum is in it already: none is said to be missing. */
static void
long_packets_with_checksums(void **state)
{
	unsigned int k, knows;

	(void)state;
	for (knows = 0; knows < 2; knows++) {
		struct rig *rig = offload_create(ALL, knows ? RX_CHECKSUMS : 0, false);

		for (k = 0; k < NB_KINDS; k++) {
			struct virtio_net_hdr header;
			struct rte_mbuf *mbuf;

			frame_make(&frame, frame_kind_of(k), k, 20000);
			header = offload_header(&frame, SEGMENT);
			header.flags = 0;
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					k % NB_SHAPES);
			assert_non_null(mbuf);
			assert_int_equal(mbuf->ol_flags, RTE_MBUF_F_RX_LRO);
			assert_int_equal(mbuf->tso_segsz, SEGMENT);
			assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
			rte_pktmbuf_free(mbuf);
		}
		offload_destroy(rig);
	}
}

static void
large_buffers(void **state)
{
	struct rig *rig = offload_create(ALL, RX_CHECKSUMS, false);
	struct vnet_queue *queue = rig->from_guest.queue;
	struct rte_mempool *buffers = vnet_ext_buffers_create("dirtylog_7_0", SOCKET_ID_ANY);
	struct rte_mbuf *held[512], *mbuf;
	struct virtio_net_hdr header;
	unsigned int i, n, linear;

	(void)state;
	assert_non_null(buffers);
	queue->ext_buffers = buffers;
	frame_make(&frame, frame_kind_of(0), 3, 65000);
	frame_make_partial(&frame);
	header = offload_header(&frame, SEGMENT);
	for (linear = 0; linear < 2; linear++) {
		queue->linear = linear;
		n = 0;
		/* As long as there are some a packet is one segment. */
		while (!rte_mempool_empty(buffers)) {
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					n % NB_SHAPES);
			assert_non_null(mbuf);
			assert_int_equal(mbuf->nb_segs, 1);
			assert_int_equal(mbuf->ol_flags,
					RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_RX_LRO |
							RTE_MBUF_F_RX_L4_CKSUM_NONE);
			assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
			held[n++] = mbuf;
		}
		assert_true(n >= 64);
		if (!linear) {
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					SHAPE_ONE);
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
			assert_true(mbuf_holds(mbuf, packet_bytes(1, 9000), 9000));
			rte_pktmbuf_free(mbuf);
		}
		/* A short one needs none; a bad header gives its buffer back. */
		mbuf = offload_receive(rig, rig->pool, &(struct virtio_net_hdr){ .flags = 0 },
				frame.bytes, 1000, SHAPE_ONE);
		assert_non_null(mbuf);
		assert_false(RTE_MBUF_HAS_EXTBUF(mbuf));
		rte_pktmbuf_free(mbuf);
		rte_pktmbuf_free(held[--n]);
		i = rte_mempool_avail_count(buffers);
		assert_null(offload_receive(rig, rig->pool,
				&(struct virtio_net_hdr){ .gso_type = 9 }, frame.bytes, 9000,
				SHAPE_ONE));
		assert_int_equal(rte_mempool_avail_count(buffers), i);
		rte_pktmbuf_free_bulk(held, n);
	}
	/* While the application holds one, the pool stays, and is found again. */
	mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len, SHAPE_ONE);
	assert_non_null(mbuf);
	vnet_ext_buffers_release(buffers);
	assert_ptr_equal(vnet_ext_buffers_create("dirtylog_7_0", SOCKET_ID_ANY), buffers);
	assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
	rte_pktmbuf_free(mbuf);
	vnet_ext_buffers_release(buffers);
	assert_null(rte_mempool_lookup("dirtylog_7_0"));

	/* One segment or nothing, without such buffers. */
	queue->ext_buffers = NULL;
	assert_null(offload_receive(rig, rig->pool, &header, frame.bytes, frame.len, SHAPE_ONE));
	assert_int_equal(queue->stats.faults[VNET_FAULT_LONG], 1);
	mbuf = offload_receive(rig, rig->pool, &(struct virtio_net_hdr){ .flags = 0 }, frame.bytes,
			2048, SHAPE_PIECES);
	assert_non_null(mbuf);
	rte_pktmbuf_free(mbuf);
	offload_destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_from_guest),
		cmocka_unit_test(checksums_are_completed),
		cmocka_unit_test(legacy_flags_pass_through),
		cmocka_unit_test(tags_are_stripped),
		cmocka_unit_test(short_packets),
		cmocka_unit_test(long_packets_with_checksums),
		cmocka_unit_test(large_buffers),
	};
	const struct program program = {
		.name = "offload_from_guest",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
