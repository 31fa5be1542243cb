/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "counters.h"
#include "device.h"
#include "stats.h"

/* More than librte_vhost has. */
#define MAX_STATS 64

/* The counter of a name such as "rx_q0_good_packets", or NULL: none of ours. */
static const struct vnet_counter *
find_counter(const char *name)
{
	unsigned int i;

	/* Behind the direction and the queue pair. */
	for (i = 0; i < 2 && name != NULL; i++) {
		name = strchr(name, '_');
		name += name != NULL;
	}
	for (i = 0; i < VNET_NB_QUEUE_COUNTERS && name != NULL; i++)
		if (strcmp(vnet_queue_counters[i].name, name) == 0)
			return &vnet_queue_counters[i];
	return NULL;
}

int
door_vring_stats_get(int vid, uint16_t vring, struct rte_vhost_stat *stats, unsigned int n)
{
	struct rte_vhost_stat_name names[MAX_STATS];
	struct door_device *device = door_device_of(vid);
	struct door_queue *queue = device == NULL ? NULL : door_queue_of(device, vring);
	struct vnet_queue_counters counters;
	int i, ret = door_stock->vring_stats_get(vid, vring, stats, n);

	if (queue == NULL || stats == NULL || ret <= 0 || (unsigned int)ret > n ||
			ret > MAX_STATS ||
			rte_vhost_vring_stats_get_names(vid, vring, names, MAX_STATS) != ret)
		return ret;
	vnet_counters_read(&queue->queue, &counters);
	for (i = 0; i < ret; i++) {
		const struct vnet_counter *counter = find_counter(names[i].name);

		if (counter != NULL)
			stats[i].value = vnet_counter_value(&counters, counter);
	}
	return ret;
}

int
door_vring_stats_reset(int vid, uint16_t vring)
{
	struct door_device *device = door_device_of(vid);
	struct door_queue *queue = device == NULL ? NULL : door_queue_of(device, vring);
	int ret = door_stock->vring_stats_reset(vid, vring);

	if (ret == 0 && queue != NULL)
		vnet_counters_reset(&queue->queue);
	return ret;
}
