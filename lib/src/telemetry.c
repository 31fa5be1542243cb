/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The counters as DPDK telemetry: /dirtylog/list, /dirtylog/info,VID, /dirtylog/queue,VID,INDEX.
 *
 * A process may have several copies of this library, each with connections of its
 * own: in the driver, in what stands before librte_vhost. Telemetry has one handler
 * for a name, the last. So all copies are in one list, if there is somebody to keep
 * it, and whoever is asked answers for all.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_telemetry.h>

#include "compat.h"
#include "dirtylog_vhost.h"

/* Connections that one answer has room for. */
#define MAX_LISTED 64

/* What has this copy of the library in it; only a library by itself has none. */
extern const char dirtylog_door[] __attribute__((weak, visibility("hidden")));

/* Where the list of copies is kept, if there is what keeps it: stub.c. */
extern void **dirtylog_vhost_copies_1(void) __attribute__((weak));

struct copy {
	struct copy *next;
	const char *door;
	size_t stats_size; /* of another release's copy it may be another one */
	int (*get_stats)(int vid, struct dirtylog_stats *stats);
	int (*get_queue_stats)(int vid, unsigned int index, struct dirtylog_marker_stats *stats);
};

static struct copy this_copy = {
	.stats_size = sizeof(struct dirtylog_stats),
	.get_stats = dirtylog_vhost_get_stats,
	.get_queue_stats = dirtylog_vhost_get_queue_stats,
};
static struct copy *only_copy;

static struct copy **
copies(void)
{
	return dirtylog_vhost_copies_1 != NULL ? (struct copy **)dirtylog_vhost_copies_1() :
						 &only_copy;
}

/* For good, as telemetry's handlers. */
static void
join(void)
{
	struct copy **head = copies();

	this_copy.door = dirtylog_door != NULL ? dirtylog_door : "libdirtylog";
	this_copy.next = __atomic_load_n(head, __ATOMIC_RELAXED);
	/* Release: orders the stores to the copy before the store of its pointer. */
	while (!__atomic_compare_exchange_n(head, &this_copy.next, &this_copy, false,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

/* The copy that a vid is attached to, or NULL; and its counters. */
static const struct copy *
find(int vid, struct dirtylog_stats *stats)
{
	/* Acquire: orders the load of the pointer before the loads of what it points to. */
	const struct copy *copy = __atomic_load_n(copies(), __ATOMIC_ACQUIRE);

	while (copy != NULL &&
			(copy->stats_size != sizeof(*stats) || copy->get_stats(vid, stats) < 0))
		copy = copy->next;
	return copy;
}

/* Returns whether there was memory for it. */
static bool
list_vid(struct rte_tel_data *data, int vid, const char *door)
{
	struct rte_tel_data *entry = rte_tel_data_alloc();
	char name[16], socket[PATH_MAX];

	if (entry == NULL)
		return false;
	if (rte_vhost_get_ifname(vid, socket, sizeof(socket)) < 0)
		socket[0] = '\0'; /* it has gone just now */
	rte_tel_data_start_dict(entry);
	rte_tel_data_add_dict_string(entry, "socket", socket);
	rte_tel_data_add_dict_string(entry, "door", door);
	snprintf(name, sizeof(name), "%d", vid);
	rte_tel_data_add_dict_container(data, name, entry, 0);
	return true;
}

static int
list(const char *cmd __rte_unused, const char *params, struct rte_tel_data *data)
{
	struct dirtylog_stats stats;
	long vid = 0;
	int listed = 0;
	char *end;

	if (params != NULL && *params != '\0') {
		vid = strtol(params, &end, 10);
		if (*end != '\0' || vid < 0)
			return -EINVAL;
	}
	rte_tel_data_start_dict(data);
	for (; vid < DIRTYLOG_MAX_VIDS && listed < MAX_LISTED; vid++) {
		const struct copy *copy = find((int)vid, &stats);

		if (copy == NULL)
			continue;
		if (!list_vid(data, (int)vid, copy->door))
			break;
		listed++;
	}
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
	if (find((int)vid, &stats) == NULL)
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
	struct dirtylog_stats of_vid;
	const struct copy *copy;
	unsigned int vid, index;
	char rest;

	if (params == NULL || sscanf(params, "%u,%u%c", &vid, &index, &rest) != 2 ||
			vid >= DIRTYLOG_MAX_VIDS)
		return -EINVAL;
	copy = find((int)vid, &of_vid);
	if (copy == NULL || copy->get_queue_stats((int)vid, index, &stats) < 0)
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
	join();
	rte_telemetry_register_cmd("/dirtylog/list", list,
			"Returns socket and door of connections with a dirty log, by vid."
			" Parameters: vid to begin with (optional)");
	rte_telemetry_register_cmd("/dirtylog/info", info,
			"Returns the dirty log's counters. Parameters: vid");
	rte_telemetry_register_cmd("/dirtylog/queue", queue,
			"Returns one queue's counters. Parameters: vid,index of the queue");
}
