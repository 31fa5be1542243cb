/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings with a guest that does everything right: every packet size, every size of
 * rings, every shape of buffers and mbufs, both directions. After each burst all of
 * guest memory is compared with what a model of the back-end says, and the
 * log with the pages that the model wrote.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig/good_ring.h"
#include "rig/program.h"

/* Packets of the sizes from `len` on into the guest; all must go. */
static void
send_burst(struct rig *rig, struct fifo *fifo, uint32_t len, unsigned int n, uint32_t segment)
{
	struct rte_mempool *pool = segment == 0 ? rig->large : rig->small;
	struct rte_mbuf *pkts[BURST];
	unsigned int i, used = 0;

	for (i = 0; i < n; i++) {
		pkts[i] = packet_mbuf(pool, len + i, len + i, segment, segment == 77);
		assert_non_null(pkts[i]);
	}
	for (i = 0; i < n; i++)
		used += rig_expect_packet(rig, &fifo->chains[used], len + i, len + i);
	assert_int_equal(rig_transmit(rig, pkts, (uint16_t)n), n);
	fifo_drop(fifo, used);
	rig_check(rig);
}

static void
every_size_to_guest(const struct rig_options *options, enum rig_shape shape, uint32_t segment)
{
	struct rig *rig = rig_create(options);
	struct fifo *fifo = calloc(1, sizeof(*fifo));
	uint32_t len, room = options->mergeable ? MERGEABLE : WHOLE;
	uint64_t packets = 0, bytes = 0;
	unsigned int n, i;

	assert_non_null(fifo);
	for (len = SHORTEST; len <= LONGEST; len += n) {
		n = RTE_MIN((uint32_t)BURST, LONGEST + 1 - len);
		/* Just enough buffers, so that the last packet takes the last one. */
		for (i = 0; i < n; i++) {
			uint32_t need = rig->header_len + len + i;

			fifo_offer(rig, fifo, options->mergeable ? (need - 1) / room + 1 : 1, room,
					shape);
			packets++;
			bytes += len + i;
		}
		send_burst(rig, fifo, len, n, segment);
		assert_int_equal(fifo->n, 0);
	}
	check_counters(&rig->to_guest, packets, bytes);
	rig_close(rig);
	rig_destroy(rig);
	free(fifo);
}

static void
every_size_from_guest(const struct rig_options *options, enum rig_shape shape)
{
	struct rig *rig = rig_create(options);
	struct rte_mempool *const pools[] = { rig->pool, rig->large, rig->small };
	struct rte_mbuf *pkts[BURST];
	struct rig_chain chain;
	uint64_t packets = 0, bytes = 0;
	uint32_t len;
	unsigned int n, i, turn = 0;

	for (len = SHORTEST; len <= LONGEST; len += n) {
		struct rte_mempool *pool = pools[turn++ % RTE_DIM(pools)];

		n = RTE_MIN((uint32_t)BURST, LONGEST + 1 - len);
		for (i = 0; i < n; i++) {
			rig_offer(rig, &rig->from_guest, rig->header_len + len + i, shape, &chain);
			rig_fill(rig, &chain, len + i, len + i);
			rig_expect_used(rig, &rig->from_guest, chain.head, 0);
			packets++;
			bytes += len + i;
		}
		ring_publish(&rig->from_guest.ring);
		assert_int_equal(rig_receive(rig, pool, pkts, BURST), n);
		rig_check(rig);
		for (i = 0; i < n; i++) {
			assert_true(packet_is(pkts[i], len + i, len + i));
			assert_int_equal(pkts[i]->port, 7);
		}
		rte_pktmbuf_free_bulk(pkts, n);
	}
	check_counters(&rig->from_guest, packets, bytes);
	rig_close(rig);
	rig_destroy(rig);
}

/* Rings big enough for 32 packets of 9000 bytes in pieces of 150 on average. */
static struct rig_options
in_pieces(struct rig_options options)
{
	options.size = 4096;
	return options;
}

static void
sizes_to_guest_one_descriptor(void **state)
{
	(void)state;
	every_size_to_guest(&legacy, SHAPE_ONE, 0);
	every_size_to_guest(&modern, SHAPE_ONE, 0);
	every_size_to_guest(&mergeable, SHAPE_ONE, 0);
}

static void
sizes_to_guest_without_logging(void **state)
{
	(void)state;
	every_size_to_guest(&silent, SHAPE_ONE, 0);
	every_size_to_guest(&silent, SHAPE_HEADER_APART, 199);
}

static void
sizes_to_guest_segments(void **state)
{
	(void)state;
	every_size_to_guest(&legacy, SHAPE_ONE, 199);
	every_size_to_guest(&mergeable, SHAPE_ONE, 77);
	every_size_to_guest(&mergeable, SHAPE_HEADER_APART, 77);
}

static void
sizes_to_guest_chains(void **state)
{
	struct rig_options options = in_pieces(legacy);

	(void)state;
	every_size_to_guest(&legacy, SHAPE_HEADER_APART, 0);
	every_size_to_guest(&modern, SHAPE_HEADER_APART, 0);
	every_size_to_guest(&mergeable, SHAPE_HEADER_APART, 0);
	every_size_to_guest(&options, SHAPE_PIECES, 0);
	options = in_pieces(mergeable);
	every_size_to_guest(&options, SHAPE_PIECES, 199);
}

static void
sizes_to_guest_indirect(void **state)
{
	(void)state;
	every_size_to_guest(&legacy, SHAPE_INDIRECT, 0);
	every_size_to_guest(&mergeable, SHAPE_INDIRECT, 0);
	every_size_to_guest(&modern, SHAPE_INDIRECT_PIECES, 0);
	every_size_to_guest(&mergeable, SHAPE_INDIRECT_PIECES, 199);
	every_size_to_guest(&legacy, SHAPE_MIXED, 0);
	every_size_to_guest(&mergeable, SHAPE_MIXED, 77);
}

static void
sizes_from_guest(void **state)
{
	struct rig_options options = in_pieces(legacy);

	(void)state;
	every_size_from_guest(&legacy, SHAPE_ONE);
	every_size_from_guest(&modern, SHAPE_ONE);
	every_size_from_guest(&mergeable, SHAPE_HEADER_APART);
	every_size_from_guest(&silent, SHAPE_HEADER_APART);
	every_size_from_guest(&options, SHAPE_PIECES);
	every_size_from_guest(&legacy, SHAPE_INDIRECT);
	every_size_from_guest(&modern, SHAPE_INDIRECT_PIECES);
	every_size_from_guest(&legacy, SHAPE_MIXED);
}

/*
 * Ring sizes, each several times around, from an index shortly before it wraps.
 * Packed rings have any size, and wrap at it.
 */
static void
ring_sizes(void **state)
{
	static const uint16_t split[] = { 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768 };
	static const uint16_t packed[] = { 1, 2, 3, 5, 31, 32, 33, 97, 250, 255, 256, 257, 1000,
		4095, 32767, 32768 };
	unsigned int turn;

	(void)state;
	for (turn = 0; turn < (rig_packed ? RTE_DIM(packed) : RTE_DIM(split)); turn++) {
		uint32_t size = rig_packed ? packed[turn] : split[turn];
		struct rig_options options = { .size = (uint16_t)size,
			.logging = true,
			.version_1 = true,
			.event_idx = true,
			.start = (uint16_t)(65536 - size / 2 - 5) };
		struct rig *rig = rig_create(&options);
		struct rte_mbuf *pkts[BURST];
		struct rig_chain chain;
		uint32_t done = 0;

		while (done < 2 * size || done < 200) {
			unsigned int i,
					n = 1 +
					(unsigned int)(packet_random(&rig->random) %
							RTE_MIN(size, (uint32_t)BURST));

			for (i = 0; i < n; i++) {
				rig_offer(rig, &rig->to_guest, 100, SHAPE_ONE, &chain);
				pkts[i] = packet_mbuf(rig->pool, done + i, 60, 0, false);
				rig_expect_packet(rig, &chain, done + i, 60);
			}
			ring_publish(&rig->to_guest.ring);
			assert_int_equal(rig_transmit(rig, pkts, (uint16_t)n), n);
			for (i = 0; i < n; i++) {
				rig_offer(rig, &rig->from_guest, 12 + 60, SHAPE_ONE, &chain);
				rig_fill(rig, &chain, done + i, 60);
				rig_expect_used(rig, &rig->from_guest, chain.head, 0);
			}
			ring_publish(&rig->from_guest.ring);
			assert_int_equal(rig_receive(rig, rig->pool, pkts, BURST), n);
			for (i = 0; i < n; i++)
				assert_true(packet_is(pkts[i], done + i, 60));
			rte_pktmbuf_free_bulk(pkts, n);
			/* All of memory: often enough to find which burst it was. */
			if (size <= 1024 || done / 512 != (done + n) / 512)
				rig_check(rig);
			done += n;
		}
		rig_check(rig);
		rig_close(rig);
		rig_destroy(rig);
	}
}

/* The longest packets that there are, and one byte more. */
static void
longest_packets(void **state)
{
	const uint32_t longest = 65535 + 14 + 8;
	struct rig_options options = {
		.size = 256, .logging = true, .version_1 = true, .mergeable = true
	};
	struct rig *rig = rig_create(&options);
	struct rig_chain chains[64];
	struct rte_mbuf *pkts[2];
	unsigned int i;

	(void)state;
	for (i = 0; i < 64; i++)
		rig_offer(rig, &rig->to_guest, MERGEABLE, SHAPE_ONE, &chains[i]);
	ring_publish(&rig->to_guest.ring);
	pkts[0] = packet_mbuf(rig->pool, 1, longest, 0, false);
	assert_int_equal(rig_expect_packet(rig, chains, 1, longest), 43);
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	rig_check(rig);

	rig_offer(rig, &rig->from_guest, 12 + longest, SHAPE_ONE, &chains[0]);
	rig_fill(rig, &chains[0], 2, longest);
	rig_expect_used(rig, &rig->from_guest, chains[0].head, 0);
	rig_offer(rig, &rig->from_guest, 12 + longest + 1, SHAPE_ONE, &chains[1]);
	rig_expect_used(rig, &rig->from_guest, chains[1].head, 0);
	ring_publish(&rig->from_guest.ring);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, 2), 1);
	assert_true(packet_is(pkts[0], 2, longest));
	rte_pktmbuf_free(pkts[0]);
	rig_check(rig);
	assert_int_equal(rig->from_guest.queue->stats.faults[VNET_FAULT_LONG], 1);
	rig_close(rig);
	rig_destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_to_guest_one_descriptor),
		cmocka_unit_test(sizes_to_guest_without_logging),
		cmocka_unit_test(sizes_to_guest_segments),
		cmocka_unit_test(sizes_to_guest_chains),
		cmocka_unit_test(sizes_to_guest_indirect),
		cmocka_unit_test(sizes_from_guest),
		cmocka_unit_test(ring_sizes),
		cmocka_unit_test(longest_packets),
	};
	const struct program program = {
		.name = "ring_sizes",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
