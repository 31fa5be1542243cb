/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with a front-end that does everything
 * right, over the real socket: packets through the ethdev, with features and
 * queue pairs, what is counted, and where the mbufs go.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

static void
passes_packets(void **state)
{
	static const uint64_t features[] = { 0, FRONTEND_F_V1, FRONTEND_F_MRG, MODERN,
		FRONTEND_F_EVENT_IDX, MODERN | FRONTEND_F_EVENT_IDX, FRONTEND_F_IN_ORDER,
		MODERN | FRONTEND_F_IN_ORDER | FRONTEND_F_EVENT_IDX };
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		struct pair *pair = pair_create(0, features[i], 1, (uint16_t)(65500 + i));

		assert_true(port_exchange(&pair->port, &pair->frontend, 0, 0, 600));
		assert_int_equal(pair->frontend.offered & features[i], features[i]);
		pair_destroy(pair);
	}
}

static void
two_queue_pairs(void **state)
{
	struct pair *pair = pair_create(0, MODERN | FRONTEND_F_MQ, 2, 100);
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_true(port_exchange(&pair->port, &pair->frontend, i % 2, i, 30));
		/* A ring alone stops; the other pair goes on. */
		if (i % 3 == 0) {
			assert_int_equal(frontend_stop_ring(&pair->frontend, 2),
					pair->frontend.rings[2].next_used);
			assert_true(frontend_settle(&pair->frontend));
			assert_true(port_exchange(&pair->port, &pair->frontend, 0, i, 30));
			assert_int_equal(frontend_start_ring(&pair->frontend, 2), ANSWER_OK);
			assert_true(port_exchange(&pair->port, &pair->frontend, 1, i, 30));
		}
	}
	pair_destroy(pair);
}

/* As ethdev shows them, since they are no part of its struct in each release. */
static uint64_t
queue_packets(uint16_t port, const char *name)
{
	uint64_t id, value;

	assert_int_equal(rte_eth_xstats_get_id_by_name(port, name, &id), 0);
	assert_int_equal(rte_eth_xstats_get_by_id(port, &id, &value, 1), 1);
	return value;
}

static void
counts_packets(void **state)
{
	struct pair *pair = pair_create(0, MODERN | FRONTEND_F_MQ, 2, 0);
	struct rte_eth_stats stats;
	uint64_t bytes = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		bytes += 60 + i * 37 % 1400;
	assert_true(port_to_guest(&pair->port, &pair->frontend, 0, 0, 100));
	assert_true(port_from_guest(&pair->port, &pair->frontend, 1, 0, 100));
	assert_int_equal(rte_eth_stats_get(pair->port.id, &stats), 0);
	assert_int_equal(stats.opackets, 100);
	assert_int_equal(stats.ipackets, 100);
	assert_int_equal(stats.obytes, bytes);
	assert_int_equal(stats.ibytes, bytes);
	assert_int_equal(queue_packets(pair->port.id, "tx_q0_packets"), 100);
	assert_int_equal(queue_packets(pair->port.id, "rx_q1_packets"), 100);
	assert_int_equal(queue_packets(pair->port.id, "tx_q1_packets"), 0);
	assert_int_equal(queue_packets(pair->port.id, "rx_q0_packets"), 0);
	assert_int_equal(stats.oerrors + stats.ierrors + stats.rx_nombuf, 0);
	assert_int_equal(rte_eth_stats_reset(pair->port.id), 0);
	assert_int_equal(rte_eth_stats_get(pair->port.id, &stats), 0);
	assert_int_equal(stats.opackets + stats.ipackets + stats.obytes + stats.ibytes, 0);
	pair_destroy(pair);
}

/* A packet in an mbuf of some kind, of which the test keeps `*kept` if it is shared. */
static struct rte_mbuf *
mbuf_of_kind(unsigned int kind, struct rte_mempool *pool, struct rte_mempool *other,
		uint32_t number, struct rte_mbuf **kept)
{
	struct rte_mbuf *pkt;

	*kept = NULL;
	switch (kind) {
	case 0: /* of another pool */
		return packet_mbuf(other, number, 100, 0, false);
	case 1: /* in segments */
		return packet_mbuf(pool, number, 100, 30, false);
	case 2: /* that the application goes on using */
		pkt = packet_mbuf(pool, number, 100, 0, false);
		rte_mbuf_refcnt_update(pkt, 1);
		*kept = pkt;
		return pkt;
	case 3: /* that borrows another one's data */
		*kept = packet_mbuf(pool, number, 100, 0, false);
		return rte_pktmbuf_clone(*kept, pool);
	default:
		return packet_mbuf(pool, number, 100, 0, false);
	}
}

/* Each mbuf that was sent goes back where it came from, in bursts of one kind and mixed. */
static void
frees_what_it_sent(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct rte_mempool *pool = pair->port.pool;
	struct rte_mempool *other = rte_pktmbuf_pool_create("other", 255, 16, 0, 2048, 0);
	unsigned int before = rte_mempool_avail_count(pool), round, i;
	struct rte_mbuf **all = calloc(before, sizeof(all[0]));
	uint64_t random = 3;

	(void)state;
	assert_non_null(other);
	assert_non_null(all);
	assert_true(port_to_guest(&pair->port, &pair->frontend, 0, 0, 1));
	for (round = 0; round < 2000; round++) {
		unsigned int odd = (unsigned int)packet_random(&random) % 4;
		struct rte_mbuf *pkts[32], *kept[32];
		struct vring_used_elem used;

		for (i = 0; i < 32; i++) {
			bool is_odd = packet_random(&random) % 4 == 0;

			pkts[i] = mbuf_of_kind(is_odd && round % 2 ? odd : 9, pool, other, i,
					&kept[i]);
			assert_non_null(pkts[i]);
			port_offer_room(&pair->frontend, 0);
		}
		assert_int_equal(rte_eth_tx_burst(pair->port.id, 0, pkts, 32), 32);
		for (i = 0; i < 32; i++) {
			assert_true(ring_take_used(&pair->frontend.rings[0], &used));
			if (kept[i] == NULL)
				continue;
			assert_int_equal(rte_mbuf_refcnt_read(kept[i]), 1);
			assert_true(packet_is(kept[i], i, 100));
			rte_pktmbuf_free(kept[i]);
		}
		assert_int_equal(rte_mempool_avail_count(pool), before);
		assert_int_equal(rte_mempool_avail_count(other), 255);
	}
	/* As mbufs in a pool have to be. */
	assert_int_equal(rte_mempool_get_bulk(pool, (void **)all, before), 0);
	for (i = 0; i < before; i++) {
		assert_true(RTE_MBUF_DIRECT(all[i]) && all[i]->nb_segs == 1 &&
				all[i]->next == NULL);
		assert_int_equal(rte_mbuf_refcnt_read(all[i]), 1);
	}
	rte_mempool_put_bulk(pool, (void **)all, before);
	free(all);
	rte_mempool_free(other);
	pair_destroy(pair);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_packets),
		cmocka_unit_test(two_queue_pairs),
		cmocka_unit_test(counts_packets),
		cmocka_unit_test(frees_what_it_sent),
	};
	const struct program program = {
		.name = "port_packets",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
