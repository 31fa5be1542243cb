/* SPDX-License-Identifier: BSD-3-Clause */

/* The counters as DPDK telemetry: /dirtylog/list, /dirtylog/info,VID, /dirtylog/queue,VID,INDEX. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "compat.h"
#include "dirtylog_vhost.h"

static int
list(const char *cmd __rte_unused, const char *params __rte_unused, struct rte_tel_data *data)
{
	struct dirtylog_stats stats;
	int vid;

	rte_tel_data_start_array(data, RTE_TEL_INT_VAL);
	for (vid = 0; vid < DIRTYLOG_MAX_VIDS; vid++)
		if (dirtylog_vhost_get_stats(vid, &stats) == 0)
			rte_tel_data_add_array_int(data, vid);
	return 0;
}

static int
info(const char *cmd __rte_unused, const char *params, struct rte_tel_data *data)
{
	struct dirtylog_stats stats;
	char *end;
	long vid;

	if (params == NULL || *params == '\0')
		return -EINVAL;
	vid = strtol(params, &end, 10);
	if (*end != '\0' || vid < 0 || vid >= DIRTYLOG_MAX_VIDS)
		return -EINVAL;
	if (dirtylog_vhost_get_stats((int)vid, &stats) < 0)
		return -ENODEV;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_uint(data, "logging", stats.logging);
	rte_tel_data_add_dict_uint(data, "dirty_pages_per_second", stats.dirty_pages_per_second);
	rte_tel_data_add_dict_uint(data, "marks", stats.marks.marks);
	rte_tel_data_add_dict_uint(data, "words_tested", stats.marks.words_tested);
	rte_tel_data_add_dict_uint(data, "words_written", stats.marks.words_written);
	rte_tel_data_add_dict_uint(data, "pages_dirtied", stats.marks.pages_dirtied);
	rte_tel_data_add_dict_uint(data, "pages_drained", stats.pages_drained);
	rte_tel_data_add_dict_uint(data, "drains", stats.drains);
	rte_tel_data_add_dict_uint(data, "swaps", stats.swaps);
	rte_tel_data_add_dict_uint(data, "refused_logs", stats.refused_logs);
	rte_tel_data_add_dict_uint(data, "whole_marks", stats.whole_marks);
	rte_tel_data_add_dict_uint(data, "refused_regions", stats.refused_regions);
	rte_tel_data_add_dict_uint(data, "truncated_logs", stats.truncated_logs);
	rte_tel_data_add_dict_uint(data, "truncated_regions", stats.truncated_regions);
	rte_tel_data_add_dict_uint(data, "regions_direct", stats.regions_direct);
	rte_tel_data_add_dict_uint(data, "regions_staged", stats.regions_staged);
	return 0;
}

static int
queue(const char *cmd __rte_unused, const char *params, struct rte_tel_data *data)
{
	struct dirtylog_marker_stats stats;
	unsigned int vid, index;
	char rest;

	if (params == NULL || sscanf(params, "%u,%u%c", &vid, &index, &rest) != 2 ||
			vid >= DIRTYLOG_MAX_VIDS)
		return -EINVAL;
	if (dirtylog_vhost_get_queue_stats((int)vid, index, &stats) < 0)
		return -ENODEV;
	rte_tel_data_start_dict(data);
	rte_tel_data_add_dict_uint(data, "marks", stats.marks);
	rte_tel_data_add_dict_uint(data, "words_tested", stats.words_tested);
	rte_tel_data_add_dict_uint(data, "words_written", stats.words_written);
	rte_tel_data_add_dict_uint(data, "pages_dirtied", stats.pages_dirtied);
	return 0;
}

RTE_INIT(dirtylog_telemetry_init)
{
	rte_telemetry_register_cmd("/dirtylog/list", list,
			"Returns the vids of the connections with a dirty log. No parameters");
	rte_telemetry_register_cmd("/dirtylog/info", info,
			"Returns the dirty log's counters. Parameters: vid");
	rte_telemetry_register_cmd("/dirtylog/queue", queue,
			"Returns one queue's counters. Parameters: vid,index of the queue");
}
