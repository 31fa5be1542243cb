/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Statistics: the ethdev's ways to read what the bursts have counted.
 *
 * A queue's counters belong to its thread and are never set back: a reset
 * notes where they are, and what is read is the difference.
 */

#ifndef ETH_DIRTYLOG_STATS_H
#define ETH_DIRTYLOG_STATS_H

#include <rte_ethdev.h>

#include "compat.h"
#include "datapath/queue.h"

struct rte_eth_dev;
struct eth_queue_stats;

/* The ethdev's operations. `queues` may be NULL. */
int eth_dirtylog_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		struct eth_queue_stats *queues);
int eth_dirtylog_stats_reset(struct rte_eth_dev *dev); /* of all counters, xstats too */
int eth_dirtylog_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n);
int eth_dirtylog_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
		unsigned int n);

#endif /* ETH_DIRTYLOG_STATS_H */
