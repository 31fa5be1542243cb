/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dirtylog.h"
#include "diag.h"
#include "numa_node.h"
#include "drainer.h"
#include "marker.h"
#include "memory_guard.h"

#define DEFAULT_DRAIN_US 1000

/* A dirty rate is measured over at least this time. */
#define RATE_WINDOW_NS 100000000

/*
 * A region, and the two targets its marks can go to. Which of them is its
 * bitmap's view follows from the device's state: see view_wanted().
 */
struct region {
	const struct dirtylog_region *range; /* in the table that users get */
	struct dirtylog_view *log;     /* NULL: no log, or it does not cover the region */
	struct dirtylog_view *staging; /* NULL: not needed so far */
	bool direct;                   /* the placement's answer, where there is a log */
};

/* A memory table. */
struct table {
	struct dirtylog_memory *memory; /* NULL: no regions */
	uint32_t nb_regions;
	struct region regions[];
};

struct dirtylog {
	pthread_mutex_t lock;
	struct dirtylog_epoch epoch;
	struct dirtylog_marker *markers;
	struct table *table;
	struct dirtylog_shm *log; /* the log given last; NULL: none */
	/*
	 * Marks may go to `log`. False from leaving it to the next one: then
	 * nobody may look at it any more, but as long as no other came, staged
	 * marks are copied there when a queue closes.
	 */
	bool log_current;
	bool logging;
	struct dirtylog_options options;
	struct dirtylog_drainer drainer;
	struct dirtylog_stats stats; /* the device's own part */
	struct {
		uint64_t at;    /* nanoseconds, monotonic; 0: no sample yet */
		uint64_t pages; /* dirtied until then */
		uint64_t value; /* pages per second before that */
	} rate;
	bool truncation_reported;
	struct dirtylog_memory_guard *memory_guard; /* of the table; NULL: none, or forgotten */
	bool memory_lost; /* the queues stay closed until another table comes */
	char name[];
};

static struct dirtylog_view *
view_wanted(const struct dirtylog *dl, const struct region *region)
{
	if (!dl->logging)
		return NULL;
	return dl->log_current && region->log != NULL && region->direct ?
			region->log : region->staging;
}

/* Whether marks of a region may go to its part of the log directly. */
static bool
may_go_direct(const struct dirtylog *dl, const struct dirtylog_region *range,
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
	if (dirtylog_numa_spans_nodes(range->host, range->len))
		return false;
	node = dirtylog_numa_node_of(range->host, range->len);
	return node == DIRTYLOG_NODE_UNKNOWN ||
			dirtylog_numa_gather(log->words, log_bytes, log->shm->page_size, node);
}

static void
table_clear(struct table *table)
{
	uint32_t i;

	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];

		/* The views are the table's, whoever still holds the bitmap. */
		dirtylog_bitmap_exchange(region->range->bitmap, NULL);
		dirtylog_bitmap_unref(region->range->bitmap);
		dirtylog_view_free(region->log);
		dirtylog_view_free(region->staging);
	}
	table->nb_regions = 0;
	free(table->memory);
	table->memory = NULL;
}

static void
table_free(struct table *table)
{
	table_clear(table);
	free(table);
}

/* Give every region whose marks would have no place a staging view. */
static int
make_staging(struct dirtylog *dl, struct table *table)
{
	uint32_t i;
	int ret;

	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];

		if (!dl->logging || view_wanted(dl, region) != NULL)
			continue;
		ret = dirtylog_view_create_staging(region->range->gpa, region->range->len,
				region->range->host, &region->staging);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Tell, once for each log, that its owner has truncated it. */
static void
check_truncation(struct dirtylog *dl)
{
	if (dl->log == NULL || dl->truncation_reported ||
			!dirtylog_shm_truncated(dl->log))
		return;
	dl->truncation_reported = true;
	dl->stats.truncated_logs++;
	DIRTYLOG_DIAG(ERR, "%s: the front-end has truncated its log of %" PRIu64
			" bytes while it is in use: marks are lost, and pages with them",
			dl->name, dl->log->len);
}

/*
 * Put what is staged into the log given last. If that one was left, the marks
 * stay staged too: the front-end may still read it, or may bring another.
 */
static void
drain(struct dirtylog *dl)
{
	bool drained = false;
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region *region = &dl->table->regions[i];

		if (region->staging == NULL || region->log == NULL)
			continue;
		drained = true;
		if (dl->log_current)
			dl->stats.pages_drained +=
				dirtylog_view_move(region->staging, region->log);
		else
			dirtylog_view_copy(region->staging, region->log);
	}
	dl->stats.drains += drained;
	check_truncation(dl);
}

/*
 * Mark the page of a queue's index, on its behalf: its last store is not
 * marked before the queue's next burst. For the control thread, when there is
 * no such burst.
 */
static void
mark_index(struct dirtylog_marker *marker)
{
	if (marker->index_bitmap != NULL && marker->index_bitmap->view != NULL)
		dirtylog_view_mark(marker->index_bitmap->view, marker->index_offset,
				DIRTYLOG_INDEX_LEN);
}

static void
close_locked(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	if (marker->gate == DIRTYLOG_GATE_CLOSED)
		return;
	dirtylog_marker_set_gate(marker, &dl->epoch, DIRTYLOG_GATE_CLOSED);
	/* The queue's fields are ours now. */
	mark_index(marker);
	marker->index_pending = false;
	marker->index_bitmap = NULL;
	drain(dl);
}

/*
 * Look whether the front-end has taken memory from its guest that bursts use.
 * What they read there now is not what the guest wrote: they end.
 */
static void
check_memory(struct dirtylog *dl)
{
	uint32_t nb_lost = dirtylog_memory_guard_losses(dl->memory_guard, dl->name);
	struct dirtylog_marker *marker;

	if (nb_lost == 0)
		return;
	dl->stats.truncated_regions += nb_lost;
	dl->memory_lost = true;
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		close_locked(dl, marker);
}

static void
drain_periodically(void *ctx)
{
	struct dirtylog *dl = ctx;

	pthread_mutex_lock(&dl->lock);
	drain(dl);
	check_memory(dl);
	pthread_mutex_unlock(&dl->lock);
}

/* Have the drainer run while marks are staged that a log waits for. */
static void
direct_drainer(struct dirtylog *dl)
{
	uint32_t period_us = 0, i;
	int ret;

	for (i = 0; i < dl->table->nb_regions; i++)
		if (dl->logging && dl->log_current &&
				dl->table->regions[i].log != NULL &&
				!dl->table->regions[i].direct)
			period_us = dl->options.drain_us != 0 ?
					dl->options.drain_us : DEFAULT_DRAIN_US;
	ret = dirtylog_drainer_set_period(&dl->drainer, period_us);
	if (ret < 0)
		DIRTYLOG_DIAG(WARNING, "%s: no thread to publish staged marks (%s):"
				" they are published when a queue stops", dl->name,
				strerror(-ret));
}

/*
 * Make what the device's state says true for every burst. Each function
 * returns after the last burst that went by the old state.
 */
static void
install_views(struct dirtylog *dl)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region *region = &dl->table->regions[i];

		dirtylog_bitmap_exchange(region->range->bitmap, view_wanted(dl, region));
	}
	dirtylog_epoch_sync(&dl->epoch);
	direct_drainer(dl);
}

static void
install_gates(struct dirtylog *dl)
{
	struct dirtylog_marker *marker;

	for (marker = dl->markers; marker != NULL; marker = marker->next)
		if (marker->gate != DIRTYLOG_GATE_CLOSED)
			/* Release: a burst that logs finds the views in place. */
			__atomic_store_n(&marker->gate, dl->logging ?
					DIRTYLOG_GATE_LOGGING : DIRTYLOG_GATE_OPEN,
					__ATOMIC_RELEASE);
	dirtylog_epoch_sync(&dl->epoch);
}

static struct region *
find_region(struct table *table, uint64_t gpa)
{
	uint32_t i;

	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];

		if (gpa - region->range->gpa < region->range->len)
			return region;
	}
	return NULL;
}

int
dirtylog_create(const char *name, struct dirtylog **out)
{
	struct dirtylog *dl = calloc(1, sizeof(*dl) + strlen(name) + 1);

	if (dl == NULL)
		return -ENOMEM;
	dl->table = calloc(1, sizeof(*dl->table));
	if (dl->table == NULL)
		goto free_device;
	if (pthread_mutex_init(&dl->lock, NULL) != 0)
		goto free_table;
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
free_table:
	free(dl->table);
free_device:
	free(dl);
	return -ENOMEM;
}

int
dirtylog_configure(struct dirtylog *dl,
		const struct dirtylog_options *options)
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

void
dirtylog_destroy(struct dirtylog *dl)
{
	if (dl == NULL)
		return;
	dirtylog_drainer_fini(&dl->drainer);
	dirtylog_memory_guard_free(dl->memory_guard);
	table_free(dl->table);
	dirtylog_shm_unref(dl->log);
	dirtylog_epoch_fini(&dl->epoch);
	pthread_mutex_destroy(&dl->lock);
	free(dl);
}

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

bool
dirtylog_memory_lost(struct dirtylog *dl)
{
	bool lost;

	pthread_mutex_lock(&dl->lock);
	check_memory(dl);
	lost = dl->memory_lost;
	pthread_mutex_unlock(&dl->lock);
	return lost;
}

static int
forget_memory(struct dirtylog *dl)
{
	int ret;

	check_memory(dl);
	ret = dirtylog_memory_guard_free(dl->memory_guard);
	dl->memory_guard = NULL;
	return ret;
}

int
dirtylog_forget_memory(struct dirtylog *dl)
{
	int ret;

	pthread_mutex_lock(&dl->lock);
	ret = forget_memory(dl);
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

void
dirtylog_close(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	pthread_mutex_lock(&dl->lock);
	close_locked(dl, marker);
	pthread_mutex_unlock(&dl->lock);
}

static void
add_marker_stats(struct dirtylog_marker_stats *sum, const struct dirtylog_marker_stats *stats)
{
	sum->marks += __atomic_load_n(&stats->marks, __ATOMIC_RELAXED);
	sum->words_tested += __atomic_load_n(&stats->words_tested, __ATOMIC_RELAXED);
	sum->words_written += __atomic_load_n(&stats->words_written, __ATOMIC_RELAXED);
	sum->pages_dirtied += __atomic_load_n(&stats->pages_dirtied, __ATOMIC_RELAXED);
}

void
dirtylog_remove_queue(struct dirtylog *dl, struct dirtylog_marker *marker)
{
	struct dirtylog_marker **link;

	pthread_mutex_lock(&dl->lock);
	close_locked(dl, marker);
	for (link = &dl->markers; *link != NULL; link = &(*link)->next) {
		if (*link == marker) {
			*link = marker->next;
			add_marker_stats(&dl->stats.marks, &marker->stats);
			dirtylog_marker_fini(marker, &dl->epoch);
			break;
		}
	}
	pthread_mutex_unlock(&dl->lock);
}

int
dirtylog_open(struct dirtylog *dl, struct dirtylog_marker *marker,
		uint64_t index_gpa)
{
	struct region *region;
	int ret = 0;

	pthread_mutex_lock(&dl->lock);
	if (marker->gate != DIRTYLOG_GATE_CLOSED) {
		ret = -EBUSY; /* its bursts use the fields below */
		goto unlock;
	}
	check_memory(dl);
	if (dl->memory_lost) {
		ret = -EIO;
		goto unlock;
	}
	marker->index_bitmap = NULL;
	if (index_gpa != DIRTYLOG_NO_GPA) {
		region = find_region(dl->table, index_gpa);
		if (region == NULL) {
			ret = -EFAULT;
			goto unlock;
		}
		marker->index_bitmap = region->range->bitmap;
		marker->index_offset = index_gpa - region->range->gpa;
	}
	/* Release: what the caller prepared for the queue is seen by its first burst. */
	__atomic_store_n(&marker->gate, dl->logging ? DIRTYLOG_GATE_LOGGING :
			DIRTYLOG_GATE_OPEN, __ATOMIC_RELEASE);
unlock:
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

int
dirtylog_mark_gpa(struct dirtylog *dl, uint64_t gpa, uint64_t len)
{
	struct region *region;

	pthread_mutex_lock(&dl->lock);
	region = find_region(dl->table, gpa);
	/* The view is changed under the lock only. */
	if (region != NULL && region->range->bitmap->view != NULL)
		dirtylog_view_mark(region->range->bitmap->view, gpa - region->range->gpa, len);
	pthread_mutex_unlock(&dl->lock);
	return region == NULL ? -EFAULT : 0;
}

static bool
all_closed(const struct dirtylog *dl)
{
	const struct dirtylog_marker *marker;

	for (marker = dl->markers; marker != NULL; marker = marker->next)
		if (marker->gate != DIRTYLOG_GATE_CLOSED)
			return false;
	return true;
}

void
dirtylog_wait(struct dirtylog *dl)
{
	dirtylog_epoch_sync(&dl->epoch);
}

bool
dirtylog_stopped(struct dirtylog *dl)
{
	bool stopped;

	pthread_mutex_lock(&dl->lock);
	stopped = all_closed(dl);
	pthread_mutex_unlock(&dl->lock);
	return stopped;
}

/* The log's view of a region, or NULL if the log does not cover it. */
static int
make_log_view(struct dirtylog_shm *log, const struct dirtylog_region *range,
		struct dirtylog_view **view)
{
	int ret = dirtylog_view_create(log, range->gpa, range->len, view);

	if (ret < 0)
		*view = NULL;
	return ret;
}

/* Room for a table of so many regions, with none. */
static struct table *
table_alloc(uint32_t nb_regions)
{
	struct table *table = calloc(1, sizeof(*table) + nb_regions * sizeof(table->regions[0]));

	if (table == NULL || nb_regions == 0)
		return table;
	table->memory = calloc(1, sizeof(*table->memory) +
			nb_regions * sizeof(table->memory->regions[0]));
	if (table->memory == NULL) {
		free(table);
		return NULL;
	}
	table->memory->nb_regions = nb_regions;
	return table;
}

/* What a device may name: promised memory costs bitmaps, whether it is there or not. */
static uint64_t
max_memory(const struct dirtylog *dl)
{
	if (dl->options.max_memory != 0)
		return dl->options.max_memory;
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int
check_sizes(struct dirtylog *dl, const struct dirtylog_region *ranges, uint32_t nb_regions)
{
	uint64_t max = max_memory(dl), total = 0;
	uint32_t i, nb_refused = 0;

	for (i = 0; i < nb_regions; i++) {
		if (ranges[i].gpa + (ranges[i].len - 1) < ranges[i].gpa)
			return 0; /* refused for that */
		total = ranges[i].len > UINT64_MAX - total ? UINT64_MAX : total + ranges[i].len;
		nb_refused += total > max;
	}
	if (nb_refused == 0)
		return 0;
	dl->stats.refused_regions += nb_refused;
	DIRTYLOG_DIAG(ERR, "%s: %" PRIu64 " MiB of guest memory in %u regions, but %" PRIu64
			" MiB are what a device may have: refused",
			dl->name, total >> 20, nb_regions, max >> 20);
	return -EFBIG;
}

int
dirtylog_check_regions(struct dirtylog *dl, const struct dirtylog_region *ranges,
		uint32_t nb_regions)
{
	int ret;

	pthread_mutex_lock(&dl->lock);
	ret = check_sizes(dl, ranges, nb_regions);
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

static int
table_create(struct dirtylog *dl, const struct dirtylog_region *ranges,
		uint32_t nb_regions, struct table **out)
{
	struct table *table = table_alloc(nb_regions);
	struct dirtylog_memory *memory;
	unsigned int told = 0;
	uint32_t i;
	int ret = -ENOMEM;

	if (table == NULL)
		return ret;
	memory = table->memory;
	for (i = 0; i < nb_regions; i++) {
		struct region *region = &table->regions[i];

		if (ranges[i].gpa + (ranges[i].len - 1) < ranges[i].gpa) {
			ret = ranges[i].len == 0 ? -EINVAL : -EOVERFLOW;
			goto fail;
		}
		memory->regions[i] = ranges[i];
		region->range = &memory->regions[i];
		ret = dirtylog_bitmap_create(&dl->epoch, ranges[i].len, &memory->regions[i].bitmap);
		if (ret < 0)
			goto fail;
		table->nb_regions++;
		if (dl->log == NULL)
			continue;
		ret = make_log_view(dl->log, &ranges[i], &region->log);
		if (ret == -ERANGE && !told++)
			DIRTYLOG_DIAG(WARNING, "%s: region %u (GPA 0x%" PRIx64 ", %" PRIu64
					" bytes) is beyond the log of %" PRIu64
					" bytes: marks are kept until a larger log comes, and"
					" so they are for other such regions",
					dl->name, i, ranges[i].gpa, ranges[i].len,
					dl->log->len);
		if (ret < 0 && ret != -ERANGE)
			goto fail;
		if (ret == 0)
			region->direct = may_go_direct(dl, &ranges[i], region->log);
	}
	ret = make_staging(dl, table);
	if (ret < 0)
		goto fail;
	*out = table;
	return 0;
fail:
	table_free(table);
	return ret;
}

/*
 * Whether a front-end that names this table gets the mappings that there are,
 * and not new ones: librte_vhost sees no change in it.
 */
static bool
same_memory(const struct dirtylog_memory *one, const struct dirtylog_memory *other)
{
	uint32_t i;

	if (one == NULL || other == NULL || one->nb_regions != other->nb_regions)
		return false;
	for (i = 0; i < one->nb_regions; i++)
		if (one->regions[i].gpa != other->regions[i].gpa ||
				one->regions[i].len != other->regions[i].len ||
				one->regions[i].host != other->regions[i].host)
			return false;
	return true;
}

int
dirtylog_set_regions(struct dirtylog *dl,
		const struct dirtylog_region *ranges, uint32_t nb_regions)
{
	struct dirtylog_memory_guard *guard;
	struct table *table, *old;
	uint32_t i, j;
	int ret;

	if (nb_regions > DIRTYLOG_MAX_REGIONS)
		return -E2BIG;
	pthread_mutex_lock(&dl->lock);
	ret = -EBUSY;
	if (!all_closed(dl))
		goto unlock;
	ret = check_sizes(dl, ranges, nb_regions);
	if (ret < 0)
		goto unlock;
	ret = table_create(dl, ranges, nb_regions, &table);
	if (ret < 0)
		goto unlock;
	ret = dirtylog_memory_guard_create(table->memory, &guard);
	if (ret < 0) {
		table_free(table);
		goto unlock;
	}
	forget_memory(dl);
	dl->memory_guard = guard;
	dl->memory_lost &= same_memory(dl->table->memory, table->memory);
	old = dl->table;
	dl->table = table;
	install_views(dl);
	/* Marks that no log has taken yet: by GPA, into the new table's targets. */
	for (i = 0; i < old->nb_regions; i++) {
		if (!dl->logging || old->regions[i].staging == NULL)
			continue;
		for (j = 0; j < table->nb_regions; j++)
			dirtylog_view_move(old->regions[i].staging,
					view_wanted(dl, &table->regions[j]));
	}
	table_free(old);
	ret = 0;
unlock:
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

const struct dirtylog_memory *
dirtylog_memory(struct dirtylog *dl)
{
	const struct dirtylog_memory *memory;

	pthread_mutex_lock(&dl->lock);
	memory = dl->table->memory;
	pthread_mutex_unlock(&dl->lock);
	return memory;
}

struct dirtylog_bitmap *
dirtylog_region_bitmap(struct dirtylog *dl, uint32_t index)
{
	struct dirtylog_bitmap *bitmap = NULL;

	pthread_mutex_lock(&dl->lock);
	if (index < dl->table->nb_regions)
		bitmap = dl->table->regions[index].range->bitmap;
	pthread_mutex_unlock(&dl->lock);
	return bitmap;
}

struct dirtylog_bitmap *
dirtylog_find(struct dirtylog *dl, uint64_t gpa, uint64_t *offset)
{
	struct dirtylog_bitmap *bitmap = NULL;
	struct region *region;

	pthread_mutex_lock(&dl->lock);
	region = find_region(dl->table, gpa);
	if (region != NULL) {
		bitmap = region->range->bitmap;
		*offset = gpa - region->range->gpa;
	}
	pthread_mutex_unlock(&dl->lock);
	return bitmap;
}

/* What a region gets with a new log, before anything is changed. */
struct log_target {
	struct dirtylog_view *log;
	struct dirtylog_view *staging; /* the region's, or one made for it */
	bool direct;
};

static int
make_log_targets(struct dirtylog *dl, struct dirtylog_shm *log,
		struct log_target *targets)
{
	const struct table *table = dl->table;
	uint32_t i;
	int ret;

	for (i = 0; i < table->nb_regions; i++) {
		const struct region *region = &table->regions[i];

		targets[i].staging = region->staging;
		ret = make_log_view(log, region->range, &targets[i].log);
		if (ret == -ERANGE) {
			dl->stats.refused_logs++;
			DIRTYLOG_DIAG(ERR, "%s: a log of %" PRIu64 " bytes does not cover region %u"
					" (GPA 0x%" PRIx64 ", %" PRIu64 " bytes): refused",
					dl->name, log->len, i, region->range->gpa,
					region->range->len);
		}
		if (ret < 0)
			return ret;
		targets[i].direct = may_go_direct(dl, region->range, targets[i].log);
		if (!dl->logging || targets[i].direct || region->staging != NULL)
			continue;
		ret = dirtylog_view_create_staging(region->range->gpa, region->range->len,
				region->range->host, &targets[i].staging);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int
dirtylog_set_log(struct dirtylog *dl, struct dirtylog_shm *shm)
{
	struct log_target *targets;
	struct dirtylog_shm *old_log;
	struct table *table;
	uint32_t i;
	int ret = -ENOMEM;

	pthread_mutex_lock(&dl->lock);
	table = dl->table;
	targets = calloc(table->nb_regions + 1, sizeof(targets[0]));
	if (targets == NULL)
		goto unlock;
	ret = make_log_targets(dl, shm, targets);
	if (ret < 0) {
		for (i = 0; i < table->nb_regions; i++)
			if (targets[i].staging != table->regions[i].staging)
				dirtylog_view_free(targets[i].staging);
		goto free_places;
	}

	/* The last look at the old one. */
	check_truncation(dl);
	/* Each region's old view of the log goes into `targets`, for freeing. */
	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];
		struct dirtylog_view *old = region->log;

		region->log = targets[i].log;
		region->staging = targets[i].staging;
		region->direct = targets[i].direct;
		targets[i].log = old;
	}
	old_log = dl->log;
	dl->log = dirtylog_shm_ref(shm);
	dl->log_current = true;
	dl->truncation_reported = false;
	dl->stats.swaps++;
	install_views(dl);
	drain(dl);
	dirtylog_shm_unref(old_log);
free_places:
	for (i = 0; i < table->nb_regions; i++)
		dirtylog_view_free(targets[i].log);
	free(targets);
unlock:
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

int
dirtylog_suspend_log(struct dirtylog *dl)
{
	int ret = 0;

	pthread_mutex_lock(&dl->lock);
	if (dl->log_current) {
		dl->log_current = false;
		ret = make_staging(dl, dl->table);
		if (ret < 0)
			dl->log_current = true;
		else
			install_views(dl);
	}
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

/* Nobody harvests any more: no log, no staged marks. */
static void
forget_log(struct dirtylog *dl)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region *region = &dl->table->regions[i];

		dirtylog_view_free(region->log);
		dirtylog_view_free(region->staging);
		region->log = NULL;
		region->staging = NULL;
	}
	dirtylog_shm_unref(dl->log);
	dl->log = NULL;
	dl->log_current = false;
}

int
dirtylog_set_logging(struct dirtylog *dl, bool on)
{
	struct dirtylog_marker *marker;
	int ret = 0;

	pthread_mutex_lock(&dl->lock);
	if (on == dl->logging)
		goto unlock;
	dl->logging = on;
	if (on) {
		ret = make_staging(dl, dl->table);
		if (ret < 0) {
			dl->logging = false;
			goto unlock;
		}
		if (!dl->log_current)
			DIRTYLOG_DIAG(NOTICE, "%s: logging is on and there is no log:"
					" marks are kept until one comes", dl->name);
		install_views(dl);
		install_gates(dl);
	} else {
		/* The other way round: the last burst that logs finds a view. */
		install_gates(dl);
		for (marker = dl->markers; marker != NULL; marker = marker->next)
			mark_index(marker);
		drain(dl);
		install_views(dl);
		forget_log(dl);
	}
unlock:
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

int
dirtylog_reset(struct dirtylog *dl)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&dl->lock);
	if (all_closed(dl)) {
		dl->logging = false;
		forget_memory(dl);
		dl->memory_lost = false;
		table_clear(dl->table);
		forget_log(dl);
		direct_drainer(dl);
		ret = 0;
	}
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

static uint64_t
monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
dirty_rate(struct dirtylog *dl, uint64_t pages)
{
	uint64_t now = monotonic_ns();

	if (dl->rate.at != 0 && now - dl->rate.at < RATE_WINDOW_NS)
		return dl->rate.value;
	if (dl->rate.at != 0)
		dl->rate.value = (uint64_t)((double)(pages - dl->rate.pages) * 1e9 /
				(double)(now - dl->rate.at));
	dl->rate.at = now;
	dl->rate.pages = pages;
	return dl->rate.value;
}

void
dirtylog_get_stats(struct dirtylog *dl, struct dirtylog_stats *stats)
{
	const struct dirtylog_marker *marker;
	uint32_t i;

	pthread_mutex_lock(&dl->lock);
	/* Marks that go to the log directly come by no publish that would tell. */
	check_truncation(dl);
	check_memory(dl);
	*stats = dl->stats;
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		add_marker_stats(&stats->marks, &marker->stats);
	for (i = 0; i < dl->table->nb_regions && dl->logging; i++) {
		const struct region *region = &dl->table->regions[i];

		if (view_wanted(dl, region) == region->log)
			stats->regions_direct++;
		else
			stats->regions_staged++;
	}
	stats->dirty_pages_per_second = dirty_rate(dl,
			stats->marks.pages_dirtied + stats->pages_drained);
	stats->logging = dl->logging;
	pthread_mutex_unlock(&dl->lock);
}

int
dirtylog_get_queue_stats(struct dirtylog *dl, uint32_t index,
		struct dirtylog_marker_stats *stats)
{
	const struct dirtylog_marker *marker;

	memset(stats, 0, sizeof(*stats));
	pthread_mutex_lock(&dl->lock);
	for (marker = dl->markers; marker != NULL && index != 0; marker = marker->next)
		index--;
	if (marker != NULL)
		add_marker_stats(stats, &marker->stats);
	pthread_mutex_unlock(&dl->lock);
	return marker == NULL ? -ENOENT : 0;
}

void
dirtylog_dump(struct dirtylog *dl, FILE *stream)
{
	const struct dirtylog_marker *marker;
	unsigned int open = 0, closed = 0;
	uint32_t i = 0;

	pthread_mutex_lock(&dl->lock);
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		marker->gate == DIRTYLOG_GATE_CLOSED ? closed++ : open++;
	fprintf(stream, "%s: logging %s, %s, %u queues open, %u closed, %u regions\n",
			dl->name, dl->logging ? "on" : "off",
			dl->log == NULL ? "no log" :
			dl->log_current ? "log in use" : "log left",
			open, closed, dl->table->nb_regions);
	fprintf(stream, "  %" PRIu64 " swaps, %" PRIu64 " logs refused, %" PRIu64 " truncated, %"
			PRIu64 " drains of %" PRIu64 " pages, %" PRIu64 " regions refused, %"
			PRIu64 " truncated\n",
			dl->stats.swaps, dl->stats.refused_logs,
			dl->stats.truncated_logs, dl->stats.drains,
			dl->stats.pages_drained, dl->stats.refused_regions,
			dl->stats.truncated_regions);
	for (marker = dl->markers; marker != NULL; marker = marker->next) {
		struct dirtylog_marker_stats stats = { .marks = 0 };

		add_marker_stats(&stats, &marker->stats);
		fprintf(stream, "  queue %u: %s, %" PRIu64 " marks, %" PRIu64 " words tested, %"
				PRIu64 " written, %" PRIu64 " pages dirtied\n", i++,
				marker->gate == DIRTYLOG_GATE_CLOSED ? "closed" : "open",
				stats.marks, stats.words_tested, stats.words_written,
				stats.pages_dirtied);
	}
	for (i = 0; i < dl->table->nb_regions; i++) {
		struct region *region = &dl->table->regions[i];

		fprintf(stream, "  region %u: GPA 0x%" PRIx64 ", marks go to %s; ", i,
				region->range->gpa, !dl->logging ? "nowhere" :
				view_wanted(dl, region) == region->log ? "the log" : "staging");
		dirtylog_bitmap_dump(region->range->bitmap, stream);
	}
	pthread_mutex_unlock(&dl->lock);
}
