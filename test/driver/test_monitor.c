/* SPDX-License-Identifier: BSD-3-Clause */

/* The monitor address, with which a core sleeps without a kick, and the length of a queue. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_power_intrinsics.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)
#define RING_SIZE 512

/* What the processor would do with it: 0, go to sleep. */
static int
look(const struct rte_power_monitor_cond *cond)
{
	assert_int_equal(cond->size, sizeof(uint16_t));
	return cond->fn(__atomic_load_n((const volatile uint16_t *)cond->addr, __ATOMIC_ACQUIRE),
			cond->opaque);
}

static void
monitor_sees_the_guest(void **state)
{
	struct pair *pair = pair_create_sleepy(MODERN, RING_SIZE);
	struct rte_power_monitor_cond cond;
	uint32_t i;

	(void)state;
	for (i = 0; i < 1200; i++) {
		assert_int_equal(rte_eth_get_monitor_addr(pair->port.id, 0, &cond), 0);
		assert_int_equal(look(&cond), 0);
		assert_int_equal(rte_eth_rx_queue_count(pair->port.id, 0), 0);
		port_offer_packet(&pair->frontend, 0, i);
		assert_int_equal(look(&cond), -1);
		assert_int_equal(rte_eth_rx_queue_count(pair->port.id, 0), 1);
		/* The condition of a ring that is not empty is no reason to sleep either. */
		assert_int_equal(rte_eth_get_monitor_addr(pair->port.id, 0, &cond), 0);
		assert_int_equal(look(&cond), -1);
		assert_true(pair_takes(pair, i));
	}
	/* All of the ring at once. */
	assert_int_equal(rte_eth_get_monitor_addr(pair->port.id, 0, &cond), 0);
	for (i = 0; i < RING_SIZE; i++)
		port_offer_packet(&pair->frontend, 0, i);
	assert_int_equal(look(&cond), -1);
	assert_int_equal(rte_eth_rx_queue_count(pair->port.id, 0), RING_SIZE);
	for (i = 0; i < RING_SIZE; i++)
		assert_true(pair_takes(pair, i));
	/* A closed queue has nothing to look at. */
	frontend_disconnect(&pair->frontend);
	assert_true(port_wait_link(&pair->port, false));
	assert_true(rte_eth_get_monitor_addr(pair->port.id, 0, &cond) < 0);
	assert_int_equal(rte_eth_rx_queue_count(pair->port.id, 0), 0);
	pair_destroy(pair);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monitor_sees_the_guest),
	};
	const struct program program = {
		.name = "monitor",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
