/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: the tables of the xstats' names and where each is read; reading and
 * resetting a queue's counters; the basic statistics; the xstats.
 */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <ethdev_driver.h>

#include "counters.h"
#include "port.h"
#include "stats.h"

#define DEVICE(field) offsetof(struct dirtylog_stats, field)

/* Of the port: sums over all queues, those of before a reconfiguration too. */
static const struct vnet_counter device_rows[] = {
	{ "log_marks", DEVICE(marks.marks) },
	{ "log_words_tested", DEVICE(marks.words_tested) },
	{ "log_words_written", DEVICE(marks.words_written) },
	{ "log_pages_dirtied", DEVICE(marks.pages_dirtied) },
	{ "log_swaps", DEVICE(swaps) },
	{ "log_refused_logs", DEVICE(refused_logs) },
	{ "log_drains", DEVICE(drains) },
	{ "log_pages_drained", DEVICE(pages_drained) },
	{ "log_truncated_logs", DEVICE(truncated_logs) },
	{ "log_truncated_regions", DEVICE(truncated_regions) },
	{ "log_refused_regions", DEVICE(refused_regions) },
	{ "log_whole_marks", DEVICE(whole_marks) },
};

/* Of the port: how things are now, which a reset leaves. */
static const struct vnet_counter state_rows[] = {
	{ "log_regions_direct", DEVICE(regions_direct) },
	{ "log_regions_staged", DEVICE(regions_staged) },
	{ "log_dirty_pages_per_second", DEVICE(dirty_pages_per_second) },
};

/* What guests did wrong, summed over the queues. */
static const char *const fault_rows[] = {
	[VNET_FAULT_AVAIL_INDEX] = "fault_avail_index",
	[VNET_FAULT_HEAD] = "fault_head",
	[VNET_FAULT_LOOP] = "fault_loop",
	[VNET_FAULT_ADDRESS] = "fault_address",
	[VNET_FAULT_DIRECTION] = "fault_direction",
	[VNET_FAULT_INDIRECT] = "fault_indirect",
	[VNET_FAULT_SHORT] = "fault_short",
	[VNET_FAULT_LONG] = "fault_long",
	[VNET_FAULT_OFFLOAD] = "fault_offload",
};
_Static_assert(RTE_DIM(fault_rows) == VNET_NB_FAULTS, "each kind of fault has a name");

/* The counters are shown in this order. */
#define NB_PORT_ROWS (RTE_DIM(device_rows) + RTE_DIM(state_rows) + 2 + RTE_DIM(fault_rows))

int
eth_dirtylog_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		struct eth_queue_stats *queues)
{
	struct vnet_queue_counters counters;
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		vnet_counters_read(dev->data->rx_queues[i], &counters);
		stats->ipackets += counters.queue.packets;
		stats->ibytes += counters.queue.bytes;
		stats->ierrors += counters.faults;
		stats->rx_nombuf += counters.queue.no_mbuf;
		if (queues != NULL && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			queues->q_ipackets[i] = counters.queue.packets;
			queues->q_ibytes[i] = counters.queue.bytes;
			queues->q_errors[i] = counters.faults;
		}
	}
	for (i = 0; i < dev->data->nb_tx_queues; i++) {
		vnet_counters_read(dev->data->tx_queues[i], &counters);
		stats->opackets += counters.queue.packets;
		stats->obytes += counters.queue.bytes;
		stats->oerrors += counters.queue.dropped + counters.faults;
		if (queues != NULL && i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
			queues->q_opackets[i] = counters.queue.packets;
			queues->q_obytes[i] = counters.queue.bytes;
		}
	}
	return 0;
}

int
eth_dirtylog_stats_reset(struct rte_eth_dev *dev)
{
	struct eth_dirtylog_port *port = dev->data->dev_private;
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		vnet_counters_reset(dev->data->rx_queues[i]);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		vnet_counters_reset(dev->data->tx_queues[i]);
	eth_dirtylog_port_get_stats(port, &port->log_at_reset);
	return 0;
}

static unsigned int
nb_xstats(const struct rte_eth_dev *dev)
{
	return (dev->data->nb_rx_queues + dev->data->nb_tx_queues) * VNET_NB_QUEUE_COUNTERS +
			NB_PORT_ROWS;
}

static struct rte_eth_xstat_name *
name_queue(struct rte_eth_xstat_name *names, const char *direction, uint16_t queue)
{
	unsigned int i;

	for (i = 0; i < VNET_NB_QUEUE_COUNTERS; i++, names++)
		snprintf(names->name, sizeof(names->name), "%s_q%u_%s", direction, queue,
				vnet_queue_counters[i].name);
	return names;
}

static struct rte_eth_xstat_name *
name_rows(struct rte_eth_xstat_name *names, const struct vnet_counter *rows, unsigned int n)
{
	for (; n != 0; n--, rows++, names++)
		snprintf(names->name, sizeof(names->name), "%s", rows->name);
	return names;
}

int
eth_dirtylog_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
		unsigned int n)
{
	uint16_t i;

	if (names == NULL || n < nb_xstats(dev))
		return (int)nb_xstats(dev);
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		names = name_queue(names, "rx", i);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		names = name_queue(names, "tx", i);
	names = name_rows(names, device_rows, RTE_DIM(device_rows));
	names = name_rows(names, state_rows, RTE_DIM(state_rows));
	snprintf((names++)->name, sizeof(names->name), "log_on");
	snprintf((names++)->name, sizeof(names->name), "datapath_librte_vhost");
	for (i = 0; i < RTE_DIM(fault_rows); i++)
		snprintf((names++)->name, sizeof(names->name), "%s", fault_rows[i]);
	return (int)nb_xstats(dev);
}

/* Where the next value goes. */
struct cursor {
	struct rte_eth_xstat *xstats;
	unsigned int n;
};

static void
put(struct cursor *cursor, uint64_t value)
{
	cursor->xstats[cursor->n].id = cursor->n;
	cursor->xstats[cursor->n].value = value;
	cursor->n++;
}

static void
put_queue(struct cursor *cursor, const struct vnet_queue *queue, uint64_t *faults)
{
	struct vnet_queue_counters counters;
	unsigned int i;

	vnet_counters_read(queue, &counters);
	for (i = 0; i < VNET_NB_QUEUE_COUNTERS; i++)
		put(cursor, vnet_counter_value(&counters, &vnet_queue_counters[i]));
	for (i = 0; i < VNET_NB_FAULTS; i++)
		faults[i] += counters.queue.faults[i];
}

int
eth_dirtylog_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	struct eth_dirtylog_port *port = dev->data->dev_private;
	uint64_t faults[VNET_NB_FAULTS] = { 0 };
	struct cursor cursor = { .xstats = xstats };
	struct dirtylog_stats now;
	unsigned int i;

	if (xstats == NULL || n < nb_xstats(dev))
		return (int)nb_xstats(dev);
	for (i = 0; i < dev->data->nb_rx_queues; i++)
		put_queue(&cursor, dev->data->rx_queues[i], faults);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		put_queue(&cursor, dev->data->tx_queues[i], faults);
	eth_dirtylog_port_get_stats(port, &now);
	for (i = 0; i < RTE_DIM(device_rows); i++)
		put(&cursor,
				vnet_counter_value(&now, &device_rows[i]) -
						vnet_counter_value(&port->log_at_reset,
								&device_rows[i]));
	for (i = 0; i < RTE_DIM(state_rows); i++)
		put(&cursor, vnet_counter_value(&now, &state_rows[i]));
	put(&cursor, now.logging);
	put(&cursor, port->iommu);
	for (i = 0; i < VNET_NB_FAULTS; i++)
		put(&cursor, faults[i]);
	return (int)nb_xstats(dev);
}
