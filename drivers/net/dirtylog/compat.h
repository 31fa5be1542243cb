/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How the ethdevs of DPDK's releases differ, from 22.11 on: nothing else in the
 * driver asks for a release.
 */

#ifndef ETH_DIRTYLOG_COMPAT_H
#define ETH_DIRTYLOG_COMPAT_H

#include <stdint.h>

#include <rte_version.h>

/*
 * ETH_DIRTYLOG_STATS_GET(op, get) makes the ethdev operation stats_get, named op, of
 * a function get(dev, stats, queues). From 25.11 on the counters per queue are a
 * struct of their own, and `queues` is NULL if they are not asked for. Before,
 * they were members of rte_eth_stats that are called the same.
 */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
#define ETH_DIRTYLOG_STATS_GET(op, get) \
	static int op(struct rte_eth_dev *dev, struct rte_eth_stats *stats, \
			struct eth_queue_stats *queues) \
	{ \
		return get(dev, stats, queues); \
	}
#else
#define eth_queue_stats rte_eth_stats
#define ETH_DIRTYLOG_STATS_GET(op, get) \
	static int op(struct rte_eth_dev *dev, struct rte_eth_stats *stats) \
	{ \
		return get(dev, stats, stats); \
	}
#endif

/* What the ethdev operation rx_queue_count returns. */
#if RTE_VERSION >= RTE_VERSION_NUM(25, 11, 0, 0)
typedef int eth_dirtylog_rx_count_t;
#else
typedef uint32_t eth_dirtylog_rx_count_t;
#endif

#endif /* ETH_DIRTYLOG_COMPAT_H */
