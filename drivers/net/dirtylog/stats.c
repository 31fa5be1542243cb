/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <ethdev_driver.h>

#include "port.h"
#include "stats.h"

/* One counter under a name; `offset` of it in the struct that is read. */
struct row {
	const char *name;
	size_t offset;
};

/* A queue's counters, as read at one time; all of them are 64-bit words. */
struct queue_counters {
	struct vnet_queue_stats queue;
	struct dirtylog_marker_stats marks;
	uint64_t faults; /* of any kind */
};

#define QUEUE(field) offsetof(struct queue_counters, queue.field)
#define MARKS(field) offsetof(struct queue_counters, marks.field)
#define DEVICE(field) offsetof(struct dirtylog_stats, field)

/* Of each queue, after "rx_q<n>_" or "tx_q<n>_". The first ones are net_vhost's. */
static const struct row queue_rows[] = {
	{ "good_packets", QUEUE(packets) },
	{ "good_bytes", QUEUE(bytes) },
	{ "multicast_packets", QUEUE(multicast) },
	{ "broadcast_packets", QUEUE(broadcast) },
	{ "undersize_packets", QUEUE(sizes[0]) },
	{ "size_64_packets", QUEUE(sizes[1]) },
	{ "size_65_127_packets", QUEUE(sizes[2]) },
	{ "size_128_255_packets", QUEUE(sizes[3]) },
	{ "size_256_511_packets", QUEUE(sizes[4]) },
	{ "size_512_1023_packets", QUEUE(sizes[5]) },
	{ "size_1024_1518_packets", QUEUE(sizes[6]) },
	{ "size_1519_max_packets", QUEUE(sizes[7]) },
	{ "guest_notifications", QUEUE(notifications) },
	{ "dropped_packets", QUEUE(dropped) },
	{ "mbuf_errors", QUEUE(no_mbuf) },
	{ "guest_faults", offsetof(struct queue_counters, faults) },
	{ "log_marks", MARKS(marks) },
	{ "log_words_tested", MARKS(words_tested) },
	{ "log_words_written", MARKS(words_written) },
	{ "log_pages_dirtied", MARKS(pages_dirtied) },
};

/* Of the port: sums over all queues, those of before a reconfiguration too. */
static const struct row device_rows[] = {
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
static const struct row state_rows[] = {
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
#define NB_PORT_ROWS (RTE_DIM(device_rows) + RTE_DIM(state_rows) + 1 + RTE_DIM(fault_rows))

/* Words that another thread counts in, less what they were at the reset. */
static void
read_words(void *to, const void *from, const void *at_reset, size_t len)
{
	const uint64_t *now = from, *then = at_reset;
	uint64_t *words = to;
	size_t i;

	for (i = 0; i < len / sizeof(uint64_t); i++)
		words[i] = __atomic_load_n(&now[i], __ATOMIC_RELAXED) - then[i];
}

static void
read_queue(const struct vnet_queue *queue, struct queue_counters *counters)
{
	unsigned int i;

	memset(counters, 0, sizeof(*counters));
	if (queue == NULL)
		return;
	read_words(&counters->queue, &queue->stats, &queue->stats_at_reset,
			sizeof(counters->queue));
	read_words(&counters->marks, &queue->marker.stats, &queue->marks_at_reset,
			sizeof(counters->marks));
	vnet_add_marks(&counters->marks, &queue->marks_past);
	for (i = 0; i < VNET_NB_FAULTS; i++)
		counters->faults += counters->queue.faults[i];
}

static uint64_t
value_of(const void *counters, const struct row *row)
{
	return *(const uint64_t *)RTE_PTR_ADD(counters, row->offset);
}

int
eth_dirtylog_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats,
		struct eth_queue_stats *queues)
{
	struct queue_counters counters;
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		read_queue(dev->data->rx_queues[i], &counters);
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
		read_queue(dev->data->tx_queues[i], &counters);
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

static void
reset_queue(struct vnet_queue *queue)
{
	static const struct queue_counters zero;

	if (queue == NULL)
		return;
	read_words(&queue->stats_at_reset, &queue->stats, &zero.queue, sizeof(zero.queue));
	read_words(&queue->marks_at_reset, &queue->marker.stats, &zero.marks, sizeof(zero.marks));
	memset(&queue->marks_past, 0, sizeof(queue->marks_past));
}

int
eth_dirtylog_stats_reset(struct rte_eth_dev *dev)
{
	struct eth_dirtylog_port *port = dev->data->dev_private;
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		reset_queue(dev->data->rx_queues[i]);
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		reset_queue(dev->data->tx_queues[i]);
	eth_dirtylog_port_get_stats(port, &port->log_at_reset);
	return 0;
}

static unsigned int
nb_xstats(const struct rte_eth_dev *dev)
{
	return (dev->data->nb_rx_queues + dev->data->nb_tx_queues) * RTE_DIM(queue_rows) +
			NB_PORT_ROWS;
}

static struct rte_eth_xstat_name *
name_queue(struct rte_eth_xstat_name *names, const char *direction, uint16_t queue)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(queue_rows); i++, names++)
		snprintf(names->name, sizeof(names->name), "%s_q%u_%s", direction, queue,
				queue_rows[i].name);
	return names;
}

static struct rte_eth_xstat_name *
name_rows(struct rte_eth_xstat_name *names, const struct row *rows, unsigned int n)
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
	struct queue_counters counters;
	unsigned int i;

	read_queue(queue, &counters);
	for (i = 0; i < RTE_DIM(queue_rows); i++)
		put(cursor, value_of(&counters, &queue_rows[i]));
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
				value_of(&now, &device_rows[i]) -
						value_of(&port->log_at_reset, &device_rows[i]));
	for (i = 0; i < RTE_DIM(state_rows); i++)
		put(&cursor, value_of(&now, &state_rows[i]));
	put(&cursor, now.logging);
	for (i = 0; i < VNET_NB_FAULTS; i++)
		put(&cursor, faults[i]);
	return (int)nb_xstats(dev);
}
