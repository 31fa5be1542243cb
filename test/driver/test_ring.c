/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings with a guest that does everything right: every packet size,
 * every shape of buffers and mbufs, both directions. After each burst all of
 * guest memory is compared with what a model of the back-end says, and the
 * log with the pages that the model wrote.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/ring_rig.h"

#define BURST 32
#define SHORTEST 60
#define LONGEST 9000

/* Room for one packet without mergeable buffers, as drivers give it. */
#define WHOLE (LONGEST + 12 + 4)
/* One mergeable buffer, as Linux gives it. */
#define MERGEABLE 1526

/* The guest's available buffers, oldest first. */
struct fifo {
	unsigned int first, n;
	struct rig_chain chains[512];
};

static void
fifo_drop(struct fifo *fifo, unsigned int n)
{
	fifo->n -= n;
	memmove(fifo->chains, fifo->chains + n, fifo->n * sizeof(fifo->chains[0]));
}

static void
fifo_offer(struct rig *rig, struct fifo *fifo, unsigned int n, uint32_t len, enum rig_shape shape)
{
	while (n-- != 0)
		rig_offer(rig, &rig->to_guest, len, shape, &fifo->chains[fifo->n++]);
	ring_publish(&rig->to_guest.ring);
}

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
check_counters(const struct rig_side *side, uint64_t packets, uint64_t bytes)
{
	const struct vnet_queue_stats *stats = &side->queue->stats;

	assert_int_equal(stats->packets, packets);
	assert_int_equal(stats->bytes, bytes);
	assert_int_equal(stats->dropped, 0);
	assert_int_equal(rig_faults(side), 0);
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

			fifo_offer(rig, fifo, options->mergeable ? (need - 1) / room + 1 : 1,
					room, shape);
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

static const struct rig_options legacy = { .size = 512, .logging = true };
static const struct rig_options modern = { .size = 512, .logging = true, .version_1 = true };
static const struct rig_options mergeable = { .size = 512, .logging = true, .version_1 = true,
	.mergeable = true, .start = 65000 };
static const struct rig_options silent = { .size = 512, .version_1 = true, .mergeable = true };

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
	static const uint16_t split[] = { 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
		32768 };
	static const uint16_t packed[] = { 1, 2, 3, 5, 31, 32, 33, 97, 250, 255, 256, 257, 1000,
		4095, 32767, 32768 };
	unsigned int turn;

	(void)state;
	for (turn = 0; turn < (rig_packed ? RTE_DIM(packed) : RTE_DIM(split)); turn++) {
		uint32_t size = rig_packed ? packed[turn] : split[turn];
		struct rig_options options = { .size = (uint16_t)size, .logging = true,
			.version_1 = true, .event_idx = true,
			.start = (uint16_t)(65536 - size / 2 - 5) };
		struct rig *rig = rig_create(&options);
		struct rte_mbuf *pkts[BURST];
		struct rig_chain chain;
		uint32_t done = 0;

		while (done < 2 * size || done < 200) {
			unsigned int i, n = 1 + (unsigned int)(packet_random(&rig->random) %
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

/* A full ring, taken in bursts that are larger than what is there. */
static void
full_ring(void **state)
{
	struct rig_options options = { .size = 64, .logging = true, .start = 65535 };
	struct rig *rig = rig_create(&options);
	struct rte_mbuf *pkts[3 * BURST];
	struct rig_chain chains[64];
	unsigned int i;

	(void)state;
	for (i = 0; i < 64; i++)
		rig_offer(rig, &rig->to_guest, 1514 + 10, SHAPE_ONE, &chains[i]);
	ring_publish(&rig->to_guest.ring);
	for (i = 0; i < RTE_DIM(pkts); i++)
		pkts[i] = packet_mbuf(rig->pool, i, 60 + i, 0, false);
	for (i = 0; i < 64; i++)
		rig_expect_packet(rig, &chains[i], i, 60 + i);
	assert_int_equal(rig_transmit(rig, pkts, RTE_DIM(pkts)), 64);
	rig_check(rig);
	/* Nothing left: nothing is consumed, the mbufs stay the caller's. */
	assert_int_equal(rig_transmit(rig, pkts + 64, RTE_DIM(pkts) - 64), 0);
	rig_check(rig);
	assert_int_equal(rte_mempool_in_use_count(rig->pool), RTE_DIM(pkts) - 64);
	for (i = 64; i < RTE_DIM(pkts); i++)
		assert_true(packet_is(pkts[i], i, 60 + i));
	rte_pktmbuf_free_bulk(pkts + 64, RTE_DIM(pkts) - 64);

	for (i = 0; i < 64; i++) {
		rig_offer(rig, &rig->from_guest, 10 + 60 + i, SHAPE_ONE, &chains[i]);
		rig_fill(rig, &chains[i], i, 60 + i);
		rig_expect_used(rig, &rig->from_guest, chains[i].head, 0);
	}
	ring_publish(&rig->from_guest.ring);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, RTE_DIM(pkts)), 64);
	rig_check(rig);
	for (i = 0; i < 64; i++)
		assert_true(packet_is(pkts[i], i, 60 + i));
	rte_pktmbuf_free_bulk(pkts, 64);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, RTE_DIM(pkts)), 0);
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

/* A buffer at each place around the border of two regions, each direction. */
static void
buffers_across_regions(void **state)
{
	static const enum rig_shape shapes[] = { SHAPE_ONE, SHAPE_HEADER_APART, SHAPE_INDIRECT };
	struct rig *rig = rig_create(&modern);
	struct rte_mbuf *pkts[1];
	struct rig_chain chain;
	unsigned int i, before;

	(void)state;
	for (i = 0; i < RTE_DIM(shapes); i++) {
		for (before = 0; before <= 130; before++) {
			rig->cursor = RIG_MIDDLE - before;
			rig_offer(rig, &rig->to_guest, 112, shapes[i], &chain);
			ring_publish(&rig->to_guest.ring);
			pkts[0] = packet_mbuf(rig->pool, before, 100, 0, false);
			rig_expect_packet(rig, &chain, before, 100);
			assert_int_equal(rig_transmit(rig, pkts, 1), 1);

			rig->cursor = RIG_MIDDLE - before;
			rig_offer(rig, &rig->from_guest, 112, shapes[i], &chain);
			rig_fill(rig, &chain, before, 100);
			rig_expect_used(rig, &rig->from_guest, chain.head, 0);
			ring_publish(&rig->from_guest.ring);
			assert_int_equal(rig_receive(rig, rig->pool, pkts, 1), 1);
			assert_true(packet_is(pkts[0], before, 100));
			rte_pktmbuf_free(pkts[0]);
			rig_check(rig);
		}
	}
	check_counters(&rig->to_guest, 131 * RTE_DIM(shapes), 100 * 131 * RTE_DIM(shapes));
	rig_close(rig);
	rig_destroy(rig);
}

/* An indirect table that lies in two regions. */
static void
table_across_regions(void **state)
{
	struct rig *rig = rig_create(&modern);
	struct guest_buffer buffers[4];
	struct rig_chain chain = { .nb_buffers = 4 };
	struct rte_mbuf *pkts[1];
	unsigned int i, before;

	(void)state;
	for (before = 0; before <= 64; before += 16) {
		for (i = 0; i < 4; i++) {
			buffers[i].gpa = 0x2000 + 0x1100 * i;
			buffers[i].len = 100;
			chain.buffers[i] = buffers[i];
		}
		chain.head = ring_describe(&rig->to_guest.ring, buffers, 4, true, FORM_INDIRECT,
				RIG_MIDDLE - before);
		ring_add(&rig->to_guest.ring, chain.head);
		ring_publish(&rig->to_guest.ring);
		pkts[0] = packet_mbuf(rig->pool, before, 300, 0, false);
		rig_expect_packet(rig, &chain, before, 300);
		assert_int_equal(rig_transmit(rig, pkts, 1), 1);
		rig_check(rig);
	}
	assert_int_equal(rig_faults(&rig->to_guest), 0);
	rig_close(rig);
	rig_destroy(rig);
}

/* The longest packets that there are, and one byte more. */
static void
longest_packets(void **state)
{
	const uint32_t longest = 65535 + 14 + 8;
	struct rig_options options = { .size = 256, .logging = true, .version_1 = true,
		.mergeable = true };
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

/*
 * Too few buffers now: nothing is consumed, and the packet goes when there are
 * enough. The pages that the attempt touched are no exception to logging.
 */
static void
waits_for_buffers(void **state)
{
	struct rig *rig = rig_create(&mergeable);
	struct rig_side *side = &rig->to_guest;
	struct rig_chain chains[8];
	struct rte_mbuf *pkts[2];
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++)
		rig_offer(rig, side, MERGEABLE, SHAPE_ONE, &chains[i]);
	ring_publish(&side->ring);
	pkts[0] = packet_mbuf(rig->large, 1, 200, 0, false);
	pkts[1] = packet_mbuf(rig->large, 2, 9000, 0, false);
	rig_expect_packet(rig, chains, 1, 200);
	assert_int_equal(rig_transmit(rig, pkts, 2), 1);
	/*
	 * Used entries that are filled in, but not shown, are guest memory too.
	 * In a packed ring none are: they would take the descriptors' place.
	 */
	for (i = 0; i < 4 && !rig_packed; i++)
		ram_accept(&rig->ram, ring_used_entry(&side->ring, (uint16_t)(side->model_used + i)),
				sizeof(struct vring_used_elem));
	rig_check(rig);
	assert_int_equal(side->queue->stats.dropped, 0);

	for (i = 5; i < 8; i++)
		rig_offer(rig, side, MERGEABLE, SHAPE_ONE, &chains[i]);
	ring_publish(&side->ring);
	rig_expect_packet(rig, &chains[1], 2, 9000);
	assert_int_equal(rig_transmit(rig, &pkts[1], 1), 1);
	rig_check(rig);
	assert_int_equal(rig_faults(side), 0);
	rig_close(rig);
	rig_destroy(rig);
}

/* The same where those used entries begin a page of their own. */
static void
marks_entries_not_shown(void **state)
{
	struct rig_options options = { .size = 1024, .logging = true, .mergeable = true,
		.start = 511 };
	struct rig *rig = rig_create(&options);
	struct rig_side *side = &rig->to_guest;
	struct rig_chain chains[4];
	struct rte_mbuf *pkts[1];
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++)
		rig_offer(rig, side, MERGEABLE, SHAPE_ONE, &chains[i]);
	ring_publish(&side->ring);
	pkts[0] = packet_mbuf(rig->large, 1, 9000, 0, false);
	assert_int_equal(rig_transmit(rig, pkts, 1), 0);
	for (i = 0; i < 4 && !rig_packed; i++)
		if (memcmp(ram_host(&rig->ram, ring_used_entry(&side->ring, (uint16_t)(511 + i))),
				"\0\0\0\0\0\0\0", 8) != 0)
			ram_accept(&rig->ram, ring_used_entry(&side->ring, (uint16_t)(511 + i)), 8);
	rig_check(rig);
	rte_pktmbuf_free(pkts[0]);
	rig_close(rig);
	rig_destroy(rig);
}

/* Buffers that a split ring's queue knows of; for a packed one nothing is remembered. */
static void
assert_known(const struct rig_side *side, uint16_t n)
{
	if (!rig_packed)
		assert_int_equal((uint16_t)(side->queue->avail_seen - side->queue->next_avail), n);
}

/*
 * A burst that leaves buffers behind may remember no more than those. A packet
 * that needs more gets what was offered since at once, and so do the packets
 * behind one that took several.
 */
static void
takes_later_buffers_at_once(void **state)
{
	struct rig_options options = mergeable;
	struct rig *rig;
	struct rig_side *side;
	struct fifo fifo = { .n = 0 };
	struct rte_mbuf *pkts[4];
	unsigned int i, n;

	(void)state;
	options.size = 8;
	rig = rig_create(&options);
	side = &rig->to_guest;
	fifo_offer(rig, &fifo, 4, MERGEABLE, SHAPE_ONE);
	pkts[0] = packet_mbuf(rig->pool, 1, 200, 0, false);
	fifo_drop(&fifo, rig_expect_packet(rig, fifo.chains, 1, 200));
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	rig_check(rig);

	/* Six buffers, where three are known. */
	assert_known(side, 3);
	fifo_offer(rig, &fifo, 5, MERGEABLE, SHAPE_ONE);
	pkts[0] = packet_mbuf(rig->large, 2, 9000, 0, false);
	n = rig_expect_packet(rig, fifo.chains, 2, 9000);
	assert_int_equal(n, 6);
	fifo_drop(&fifo, n);
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	rig_check(rig);

	/* Four packets, where four buffers are known, and the first packet takes two. */
	for (i = 0; i < 2; i++) {
		pkts[i] = packet_mbuf(rig->pool, 3 + i, 100, 0, false);
		fifo_drop(&fifo, rig_expect_packet(rig, fifo.chains, 3 + i, 100));
	}
	assert_int_equal(rig_transmit(rig, pkts, 2), 2);
	fifo_offer(rig, &fifo, 5, MERGEABLE, SHAPE_ONE);
	pkts[0] = packet_mbuf(rig->pool, 5, 100, 0, false);
	fifo_drop(&fifo, rig_expect_packet(rig, fifo.chains, 5, 100));
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	assert_known(side, 4);
	fifo_offer(rig, &fifo, 1, MERGEABLE, SHAPE_ONE);
	for (i = 0; i < 4; i++) {
		uint32_t len = i == 0 ? 3000 : 100;

		pkts[i] = packet_mbuf(rig->large, 6 + i, len, 0, false);
		fifo_drop(&fifo, rig_expect_packet(rig, fifo.chains, 6 + i, len));
	}
	assert_int_equal(fifo.n, 0);
	assert_int_equal(rig_transmit(rig, pkts, 4), 4);
	rig_check(rig);
	assert_int_equal(side->queue->stats.dropped, 0);

	/* Longer than the whole ring, of which three are known: dropped, not waited for. */
	fifo_offer(rig, &fifo, 4, 500, SHAPE_ONE);
	pkts[0] = packet_mbuf(rig->pool, 10, 100, 0, false);
	fifo_drop(&fifo, rig_expect_packet(rig, fifo.chains, 10, 100));
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	assert_known(side, 3);
	fifo_offer(rig, &fifo, 5, 500, SHAPE_ONE);
	pkts[0] = packet_mbuf(rig->large, 11, 4000, 0, false);
	pkts[1] = packet_mbuf(rig->large, 12, 3988, 0, false);
	fifo_drop(&fifo, rig_expect_packet(rig, fifo.chains, 12, 3988));
	assert_int_equal(fifo.n, 0);
	assert_int_equal(rig_transmit(rig, pkts, 2), 2);
	rig_check(rig);
	assert_int_equal(side->queue->stats.dropped, 1);
	assert_int_equal(rig_faults(side), 0);
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * What a burst remembers is for the open ring alone: one that its guest's driver
 * has started anew, elsewhere, holds nothing before that driver offers it.
 */
static void
reopened_elsewhere(void **state)
{
	/* Against where the first driver's buffers end: before, at and behind it, and far off. */
	static const int places[] = { -2, 0, 1, -1000, 30000 };
	unsigned int i, s, n;

	(void)state;
	if (rig_packed)
		skip(); /* its queue remembers nothing */
	for (i = 0; i < RTE_DIM(places); i++) {
		struct rig *rig = rig_create(&modern);
		struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
		struct rig_chain chains[4];
		struct rte_mbuf *pkts[4];

		/* Of four buffers one is taken; three are known to be there. */
		for (n = 0; n < 4; n++)
			rig_offer(rig, sides[0], WHOLE, SHAPE_ONE, &chains[n]);
		ring_publish(&sides[0]->ring);
		pkts[0] = packet_mbuf(rig->pool, 1, 100, 0, false);
		rig_expect_packet(rig, chains, 1, 100);
		assert_int_equal(rig_transmit(rig, pkts, 1), 1);
		for (n = 0; n < 4; n++) {
			rig_offer(rig, sides[1], 12 + 60, SHAPE_ONE, &chains[n]);
			rig_fill(rig, &chains[n], n, 60);
		}
		ring_publish(&sides[1]->ring);
		rig_expect_used(rig, sides[1], chains[0].head, 0);
		assert_int_equal(rig_receive(rig, rig->pool, pkts, 1), 1);
		assert_true(packet_is(pkts[0], 0, 60));
		rte_pktmbuf_free(pkts[0]);
		rig_check(rig);

		assert_known(sides[0], 3);
		assert_known(sides[1], 3);
		rig_close(rig);
		for (s = 0; s < 2; s++) {
			struct rig_side *side = sides[s];
			uint16_t place = (uint16_t)(side->ring.next_avail + places[i]);

			ring_init(&side->ring, &rig->ram, side->ring.desc, rig->options.size,
					place, NULL);
			side->model_used = side->shown_used = place;
			side->queue->next_avail = side->queue->next_used = place;
		}
		rig_open(rig);
		frontend_log_clear(&rig->log);
		ram_forget_written(&rig->ram);

		/* Nothing there. */
		pkts[0] = packet_mbuf(rig->pool, 2, 100, 0, false);
		assert_int_equal(rig_transmit(rig, pkts, 1), 0);
		assert_int_equal(rig_receive(rig, rig->pool, pkts + 1, 1), 0);
		rig_check(rig);

		/* What the new driver offers is taken. */
		rig_offer(rig, sides[0], WHOLE, SHAPE_ONE, &chains[0]);
		ring_publish(&sides[0]->ring);
		rig_expect_packet(rig, chains, 2, 100);
		assert_int_equal(rig_transmit(rig, pkts, 1), 1);
		rig_offer(rig, sides[1], 12 + 60, SHAPE_ONE, &chains[0]);
		rig_fill(rig, &chains[0], 7, 60);
		ring_publish(&sides[1]->ring);
		rig_expect_used(rig, sides[1], chains[0].head, 0);
		assert_int_equal(rig_receive(rig, rig->pool, pkts, 4), 1);
		assert_true(packet_is(pkts[0], 7, 60));
		rte_pktmbuf_free(pkts[0]);
		rig_check(rig);
		assert_int_equal(rig_faults(sides[0]) + rig_faults(sides[1]), 0);
		rig_close(rig);
		rig_destroy(rig);
	}
}

/*
 * Bursts of every size against a guest that offers more before each: what was
 * remembered is taken first, then what came since, each packet once and in order.
 */
static void
receives_later_packets(void **state)
{
	struct rig *rig = rig_create(&modern);
	struct rig_chain chain;
	struct rte_mbuf *pkts[BURST];
	uint16_t heads[512];
	unsigned int sent = 0, came = 0, size, i, n;

	(void)state;
	for (size = 1; size <= BURST; size++) {
		/* Now and then fewer than the burst asks for, now and then more. */
		unsigned int more = size % 3 == 0 ? 0 : size % 3 == 1 ? size + 3 : size / 2;

		for (i = 0; i < more; i++, sent++) {
			rig_offer(rig, &rig->from_guest, 12 + 60, SHAPE_ONE, &chain);
			rig_fill(rig, &chain, sent, 60);
			heads[sent % RTE_DIM(heads)] = chain.head;
		}
		ring_publish(&rig->from_guest.ring);
		n = RTE_MIN(size, sent - came);
		for (i = 0; i < n; i++)
			rig_expect_used(rig, &rig->from_guest,
					heads[(came + i) % RTE_DIM(heads)], 0);
		assert_int_equal(rig_receive(rig, rig->pool, pkts, (uint16_t)size), n);
		for (i = 0; i < n; i++)
			assert_true(packet_is(pkts[i], came + i, 60));
		rte_pktmbuf_free_bulk(pkts, n);
		came += n;
		rig_check(rig);
	}
	assert_int_equal(rig_faults(&rig->from_guest), 0);
	rig_close(rig);
	rig_destroy(rig);
}

/* A packet that no buffer of the guest can take is dropped, and the next one goes. */
static void
drops_what_never_fits(void **state)
{
	struct rig_options options = { .size = 64, .logging = true, .mergeable = true };
	struct rig *rig = rig_create(&modern);
	struct rig_side *side = &rig->to_guest;
	struct rig_chain chains[64];
	struct rte_mbuf *pkts[3];
	unsigned int i;

	(void)state;
	/* Without mergeable buffers: longer than the next buffer. */
	for (i = 0; i < 3; i++)
		rig_offer(rig, side, 1514 + 12, SHAPE_ONE, &chains[i]);
	ring_publish(&side->ring);
	pkts[0] = packet_mbuf(rig->large, 1, 1514, 0, false);
	pkts[1] = packet_mbuf(rig->large, 2, 1515, 0, false);
	pkts[2] = packet_mbuf(rig->large, 3, 1000, 0, false);
	rig_expect_packet(rig, &chains[0], 1, 1514);
	rig_expect_packet(rig, &chains[1], 3, 1000);
	assert_int_equal(rig_transmit(rig, pkts, 3), 3);
	rig_check(rig);
	assert_int_equal(side->queue->stats.dropped, 1);
	assert_int_equal(side->queue->stats.packets, 2);
	assert_int_equal(rig_faults(side), 0);
	rig_close(rig);
	rig_destroy(rig);

	/* With: longer than the whole ring. */
	rig = rig_create(&options);
	side = &rig->to_guest;
	for (i = 0; i < 64; i++)
		rig_offer(rig, side, 100, SHAPE_ONE, &chains[i]);
	ring_publish(&side->ring);
	pkts[0] = packet_mbuf(rig->large, 1, 6389, 0, false);
	pkts[1] = packet_mbuf(rig->large, 2, 6388, 0, false);
	rig_expect_packet(rig, chains, 2, 6388);
	assert_int_equal(rig_transmit(rig, pkts, 2), 2);
	rig_check(rig);
	assert_int_equal(side->queue->stats.dropped, 1);
	assert_int_equal(side->queue->stats.packets, 1);
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * No mbufs: nothing is consumed, nothing leaks, and with mbufs every packet
 * comes, whether it was the first mbuf of a packet that lacked or a later one.
 */
static void
survives_without_mbufs(void **state)
{
	struct rig *rig = rig_create(&modern);
	struct rig_side *side = &rig->from_guest;
	struct rte_mbuf *pkts[BURST], **taken = calloc(512, sizeof(taken[0]));
	struct rig_chain chains[3];
	unsigned int left, i;

	(void)state;
	assert_non_null(taken);
	for (left = 0; left < 9; left++) {
		/* One packet comes; a split ring's burst takes one mbuf for each first. */
		unsigned int came = left >= (rig_packed ? 5 : 7);

		/* The pool has `left` mbufs of 2 KiB; three packets of five each wait. */
		assert_int_equal(rte_pktmbuf_alloc_bulk(rig->pool, taken, 512 - left), 0);
		for (i = 0; i < 3; i++) {
			rig_offer(rig, side, 12 + 9000 + i, SHAPE_HEADER_APART, &chains[i]);
			rig_fill(rig, &chains[i], i, 9000 + i);
		}
		ring_publish(&side->ring);
		if (came != 0)
			rig_expect_used(rig, side, chains[0].head, 0);
		assert_int_equal(rig_receive(rig, rig->pool, pkts, BURST), came);
		assert_int_equal(rte_mempool_avail_count(rig->pool), left - 5 * came);
		rig_check(rig);
		assert_true(side->queue->stats.no_mbuf > 0);
		side->queue->stats.no_mbuf = 0;
		rte_pktmbuf_free_bulk(taken, 512 - left);
		for (i = came; i < 3; i++)
			rig_expect_used(rig, side, chains[i].head, 0);
		assert_int_equal(rig_receive(rig, rig->pool, pkts + came, BURST - 1),
				3 - came);
		for (i = 0; i < 3; i++)
			assert_true(packet_is(pkts[i], i, 9000 + i));
		rte_pktmbuf_free_bulk(pkts, 3);
		rig_check(rig);
		assert_int_equal(side->queue->stats.no_mbuf, 0);
	}
	rig_close(rig);
	rig_destroy(rig);
	free(taken);
}

/* A closed queue is not touched; opened again it goes on where it was. */
static void
closed_queue(void **state)
{
	struct rig *rig = rig_create(&modern);
	struct rte_mbuf *pkts[2];
	struct rig_chain chains[2];
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		rig_offer(rig, &rig->to_guest, 1514 + 12, SHAPE_ONE, &chains[i]);
		pkts[i] = packet_mbuf(rig->pool, i, 100, 0, false);
	}
	ring_publish(&rig->to_guest.ring);
	rig_expect_packet(rig, &chains[0], 0, 100);
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	rig_check(rig);
	rig_close(rig);
	rig_check(rig);
	assert_int_equal(eth_dirtylog_tx(rig->to_guest.queue, &pkts[1], 1), 0);
	assert_int_equal(eth_dirtylog_rx(rig->from_guest.queue, pkts, 1), 0);
	rig_check(rig);
	rig_open(rig);
	rig_expect_packet(rig, &chains[1], 1, 100);
	assert_int_equal(rig_transmit(rig, &pkts[1], 1), 1);
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

/* What vnet_packed_start() must refuse. */
static void
refuses_bad_packed_rings(void)
{
	struct rig_options options = { .size = 500 };
	struct rig *rig = rig_create(&options);
	struct vnet_queue *queue = rig->to_guest.queue, good;
	uint8_t *end = rig->ram.regions[2].host + rig->ram.regions[2].len;

	rig_close(rig);
	memcpy(&good, queue, sizeof(good));
#define REFUSED(field, value, error) do { \
		memcpy(queue, &good, sizeof(good)); \
		queue->field = (value); \
		assert_int_equal(vnet_packed_start(queue), error); \
	} while (0)
	REFUSED(size, 0, -EINVAL);
	REFUSED(size, 32769, -EINVAL);
	REFUSED(size, 65535, -EINVAL);
	REFUSED(next_used, 7, -EINVAL); /* not where buffers are taken */
	REFUSED(packed_desc, (void *)((uint8_t *)good.packed_desc + 8), -EINVAL);
	REFUSED(driver_event, (void *)((uint8_t *)good.driver_event + 2), -EINVAL);
	REFUSED(device_event, (void *)((uint8_t *)good.device_event + 1), -EINVAL);
	REFUSED(packed_desc, NULL, -EFAULT);
	REFUSED(driver_event, NULL, -EFAULT);
	REFUSED(device_event, NULL, -EFAULT);
	REFUSED(packed_desc, (void *)(end - 500 * 16 + 16), -EFAULT);
	REFUSED(driver_event, (void *)end, -EFAULT);
	REFUSED(device_event, (void *)(rig->ram.regions[0].host - 4), -EFAULT);
#undef REFUSED
	/* An index beyond the ring, with either wrap counter. */
	memcpy(queue, &good, sizeof(good));
	queue->next_avail = queue->next_used = 500;
	assert_int_equal(vnet_packed_start(queue), -EINVAL);
	queue->next_avail = queue->next_used = 0x8000 | 500;
	assert_int_equal(vnet_packed_start(queue), -EINVAL);
	queue->next_avail = queue->next_used = 0x8000 | 499;
	assert_int_equal(vnet_packed_start(queue), 0);
	/* Exactly at the end is right. */
	memcpy(queue, &good, sizeof(good));
	queue->packed_desc = (void *)(end - 500 * 16);
	assert_int_equal(vnet_packed_start(queue), 0);
	memcpy(queue, &good, sizeof(good));
	queue->driver_event = (void *)(end - 4);
	assert_int_equal(vnet_packed_start(queue), 0);
	memcpy(queue, &good, sizeof(good));
	rig_destroy(rig);
}

/* What vnet_split_start() must refuse. */
static void
refuses_bad_split_rings(void)
{
	struct rig *rig = rig_create(&modern);
	struct vnet_queue *queue = rig->to_guest.queue, good;
	uint8_t *end = rig->ram.regions[2].host + rig->ram.regions[2].len;
	uint64_t desc_len, avail_len, used_len;
	unsigned int event;

	rig_close(rig);
	memcpy(&good, queue, sizeof(good));
	for (event = 0; event < 2; event++) {
		good.event_idx = event;
		desc_len = 16ULL * good.size;
		avail_len = 4 + 2ULL * good.size + 2 * event;
		used_len = 4 + 8ULL * good.size + 2 * event;
#define REFUSED(field, value, error) do { \
		memcpy(queue, &good, sizeof(good)); \
		queue->field = (value); \
		assert_int_equal(vnet_split_start(queue), error); \
	} while (0)
		REFUSED(size, 0, -EINVAL);
		REFUSED(size, 3, -EINVAL);
		REFUSED(size, 511, -EINVAL);
		REFUSED(size, 65535, -EINVAL);
		REFUSED(desc, (void *)((uint8_t *)good.desc + 8), -EINVAL);
		REFUSED(avail, (void *)((uint8_t *)good.avail + 1), -EINVAL);
		REFUSED(used, (void *)((uint8_t *)good.used + 2), -EINVAL);
		REFUSED(desc, NULL, -EFAULT);
		REFUSED(avail, NULL, -EFAULT);
		REFUSED(used, NULL, -EFAULT);
		REFUSED(desc, (void *)(end - desc_len + 16), -EFAULT);
		REFUSED(avail, (void *)(end - avail_len + 2), -EFAULT);
		REFUSED(used, (void *)(RTE_PTR_ALIGN_FLOOR(end - used_len, 4) + 4), -EFAULT);
		REFUSED(desc, (void *)end, -EFAULT);
		REFUSED(used, (void *)(rig->ram.regions[0].host - 4), -EFAULT);
#undef REFUSED
		/* Exactly at the end is right. */
		memcpy(queue, &good, sizeof(good));
		queue->desc = (void *)(end - desc_len);
		assert_int_equal(vnet_split_start(queue), 0);
		memcpy(queue, &good, sizeof(good));
		queue->avail = (void *)(end - avail_len);
		assert_int_equal(vnet_split_start(queue), 0);
	}
	memcpy(queue, &good, sizeof(good));
	rig_destroy(rig);
}

static void
refuses_bad_rings(void **state)
{
	(void)state;
	if (rig_packed)
		refuses_bad_packed_rings();
	else
		refuses_bad_split_rings();
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
		cmocka_unit_test(full_ring),
		cmocka_unit_test(buffers_across_regions),
		cmocka_unit_test(table_across_regions),
		cmocka_unit_test(longest_packets),
		cmocka_unit_test(waits_for_buffers),
		cmocka_unit_test(marks_entries_not_shown),
		cmocka_unit_test(takes_later_buffers_at_once),
		cmocka_unit_test(receives_later_packets),
		cmocka_unit_test(reopened_elsewhere),
		cmocka_unit_test(drops_what_never_fits),
		cmocka_unit_test(survives_without_mbufs),
		cmocka_unit_test(closed_queue),
		cmocka_unit_test(refuses_bad_rings),
	};
	const struct program program = {
		.name = "ring",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
