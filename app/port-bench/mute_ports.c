/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the test of dirtylog-port-bench, which preloads it: ports that take no packet
 * to send. The program's ways out of a failure are reached then, each time.
 */
#include <dlfcn.h>
#include <errno.h>

#include <rte_ethdev.h>

static uint16_t
take_none(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n, void *arg)
{
	(void)port, (void)queue, (void)mbufs, (void)n, (void)arg;
	return 0;
}

int
rte_eth_dev_start(uint16_t port)
{
	int (*start)(uint16_t port);
	int ret;

	*(void **)&start = dlsym(RTLD_NEXT, "rte_eth_dev_start");
	ret = start(port);
	if (ret == 0 && rte_eth_add_tx_callback(port, 0, take_none, NULL) == NULL)
		ret = -ENOTSUP;
	return ret;
}
