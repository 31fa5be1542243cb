/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where a ring begins: what is refused as one, a queue that is closed, and one
 * that opens again, where it was or elsewhere.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rig/good_ring.h"
#include "rig/program.h"

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
#define REFUSED(field, value, error) \
	do { \
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
#define REFUSED(field, value, error) \
	do { \
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

			ring_init(&side->ring, &rig->ram, side->ring.desc, rig->options.size, place,
					NULL);
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

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_rings),
		cmocka_unit_test(closed_queue),
		cmocka_unit_test(reopened_elsewhere),
	};
	const struct program program = {
		.name = "ring_start",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
