/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "fail.h"
#include "messages/ports.h"

#define NB_MBUFS 512
#define MAX_BURST 32

static struct {
	char name[32];
	char path[64];
	uint16_t id;
	bool stopped;
	struct rte_mempool *pool;
} ports[NB_PORTS];

static char folder[] = "/tmp/dirtylog-fuzz-XXXXXX";

static void
configure(enum ports_index port)
{
	const struct rte_eth_conf conf = { .intr_conf = { .rxq = 1 } };
	uint16_t i;

	FUZZ_CHECK(rte_eth_dev_configure(ports[port].id, PORTS_QUEUES, PORTS_QUEUES, &conf) == 0,
			"no port");
	for (i = 0; i < PORTS_QUEUES; i++)
		FUZZ_CHECK(rte_eth_rx_queue_setup(ports[port].id, i, 256, 0, NULL,
					   ports[port].pool) == 0 &&
						rte_eth_tx_queue_setup(ports[port].id, i, 256, 0,
								NULL) == 0,
				"no queue");
	FUZZ_CHECK(rte_eth_dev_start(ports[port].id) == 0, "the port does not start");
}

static void
create(enum ports_index port, const char *more)
{
	char args[256];

	snprintf(ports[port].name, sizeof(ports[port].name), "net_dirtylog%d", port);
	snprintf(ports[port].path, sizeof(ports[port].path), "%s/%d", folder, port);
	snprintf(args, sizeof(args), "iface=%s,queues=%d%s", ports[port].path, PORTS_QUEUES, more);
	FUZZ_CHECK(rte_vdev_init(ports[port].name, args) == 0 &&
					rte_eth_dev_get_port_by_name(ports[port].name,
							&ports[port].id) == 0,
			"no port");
	snprintf(args, sizeof(args), "pool%d", port);
	ports[port].pool = rte_pktmbuf_pool_create(args, NB_MBUFS, 0, 0,
			RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
	FUZZ_CHECK(ports[port].pool != NULL, "no mbufs");
	configure(port);
}

static void
remove_all(void)
{
	int i;

	for (i = 0; i < NB_PORTS; i++)
		rte_vdev_uninit(ports[i].name);
	rmdir(folder);
}

void
ports_init(void)
{
	FUZZ_CHECK(mkdtemp(folder) != NULL, "no folder");
	create(PORT_VICTIM, ",tso=1");
	create(PORT_SECOND, ",ext-buffer=1,linear-buffer=1,log-placement=staged");
	create(PORT_BYSTANDER, "");
	atexit(remove_all);
}

const char *
ports_path(enum ports_index port)
{
	return ports[port].path;
}

static unsigned int
send_some(enum ports_index port, uint16_t queue, uint16_t n)
{
	struct rte_mbuf *pkts[MAX_BURST];
	uint16_t i, sent;

	if (n != 0 && rte_pktmbuf_alloc_bulk(ports[port].pool, pkts, n) != 0)
		FUZZ_FAIL("mbufs are lost");
	for (i = 0; i < n; i++) {
		char *data = rte_pktmbuf_append(pkts[i], i % 4 == 3 ? 1514 : 60);

		memset(data, i, 60);
	}
	sent = rte_eth_tx_burst(ports[port].id, queue, pkts, n);
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
	return sent;
}

unsigned int
ports_poll(enum ports_index port, uint16_t queue, uint16_t n)
{
	struct rte_mbuf *pkts[MAX_BURST];
	uint16_t received;

	if (ports[port].stopped)
		return 0;
	n = RTE_MIN(n, (uint16_t)MAX_BURST);
	received = rte_eth_rx_burst(ports[port].id, queue, pkts, n);
	rte_pktmbuf_free_bulk(pkts, received);
	return received + send_some(port, queue, n);
}

void
ports_control(enum ports_index port, uint8_t what)
{
	uint16_t id = ports[port].id;
	struct rte_eth_stats stats;
	struct rte_eth_link link;

	switch (what % 8) {
	case 0:
		if (!ports[port].stopped)
			rte_eth_dev_stop(id);
		ports[port].stopped = true;
		break;
	case 1:
		if (ports[port].stopped)
			FUZZ_CHECK(rte_eth_dev_start(id) == 0, "the port does not start");
		ports[port].stopped = false;
		break;
	case 2:
		rte_eth_dev_set_vlan_offload(id, what & 8 ? RTE_ETH_VLAN_STRIP_OFFLOAD : 0);
		break;
	case 3:
		rte_eth_dev_rx_intr_enable(id, what >> 3 & 1);
		break;
	case 4:
		rte_eth_dev_rx_intr_disable(id, what >> 3 & 1);
		break;
	case 5:
		rte_eth_stats_get(id, &stats);
		rte_eth_link_get_nowait(id, &link);
		break;
	case 6:
		rte_eth_stats_reset(id);
		break;
	case 7:
		rte_eth_rx_queue_count(id, what >> 3 & 1);
		break;
	}
}

void
ports_reset(void)
{
	int i;

	for (i = 0; i < NB_PORTS; i++) {
		ports_control(i, 1);
		FUZZ_CHECK(rte_mempool_full(ports[i].pool), "mbufs of port %d are lost", i);
	}
	for (i = 0; i < PORT_BYSTANDER; i++)
		ports_control(i, 2);
}
