/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A dirtylog's life, from creation to the end, with the connections between;
 * and its queues: added and removed, opened and closed.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag.h"
#include "dirtylog_pvt.h"
#include "marker.h"
#include "regions.h"
#include "views.h"

/* The kernel's, not the log's: no kernel with larger ones has run the tests. */
#define MAX_KERNEL_PAGE 16384

/* ---- its life ---- */

static void
drain_periodically(void *ctx)
{
	struct dirtylog *dl = ctx;

	pthread_mutex_lock(&dl->lock);
	dirtylog_views_drain(dl);
	dirtylog_regions_check_lost(dl);
	pthread_mutex_unlock(&dl->lock);
}

int
dirtylog_create(const char *name, struct dirtylog **out)
{
	long page_size = sysconf(_SC_PAGESIZE);
	struct dirtylog *dl;

	if (page_size > MAX_KERNEL_PAGE) {
		DIRTYLOG_DIAG(ERR,
				"%s: the pages of this kernel have %ld bytes, and no more than %d"
				" were ever tested: nothing is logged here",
				name, page_size, MAX_KERNEL_PAGE);
		return -ENOTSUP;
	}
	dl = calloc(1, sizeof(*dl) + strlen(name) + 1);
	if (dl == NULL)
		return -ENOMEM;
	if (dirtylog_regions_init(dl) < 0)
		goto free_dirtylog;
	if (pthread_mutex_init(&dl->lock, NULL) != 0)
		goto fini_regions;
	if (dirtylog_epoch_init(&dl->epoch) < 0)
		goto destroy_lock;
	if (dirtylog_drainer_init(&dl->drainer, drain_periodically, dl) < 0)
		goto fini_epoch;
	strcpy(dl->name, name);
	*out = dl;
	return 0;
fini_epoch:
	dirtylog_epoch_fini(&dl->epoch);
destroy_lock:
	pthread_mutex_destroy(&dl->lock);
fini_regions:
	dirtylog_regions_fini(dl);
free_dirtylog:
	free(dl);
	return -ENOMEM;
}

int
dirtylog_configure(struct dirtylog *dl, const struct dirtylog_options *options)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&dl->lock);
	if (dl->table->nb_regions == 0) {
		dl->options = *options;
		ret = 0;
	}
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

int
dirtylog_reset(struct dirtylog *dl)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&dl->lock);
	if (dirtylog_markers_closed(dl->markers)) {
		dl->logging = false;
		dl->was_open = false;
		dl->mark_all = false;
		dl->marks_dropped = false;
		dirtylog_regions_clear(dl);
		dirtylog_views_forget_log(dl);
		ret = 0;
	}
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

void
dirtylog_destroy(struct dirtylog *dl)
{
	if (dl == NULL)
		return;
	dirtylog_drainer_fini(&dl->drainer);
	dirtylog_regions_fini(dl);
	dirtylog_shm_unref(dl->log);
	dirtylog_epoch_fini(&dl->epoch);
	pthread_mutex_destroy(&dl->lock);
	free(dl);
}

/* ---- its queues ---- */

void
dirtylog_add_queue(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	struct dirtylog_marker **link;

	pthread_mutex_lock(&dl->lock);
	dirtylog_marker_join(marker, &dl->epoch);
	for (link = &dl->markers; *link != NULL; link = &(*link)->next)
		;
	*link = marker;
	pthread_mutex_unlock(&dl->lock);
}

void
dirtylog_remove_queue(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	struct dirtylog_marker **link;

	pthread_mutex_lock(&dl->lock);
	dirtylog_views_close_queue(dl, marker);
	for (link = &dl->markers; *link != NULL; link = &(*link)->next) {
		if (*link == marker) {
			*link = marker->next;
			dirtylog_marker_add_stats(marker, &dl->stats.marks);
			dirtylog_marker_leave(marker, &dl->epoch);
			break;
		}
	}
	pthread_mutex_unlock(&dl->lock);
}

/* Find the ring of a queue that is about to be opened. Returns 0 or an error of dirtylog_open(). */
static int
find_ring(const struct dirtylog *dl, struct dirtylog_marker *marker, uint64_t gpa, uint64_t len)
{
	const struct dirtylog_region *region;
	uint64_t offset;

	dirtylog_marker_set_ring(marker, NULL, 0, 0);
	if (gpa == DIRTYLOG_NO_GPA)
		return 0;
	if (len < DIRTYLOG_INDEX_LEN || len > DIRTYLOG_MAX_RING)
		return -EINVAL;
	region = dirtylog_regions_find(dl, gpa);
	if (region == NULL)
		return -EFAULT;
	offset = gpa - region->gpa;
	dirtylog_marker_set_ring(marker, region->bitmap, offset,
			RTE_MIN(len, region->len - offset));
	return 0;
}

int
dirtylog_open(struct dirtylog *dl, struct dirtylog_marker *marker, uint64_t ring_gpa,
		uint64_t ring_len)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&dl->lock);
	/* The bursts of an open one use the fields. */
	if (dirtylog_marker_gate(marker) != DIRTYLOG_GATE_CLOSED)
		goto unlock;
	dirtylog_regions_check_lost(dl);
	ret = dl->memory_lost ? -EIO : find_ring(dl, marker, ring_gpa, ring_len);
	if (ret < 0)
		goto unlock;
	dl->was_open = true;
	/* Release: what the caller prepared for the queue is seen by its first burst. */
	dirtylog_marker_open(marker, dl->logging);
unlock:
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

void
dirtylog_close(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	pthread_mutex_lock(&dl->lock);
	dirtylog_views_close_queue(dl, marker);
	pthread_mutex_unlock(&dl->lock);
}

bool
dirtylog_stopped(struct dirtylog *dl)
{
	bool stopped;

	pthread_mutex_lock(&dl->lock);
	stopped = dirtylog_markers_closed(dl->markers);
	pthread_mutex_unlock(&dl->lock);
	return stopped;
}
