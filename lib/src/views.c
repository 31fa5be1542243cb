/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What bursts go by: the views that say where marks go, which is a region's
 * part of the log or its staging, and the gates. In turn: what the state asks
 * for; what is staged, and how it gets into the log; that state made true for
 * every burst; and the calls that change it: a log comes, is left, logging goes
 * on and off.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap.h"
#include "diag.h"
#include "marker.h"
#include "numa_node.h"
#include "shm.h"
#include "views.h"

#define DEFAULT_DRAIN_US 1000

/* ---- what the state asks for ---- */

struct dirtylog_view *
dirtylog_views_wanted(const struct dirtylog *dl, const struct region_views *views)
{
	if (!dl->logging)
		return NULL;
	return dl->log_current && views->log != NULL && views->direct ? views->log : views->staging;
}

/* Whether marks of a region may go to its part of the log directly. */
static bool
may_go_direct(const struct dirtylog *dl, const struct dirtylog_region *region,
		const struct dirtylog_view *log)
{
	/* To its last word: there may be no page behind. */
	uint64_t log_bytes = ((log->start + log->len - 1) / DIRTYLOG_WORD_SPAN + 1) *
			sizeof(uint64_t);
	int node;

	if (dl->options.placement != DIRTYLOG_PLACEMENT_AUTO)
		return dl->options.placement == DIRTYLOG_PLACEMENT_DIRECT;
	if (!dirtylog_numa_present())
		return true;
	/* One log page stands for 128 MiB; a region on several nodes has no one place. */
	if (dirtylog_numa_spans_nodes(region->host, region->len))
		return false;
	node = dirtylog_numa_node_of(region->host, region->len);
	return node == DIRTYLOG_NODE_UNKNOWN ||
			dirtylog_numa_gather(log->words, log_bytes,
					dirtylog_view_shm(log)->page_size, node);
}

int
dirtylog_views_on_log(const struct dirtylog *dl, struct dirtylog_shm *log,
		const struct dirtylog_region *region, struct dirtylog_view **view, bool *direct)
{
	int ret = dirtylog_view_create(log, region->gpa, region->len, view);

	if (ret < 0)
		*view = NULL;
	else
		*direct = may_go_direct(dl, region, *view);
	return ret;
}

static int
create_staging(const struct dirtylog_region *region, struct dirtylog_view **view)
{
	return dirtylog_view_create_staging(region->gpa, region->len, region->host, view);
}

int
dirtylog_views_make_staging(const struct dirtylog *dl, struct memory_table *table)
{
	uint32_t i;
	int ret;

	for (i = 0; i < table->nb_regions; i++) {
		struct region_views *views = &table->views[i];

		if (!dl->logging || dirtylog_views_wanted(dl, views) != NULL)
			continue;
		ret = create_staging(views->region, &views->staging);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* ---- what is staged ---- */

void
dirtylog_views_check_truncation(struct dirtylog *dl)
{
	if (dl->log == NULL || dl->truncation_reported || !dirtylog_shm_truncated(dl->log))
		return;
	dl->truncation_reported = true;
	dl->stats.truncated_logs++;
	DIRTYLOG_DIAG(ERR,
			"%s: the front-end has truncated its log of %" PRIu64
			" bytes while it is in use: marks are lost, and pages with them",
			dl->name, dl->log->len);
}

void
dirtylog_views_drain(struct dirtylog *dl)
{
	bool drained = false;
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region_views *views = &dl->table->views[i];

		if (views->staging == NULL || views->log == NULL)
			continue;
		drained = true;
		if (dl->log_current)
			dl->stats.pages_drained += dirtylog_view_move(views->staging, views->log);
		else
			dirtylog_view_copy(views->staging, views->log);
	}
	dl->stats.drains += drained;
	dirtylog_views_check_truncation(dl);
}

/* Have the drainer run while marks are staged that a log waits for. */
static void
direct_drainer(struct dirtylog *dl)
{
	uint32_t period_us = 0, i;
	int ret;

	for (i = 0; i < dl->table->nb_regions; i++)
		if (dl->logging && dl->log_current && dl->table->views[i].log != NULL &&
				!dl->table->views[i].direct)
			period_us = dl->options.drain_us != 0 ? dl->options.drain_us :
								DEFAULT_DRAIN_US;
	ret = dirtylog_drainer_set_period(&dl->drainer, period_us);
	if (ret < 0)
		DIRTYLOG_DIAG(WARNING,
				"%s: no thread to drain staged marks (%s):"
				" they are drained when a queue stops",
				dl->name, strerror(-ret));
}

/* ---- made true ---- */

void
dirtylog_views_install(struct dirtylog *dl)
{
	struct dirtylog_marker *marker;
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region_views *views = &dl->table->views[i];

		dirtylog_bitmap_set_view(&views->bitmap, dirtylog_views_wanted(dl, views));
	}
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		dirtylog_marker_renew(marker);
	dirtylog_epoch_sync(&dl->epoch);
	direct_drainer(dl);
}

void
dirtylog_views_mark(const struct dirtylog *dl, const struct region_views *views, uint64_t offset,
		uint64_t len)
{
	struct dirtylog_view *view = dirtylog_views_wanted(dl, views);

	if (view != NULL)
		dirtylog_view_mark(view, offset, len);
}

void
dirtylog_views_mark_all(struct dirtylog *dl)
{
	uint32_t i;

	if (!dl->mark_all || !dl->logging || !dl->log_current)
		return;
	dl->mark_all = false;
	dl->stats.whole_marks++;
	DIRTYLOG_DIAG(NOTICE,
			"%s: pages may have been written that nobody marked, by a connection"
			" that is gone or to memory that was: all of memory is marked",
			dl->name);
	for (i = 0; i < dl->table->nb_regions; i++)
		dirtylog_views_mark(dl, &dl->table->views[i], 0, dl->table->views[i].region->len);
}

static void
install_gates(struct dirtylog *dl)
{
	struct dirtylog_marker *marker;

	for (marker = dl->markers; marker != NULL; marker = marker->next)
		if (dirtylog_marker_gate(marker) != DIRTYLOG_GATE_CLOSED)
			dirtylog_marker_open(marker, dl->logging);
	dirtylog_epoch_sync(&dl->epoch);
}

void
dirtylog_views_close_queue(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	if (dirtylog_marker_gate(marker) == DIRTYLOG_GATE_CLOSED)
		return;
	dirtylog_marker_close(marker, &dl->epoch);
	dirtylog_views_drain(dl);
}

/* ---- a log comes, and is left ---- */

/* What a region gets with a new log, before anything is changed. */
struct log_target {
	struct dirtylog_view *log;
	struct dirtylog_view *staging; /* the region's, or one made for it */
	bool direct;
};

static int
make_log_target(struct dirtylog *dl, struct dirtylog_shm *log, const struct region_views *views,
		struct log_target *target)
{
	const struct dirtylog_region *region = views->region;
	int ret;

	target->staging = views->staging;
	ret = dirtylog_views_on_log(dl, log, region, &target->log, &target->direct);
	if (ret == -ERANGE) {
		dl->stats.refused_logs++;
		DIRTYLOG_DIAG(ERR,
				"%s: a log of %" PRIu64 " bytes does not cover region %u"
				" (GPA 0x%" PRIx64 ", %" PRIu64 " bytes): refused",
				dl->name, log->len, (unsigned int)(views - dl->table->views),
				region->gpa, region->len);
	}
	if (ret < 0 || !dl->logging || target->direct || views->staging != NULL)
		return ret;
	return create_staging(region, &target->staging);
}

static int
make_log_targets(struct dirtylog *dl, struct dirtylog_shm *log, struct log_target *targets)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; i < dl->table->nb_regions && ret == 0; i++)
		ret = make_log_target(dl, log, &dl->table->views[i], &targets[i]);
	return ret;
}

/* Free the views on a log, and the staging that was made for one that is not taken. */
static void
free_log_targets(const struct dirtylog *dl, struct log_target *targets)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		if (targets[i].staging != dl->table->views[i].staging)
			dirtylog_view_free(targets[i].staging);
		dirtylog_view_free(targets[i].log);
	}
	free(targets);
}

/* Each region's old view of the log goes into `targets`, for freeing. */
static void
exchange_log_targets(struct dirtylog *dl, struct log_target *targets)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region_views *views = &dl->table->views[i];
		struct dirtylog_view *old = views->log;

		views->log = targets[i].log;
		views->staging = targets[i].staging;
		views->direct = targets[i].direct;
		targets[i].log = old;
	}
}

/* Go over to a log, with a target on it for each region. */
static void
change_log(struct dirtylog *dl, struct dirtylog_shm *shm, struct log_target *targets)
{
	struct dirtylog_shm *old;

	/* The last look at the old one. */
	dirtylog_views_check_truncation(dl);
	exchange_log_targets(dl, targets);
	old = dl->log;
	dl->log = dirtylog_shm_ref(shm);
	dl->log_current = true;
	dl->truncation_reported = false;
	dl->stats.swaps++;
	dirtylog_views_install(dl);
	dirtylog_views_drain(dl);
	dirtylog_views_mark_all(dl);
	dirtylog_shm_unref(old);
}

int
dirtylog_set_log(struct dirtylog *dl, struct dirtylog_shm *shm)
{
	struct log_target *targets;
	int ret = -ENOMEM;

	pthread_mutex_lock(&dl->lock);
	targets = calloc(dl->table->nb_regions + 1, sizeof(targets[0]));
	if (targets == NULL)
		goto unlock;
	ret = make_log_targets(dl, shm, targets);
	if (ret == 0)
		change_log(dl, shm, targets);
	free_log_targets(dl, targets);
unlock:
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

void
dirtylog_follow_predecessor(struct dirtylog *dl)
{
	pthread_mutex_lock(&dl->lock);
	if (dl->logging && !dl->was_open)
		dl->mark_all = true;
	dirtylog_views_mark_all(dl);
	pthread_mutex_unlock(&dl->lock);
}

int
dirtylog_suspend_log(struct dirtylog *dl)
{
	int ret = 0;

	pthread_mutex_lock(&dl->lock);
	if (dl->log_current) {
		dl->log_current = false;
		ret = dirtylog_views_make_staging(dl, dl->table);
		if (ret < 0)
			dl->log_current = true;
		else
			dirtylog_views_install(dl);
	}
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

void
dirtylog_views_forget_log(struct dirtylog *dl)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region_views *views = &dl->table->views[i];

		dirtylog_view_free(views->log);
		dirtylog_view_free(views->staging);
		views->log = NULL;
		views->staging = NULL;
	}
	dirtylog_shm_unref(dl->log);
	dl->log = NULL;
	dl->log_current = false;
	dl->mark_all = false;
	dl->marks_dropped = false;
	direct_drainer(dl);
}

/* ---- logging on and off ---- */

static int
logging_on(struct dirtylog *dl)
{
	int ret;

	dl->logging = true;
	ret = dirtylog_views_make_staging(dl, dl->table);
	if (ret < 0) {
		dl->logging = false;
		return ret;
	}
	if (!dl->log_current)
		DIRTYLOG_DIAG(NOTICE,
				"%s: logging is on and there is no log:"
				" marks are kept until one comes",
				dl->name);
	dirtylog_views_install(dl);
	install_gates(dl);
	return 0;
}

/* The other way round: the last burst that logs finds a view. */
static void
logging_off(struct dirtylog *dl)
{
	struct dirtylog_marker *marker;

	dl->logging = false;
	install_gates(dl);
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		dirtylog_marker_mark_last_index(marker);
	dirtylog_views_drain(dl);
	dirtylog_views_install(dl);
	dirtylog_views_forget_log(dl);
}

int
dirtylog_set_logging(struct dirtylog *dl, bool on)
{
	int ret = 0;

	pthread_mutex_lock(&dl->lock);
	if (on && !dl->logging)
		ret = logging_on(dl);
	else if (!on && dl->logging)
		logging_off(dl);
	pthread_mutex_unlock(&dl->lock);
	return ret;
}
