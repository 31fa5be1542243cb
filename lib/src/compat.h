/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How the releases of DPDK differ, from 22.11 on, as far as the library and the
 * driver notice: nobody else asks for a release. Private, so not installed.
 */

#ifndef DIRTYLOG_COMPAT_H
#define DIRTYLOG_COMPAT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_version.h>

/* ---- known when it is compiled ---- */

/* Renamed in 23.03. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

/*
 * ETH_DIRTYLOG_STATS_GET(op, get) makes the ethdev operation stats_get, named op, of
 * a function get(dev, stats, queues). From 25.11 on the counters per queue are a
 * struct of their own, and nobody may want them: NULL. Before, they were members
 * of rte_eth_stats that are called the same.
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

/* ---- known when it runs: releases of one ABI differ ---- */

/*
 * Where the descriptors of a vhost-user message lie in what librte_vhost passes
 * to an extern handler, behind a payload whose size varies; 0 if that is not
 * known. As of 26.07 no later release was there to look at.
 */
static inline size_t
dirtylog_compat_message_fds_at(void)
{
	unsigned int year, month, release;

	if (sscanf(rte_version(), "%*s %u.%u", &year, &month) != 2)
		return 0;
	release = year * 100 + month;
	if (release < 2211 || release > 2607)
		return 0;
	return release >= 2503 ? 1084 : 644;
}

#endif /* DIRTYLOG_COMPAT_H */
