/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Offload headers of a guest that cannot be followed: the packet is dropped, and
 * its buffer comes back.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig/offload_rig.h"
#include "rig/program.h"

static struct frame frame;

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
		{ 0,
				{ .flags = 1,
						.gso_type = 1,
						.gso_size = 100,
						.csum_start = 33,
						.csum_offset = 16 } },
		{ 0,
				{ .flags = 1,
						.gso_type = 1,
						.gso_size = 100,
						.csum_start = 34,
						.csum_offset = 6 } },
	};
	unsigned int i, mode, shape;

	(void)state;
	for (mode = 0; mode < 2; mode++) {
		struct rig *rig = offload_create(ALL, mode == 0 ? RX_CHECKSUMS : 0, mode == 1);
		struct vnet_queue *queue = rig->from_guest.queue;

		for (i = 0; i < RTE_DIM(cases); i++) {
			for (shape = 0; shape < NB_SHAPES; shape++) {
				const struct virtio_net_hdr none = { .flags = 0 };
				uint64_t faults = queue->stats.faults[VNET_FAULT_OFFLOAD];
				struct rte_mbuf *mbuf;

				frame_make(&frame, frame_kind_of(cases[i].kind), i, 500);
				assert_null(offload_receive(rig, rig->pool, &cases[i].header,
						frame.bytes, frame.len, shape));
				assert_int_equal(queue->stats.faults[VNET_FAULT_OFFLOAD],
						faults + 1);
				assert_int_equal(rig_faults(&rig->from_guest), faults + 1);
				mbuf = offload_receive(rig, rig->pool, &none, frame.bytes,
						frame.len, shape);
				assert_non_null(mbuf);
				assert_int_equal(mbuf->ol_flags, 0);
				rte_pktmbuf_free(mbuf);
			}
		}
		offload_destroy(rig);
	}
}

/*
 * The length of TCP's header as the guest says it: a long packet with one that
 * cannot be is dropped, any other gets its checksum here, so that with legacy
 * flags no NIC is told of it.
 */
static void
bad_tcp_lengths(void **state)
{
	static const uint8_t words[] = { 0, 1, 4, 15 };
	unsigned int i, mode, is_long;

	(void)state;
	for (mode = 0; mode < 2; mode++) {
		struct rig *rig = offload_create(ALL, mode == 0 ? RX_CHECKSUMS : 0, mode == 1);
		struct vnet_queue *queue = rig->from_guest.queue;
		uint64_t faults = 0;

		for (i = 0; i < 2 * RTE_DIM(words); i++) {
			struct virtio_net_hdr header;
			struct rte_mbuf *mbuf;

			is_long = i % 2;
			/* The header ends beyond the packet only where that is short. */
			frame_make(&frame, frame_kind_of(0), i, words[i / 2] == 15 ? 20 : 500);
			frame.bytes[frame.l2_len + frame.l3_len + 12] = (uint8_t)(words[i / 2]
					<< 4);
			frame_make_partial(&frame);
			header = offload_header(&frame, is_long ? 10 : 0);
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					SHAPE_ONE);
			if (is_long) {
				assert_null(mbuf);
				assert_int_equal(queue->stats.faults[VNET_FAULT_OFFLOAD], ++faults);
				continue;
			}
			assert_non_null(mbuf);
			if (mode == 0) {
				assert_int_equal(mbuf->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_NONE);
			} else {
				assert_int_equal(mbuf->ol_flags, 0);
				frame_complete(frame.bytes, frame.len, header.csum_start,
						header.csum_offset);
			}
			assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
			rte_pktmbuf_free(mbuf);
		}
		offload_destroy(rig);
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
		rig = offload_create(i < 3             ? ALL & ~bits[i] :
						i == 3 ? BIT(CSUM) | BIT(GSO) :
							 0,
				RX_CHECKSUMS, false);
		for (k = 0; k < 3; k++) {
			struct virtio_net_hdr header;

			frame_make(&frame, frame_kind_of(k), k, 3000);
			frame_make_partial(&frame);
			header = offload_header(&frame, 1000);
			mbuf = offload_receive(rig, rig->pool, &header, frame.bytes, frame.len,
					SHAPE_ONE);
			if (k == i) {
				assert_null(mbuf);
				continue;
			}
			assert_non_null(mbuf);
			assert_int_equal(mbuf->tso_segsz, i == 4 ? 0 : 1000);
			assert_true(mbuf_holds(mbuf, frame.bytes, frame.len));
			rte_pktmbuf_free(mbuf);
		}
		offload_destroy(rig);
	}
}

/* A bad header in the middle of a burst costs that packet only. */
static void
bad_header_in_a_burst(void **state)
{
	struct rig *rig = offload_create(ALL, RX_CHECKSUMS, false);
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
	offload_destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_headers),
		cmocka_unit_test(bad_tcp_lengths),
		cmocka_unit_test(types_not_negotiated),
		cmocka_unit_test(bad_header_in_a_burst),
	};
	const struct program program = {
		.name = "offload_bad",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
