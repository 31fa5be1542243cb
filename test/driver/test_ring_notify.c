/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * When the guest is interrupted (virtio 1.1, 2.6.7 and 2.7.10): what arrives on
 * the call descriptor, burst by burst, is what the specification says; and the
 * guest is told not to kick (2.6.10).
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/ring_rig.h"

/* A burst that returns `n` buffers of one side. */
static void
burst(struct rig *rig, struct rig_side *side, unsigned int n)
{
	struct rte_mbuf *pkts[32];
	struct rig_chain chain;
	unsigned int i;

	for (i = 0; i < n; i++) {
		rig_offer(rig, side, 100, SHAPE_ONE, &chain);
		if (side == &rig->to_guest) {
			pkts[i] = packet_mbuf(rig->pool, i, 60, 0, false);
			rig_expect_packet(rig, &chain, i, 60);
		} else {
			rig_fill(rig, &chain, i, 60);
			rig_expect_used(rig, side, chain.head, 0);
		}
	}
	ring_publish(&side->ring);
	if (side == &rig->to_guest) {
		assert_int_equal(rig_transmit(rig, pkts, (uint16_t)n), n);
	} else {
		assert_int_equal(rig_receive(rig, rig->pool, pkts, 32), n);
		rte_pktmbuf_free_bulk(pkts, n);
	}
}

static void
by_flags(void **state)
{
	struct rig_options options = { .size = 64, .version_1 = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int i, n;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct rig_side *side = sides[i];

		for (n = 0; n <= 32; n++) {
			/* Once for a burst, whatever it returns; never for nothing. */
			ring_set_avail_flags(&side->ring, 0);
			burst(rig, side, n);
			assert_int_equal(rig_interrupts(side), n != 0);
			ring_set_avail_flags(&side->ring, VRING_AVAIL_F_NO_INTERRUPT);
			burst(rig, side, n);
			assert_int_equal(rig_interrupts(side), 0);
		}
		assert_int_equal(side->queue->stats.notifications, 32);
		/* The other side was not interrupted for this one. */
		assert_int_equal(rig_interrupts(sides[1 - i]), 0);
		/* used_event means nothing here, nor does a place in a packed ring. */
		ring_set_avail_flags(&side->ring, 0);
		burst(rig, side, 1);
		assert_int_equal(rig_interrupts(side), 1);
		if (rig_packed) {
			ring_set_used_event(&side->ring,
					ring_step(&side->ring, side->model_used, 5));
			burst(rig, side, 1);
			assert_int_equal(rig_interrupts(side), 1);
		}
	}
	rig_close(rig);
	rig_destroy(rig);
}

/* Whether the place moved past `event`, step by step as the text has it. */
static bool
passes(const struct ring_writer *ring, uint16_t event, uint16_t old, unsigned int n)
{
	for (; n-- != 0; old = ring_step(ring, old, 1))
		if (old == event)
			return true;
	return false;
}

static void
by_event_index_of(uint16_t size)
{
	struct rig_options options = { .size = size, .event_idx = true, .start = 65000 };
	struct rig *rig = rig_create(&options);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int i, turn, wanted = 0;

	for (i = 0; i < 2; i++) {
		struct rig_side *side = sides[i];

		/* What the guest wants is unknown at first: a call too many is harmless. */
		ring_set_used_event(&side->ring, ring_step(&side->ring, side->model_used, -1));
		burst(rig, side, 1);
		assert_int_equal(rig_interrupts(side), 1);
		/* The flag means nothing with EVENT_IDX; in a packed ring it does. */
		ring_set_avail_flags(&side->ring, VRING_AVAIL_F_NO_INTERRUPT);
		for (turn = 0; turn < 4000; turn++) {
			unsigned int n = (unsigned int)(packet_random(&rig->random) %
					(RTE_MIN(size, (uint16_t)32) + 1U));
			uint16_t event = ring_step(&side->ring, side->model_used,
					(int)(packet_random(&rig->random) %
							(RTE_MIN(size, (uint16_t)36) + 9U)) -
							5);
			bool want = passes(&side->ring, event, side->model_used, n);

			ring_set_used_event(&side->ring, event);
			burst(rig, side, n);
			assert_int_equal(rig_interrupts(side), want);
			wanted += want;
		}
	}
	/* Both ways often enough to mean something. */
	assert_true(wanted > 1000 && wanted < 7000);
	rig_close(rig);
	rig_destroy(rig);
}

static void
by_event_index(void **state)
{
	static const uint16_t packed[] = { 3, 32, 97, 32767, 32768 };
	unsigned int i;

	(void)state;
	by_event_index_of(64);
	for (i = 0; i < RTE_DIM(packed) && rig_packed; i++)
		by_event_index_of(packed[i]);
}

/* With EVENT_IDX a packed ring's driver may still want all interrupts, or none. */
static void
by_flags_with_event_index(void **state)
{
	struct rig_options options = { .size = 50, .event_idx = true };
	struct rig_side *side;
	struct rig *rig;
	unsigned int i;

	(void)state;
	if (!rig_packed)
		return; /* a split ring's flag means nothing then: see above */
	rig = rig_create(&options);
	side = &rig->to_guest;
	for (i = 0; i < 100; i++) {
		ring_set_avail_flags(&side->ring, VRING_PACKED_EVENT_FLAG_ENABLE);
		burst(rig, side, 1 + i % 20);
		assert_int_equal(rig_interrupts(side), 1);
		ring_set_avail_flags(&side->ring, VRING_PACKED_EVENT_FLAG_DISABLE);
		burst(rig, side, 1 + i % 20);
		assert_int_equal(rig_interrupts(side), 0);
		/* What was returned without one does not count later. */
		ring_set_used_event(&side->ring, ring_step(&side->ring, side->model_used, -1));
		burst(rig, side, 1 + i % 20);
		assert_int_equal(rig_interrupts(side), 0);
	}
	rig_close(rig);
	rig_destroy(rig);
}

/* Without a call descriptor, or with one that is full: bursts go on. */
static void
without_descriptor(void **state)
{
	struct rig_options options = { .size = 64 };
	struct rig *rig = rig_create(&options);
	uint64_t full = UINT64_MAX - 1;

	(void)state;
	rig->to_guest.queue->call_fd = -1;
	burst(rig, &rig->to_guest, 5);
	assert_int_equal(rig->to_guest.queue->stats.notifications, 0);
	assert_int_equal(write(rig->from_guest.call, &full, sizeof(full)), sizeof(full));
	burst(rig, &rig->from_guest, 5);
	assert_true(rig_interrupts(&rig->from_guest) == full);
	rig_close(rig);
	rig_destroy(rig);
}

/* We poll: the guest is told so, in both ways, and again after a restart. */
static void
guest_need_not_kick(void **state)
{
	unsigned int event_idx;

	(void)state;
	for (event_idx = 0; event_idx < 2; event_idx++) {
		struct rig_options options = { .size = 64, .event_idx = event_idx };
		struct rig *rig = rig_create(&options);
		uint64_t at = rig->to_guest.ring.used + (rig_packed ? 2 : 0);
		uint16_t wanted = rig_packed ? VRING_PACKED_EVENT_FLAG_DISABLE :
				event_idx    ? 0 :
					       VRING_USED_F_NO_NOTIFY;
		uint16_t flags = 7;

		burst(rig, &rig->to_guest, 5);
		ram_read(&rig->ram, at, &flags, sizeof(flags));
		assert_int_equal(flags, wanted);
		rig_close(rig);
		/* Another guest, or firmware before it, has left something else. */
		flags = wanted == 0 ? VRING_USED_F_NO_NOTIFY : 0;
		ram_write(&rig->ram, at, &flags, sizeof(flags));
		rig_open(rig);
		ram_read(&rig->ram, at, &flags, sizeof(flags));
		assert_int_equal(flags, wanted);
		/* avail_event stays 0: a kick each 65536 buffers. There is none if packed. */
		ram_read(&rig->ram, rig->to_guest.ring.used + 4 + 64 * 8, &flags, sizeof(flags));
		assert_int_equal(flags, 0);
		rig_check(rig);
		rig_close(rig);
		rig_destroy(rig);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_flags),
		cmocka_unit_test(by_event_index),
		cmocka_unit_test(without_descriptor),
		cmocka_unit_test(guest_need_not_kick),
		cmocka_unit_test(by_flags_with_event_index),
	};
	const struct program program = {
		.name = "ring_notify",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
