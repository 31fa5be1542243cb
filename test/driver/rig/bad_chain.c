/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig/bad_chain.h"

#define TABLE 0x8000 /* GPA of an indirect table */
#define HOLE (RIG_MIDDLE_END + 0x10000)

uint16_t
right_flags(const struct rig *rig, const struct rig_side *side)
{
	return side == &rig->to_guest ? VRING_DESC_F_WRITE : 0;
}

static uint16_t
wrong(const struct rig *rig, const struct rig_side *side)
{
	return side == &rig->to_guest ? 0 : VRING_DESC_F_WRITE;
}

uint16_t
chain_two(struct rig_side *side, const struct guest_buffer *first,
		const struct guest_buffer *second, uint16_t first_flags, uint16_t flags,
		uint16_t next)
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

	return chain_two(side, &first, &second, right_flags(rig, side), flags, next);
}

uint16_t
chain_one(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len, uint16_t flags)
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

uint16_t
chain_table(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len, uint16_t flags,
		uint16_t next, uint32_t table_len)
{
	write_entry(rig, TABLE, addr, len, flags, next);
	return chain_one(rig, side, TABLE, table_len, VRING_DESC_F_INDIRECT);
}

uint16_t
loop_of_one(struct rig *rig, struct rig_side *side)
{
	uint16_t head = ring_take_desc(&side->ring);

	ring_set_desc(&side->ring, head, GOOD, 1, right_flags(rig, side) | VRING_DESC_F_NEXT, head);
	return head;
}

static uint16_t
loop_of_two(struct rig *rig, struct rig_side *side)
{
	uint16_t head = ring_take_desc(&side->ring), second = ring_take_desc(&side->ring);

	ring_set_desc(&side->ring, head, GOOD, 64, right_flags(rig, side) | VRING_DESC_F_NEXT,
			second);
	ring_set_desc(&side->ring, second, GOOD, 1, right_flags(rig, side) | VRING_DESC_F_NEXT,
			head);
	return head;
}

/* More buffers than any packet needs. */
static uint16_t
table_of_2000(struct rig *rig, struct rig_side *side)
{
	unsigned int i;

	for (i = 0; i < 2000; i++)
		write_entry(rig, TABLE + 16 * i, GOOD + i, 1, right_flags(rig, side), 0);
	return chain_one(rig, side, TABLE, 16 * 2000, VRING_DESC_F_INDIRECT);
}

/* They take no room, but time. */
static uint16_t
table_of_2000_empty(struct rig *rig, struct rig_side *side)
{
	unsigned int i;

	for (i = 0; i < 2000; i++)
		write_entry(rig, TABLE + 16 * i, GOOD, 0,
				right_flags(rig, side) | (rig_packed ? 0 : VRING_DESC_F_NEXT),
				(uint16_t)(i + 1));
	return chain_one(rig, side, TABLE, 16 * 2000, VRING_DESC_F_INDIRECT);
}

static uint16_t
loop_in_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1, right_flags(rig, side) | VRING_DESC_F_NEXT, 0, 64);
}

static uint16_t
loop_in_huge_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1, right_flags(rig, side) | VRING_DESC_F_NEXT, 0,
			0xfffffff0);
}

static uint16_t
next_is_size(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 8, right_flags(rig, side) | VRING_DESC_F_NEXT,
			rig->options.size);
}

static uint16_t
next_is_last(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 8, right_flags(rig, side) | VRING_DESC_F_NEXT, 65535);
}

static uint16_t
next_beyond_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 8, right_flags(rig, side) | VRING_DESC_F_NEXT, 4, 64);
}

static uint16_t
in_hole(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, HOLE, 100, right_flags(rig, side));
}

static uint16_t
before_region(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, RIG_HIGH - 1, 200, right_flags(rig, side));
}

static uint16_t
into_hole(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, RIG_MIDDLE_END - 99, 100, right_flags(rig, side));
}

static uint16_t
over_the_end(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, rig->high_room + RIG_HIGH_ROOM - 99, 100,
			right_flags(rig, side));
}

static uint16_t
at_the_end(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, rig->high_room + RIG_HIGH_ROOM, 100, right_flags(rig, side));
}

static uint16_t
overflow(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, UINT64_MAX - 49, 100, right_flags(rig, side));
}

static uint16_t
overflow_to_zero(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, UINT64_MAX - 0xfff, 0x1000, right_flags(rig, side));
}

static uint16_t
four_gib(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, 0, UINT32_MAX, right_flags(rig, side));
}

static uint16_t
four_gib_each(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, RIG_HIGH, UINT32_MAX, right_flags(rig, side), 0);
}

static uint16_t
second_in_hole(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, HOLE, 100, right_flags(rig, side), 0);
}

static uint16_t
entry_in_hole(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, HOLE, 100, right_flags(rig, side), 0, 16);
}

static uint16_t
wrong_direction(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, GOOD, 1000, wrong(rig, side));
}

static uint16_t
wrong_second(struct rig *rig, struct rig_side *side)
{
	return two(rig, side, GOOD, 1000, wrong(rig, side), 0);
}

static uint16_t
wrong_in_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1000, wrong(rig, side), 0, 16);
}

static uint16_t
empty_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1000, right_flags(rig, side), 0, 0);
}

static uint16_t
half_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1000, right_flags(rig, side), 0, 8);
}

static uint16_t
odd_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1000, right_flags(rig, side), 0, 24);
}

static uint16_t
largest_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 1000, right_flags(rig, side), 0, UINT32_MAX);
}

static uint16_t
table_in_hole(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, HOLE, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
table_into_hole(struct rig *rig, struct rig_side *side)
{
	write_entry(rig, RIG_MIDDLE_END - 16, GOOD, 8, right_flags(rig, side) | VRING_DESC_F_NEXT,
			1);
	return chain_one(rig, side, RIG_MIDDLE_END - 16, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
entry_into_hole(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, RIG_MIDDLE_END - 8, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
table_overflows(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, UINT64_MAX - 15, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
unaligned_table(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, TABLE + 4, 64, VRING_DESC_F_INDIRECT);
}

static uint16_t
nested_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, TABLE, 16, VRING_DESC_F_INDIRECT, 0, 16);
}

static uint16_t
table_goes_on(struct rig *rig, struct rig_side *side)
{
	const struct guest_buffer table = { .gpa = TABLE, .len = 16 };
	const struct guest_buffer second = { .gpa = GOOD, .len = 1000 };

	write_entry(rig, TABLE, GOOD, 1000, right_flags(rig, side), 0);
	return chain_two(side, &table, &second, VRING_DESC_F_INDIRECT, right_flags(rig, side), 0);
}

/* Right in a split ring, forbidden in a packed one (2.7.7). */
static uint16_t
table_in_chain(struct rig *rig, struct rig_side *side)
{
	write_entry(rig, TABLE, GOOD, 1000, right_flags(rig, side), 0);
	return two(rig, side, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
}

static uint16_t
no_room_for_header(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, GOOD, rig->header_len - 1U, right_flags(rig, side));
}

static uint16_t
no_room_in_two(struct rig *rig, struct rig_side *side)
{
	const struct guest_buffer first = { .gpa = GOOD, .len = 4 };
	const struct guest_buffer second = { .gpa = GOOD, .len = rig->header_len - 5U };

	return chain_two(side, &first, &second, right_flags(rig, side), right_flags(rig, side), 0);
}

static uint16_t
zero_length(struct rig *rig, struct rig_side *side)
{
	return chain_one(rig, side, GOOD, 0, right_flags(rig, side));
}

static uint16_t
zero_length_twice(struct rig *rig, struct rig_side *side)
{
	const struct guest_buffer empty = { .gpa = GOOD, .len = 0 };

	return chain_two(side, &empty, &empty, right_flags(rig, side), right_flags(rig, side), 0);
}

static uint16_t
zero_length_in_table(struct rig *rig, struct rig_side *side)
{
	return chain_table(rig, side, GOOD, 0, right_flags(rig, side), 0, 16);
}

const struct bad_case bad_cases[] = {
#define CASE(function, kind, ...) \
	{ \
		.name = #function, .make = function, .fault = VNET_FAULT_##kind, \
		.where = __VA_ARGS__ \
	}
	/* Nothing of a packed ring names another descriptor. */
	CASE(loop_of_one, LOOP, BAD_SPLIT),
	CASE(loop_of_two, LOOP, BAD_SPLIT),
	CASE(loop_in_table, LOOP, BAD_SPLIT),
	CASE(loop_in_huge_table, LOOP, BAD_SPLIT),
	CASE(next_is_size, HEAD, BAD_SPLIT),
	CASE(next_is_last, HEAD, BAD_SPLIT),
	CASE(next_beyond_table, HEAD, BAD_SPLIT),
	CASE(table_of_2000, LOOP, BAD_PACKED),
	CASE(table_of_2000_empty, LOOP, BAD_BOTH),
	CASE(table_in_chain, INDIRECT, BAD_PACKED),
	CASE(in_hole, ADDRESS, BAD_BOTH),
	CASE(before_region, ADDRESS, BAD_BOTH),
	CASE(into_hole, ADDRESS, BAD_BOTH),
	CASE(over_the_end, ADDRESS, BAD_BOTH),
	CASE(at_the_end, ADDRESS, BAD_BOTH),
	CASE(overflow, ADDRESS, BAD_BOTH),
	CASE(overflow_to_zero, ADDRESS, BAD_BOTH),
	CASE(four_gib, ADDRESS, BAD_BOTH),
	CASE(four_gib_each, ADDRESS, BAD_BOTH),
	CASE(second_in_hole, ADDRESS, BAD_BOTH),
	CASE(entry_in_hole, ADDRESS, BAD_BOTH),
	CASE(wrong_direction, DIRECTION, BAD_BOTH),
	CASE(wrong_second, DIRECTION, BAD_BOTH),
	/* What is to be read may be writable: DPDK's virtio driver says so. */
	CASE(wrong_in_table, DIRECTION, BAD_SPLIT),
	CASE(wrong_in_table, DIRECTION, BAD_PACKED_TO_GUEST),
	CASE(empty_table, INDIRECT, BAD_BOTH),
	CASE(half_table, INDIRECT, BAD_BOTH),
	CASE(odd_table, INDIRECT, BAD_BOTH),
	CASE(largest_table, INDIRECT, BAD_BOTH),
	CASE(table_in_hole, INDIRECT, BAD_BOTH),
	CASE(table_into_hole, INDIRECT, BAD_BOTH),
	CASE(entry_into_hole, INDIRECT, BAD_BOTH),
	CASE(table_overflows, INDIRECT, BAD_BOTH),
	CASE(unaligned_table, INDIRECT, BAD_BOTH),
	CASE(nested_table, INDIRECT, BAD_BOTH),
	CASE(table_goes_on, INDIRECT, BAD_BOTH),
	CASE(no_room_for_header, SHORT, BAD_BOTH, .if_first = true),
	CASE(no_room_in_two, SHORT, BAD_BOTH, .if_first = true),
	CASE(zero_length, SHORT, BAD_BOTH),
	CASE(zero_length_twice, SHORT, BAD_BOTH),
	CASE(zero_length_in_table, SHORT, BAD_BOTH),
#undef CASE
};

const unsigned int nb_bad_cases = RTE_DIM(bad_cases);

bool
bad_case_applies(const struct bad_case *bad, bool to_guest)
{
	return bad->where == BAD_BOTH ||
			(rig_packed ? bad->where == BAD_PACKED ||
									(bad->where == BAD_PACKED_TO_GUEST &&
											to_guest) :
				      bad->where == BAD_SPLIT);
}

void
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

void
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

void
offer_bad(struct rig *rig, struct rig_side *side, const struct bad_case *bad)
{
	uint16_t head = bad->make(rig, side);

	ring_add(&side->ring, head);
	rig_expect_used(rig, side, head, 0);
}
