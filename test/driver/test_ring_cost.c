/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a guest can make a burst cost: a bound of ours on what one burst looks
 * at, and nothing looked at again until the guest has moved.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <rte_mbuf.h>

#include "datapath/packet.h"
#include "rig/offload_rig.h"
#include "rig/packet.h"
#include "rig/program.h"
#include "rig/ring_rig.h"

#define RING 1024
#define PACKET 1400
#define LONG_PACKET 60000

/* Buffers of one byte, behind one that takes the header: 12 bytes and `n` more. */
static void
offer_crumbs(struct rig *rig, unsigned int n)
{
	struct rig_chain chain;
	unsigned int i;

	rig_offer(rig, &rig->to_guest, 12, SHAPE_ONE, &chain);
	for (i = 0; i < n; i++)
		rig_offer(rig, &rig->to_guest, 1, SHAPE_ONE, &chain);
	ring_publish(&rig->to_guest.ring);
}

static uint16_t
send_one(struct rig *rig, uint32_t len, uint64_t flags)
{
	struct rte_mbuf *pkt = packet_mbuf(rig->pool, 1, len, 0, false);
	uint16_t went;

	assert_non_null(pkt);
	pkt->ol_flags |= flags;
	went = eth_dirtylog_tx(rig->to_guest.queue, &pkt, 1);
	if (went == 0)
		rte_pktmbuf_free(pkt);
	return went;
}

static struct rig *
create(void)
{
	const struct rig_options options = { .size = RING, .mergeable = true, .version_1 = true };

	return rig_create(&options);
}

static void
destroy(struct rig *rig)
{
	rig_close(rig);
	rig_destroy(rig);
}

static void
waiting_costs_once(void **state)
{
	struct rig *rig = create();
	struct vnet_queue *queue = rig->to_guest.queue;
	struct rig_chain chain;
	unsigned int i;

	(void)state;
	offer_crumbs(rig, 900);
	assert_int_equal(send_one(rig, PACKET, 0), 0);
	assert_int_equal(queue->walked, 901);
	for (i = 0; i < 3; i++) {
		assert_int_equal(send_one(rig, PACKET, 0), 0);
		assert_int_equal(queue->walked, 0);
		/* Neither does a longer one, with a tag at that. */
		assert_int_equal(send_one(rig, PACKET + i, RTE_MBUF_F_TX_VLAN), 0);
		assert_int_equal(queue->walked, 0);
	}
	/* The guest moves, and it is not enough. */
	rig_offer(rig, &rig->to_guest, 1, SHAPE_ONE, &chain);
	ring_publish(&rig->to_guest.ring);
	assert_int_equal(send_one(rig, PACKET, 0), 0);
	assert_int_equal(queue->walked, 902);
	assert_int_equal(send_one(rig, PACKET, 0), 0);
	assert_int_equal(queue->walked, 0);
	/* Now it is. */
	rig_offer(rig, &rig->to_guest, PACKET, SHAPE_ONE, &chain);
	ring_publish(&rig->to_guest.ring);
	assert_int_equal(send_one(rig, PACKET, 0), 1);
	assert_int_equal(queue->walked, 903);
	destroy(rig);
}

/* One that fits is not held up by one that does not. */
static void
shorter_packets_pass(void **state)
{
	struct rig *rig = create();

	(void)state;
	offer_crumbs(rig, 500);
	assert_int_equal(send_one(rig, PACKET, 0), 0);
	assert_int_equal(send_one(rig, PACKET, 0), 0);
	assert_int_equal(send_one(rig, 60, 0), 1);
	destroy(rig);
}

/* Packets in crumbs: the burst ends at its bound, and the next one goes on. */
static void
bursts_are_bounded(void **state)
{
	const struct rig_options options = { .size = 32768, .mergeable = true, .version_1 = true };
	struct rig *rig = rig_create(&options);
	struct rte_mbuf *pkts[32];
	unsigned int i, done = 0, bursts = 0;

	(void)state;
	for (i = 0; i < 32; i++) {
		offer_crumbs(rig, 900);
		pkts[i] = packet_mbuf(rig->pool, i, 900, 0, false);
		assert_non_null(pkts[i]);
	}
	while (done < 32) {
		uint16_t went = eth_dirtylog_tx(rig->to_guest.queue, &pkts[done],
				(uint16_t)(32 - done));

		assert_int_not_equal(went, 0);
		assert_in_range(rig->to_guest.queue->walked, 1, VNET_MAX_WALKED + 901);
		done += went;
		bursts++;
	}
	assert_in_range(bursts, 32 * 901 / (VNET_MAX_WALKED + 901), 16);
	destroy(rig);
}

/* Bad buffers that a burst returns which has one long packet to send. */
static uint64_t
bad_buffers_of_a_burst(uint64_t flags)
{
	struct rig *rig = create();
	struct vnet_queue *queue = rig->to_guest.queue;
	struct rte_mbuf *pkt = packet_mbuf(rig->large, 1, LONG_PACKET, 0, false);
	struct rig_chain chain;
	unsigned int i;
	uint64_t n;

	assert_non_null(pkt);
	pkt->ol_flags |= flags;
	pkt->l2_len = 14;
	pkt->l3_len = 20;
	for (i = 0; i < 2 * VNET_MAX_BAD; i++)
		rig_offer(rig, &rig->to_guest, 1, SHAPE_ONE, &chain);
	ring_publish(&rig->to_guest.ring);
	assert_int_equal(eth_dirtylog_tx(queue, &pkt, 1), 0);
	n = queue->stats.faults[VNET_FAULT_SHORT];
	rte_pktmbuf_free(pkt);
	destroy(rig);
	return n;
}

/* For each bad buffer a packet's checksum is computed anew: that counts too. */
static void
checksums_are_work(void **state)
{
	const uint64_t lines = LONG_PACKET / RTE_CACHE_LINE_SIZE;

	(void)state;
	assert_int_equal(bad_buffers_of_a_burst(0), VNET_MAX_BAD);
	assert_in_range(bad_buffers_of_a_burst(RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4), 1,
			VNET_MAX_WALKED / lines + 1);
}

/* A long packet whose header cannot be followed has been copied by then: no burst does that often. */
static void
copies_are_work(void **state)
{
	const struct rig_options options = {
		.size = 64, .mergeable = true, .version_1 = true, .features = ALL
	};
	const struct virtio_net_hdr bad = { .gso_type = 77, .gso_size = 5 };
	struct rig *rig = rig_create(&options);
	struct vnet_queue *queue = rig->from_guest.queue;
	struct rig_chain chain;
	struct rte_mbuf *pkt;
	unsigned int i;

	(void)state;
	for (i = 0; i < VNET_MAX_BAD; i++) {
		rig_offer(rig, &rig->from_guest, rig->header_len + LONG_PACKET, SHAPE_ONE, &chain);
		rig_fill(rig, &chain, i, LONG_PACKET);
		ram_write(&rig->ram, chain.buffers[0].gpa, &bad, sizeof(bad));
	}
	ring_publish(&rig->from_guest.ring);
	queue->pool = rig->pool;
	assert_int_equal(eth_dirtylog_rx(queue, &pkt, 1), 0);
	assert_in_range(queue->stats.faults[VNET_FAULT_OFFLOAD], 1,
			VNET_MAX_WALKED / (LONG_PACKET / RTE_CACHE_LINE_SIZE) + 1);
	destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_costs_once),
		cmocka_unit_test(shorter_packets_pass),
		cmocka_unit_test(bursts_are_bounded),
		cmocka_unit_test(checksums_are_work),
		cmocka_unit_test(copies_are_work),
	};
	const struct program program = {
		.name = "ring_cost",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
