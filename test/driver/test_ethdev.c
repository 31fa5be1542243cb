/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What an application asks a port through the ethdev, beside packets and
 * statistics: queues and their events, MTU, the NUMA node.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ethdev_driver.h>
#include <rte_ethdev.h>
#include <rte_vhost.h>

#include <cmocka.h>

#include "dirtylog_eth.h"
#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

/* -- queues ------------------------------------------------------------------ */

static bool
next_event(const struct port_rig *port, struct dirtylog_eth_queue_event *event)
{
	int ret = dirtylog_eth_get_queue_event(port->id, event);

	assert_true(ret == 0 || ret == -ENOENT);
	return ret == 0;
}

/* That each queue up to `nb` has changed so, and no other. */
static void
all_changed(const struct port_rig *port, unsigned int nb, bool enable)
{
	bool seen[256] = { false };
	struct dirtylog_eth_queue_event event;
	unsigned int n = 0;

	while (next_event(port, &event)) {
		unsigned int index = 2U * event.queue_id + event.rx;

		assert_int_equal(event.enable, enable);
		assert_true(index < nb);
		assert_false(seen[index]);
		seen[index] = true;
		n++;
	}
	assert_int_equal(n, nb);
}

struct events {
	unsigned int link;
	unsigned int queue_state;
};

static int
count_event(uint16_t port_id, enum rte_eth_event_type type, void *ctx, void *more)
{
	struct events *events = ctx;

	(void)port_id;
	(void)more;
	__atomic_fetch_add(type == RTE_ETH_EVENT_INTR_LSC ? &events->link : &events->queue_state, 1,
			__ATOMIC_RELAXED);
	return 0;
}

static void
events_tell(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	struct dirtylog_eth_queue_event event;
	static struct events events;
	unsigned int i;

	(void)state;
	events = (struct events){ .link = 0 };
	port_create(&port, 0, 2, "");
	assert_int_equal(rte_eth_dev_callback_register(port.id, RTE_ETH_EVENT_INTR_LSC, count_event,
					 &events),
			0);
	assert_int_equal(rte_eth_dev_callback_register(port.id, RTE_ETH_EVENT_QUEUE_STATE,
					 count_event, &events),
			0);
	assert_false(next_event(&port, &event));
	frontend_create(&frontend, MODERN | FRONTEND_F_MQ, 256, 4, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_start(&frontend), ANSWER_OK);
	assert_true(frontend_settle(&frontend));
	assert_true(port_wait_link(&port, true));
	assert_int_equal(events.link, 1);
	assert_true(events.queue_state >= 4);
	all_changed(&port, 4, true);

	/* The guest takes one out of use, and in again. */
	events.queue_state = 0;
	assert_int_equal(frontend_enable(&frontend, 3, false), ANSWER_OK);
	assert_true(frontend_settle(&frontend));
	assert_int_equal(events.queue_state, 1);
	assert_true(next_event(&port, &event));
	assert_int_equal(event.queue_id, 1);
	assert_true(event.rx);
	assert_false(event.enable);
	assert_false(next_event(&port, &event));
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	assert_int_equal(frontend_enable(&frontend, 3, true), ANSWER_OK);
	assert_true(frontend_settle(&frontend));
	assert_true(next_event(&port, &event));
	assert_true(event.enable);
	assert_false(next_event(&port, &event));
	assert_true(port_exchange(&port, &frontend, 1, 0, 40));

	events = (struct events){ .link = 0 };
	frontend_disconnect(&frontend);
	assert_true(port_wait_link(&port, false));
	/* The link goes down first, the connection then. */
	for (i = 0; i < 5000 && dirtylog_eth_get_vid(port.id) >= 0; i++)
		usleep(1000);
	assert_int_equal(dirtylog_eth_get_vid(port.id), -ENOTCONN);
	all_changed(&port, 4, false);
	assert_int_equal(events.link, 1);
	frontend_destroy(&frontend);
	port_destroy(&port);
	assert_int_equal(dirtylog_eth_get_queue_event(port.id, &event), -ENODEV);
}

static void
vid_is_the_connections(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	char path[256];

	(void)state;
	assert_int_equal(dirtylog_eth_get_vid(RTE_MAX_ETHPORTS), -ENODEV);
	port_create(&port, 0, 1, "");
	assert_int_equal(dirtylog_eth_get_vid(port.id), -ENOTCONN);
	frontend_create(&frontend, MODERN, 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_start(&frontend), ANSWER_OK);
	assert_int_equal(rte_vhost_get_ifname(dirtylog_eth_get_vid(port.id), path, sizeof(path)),
			0);
	assert_string_equal(path, port.path);
	disconnect_port(&port, &frontend);
	assert_int_equal(dirtylog_eth_get_vid(port.id), -ENODEV);
}

/* Each of 128 pairs passes packets, and its own ones. */
static void
all_queue_pairs(void **state)
{
	static struct frontend frontend;
	struct rlimit limit;
	struct port_rig port;
	unsigned int i;

	(void)state;
	/* Four descriptors for each ring, on both sides. */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_max < 4096) {
		print_message("SKIPPED: not enough file descriptors\n");
		skip();
	}
	limit.rlim_cur = RTE_MAX(limit.rlim_cur, (rlim_t)4096);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	port_create_sleepy(&port, 0, 128, "");
	frontend_create(&frontend, MODERN | FRONTEND_F_MQ, 8, 256, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_start(&frontend), ANSWER_OK);
	assert_true(frontend_settle(&frontend));
	all_changed(&port, 256, true);
	for (i = 0; i < 128; i++)
		assert_true(port_exchange(&port, &frontend, i, i, 10));
	port_xstat_is(port.id, "tx_q127_good_packets", 10);
	port_xstat_is(port.id, "rx_q127_good_packets", 10);
	port_xstat_is(port.id, "rx_good_packets", 1280);
	disconnect_port(&port, &frontend);
}

static void
queues_are_described(void **state)
{
	struct rte_eth_burst_mode mode = { .flags = 0 };
	const struct rte_eth_rxconf rxconf = { .rx_deferred_start = 1 };
	const struct rte_eth_txconf txconf = { .tx_deferred_start = 1 };
	static struct frontend frontend;
	struct rte_eth_rxq_info rxq;
	struct rte_eth_txq_info txq;
	struct port_rig port;

	(void)state;
	port_create(&port, 0, 1, ",linear-buffer=1");
	assert_int_equal(rte_eth_rx_queue_info_get(port.id, 0, &rxq), 0);
	assert_ptr_equal(rxq.mp, port.pool);
	assert_int_equal(rxq.scattered_rx, 0);
	assert_int_equal(rte_eth_rx_burst_mode_get(port.id, 0, &mode), 0);
	assert_string_equal(mode.info, "No guest yet");
	port_destroy(&port);

	connect_port(&port, &frontend, MODERN, 1, "");
	assert_true(port_exchange(&port, &frontend, 0, 0, 1));
	assert_int_equal(rte_eth_rx_queue_info_get(port.id, 0, &rxq), 0);
	assert_int_equal(rte_eth_tx_queue_info_get(port.id, 0, &txq), 0);
	assert_int_equal(rxq.scattered_rx, 1);
	assert_int_equal(rxq.nb_desc, 256);
	assert_int_equal(txq.nb_desc, 256);
	assert_int_equal(rte_eth_tx_burst_mode_get(port.id, 0, &mode), 0);
	assert_string_equal(mode.info, "Split ring");
	frontend_destroy(&frontend);
	/* No queue starts later than its port. */
	assert_int_equal(rte_eth_dev_stop(port.id), 0);
	assert_int_equal(rte_eth_rx_queue_setup(port.id, 0, 256, 0, &rxconf, port.pool), -ENOTSUP);
	assert_int_equal(rte_eth_tx_queue_setup(port.id, 0, 256, 0, &txconf), -ENOTSUP);
	port_destroy(&port);
}

/* Pools whose mbufs have next to no room, or a buffer that cannot be exchanged. */
static void
pools_that_are_refused(void **state)
{
	static const uint16_t rooms[] = { 0, 1, 63, 64 };
	struct rte_pktmbuf_extmem memory = {
		.buf_iova = RTE_BAD_IOVA, .elt_size = 2048, .buf_len = 64 * 2048
	};
	struct rte_mempool *pool;
	struct port_rig port;
	unsigned int i;
	char name[32];
	int ret;

	(void)state;
	port_create(&port, 0, 1, ",ext-buffer=1");
	assert_int_equal(rte_eth_dev_stop(port.id), 0);
	for (i = 0; i < RTE_DIM(rooms); i++) {
		snprintf(name, sizeof(name), "refused%u", i);
		pool = rte_pktmbuf_pool_create(name, 64, 0, 0, RTE_PKTMBUF_HEADROOM + rooms[i],
				SOCKET_ID_ANY);
		assert_non_null(pool);
		ret = rte_eth_rx_queue_setup(port.id, 0, 256, 0, NULL, pool);
		assert_int_equal(ret, rooms[i] < 64 ? -EINVAL : 0);
		assert_int_equal(rte_eth_rx_queue_setup(port.id, 0, 256, 0, NULL, port.pool), 0);
		rte_mempool_free(pool);
	}
	memory.buf_ptr = malloc(memory.buf_len);
	assert_non_null(memory.buf_ptr);
	pool = rte_pktmbuf_pool_create_extbuf("pinned", 63, 0, 0, 2048, SOCKET_ID_ANY, &memory, 1);
	assert_non_null(pool);
	assert_int_equal(rte_eth_rx_queue_setup(port.id, 0, 256, 0, NULL, pool), -EINVAL);
	port_destroy(&port);
	/* Without external buffers of ours it is as good as any. */
	port_create(&port, 0, 1, "");
	assert_int_equal(rte_eth_dev_stop(port.id), 0);
	assert_int_equal(rte_eth_rx_queue_setup(port.id, 0, 256, 0, NULL, pool), 0);
	port_destroy(&port);
	rte_mempool_free(pool);
	free(memory.buf_ptr);
}

/* -- MTU --------------------------------------------------------------------- */

static void
mtu_is_the_front_ends(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	struct rte_eth_dev_info info;
	uint64_t wanted = 9000;
	uint16_t mtu;
	unsigned int i;

	(void)state;
	port_create(&port, 0, 1, "");
	assert_int_equal(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	assert_int_equal(mtu, 1500);
	frontend_create(&frontend, MODERN | FRONTEND_F_MTU, 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_hello(&frontend), ANSWER_OK);
	assert_int_equal(frontend_ask(&frontend, REQ_NET_SET_MTU, &wanted, sizeof(wanted), NULL, 0),
			ANSWER_OK);
	assert_int_equal(frontend_set_memory(&frontend), ANSWER_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_start_ring(&frontend, i), ANSWER_OK);
	assert_true(port_wait_link(&port, true));
	assert_int_equal(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	assert_int_equal(mtu, 9000);
	/* It is there again after the ethdev was configured anew. */
	assert_int_equal(rte_eth_dev_stop(port.id), 0);
	port_configure(&port);
	assert_int_equal(rte_eth_dev_start(port.id), 0);
	assert_int_equal(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	assert_int_equal(mtu, 9000);
	/* The application may think of another; packets are not cut by it. */
	assert_int_equal(rte_eth_dev_set_mtu(port.id, 1400), 0);
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	assert_int_equal(rte_eth_dev_info_get(port.id, &info), 0);
	assert_int_equal(info.max_mtu, UINT16_MAX);
	assert_int_equal(rte_eth_dev_set_mtu(port.id, UINT16_MAX), 0);
	assert_true(rte_eth_dev_set_mtu(port.id, 60) < 0);
	disconnect_port(&port, &frontend);
}

/* -- NUMA -------------------------------------------------------------------- */

static void
node_is_the_guests(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	int node;

	(void)state;
	port_create(&port, 0, 1, "");
	rte_eth_devices[port.id].data->numa_node = 7;
	frontend_create(&frontend, MODERN, 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_start(&frontend), ANSWER_OK);
	assert_true(port_wait_link(&port, true));
	node = rte_vhost_get_numa_node(dirtylog_eth_get_vid(port.id));
	/* A librte_vhost without libnuma, or a kernel without nodes, does not know. */
	assert_int_equal(rte_eth_dev_socket_id(port.id), node < 0 ? 7 : node);
	disconnect_port(&port, &frontend);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_tell),
		cmocka_unit_test(vid_is_the_connections),
		cmocka_unit_test(all_queue_pairs),
		cmocka_unit_test(queues_are_described),
		cmocka_unit_test(pools_that_are_refused),
		cmocka_unit_test(mtu_is_the_front_ends),
		cmocka_unit_test(node_is_the_guests),
	};
	const struct program program = {
		.name = "ethdev",
		.split = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
