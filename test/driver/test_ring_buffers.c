/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings with a guest that does everything right: buffers wherever they lie, too
 * few of them or of mbufs, and those that come later. After each burst guest
 * memory and log are compared with a model of the back-end.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rig/good_ring.h"
#include "rig/program.h"

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
		ram_accept(&rig->ram,
				ring_used_entry(&side->ring, (uint16_t)(side->model_used + i)),
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
	struct rig_options options = {
		.size = 1024, .logging = true, .mergeable = true, .start = 511
	};
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
			rig_expect_used(rig, &rig->from_guest, heads[(came + i) % RTE_DIM(heads)],
					0);
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
		assert_int_equal(rig_receive(rig, rig->pool, pkts + came, BURST - 1), 3 - came);
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

/* A packet that needs most of a pool is dropped before it takes anything of it. */
static void
pool_too_small(void **state)
{
	static const struct {
		unsigned int nb_mbufs;
		uint16_t room;
		uint32_t longest;
	} cases[] = { { 20, 64, 11 * 64 }, { 20, 2048, 11 * 2048 }, { 1, 2048, 2048 },
		{ 4095, 0, 0 }, { 4095, 1, 1025 } };
	struct rig *rig = rig_create(&modern);
	struct rig_side *side = &rig->from_guest;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		uint64_t faults = rig_faults(side);
		struct rte_mempool *pool;
		struct rig_chain chains[2];
		struct rte_mbuf *pkt;
		char name[32];

		snprintf(name, sizeof(name), "pool_too_small%u", i);
		pool = rte_pktmbuf_pool_create(name, cases[i].nb_mbufs, 0, 0,
				RTE_PKTMBUF_HEADROOM + cases[i].room, SOCKET_ID_ANY);
		assert_non_null(pool);
		rig_offer(rig, side, 12 + cases[i].longest + 1, SHAPE_ONE, &chains[0]);
		rig_fill(rig, &chains[0], 1, cases[i].longest + 1);
		rig_expect_used(rig, side, chains[0].head, 0);
		if (cases[i].longest != 0) {
			rig_offer(rig, side, 12 + cases[i].longest, SHAPE_ONE, &chains[1]);
			rig_fill(rig, &chains[1], 2, cases[i].longest);
			rig_expect_used(rig, side, chains[1].head, 0);
		}
		ring_publish(&side->ring);
		assert_int_equal(rig_receive(rig, pool, &pkt, 1), cases[i].longest != 0);
		if (cases[i].longest != 0) {
			assert_true(packet_is(pkt, 2, cases[i].longest));
			rte_pktmbuf_free(pkt);
		}
		rig_check(rig);
		assert_int_equal(rig_faults(side), faults + 1);
		assert_int_equal(side->queue->stats.no_mbuf, 0);
		assert_int_equal(rte_mempool_in_use_count(pool), 0);
		rte_mempool_free(pool);
	}
	assert_int_equal(side->queue->stats.faults[VNET_FAULT_LONG], RTE_DIM(cases));
	rig_close(rig);
	rig_destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_ring),
		cmocka_unit_test(buffers_across_regions),
		cmocka_unit_test(table_across_regions),
		cmocka_unit_test(waits_for_buffers),
		cmocka_unit_test(marks_entries_not_shown),
		cmocka_unit_test(takes_later_buffers_at_once),
		cmocka_unit_test(receives_later_packets),
		cmocka_unit_test(drops_what_never_fits),
		cmocka_unit_test(survives_without_mbufs),
		cmocka_unit_test(pool_too_small),
	};
	const struct program program = {
		.name = "ring_buffers",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
