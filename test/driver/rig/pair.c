/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

struct pair *
pair_create(unsigned int number, uint64_t features, uint16_t nb_queues, uint16_t start)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	port_create(&pair->port, number, nb_queues, "");
	if (rig_packed)
		features |= FRONTEND_F_V1 | FRONTEND_F_PACKED;
	frontend_create(&pair->frontend, features, rig_packed ? 250 : 256, 2 * nb_queues, start);
	assert_true(frontend_connect(&pair->frontend, pair->port.path));
	assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
	return pair;
}

struct pair *
pair_create_sleepy(uint64_t features, uint16_t ring_size)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	port_create_sleepy(&pair->port, 0, 1, "");
	if (rig_packed)
		features |= FRONTEND_F_PACKED;
	frontend_create(&pair->frontend, features, ring_size, 2, 65000);
	assert_true(frontend_connect(&pair->frontend, pair->port.path));
	assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
	assert_true(port_wait_link(&pair->port, true));
	return pair;
}

void
pair_destroy(struct pair *pair)
{
	frontend_destroy(&pair->frontend);
	port_destroy(&pair->port);
	free(pair);
}

bool
pair_exchange(struct pair *pair, uint32_t number)
{
	return port_exchange(&pair->port, &pair->frontend, 0, number, 40);
}

bool
pair_takes(struct pair *pair, uint32_t number)
{
	struct rte_mbuf *pkt;
	struct vring_used_elem used;
	bool right;

	if (rte_eth_rx_burst(pair->port.id, 0, &pkt, 1) == 0)
		return false;
	right = port_packet_is(pkt, number);
	rte_pktmbuf_free(pkt);
	assert_true(ring_take_used(&pair->frontend.rings[1], &used));
	return right;
}

void
connect_port(struct port_rig *port, struct frontend *frontend, uint64_t features,
		uint16_t nb_queues, const char *more)
{
	port_create(port, 0, nb_queues, more);
	frontend_create(frontend, features, 256, 2 * nb_queues, 0);
	assert_true(frontend_connect(frontend, port->path));
	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_true(port_wait_link(port, true));
}

void
disconnect_port(struct port_rig *port, struct frontend *frontend)
{
	frontend_destroy(frontend);
	port_destroy(port);
}
