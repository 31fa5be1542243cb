/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings with a guest that does one thing wrong at a time. Each is
 * counted under its name, nothing is written but the used entry that returns
 * the bad buffers, and good buffers before and after it work on.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig/bad_chain.h"
#include "rig/program.h"

static void
one_bad_chain(const struct rig_options *options, const struct bad_case *bad, bool to_guest)
{
	struct rig *rig = rig_create(options);
	struct rig_side *side = to_guest ? &rig->to_guest : &rig->from_guest;
	struct rig_side *other = to_guest ? &rig->from_guest : &rig->to_guest;

	print_message("%s, %s the guest\n", bad->name, to_guest ? "to" : "from");
	/* Between good ones in one burst. */
	offer_good(rig, side, 1);
	offer_bad(rig, side, bad);
	offer_good(rig, side, 2);
	pass_good(rig, side, 1, 2);
	assert_int_equal(side->queue->stats.faults[bad->fault], 1);
	/* Alone, then first in its burst. */
	offer_bad(rig, side, bad);
	if (!to_guest)
		pass_good(rig, side, 3, 0);
	offer_good(rig, side, 3);
	pass_good(rig, side, 3, 1);
	assert_int_equal(side->queue->stats.faults[bad->fault], 2);
	assert_int_equal(rig_faults(side), 2);
	assert_int_equal(side->queue->stats.packets, 3);
	assert_int_equal(side->queue->stats.dropped, 0);
	/* The other queue has seen nothing of it. */
	offer_good(rig, other, 4);
	pass_good(rig, other, 4, 1);
	assert_int_equal(rig_faults(other), 0);
	rig_close(rig);
	rig_check(rig);
	rig_destroy(rig);
}

static void
bad_chains(void **state)
{
	static const struct rig_options options[] = {
		{ .size = 128, .version_1 = true, .logging = true },
		{ .size = 128, .mergeable = true, .start = 65530 },
	};
	unsigned int i, j;

	(void)state;
	for (i = 0; i < nb_bad_cases; i++) {
		for (j = 0; j < RTE_DIM(options); j++) {
			if (bad_case_applies(&bad_cases[i], true))
				one_bad_chain(&options[j], &bad_cases[i], true);
			if (bad_case_applies(&bad_cases[i], false))
				one_bad_chain(&options[j], &bad_cases[i], false);
		}
	}
}

static const struct rig_options plain = { .size = 128, .version_1 = true, .logging = true };
static const struct rig_options merging = { .size = 128, .mergeable = true, .logging = true };

/*
 * A head that is no descriptor names no buffer: there is nothing to give back,
 * and whoever goes on behind it has lost count. What came before it in the burst
 * goes; then the ring is given up, until it is opened anew.
 */
static void
head_beyond_ring(void **state)
{
	static const uint16_t heads[] = { 128, 129, 0x8000, 65535 };
	unsigned int i, n, s;

	(void)state;
	for (i = 0; i < 2 * RTE_DIM(heads); i++) {
		struct rig *rig = rig_create(&plain);
		struct rig_side *side = i % 2 ? &rig->to_guest : &rig->from_guest;
		struct rte_mbuf *pkts[32];

		offer_good(rig, side, 1);
		ring_add(&side->ring, heads[i / 2]);
		ring_add(&side->ring, chain_one(rig, side, GOOD, 100, right_flags(rig, side)));
		pass_good(rig, side, 1, 1);
		for (n = 0; n < 3; n++) {
			pkts[0] = packet_mbuf(rig->pool, 2, 60, 0, false);
			s = side == &rig->to_guest ? rig_transmit(rig, pkts, 1) :
						     rig_receive(rig, rig->pool, pkts + 1, 31);
			assert_int_equal(s, 0);
			rte_pktmbuf_free(pkts[0]);
			rig_check(rig);
		}
		assert_int_equal(side->queue->stats.faults[VNET_FAULT_HEAD], 1);
		assert_int_equal(rig_faults(side), 1);
		assert_int_equal(side->queue->stats.no_mbuf, 0);
		/* The place that the front-end is told is the one that the guest sees. */
		assert_int_equal(side->queue->next_avail, side->queue->next_used);
		rig_close(rig);
		/* The guest's driver is loaded anew, say. */
		ring_take_back(&side->ring, (uint16_t)(side->ring.next_avail - 2));
		rig_open(rig);
		offer_good(rig, side, 3);
		pass_good(rig, side, 3, 1);
		rig_close(rig);
		rig_destroy(rig);
	}
}

/* The second buffer of a merged packet is no descriptor: the first one is not lost. */
static void
merged_head_beyond_ring(void **state)
{
	struct rig *rig = rig_create(&merging);
	struct rig_side *side = &rig->to_guest;
	uint16_t before = side->queue->next_used;
	struct rig_chain chain;
	struct rte_mbuf *pkt;

	(void)state;
	rig_offer(rig, side, 100, SHAPE_ONE, &chain);
	ring_add(&side->ring, 5000);
	ring_publish(&side->ring);
	/* Its used entry is filled in, and not shown. */
	ram_accept(&rig->ram, ring_used_entry(&side->ring, before), 8);
	pkt = packet_mbuf(rig->pool, 1, 500, 0, false);
	assert_int_equal(rig_transmit(rig, &pkt, 1), 0);
	rte_pktmbuf_free(pkt);
	assert_int_equal(rig_faults(side), 1);
	assert_int_equal(side->queue->next_used, before);
	assert_int_equal(side->queue->next_avail, before);
	rig_close(rig);
	rig_destroy(rig);
}

/* A packet of the guest, of which the model expects nothing yet. */
static uint16_t
offer_packet(struct rig *rig, uint32_t number)
{
	struct rig_chain chain;

	rig->cursor = 0x10000 + number * 0x1000;
	rig_offer(rig, &rig->from_guest, rig->header_len + 600U, SHAPE_ONE, &chain);
	rig_fill(rig, &chain, number, 600);
	return chain.head;
}

static void
receive_one_of(struct rig *rig, uint16_t nb_wanted, uint32_t number)
{
	struct rte_mbuf *pkts[32];

	assert_int_equal(rig_receive(rig, rig->pool, pkts, nb_wanted), 1);
	assert_true(packet_is(pkts[0], number, 600));
	rte_pktmbuf_free(pkts[0]);
	rig_check(rig);
}

/*
 * What a burst leaves for the next one is fetched by it: nothing bad is counted
 * or returned before its turn. `bad` NULL: a head that is no descriptor, which
 * nothing comes after.
 */
static void
one_bad_ahead(const struct bad_case *bad)
{
	struct rig *rig = rig_create(&plain);
	struct rig_side *side = &rig->from_guest;
	uint16_t first = offer_packet(rig, 1);
	uint16_t head = bad == NULL ? 65535 : bad->make(rig, side);
	struct rte_mbuf *pkt;
	uint16_t last;

	print_message("%s\n", bad == NULL ? "head_beyond_ring" : bad->name);
	ring_add(&side->ring, head);
	last = offer_packet(rig, 2);
	ring_publish(&side->ring);

	rig_expect_used(rig, side, first, 0);
	receive_one_of(rig, 1, 1);
	assert_int_equal(rig_faults(side), 0);

	if (bad != NULL) {
		rig_expect_used(rig, side, head, 0);
		rig_expect_used(rig, side, last, 0);
		receive_one_of(rig, 32, 2);
	} else {
		assert_int_equal(rig_receive(rig, rig->pool, &pkt, 1), 0);
	}
	assert_int_equal(side->queue->stats.faults[bad == NULL ? VNET_FAULT_HEAD : bad->fault], 1);
	assert_int_equal(rig_faults(side), 1);
	rig_close(rig);
	rig_destroy(rig);
}

static void
bad_ones_ahead(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < nb_bad_cases; i++)
		if (bad_case_applies(&bad_cases[i], false))
			one_bad_ahead(&bad_cases[i]);
	if (!rig_packed)
		one_bad_ahead(NULL);
}

/* The available index moves by more than the ring: nothing is taken until it is sane. */
static void
avail_index_jumps(void **state)
{
	static const uint16_t jumps[] = { 129, 1000, 32768, 65535 };
	struct rig *rig = rig_create(&plain);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	struct rte_mbuf *pkts[4];
	unsigned int i, s;

	(void)state;
	for (s = 0; s < 2; s++) {
		for (i = 0; i < RTE_DIM(jumps); i++) {
			struct ring_writer *ring = &sides[s]->ring;

			ring->next_avail += jumps[i];
			ring_publish(ring);
			pkts[0] = packet_mbuf(rig->pool, 1, 100, 0, false);
			assert_int_equal(s == 0 ? rig_transmit(rig, pkts, 1) :
						  rig_receive(rig, rig->pool, pkts + 1, 3),
					0);
			rte_pktmbuf_free(pkts[0]);
			rig_check(rig);
			assert_int_equal(sides[s]->queue->stats.faults[VNET_FAULT_AVAIL_INDEX],
					i + 1);
			ring->next_avail -= jumps[i];
			offer_good(rig, sides[s], i);
			pass_good(rig, sides[s], i, 1);
		}
		assert_int_equal(rig_faults(sides[s]), RTE_DIM(jumps));
	}
	rig_close(rig);
	rig_destroy(rig);
}

/* The third buffer of a merged packet is bad: all three come back, the packet goes on. */
static void
bad_merged_buffer(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < nb_bad_cases; i++) {
		struct rig *rig;
		struct rig_side *side;
		struct rig_chain chains[8];
		struct rte_mbuf *pkt;
		unsigned int n;

		/* Shorter than the header is fine behind one that has it. */
		if (!bad_case_applies(&bad_cases[i], true) || bad_cases[i].if_first)
			continue;
		rig = rig_create(&merging);
		side = &rig->to_guest;
		for (n = 0; n < 2; n++) {
			rig_offer(rig, side, 100, SHAPE_ONE, &chains[n]);
			rig_expect_used(rig, side, chains[n].head, 0);
		}
		offer_bad(rig, side, &bad_cases[i]);
		for (n = 2; n < 8; n++)
			rig_offer(rig, side, 100, SHAPE_ONE, &chains[n]);
		ring_publish(&side->ring);
		rig_expect_packet(rig, &chains[2], 1, 500);
		pkt = packet_mbuf(rig->pool, 1, 500, 0, false);
		assert_int_equal(rig_transmit(rig, &pkt, 1), 1);
		rig_check(rig);
		assert_int_equal(rig_faults(side), 1);
		rig_close(rig);
		rig_destroy(rig);
	}
}

/* The direction of a descriptor that names a table means nothing (2.6.5.3.2). */
static void
direction_of_table_is_ignored(void **state)
{
	struct rig *rig = rig_create(&plain);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int s;

	(void)state;
	for (s = 0; s < 2; s++) {
		struct rig_chain chain;
		struct vring_desc desc;
		uint64_t at;

		rig_offer(rig, sides[s], 612, SHAPE_INDIRECT, &chain);
		if (rig_packed) {
			sides[s]->ring.held_flags |= VRING_DESC_F_WRITE;
		} else {
			at = sides[s]->ring.desc + chain.head * sizeof(desc);
			ram_read(&rig->ram, at, &desc, sizeof(desc));
			desc.flags |= VRING_DESC_F_WRITE;
			ram_write(&rig->ram, at, &desc, sizeof(desc));
		}
		if (s == 0) {
			rig_expect_packet(rig, &chain, 1, 600);
		} else {
			rig_fill(rig, &chain, 1, 600);
			rig_expect_used(rig, sides[s], chain.head, 0);
		}
		pass_good(rig, sides[s], 1, 1);
		assert_int_equal(rig_faults(sides[s]), 0);
	}
	rig_close(rig);
	rig_destroy(rig);
}

/* A writable buffer in a table that is to be read: see add_packed_table(). */
static void
writable_entry_is_read(void **state)
{
	struct rig *rig = rig_create(&plain);
	struct rig_side *side = &rig->from_guest;
	struct rte_mbuf *pkts[2];
	struct rig_chain chain;
	uint16_t id;

	(void)state;
	rig_offer(rig, side, 612, SHAPE_ONE, &chain);
	rig_fill(rig, &chain, 1, 600);
	rig_expect_used(rig, side, chain.head, 0);
	id = chain_table(rig, side, chain.buffers[0].gpa, 612, VRING_DESC_F_WRITE, 0, 16);
	ring_add(&side->ring, id);
	rig_expect_used(rig, side, id, 0);
	ring_publish(&side->ring);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, 2), 2);
	assert_true(packet_is(pkts[1], 1, 600));
	rte_pktmbuf_free_bulk(pkts, 2);
	rig_check(rig);
	assert_int_equal(rig_faults(side), 0);
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * A descriptor of no bytes in a chain that has others says nothing wrong, where
 * ever in it: net_vhost takes it, and virtio-user sends it for an empty segment.
 */
static void
empty_buffers_are_skipped(void **state)
{
	static const uint64_t places[] = { GOOD, RIG_MIDDLE_END + 0x10000, UINT64_MAX };
	struct rig *rig = rig_create(&plain);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int i, s, empty, form;

	(void)state;
	for (i = 0; i < 2 * 2 * 3 * RTE_DIM(places); i++) {
		struct rig_chain chain = { .nb_buffers = 3 };

		s = i % 2;
		form = i / 2 % 2;
		empty = i / 4 % 3;
		chain.buffers[empty] = (struct guest_buffer){ .gpa = places[i / 12] };
		chain.buffers[empty == 0] = (struct guest_buffer){ GOOD, 12 };
		chain.buffers[empty == 2 ? 1 : 2] = (struct guest_buffer){ GOOD + 2000, 600 };
		chain.head = ring_describe(&sides[s]->ring, chain.buffers, 3, s == 0,
				form == 0 ? FORM_DIRECT : FORM_INDIRECT, 0x8000);
		ring_add(&sides[s]->ring, chain.head);
		if (s == 0) {
			rig_expect_packet(rig, &chain, i, 600);
		} else {
			rig_fill(rig, &chain, i, 600);
			rig_expect_used(rig, sides[s], chain.head, 0);
		}
		pass_good(rig, sides[s], i, 1);
		assert_int_equal(rig_faults(sides[s]), 0);
	}
	rig_close(rig);
	rig_destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest split[] = {
		cmocka_unit_test(bad_chains),
		cmocka_unit_test(bad_ones_ahead),
		cmocka_unit_test(head_beyond_ring),
		cmocka_unit_test(merged_head_beyond_ring),
		cmocka_unit_test(avail_index_jumps),
		cmocka_unit_test(bad_merged_buffer),
		cmocka_unit_test(direction_of_table_is_ignored),
		cmocka_unit_test(empty_buffers_are_skipped),
	};
	const struct CMUnitTest packed[] = {
		cmocka_unit_test(bad_chains),
		cmocka_unit_test(bad_ones_ahead),
		cmocka_unit_test(bad_merged_buffer),
		cmocka_unit_test(direction_of_table_is_ignored),
		cmocka_unit_test(empty_buffers_are_skipped),
		cmocka_unit_test(writable_entry_is_read),
	};
	const struct program program = {
		.name = "ring_bad",
		.split = PROGRAM_TESTS(split),
		.packed = PROGRAM_TESTS(packed),
	};

	return program_run(&program, argc, argv);
}
