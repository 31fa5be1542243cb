/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings with a guest that does one thing wrong at a time. Each is
 * counted under its name, nothing is written but the used entry that returns
 * the bad buffers, and good buffers before and after it work on.
 */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_cycles.h>
#include <rte_log.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/ring_rig.h"

#define GOOD 0x3000 /* GPA of a buffer that nothing is wrong with */
#define TABLE 0x8000 /* and of an indirect table */
#define HOLE (RIG_MIDDLE_END + 0x10000)

/* The direction of a side's buffers, and the other one. */
static uint16_t
right(const struct rig *rig, const struct rig_side *side)
{
	return side == &rig->to_guest ? VRING_DESC_F_WRITE : 0;
}

static uint16_t
wrong(const struct rig *rig, const struct rig_side *side)
{
	return side == &rig->to_guest ? 0 : VRING_DESC_F_WRITE;
}

/*
 * Two descriptors in a chain. In a split ring `next` is the second one's; in a
 * packed ring there is no such field.
 */
static uint16_t
two_of(struct rig_side *side, const struct guest_buffer *first, const struct guest_buffer *second,
		uint16_t first_flags, uint16_t flags, uint16_t next)
{
	struct ring_writer *ring = &side->ring;
	uint16_t head = ring_take_desc(ring), at = head;

	if (rig_packed) {
		ring_set_packed(ring, 0, first->gpa, first->len, 0xffff,
				first_flags | VRING_DESC_F_NEXT);
		ring_set_packed(ring, 1, second->gpa, second->len, head, flags);
		ring->slots[head] = 2;
		return head;
	}
	at = ring_take_desc(ring);
	ring_set_desc(ring, head, first->gpa, first->len, first_flags | VRING_DESC_F_NEXT, at);
	ring_set_desc(ring, at, second->gpa, second->len, flags, next);
	return head;
}

/* The first one of them good. */
static uint16_t
two(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	const struct guest_buffer first = { .gpa = GOOD, .len = 64 };
	const struct guest_buffer second = { .gpa = addr, .len = len };

	return two_of(side, &first, &second, right(rig, side), flags, next);
}

static uint16_t
one(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t head = ring_take_desc(&side->ring);

	(void)rig;
	if (rig_packed) {
		ring_set_packed(&side->ring, 0, addr, len, head, flags);
		side->ring.slots[head] = 1;
	} else {
		ring_set_desc(&side->ring, head, addr, len, flags, 0);
	}
	return head;
}

/* An entry of an indirect table. */
static void
write_entry(struct rig *rig, uint64_t gpa, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next)
{
	struct vring_desc desc = { .addr = addr, .len = len, .flags = flags, .next = next };
	struct vring_packed_desc packed = { .addr = addr, .len = len, .flags = flags, .id = next };

	if (rig_packed)
		ram_write(&rig->ram, gpa, &packed, sizeof(packed));
	else
		ram_write(&rig->ram, gpa, &desc, sizeof(desc));
}

/* An indirect descriptor for a table of one entry with these fields. */
static uint16_t
in_table(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next, uint32_t table_len)
{
	write_entry(rig, TABLE, addr, len, flags, next);
	return one(rig, side, TABLE, table_len, VRING_DESC_F_INDIRECT);
}

static uint16_t
loop_of_one(struct rig *rig, struct rig_side *side)
{
	uint16_t head = ring_take_desc(&side->ring);

	ring_set_desc(&side->ring, head, GOOD, 1, right(rig, side) | VRING_DESC_F_NEXT, head);
	return head;
}

static uint16_t
loop_of_two(struct rig *rig, struct rig_side *side)
{
	uint16_t head = ring_take_desc(&side->ring), second = ring_take_desc(&side->ring);

	ring_set_desc(&side->ring, head, GOOD, 64, right(rig, side) | VRING_DESC_F_NEXT, second);
	ring_set_desc(&side->ring, second, GOOD, 1, right(rig, side) | VRING_DESC_F_NEXT, head);
	return head;
}

/* More buffers than any packet needs. */
static uint16_t
table_of_2000(struct rig *rig, struct rig_side *side)
{
	unsigned int i;

	for (i = 0; i < 2000; i++)
		write_entry(rig, TABLE + 16 * i, GOOD + i, 1, right(rig, side), 0);
	return one(rig, side, TABLE, 16 * 2000, VRING_DESC_F_INDIRECT);
}

static uint16_t
loop_in_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1, right(rig, side) | VRING_DESC_F_NEXT, 0, 64);
}

static uint16_t
loop_in_huge_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1, right(rig, side) | VRING_DESC_F_NEXT, 0, 0xfffffff0);
}

static uint16_t
next_is_size(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 8, right(rig, side) | VRING_DESC_F_NEXT, rig->options.size);
}

static uint16_t
next_is_last(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 8, right(rig, side) | VRING_DESC_F_NEXT, 65535);
}

static uint16_t
next_beyond_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 8, right(rig, side) | VRING_DESC_F_NEXT, 4, 64);
}

static uint16_t
in_hole(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, HOLE, 100, right(rig, side));
}

static uint16_t
before_region(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, RIG_HIGH - 1, 200, right(rig, side));
}

static uint16_t
into_hole(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, RIG_MIDDLE_END - 99, 100, right(rig, side));
}

static uint16_t
over_the_end(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, rig->high_room + RIG_HIGH_ROOM - 99, 100, right(rig, side));
}

static uint16_t
at_the_end(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, rig->high_room + RIG_HIGH_ROOM, 100, right(rig, side));
}

static uint16_t
overflow(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, UINT64_MAX - 49, 100, right(rig, side));
}

static uint16_t
overflow_to_zero(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, UINT64_MAX - 0xfff, 0x1000, right(rig, side));
}

static uint16_t
four_gib(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, 0, UINT32_MAX, right(rig, side));
}

static uint16_t
four_gib_each(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, RIG_HIGH, UINT32_MAX, right(rig, side), 0);
}

static uint16_t
second_in_hole(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, HOLE, 100, right(rig, side), 0);
}

static uint16_t
entry_in_hole(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, HOLE, 100, right(rig, side), 0, 16);
}

static uint16_t
wrong_direction(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, GOOD, 1000, wrong(rig, side));
}

static uint16_t
wrong_second(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 1000, wrong(rig, side), 0);
}

static uint16_t
wrong_in_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1000, wrong(rig, side), 0, 16);
}

static uint16_t
empty_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1000, right(rig, side), 0, 0);
}

static uint16_t
half_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1000, right(rig, side), 0, 8);
}

static uint16_t
odd_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1000, right(rig, side), 0, 24);
}

static uint16_t
largest_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 1000, right(rig, side), 0, UINT32_MAX);
}

static uint16_t
table_in_hole(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, HOLE, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
table_into_hole(struct rig *rig, struct rig_side *side)
{
	write_entry(rig, RIG_MIDDLE_END - 16, GOOD, 8, right(rig, side) | VRING_DESC_F_NEXT, 1);
	return one(rig, side, RIG_MIDDLE_END - 16, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
entry_into_hole(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, RIG_MIDDLE_END - 8, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
table_overflows(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, UINT64_MAX - 15, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
unaligned_table(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, TABLE + 4, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
nested_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, TABLE, 16, VRING_DESC_F_INDIRECT, 0, 16);
}

static uint16_t
table_goes_on(struct rig *rig, struct rig_side *side)
{
	const struct guest_buffer table = { .gpa = TABLE, .len = 16 };
	const struct guest_buffer second = { .gpa = GOOD, .len = 1000 };

	write_entry(rig, TABLE, GOOD, 1000, right(rig, side), 0);
	return two_of(side, &table, &second, VRING_DESC_F_INDIRECT, right(rig, side), 0);
}

/* Right in a split ring, forbidden in a packed one (2.7.7). */
static uint16_t
table_in_chain(struct rig *rig, struct rig_side *side)
{
	write_entry(rig, TABLE, GOOD, 1000, right(rig, side), 0);
	return two(rig, side, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
}

static uint16_t
no_room_for_header(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, GOOD, rig->header_len - 1U, right(rig, side));
}

static uint16_t
no_room_in_two(struct rig *rig, struct rig_side *side)
{
	const struct guest_buffer first = { .gpa = GOOD, .len = 4 };
	const struct guest_buffer second = { .gpa = GOOD, .len = rig->header_len - 5U };

	return two_of(side, &first, &second, right(rig, side), right(rig, side), 0);
}

static uint16_t
zero_length(struct rig *rig, struct rig_side *side)
{
	return one(rig, side, GOOD, 0, right(rig, side));
}

static uint16_t
zero_length_second(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 0, right(rig, side), 0);
}

static uint16_t
zero_length_in_table(struct rig *rig, struct rig_side *side)
{
	return in_table(rig, side, GOOD, 0, right(rig, side), 0, 16);
}

static const struct bad_case {
	const char *name;
	uint16_t (*make)(struct rig *rig, struct rig_side *side);
	enum vnet_fault fault;
	enum { BOTH, SPLIT, PACKED, PACKED_TO_GUEST } where; /* it can be done, and is bad */
} bad_cases[] = {
#define CASE(function, fault, ...) { #function, function, VNET_FAULT_ ## fault, __VA_ARGS__ }
	/* Nothing of a packed ring names another descriptor. */
	CASE(loop_of_one, LOOP, SPLIT),
	CASE(loop_of_two, LOOP, SPLIT),
	CASE(loop_in_table, LOOP, SPLIT),
	CASE(loop_in_huge_table, LOOP, SPLIT),
	CASE(next_is_size, HEAD, SPLIT),
	CASE(next_is_last, HEAD, SPLIT),
	CASE(next_beyond_table, HEAD, SPLIT),
	CASE(table_of_2000, LOOP, PACKED),
	CASE(table_in_chain, INDIRECT, PACKED),
	CASE(in_hole, ADDRESS, BOTH),
	CASE(before_region, ADDRESS, BOTH),
	CASE(into_hole, ADDRESS, BOTH),
	CASE(over_the_end, ADDRESS, BOTH),
	CASE(at_the_end, ADDRESS, BOTH),
	CASE(overflow, ADDRESS, BOTH),
	CASE(overflow_to_zero, ADDRESS, BOTH),
	CASE(four_gib, ADDRESS, BOTH),
	CASE(four_gib_each, ADDRESS, BOTH),
	CASE(second_in_hole, ADDRESS, BOTH),
	CASE(entry_in_hole, ADDRESS, BOTH),
	CASE(wrong_direction, DIRECTION, BOTH),
	CASE(wrong_second, DIRECTION, BOTH),
	/* What is to be read may be writable: DPDK's virtio driver says so. */
	CASE(wrong_in_table, DIRECTION, SPLIT),
	CASE(wrong_in_table, DIRECTION, PACKED_TO_GUEST),
	CASE(empty_table, INDIRECT, BOTH),
	CASE(half_table, INDIRECT, BOTH),
	CASE(odd_table, INDIRECT, BOTH),
	CASE(largest_table, INDIRECT, BOTH),
	CASE(table_in_hole, INDIRECT, BOTH),
	CASE(table_into_hole, INDIRECT, BOTH),
	CASE(entry_into_hole, INDIRECT, BOTH),
	CASE(table_overflows, INDIRECT, BOTH),
	CASE(unaligned_table, INDIRECT, BOTH),
	CASE(nested_table, INDIRECT, BOTH),
	CASE(table_goes_on, INDIRECT, BOTH),
	CASE(no_room_for_header, SHORT, BOTH),
	CASE(no_room_in_two, SHORT, BOTH),
	CASE(zero_length, SHORT, BOTH),
	CASE(zero_length_second, SHORT, BOTH),
	CASE(zero_length_in_table, SHORT, BOTH),
#undef CASE
};

static bool
applies(const struct bad_case *bad, bool to_guest)
{
	return bad->where == BOTH || (rig_packed ? bad->where == PACKED ||
			(bad->where == PACKED_TO_GUEST && to_guest) : bad->where == SPLIT);
}

/* Good buffers for a packet, and what the model says of it. */
static void
offer_good(struct rig *rig, struct rig_side *side, uint32_t number)
{
	struct rig_chain chain;

	rig->cursor = 0x10000 + (number % 64) * 0x1000;
	rig_offer(rig, side, rig->header_len + 600U, SHAPE_ONE, &chain);
	if (side == &rig->to_guest) {
		rig_expect_packet(rig, &chain, number, 600);
	} else {
		rig_fill(rig, &chain, number, 600);
		rig_expect_used(rig, side, chain.head, 0);
	}
}

/* The `n` packets from `number` on, which have their buffers, in one burst. */
static void
pass_good(struct rig *rig, struct rig_side *side, uint32_t number, unsigned int n)
{
	struct rte_mbuf *pkts[32];
	unsigned int i;

	ring_publish(&side->ring);
	if (side == &rig->to_guest) {
		for (i = 0; i < n; i++)
			pkts[i] = packet_mbuf(rig->pool, number + i, 600, 0, false);
		assert_int_equal(rig_transmit(rig, pkts, (uint16_t)n), n);
	} else {
		assert_int_equal(rig_receive(rig, rig->pool, pkts, 32), n);
		for (i = 0; i < n; i++)
			assert_true(packet_is(pkts[i], number + i, 600));
		rte_pktmbuf_free_bulk(pkts, n);
	}
	rig_check(rig);
}

/* A bad chain that comes back empty. */
static void
offer_bad(struct rig *rig, struct rig_side *side, const struct bad_case *bad)
{
	uint16_t head = bad->make(rig, side);

	ring_add(&side->ring, head);
	rig_expect_used(rig, side, head, 0);
}

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
	for (i = 0; i < RTE_DIM(bad_cases); i++) {
		for (j = 0; j < RTE_DIM(options); j++) {
			if (applies(&bad_cases[i], true))
				one_bad_chain(&options[j], &bad_cases[i], true);
			if (applies(&bad_cases[i], false))
				one_bad_chain(&options[j], &bad_cases[i], false);
		}
	}
}

static const struct rig_options plain = { .size = 128, .version_1 = true, .logging = true };
static const struct rig_options merging = { .size = 128, .mergeable = true, .logging = true };

/* A head that is no descriptor: there is nothing to give back. */
static void
head_beyond_ring(void **state)
{
	static const uint16_t heads[] = { 128, 129, 0x8000, 65535 };
	struct rig *rig = rig_create(&plain);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int i, s;

	(void)state;
	for (s = 0; s < 2; s++) {
		for (i = 0; i < RTE_DIM(heads); i++) {
			offer_good(rig, sides[s], i);
			ring_add(&sides[s]->ring, heads[i]);
			offer_good(rig, sides[s], i + 1);
			pass_good(rig, sides[s], i, 2);
			assert_int_equal(sides[s]->queue->stats.faults[VNET_FAULT_HEAD], i + 1);
		}
		assert_int_equal(rig_faults(sides[s]), RTE_DIM(heads));
	}
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
 * or returned before its turn. `bad` NULL: a head that is no descriptor.
 */
static void
one_bad_ahead(const struct bad_case *bad)
{
	struct rig *rig = rig_create(&plain);
	struct rig_side *side = &rig->from_guest;
	uint16_t first = offer_packet(rig, 1);
	uint16_t head = bad == NULL ? 65535 : bad->make(rig, side);
	uint16_t last;

	print_message("%s\n", bad == NULL ? "head_beyond_ring" : bad->name);
	ring_add(&side->ring, head);
	last = offer_packet(rig, 2);
	ring_publish(&side->ring);

	rig_expect_used(rig, side, first, 0);
	receive_one_of(rig, 1, 1);
	assert_int_equal(rig_faults(side), 0);

	if (bad != NULL)
		rig_expect_used(rig, side, head, 0);
	rig_expect_used(rig, side, last, 0);
	receive_one_of(rig, 32, 2);
	assert_int_equal(side->queue->stats.faults[bad == NULL ? VNET_FAULT_HEAD :
			bad->fault], 1);
	assert_int_equal(rig_faults(side), 1);
	rig_close(rig);
	rig_destroy(rig);
}

static void
bad_ones_ahead(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(bad_cases); i++)
		if (applies(&bad_cases[i], false))
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
					rig_receive(rig, rig->pool, pkts + 1, 3), 0);
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
	for (i = 0; i < RTE_DIM(bad_cases); i++) {
		struct rig *rig;
		struct rig_side *side;
		struct rig_chain chains[8];
		struct rte_mbuf *pkt;
		unsigned int n;

		/* Shorter than the header is fine behind one that has it. */
		if (!applies(&bad_cases[i], true) || bad_cases[i].make == no_room_for_header ||
				bad_cases[i].make == no_room_in_two)
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

/*
 * Memory that is larger than 4 GiB, and chains of such lengths: the sum does
 * not wrap.
 */
static void
chains_of_many_gib(void **state)
{
	const uint64_t gib4 = UINT64_C(1) << 32, gpa = 8 * gib4;
	struct rig *rig = rig_create(&plain);
	struct dirtylog_memory *mem = calloc(1, sizeof(*mem) + 4 * sizeof(mem->regions[0]));
	struct dirtylog_region *large = &mem->regions[3];
	struct rig_side *side;
	uint16_t head;
	struct rte_mbuf *pkts[2];
	uint8_t header[12] = { [10] = 1 };

	(void)state;
	assert_non_null(mem);
	memcpy(mem, rig->mem, sizeof(*mem) + 3 * sizeof(mem->regions[0]));
	mem->nb_regions = 4;
	large->gpa = gpa;
	large->len = 2 * gib4;
	large->bitmap = mem->regions[0].bitmap;
	large->host = mmap(NULL, large->len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(large->host, MAP_FAILED);
	rig->to_guest.queue->mem = mem;
	rig->from_guest.queue->mem = mem;

	/* 2^32 + 100 bytes from the guest are no packet of 100 bytes. */
	side = &rig->from_guest;
	head = two_of(side, &(struct guest_buffer){ gpa, UINT32_MAX },
			&(struct guest_buffer){ gpa, 113 }, 0, 0, 0);
	ring_add(&side->ring, head);
	rig_expect_used(rig, side, head, 0);
	ring_publish(&side->ring);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, 2), 0);
	rig_check(rig);
	assert_int_equal(side->queue->stats.faults[VNET_FAULT_LONG], 1);

	/* As much room for the guest's packet is room. */
	side = &rig->to_guest;
	head = two_of(side, &(struct guest_buffer){ gpa + 12345, UINT32_MAX },
			&(struct guest_buffer){ gpa, UINT32_MAX }, VRING_DESC_F_WRITE,
			VRING_DESC_F_WRITE, 0);
	ring_add(&side->ring, head);
	rig_expect_used(rig, side, head, 112);
	ring_publish(&side->ring);
	pkts[0] = packet_mbuf(rig->pool, 1, 100, 0, false);
	/* Where this memory is marked is not of interest. */
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	assert_memory_equal(large->host + 12345, header, 12);
	assert_memory_equal(large->host + 12345 + 12, packet_bytes(1, 100), 100);
	assert_int_equal(ram_differences(&rig->ram), 0);
	assert_int_equal(rig_faults(side), 0);
	frontend_log_clear(&rig->log);
	rig_close(rig);
	munmap(large->host, large->len);
	rig_destroy(rig);
	free(mem);
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

/*
 * A whole ring of the chains that take longest to refuse: a burst looks at a
 * bounded number of them. The core has other ports to poll.
 */
static void
bad_ring_does_not_hold_the_core(void **state)
{
	struct rig_options options = { .size = 32768, .version_1 = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	struct rte_mbuf *pkts[32];
	unsigned int i, s;

	(void)state;
	for (s = 0; s < 2; s++) {
		for (i = 0; i < options.size; i++)
			ring_add(&sides[s]->ring, rig_packed ? one(rig, sides[s], GOOD, 1,
					right(rig, sides[s]) | VRING_DESC_F_NEXT) :
					loop_of_one(rig, sides[s]));
		ring_publish(&sides[s]->ring);
		for (i = 0; i < 32; i++)
			pkts[i] = packet_mbuf(rig->pool, i, 100, 0, false);
		if (s == 0)
			assert_int_equal(eth_dirtylog_tx(sides[s]->queue, pkts, 32), 0);
		rte_pktmbuf_free_bulk(pkts, 32);
		sides[s]->queue->pool = rig->pool;
		if (s == 1)
			assert_int_equal(eth_dirtylog_rx(sides[s]->queue, pkts, 32), 0);
		assert_in_range(rig_faults(sides[s]), 1, 64);
	}
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * A chain of a packed ring without an end: nobody can tell its id, so it is not
 * returned, and each burst counts it.
 */
static void
chain_without_end(void **state)
{
	static const uint16_t sizes[] = { 5, 128, 1000 };
	unsigned int i, n, s;

	(void)state;
	for (i = 0; i < RTE_DIM(sizes); i++) {
		struct rig_options options = { .size = sizes[i], .mergeable = true, .logging = true };
		struct rig *rig = rig_create(&options);
		struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
		struct rte_mbuf *pkts[32];

		for (s = 0; s < 2; s++) {
			for (n = 0; n < sizes[i]; n++)
				ring_add(&sides[s]->ring, one(rig, sides[s], GOOD, 1,
						right(rig, sides[s]) | VRING_DESC_F_NEXT));
			ring_publish(&sides[s]->ring);
			for (n = 0; n < 3; n++) {
				pkts[0] = packet_mbuf(rig->pool, 1, 60, 0, false);
				assert_int_equal(s == 0 ? rig_transmit(rig, pkts, 1) :
						rig_receive(rig, rig->pool, pkts + 1, 31), 0);
				rte_pktmbuf_free(pkts[0]);
				rig_check(rig);
				assert_int_equal(
					sides[s]->queue->stats.faults[VNET_FAULT_LOOP], n + 1);
			}
		}
		rig_close(rig);
		rig_destroy(rig);
	}
}

/* A chain that is longer than any packet needs, and ends: returned by its id. */
static void
chain_too_long(void **state)
{
	struct rig_options options = { .size = 3000, .version_1 = true, .logging = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int i, n, s;

	(void)state;
	for (s = 0; s < 2; s++) {
		for (i = 0; i < 5; i++) {
			uint16_t id = ring_take_desc(&sides[s]->ring);

			offer_good(rig, sides[s], i);
			for (n = 0; n < 2500; n++)
				ring_set_packed(&sides[s]->ring, n, GOOD + n, 1,
						n == 2499 ? id : 0xffff, right(rig, sides[s]) |
						(n == 2499 ? 0 : VRING_DESC_F_NEXT));
			sides[s]->ring.slots[id] = 2500;
			ring_add(&sides[s]->ring, id);
			rig_expect_used(rig, sides[s], id, 0);
			offer_good(rig, sides[s], i + 1);
			pass_good(rig, sides[s], i, 2);
			assert_int_equal(sides[s]->queue->stats.faults[VNET_FAULT_LOOP], i + 1);
		}
		assert_int_equal(rig_faults(sides[s]), 5);
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
	id = in_table(rig, side, chain.buffers[0].gpa, 612, VRING_DESC_F_WRITE, 0, 16);
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
 * The guest makes a descriptor available again that the running burst has
 * taken: a burst goes round the ring once, whatever the flags say.
 */
static void
ring_that_is_always_available(void **state)
{
	struct rig_options options = { .size = 7, .version_1 = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *side = &rig->to_guest;
	uint64_t ring = side->ring.desc;
	struct vring_packed_desc desc[7];
	struct rte_mbuf *pkts[32];
	unsigned int i;

	(void)state;
	/* Each packet overwrites the ring: all its descriptors become available again. */
	for (i = 0; i < 7; i++)
		desc[i] = (struct vring_packed_desc){ .addr = ring - 12 + i % 2 * 16, .len = 512,
			.id = (uint16_t)i, .flags = VRING_DESC_F_WRITE |
			1 << (i % 2 ? VRING_PACKED_DESC_F_USED : VRING_PACKED_DESC_F_AVAIL) };
	memcpy(ram_host(&rig->ram, ring), desc, sizeof(desc));
	((struct vring_packed_desc *)ram_host(&rig->ram, ring))[0].addr = 0x1000;
	for (i = 0; i < 32; i++)
		pkts[i] = packet_mbuf(rig->pool, i, 60 + i, 0, false);
	assert_in_range(eth_dirtylog_tx(side->queue, pkts, 32), 1, 7);
	assert_int_equal(rte_mempool_in_use_count(rig->pool) + side->queue->stats.packets, 32);
	rte_pktmbuf_free_bulk(pkts + side->queue->stats.packets,
			32 - (unsigned int)side->queue->stats.packets);
	rig_close(rig);
	rig_destroy(rig);
}

/* However many faults: a line or two. */
static void
log_lines_are_limited(void **state)
{
	struct rig *rig = rig_create(&plain);
	struct rig_side *side = &rig->from_guest;
	struct rte_mbuf *pkts[32];
	char *text = NULL, *at;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);
	uint64_t begin = rte_rdtsc(), seconds;
	unsigned int i, n = 0, lines = 0;

	(void)state;
	assert_non_null(stream);
	rte_openlog_stream(stream);
	for (i = 0; n < 5000; i++) {
		const struct bad_case *bad = &bad_cases[i % RTE_DIM(bad_cases)];

		if (!applies(bad, false))
			continue;
		offer_bad(rig, side, bad);
		n++;
		ring_publish(&side->ring);
		assert_int_equal(rig_receive(rig, rig->pool, pkts, 32), 0);
	}
	seconds = (rte_rdtsc() - begin) / rte_get_tsc_hz();
	rte_openlog_stream(stderr);
	fclose(stream);
	for (at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	print_message("%s", text);
	assert_in_range(lines, 1, 2 + seconds);
	assert_non_null(strstr(text, "port 7 virtqueue 1"));
	assert_int_equal(rig_faults(side), 5000);
	free(text);
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
		cmocka_unit_test(avail_index_jumps),
		cmocka_unit_test(bad_merged_buffer),
		cmocka_unit_test(chains_of_many_gib),
		cmocka_unit_test(direction_of_table_is_ignored),
		cmocka_unit_test(bad_ring_does_not_hold_the_core),
		cmocka_unit_test(log_lines_are_limited),
	};
	const struct CMUnitTest packed[] = {
		cmocka_unit_test(bad_chains),
		cmocka_unit_test(bad_ones_ahead),
		cmocka_unit_test(bad_merged_buffer),
		cmocka_unit_test(chains_of_many_gib),
		cmocka_unit_test(direction_of_table_is_ignored),
		cmocka_unit_test(bad_ring_does_not_hold_the_core),
		cmocka_unit_test(chain_without_end),
		cmocka_unit_test(chain_too_long),
		cmocka_unit_test(writable_entry_is_read),
		cmocka_unit_test(ring_that_is_always_available),
		cmocka_unit_test(log_lines_are_limited),
	};
	const struct program program = {
		.name = "ring_bad",
		.split = PROGRAM_TESTS(split),
		.packed = PROGRAM_TESTS(packed),
	};

	return program_run(&program, argc, argv);
}
