/* SPDX-License-Identifier: BSD-3-Clause */

/* An application that starts the port that --vdev makes, and prints its driver. */

#include <stdio.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

static int
start(uint16_t port)
{
	const struct rte_eth_conf conf = { .rxmode.mq_mode = RTE_ETH_MQ_RX_NONE };
	struct rte_mempool *pool = rte_pktmbuf_pool_create("pool", 1023, 0, 0,
			RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);

	if (pool == NULL || rte_eth_dev_configure(port, 1, 1, &conf) < 0)
		return -1;
	if (rte_eth_rx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL, pool) < 0 ||
			rte_eth_tx_queue_setup(port, 0, 256, SOCKET_ID_ANY, NULL) < 0)
		return -1;
	return rte_eth_dev_start(port);
}

int
main(int argc, char **argv)
{
	struct rte_eth_dev_info info;
	int ret = 1;

	if (rte_eal_init(argc, argv) < 0)
		return 1;
	if (!rte_eth_dev_is_valid_port(0) || rte_eth_dev_info_get(0, &info) < 0)
		fprintf(stderr, "there is no port\n");
	else if (start(0) < 0)
		fprintf(stderr, "the port does not start\n");
	else
		ret = 0;
	if (ret == 0)
		printf("started a port of %s\n", info.driver_name);
	if (ret == 0 && rte_eth_dev_stop(0) + rte_eth_dev_close(0) != 0)
		ret = 1;
	rte_eal_cleanup();
	return ret;
}
