/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dirtylog.h"
#include "diag.h"
#include "numa_node.h"
#include "drainer.h"

#define DEFAULT_PUBLISH_US 1000

/* A dirty rate is measured over at least this time. */
#define RATE_WINDOW_NS 100000000

/*
 * A region, its bitmap, and the two places its marks can go to. Which of them
 * is the bitmap's view follows from the device's state: see view_wanted().
 */
struct region {
	struct dirtylog_region range;
	struct dirtylog_bitmap *bitmap;
	struct dirtylog_view *log;     /* NULL: no log, or it does not cover the region */
	struct dirtylog_view *staging; /* NULL: not needed so far */
	bool direct;                   /* the placement's answer, where there is a log */
};

/* A memory table. */
struct table {
	uint32_t nb_regions;
	struct region regions[];
};

struct dirtylog_device {
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
	struct dirtylog_device_options options;
	struct dirtylog_publisher publisher;
	struct dirtylog_device_stats stats; /* the device's own part */
	struct {
		uint64_t at;    /* nanoseconds, monotonic; 0: no sample yet */
		uint64_t pages; /* dirtied until then */
		uint64_t value; /* pages per second before that */
	} rate;
	bool truncation_told;
	char name[];
};

static struct dirtylog_view *
view_wanted(const struct dirtylog_device *device, const struct region *region)
{
	if (!device->logging)
		return NULL;
	return device->log_current && region->log != NULL && region->direct ?
			region->log : region->staging;
}

/* Whether marks of a region may go to its part of the log directly. */
static bool
may_go_direct(const struct dirtylog_device *device, const struct dirtylog_region *range,
		const struct dirtylog_view *log)
{
	/* To its last word: there may be no page behind. */
	uint64_t log_bytes = ((log->start + log->len - 1) / DIRTYLOG_WORD_SPAN + 1) *
			sizeof(uint64_t);
	int node;

	if (device->options.placement != DIRTYLOG_PLACEMENT_AUTO)
		return device->options.placement == DIRTYLOG_PLACEMENT_DIRECT;
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
		dirtylog_bitmap_exchange(region->bitmap, NULL);
		dirtylog_bitmap_unref(region->bitmap);
		dirtylog_view_free(region->log);
		dirtylog_view_free(region->staging);
	}
	table->nb_regions = 0;
}

static void
table_free(struct table *table)
{
	table_clear(table);
	free(table);
}

/* Give every region whose marks would have no place a staging view. */
static int
make_staging(struct dirtylog_device *device, struct table *table)
{
	uint32_t i;
	int ret;

	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];

		if (!device->logging || view_wanted(device, region) != NULL)
			continue;
		ret = dirtylog_view_create_staging(region->range.gpa, region->range.len,
				region->range.host, &region->staging);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Tell, once for each log, that its owner has truncated it. */
static void
check_truncation(struct dirtylog_device *device)
{
	if (device->log == NULL || device->truncation_told ||
			!dirtylog_shm_truncated(device->log))
		return;
	device->truncation_told = true;
	device->stats.truncated_logs++;
	DIRTYLOG_LOG(ERR, "%s: the front-end has truncated its log of %" PRIu64
			" bytes while it is in use: marks are lost, and pages with them",
			device->name, device->log->len);
}

/*
 * Put what is staged into the log given last. If that one was left, the marks
 * stay staged too: the front-end may still read it, or may bring another.
 */
static void
publish(struct dirtylog_device *device)
{
	bool published = false;
	uint32_t i;

	for (i = 0; i < device->table->nb_regions; i++) {
		struct region *region = &device->table->regions[i];

		if (region->staging == NULL || region->log == NULL)
			continue;
		published = true;
		if (device->log_current)
			device->stats.pages_published +=
				dirtylog_view_move(region->staging, region->log);
		else
			dirtylog_view_copy(region->staging, region->log);
	}
	device->stats.publishes += published;
	check_truncation(device);
}

static void
publish_periodically(void *ctx)
{
	struct dirtylog_device *device = ctx;

	pthread_mutex_lock(&device->lock);
	publish(device);
	pthread_mutex_unlock(&device->lock);
}

/* Have the publisher run while marks are staged that a log waits for. */
static void
direct_publisher(struct dirtylog_device *device)
{
	uint32_t period_us = 0, i;
	int ret;

	for (i = 0; i < device->table->nb_regions; i++)
		if (device->logging && device->log_current &&
				device->table->regions[i].log != NULL &&
				!device->table->regions[i].direct)
			period_us = device->options.publish_us != 0 ?
					device->options.publish_us : DEFAULT_PUBLISH_US;
	ret = dirtylog_publisher_set_period(&device->publisher, period_us);
	if (ret < 0)
		DIRTYLOG_LOG(WARNING, "%s: no thread to publish staged marks (%s):"
				" they are published when a queue stops", device->name,
				strerror(-ret));
}

/*
 * Make what the device's state says true for every burst. Each function
 * returns after the last burst that went by the old state.
 */
static void
install_views(struct dirtylog_device *device)
{
	uint32_t i;

	for (i = 0; i < device->table->nb_regions; i++) {
		struct region *region = &device->table->regions[i];

		dirtylog_bitmap_exchange(region->bitmap, view_wanted(device, region));
	}
	dirtylog_epoch_sync(&device->epoch);
	direct_publisher(device);
}

static void
install_gates(struct dirtylog_device *device)
{
	struct dirtylog_marker *marker;

	for (marker = device->markers; marker != NULL; marker = marker->next)
		if (marker->gate != DIRTYLOG_GATE_CLOSED)
			/* Release: a burst that logs finds the views in place. */
			__atomic_store_n(&marker->gate, device->logging ?
					DIRTYLOG_GATE_LOGGING : DIRTYLOG_GATE_OPEN,
					__ATOMIC_RELEASE);
	dirtylog_epoch_sync(&device->epoch);
}

static struct region *
find_region(struct table *table, uint64_t gpa)
{
	uint32_t i;

	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];

		if (gpa - region->range.gpa < region->range.len)
			return region;
	}
	return NULL;
}

int
dirtylog_device_create(const char *name, struct dirtylog_device **out)
{
	struct dirtylog_device *device = calloc(1, sizeof(*device) + strlen(name) + 1);

	if (device == NULL)
		return -ENOMEM;
	device->table = calloc(1, sizeof(*device->table));
	if (device->table == NULL)
		goto free_device;
	if (pthread_mutex_init(&device->lock, NULL) != 0)
		goto free_table;
	if (dirtylog_epoch_init(&device->epoch) < 0)
		goto destroy_lock;
	if (dirtylog_publisher_init(&device->publisher, publish_periodically, device) < 0)
		goto fini_epoch;
	strcpy(device->name, name);
	*out = device;
	return 0;
fini_epoch:
	dirtylog_epoch_fini(&device->epoch);
destroy_lock:
	pthread_mutex_destroy(&device->lock);
free_table:
	free(device->table);
free_device:
	free(device);
	return -ENOMEM;
}

int
dirtylog_device_configure(struct dirtylog_device *device,
		const struct dirtylog_device_options *options)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&device->lock);
	if (device->table->nb_regions == 0) {
		device->options = *options;
		ret = 0;
	}
	pthread_mutex_unlock(&device->lock);
	return ret;
}

void
dirtylog_device_destroy(struct dirtylog_device *device)
{
	if (device == NULL)
		return;
	dirtylog_publisher_fini(&device->publisher);
	table_free(device->table);
	dirtylog_shm_unref(device->log);
	dirtylog_epoch_fini(&device->epoch);
	pthread_mutex_destroy(&device->lock);
	free(device);
}

void
dirtylog_device_add_queue(struct dirtylog_device *device, struct dirtylog_marker *marker)
{
	struct dirtylog_marker **link;

	pthread_mutex_lock(&device->lock);
	dirtylog_marker_init(marker, &device->epoch);
	for (link = &device->markers; *link != NULL; link = &(*link)->next)
		;
	*link = marker;
	pthread_mutex_unlock(&device->lock);
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
close_locked(struct dirtylog_device *device, struct dirtylog_marker *marker)
{
	if (marker->gate == DIRTYLOG_GATE_CLOSED)
		return;
	dirtylog_marker_set_gate(marker, &device->epoch, DIRTYLOG_GATE_CLOSED);
	/* The queue's fields are ours now. */
	mark_index(marker);
	marker->index_pending = false;
	marker->index_bitmap = NULL;
	publish(device);
}

void
dirtylog_device_close(struct dirtylog_device *device, struct dirtylog_marker *marker)
{
	pthread_mutex_lock(&device->lock);
	close_locked(device, marker);
	pthread_mutex_unlock(&device->lock);
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
dirtylog_device_remove_queue(struct dirtylog_device *device, struct dirtylog_marker *marker)
{
	struct dirtylog_marker **link;

	pthread_mutex_lock(&device->lock);
	close_locked(device, marker);
	for (link = &device->markers; *link != NULL; link = &(*link)->next) {
		if (*link == marker) {
			*link = marker->next;
			add_marker_stats(&device->stats.marks, &marker->stats);
			dirtylog_marker_fini(marker, &device->epoch);
			break;
		}
	}
	pthread_mutex_unlock(&device->lock);
}

int
dirtylog_device_open(struct dirtylog_device *device, struct dirtylog_marker *marker,
		uint64_t index_gpa)
{
	struct region *region;
	int ret = 0;

	pthread_mutex_lock(&device->lock);
	if (marker->gate != DIRTYLOG_GATE_CLOSED) {
		ret = -EBUSY; /* its bursts use the fields below */
		goto unlock;
	}
	marker->index_bitmap = NULL;
	if (index_gpa != DIRTYLOG_NO_GPA) {
		region = find_region(device->table, index_gpa);
		if (region == NULL) {
			ret = -EFAULT;
			goto unlock;
		}
		marker->index_bitmap = region->bitmap;
		marker->index_offset = index_gpa - region->range.gpa;
	}
	/* Release: what the caller prepared for the queue is seen by its first burst. */
	__atomic_store_n(&marker->gate, device->logging ? DIRTYLOG_GATE_LOGGING :
			DIRTYLOG_GATE_OPEN, __ATOMIC_RELEASE);
unlock:
	pthread_mutex_unlock(&device->lock);
	return ret;
}

int
dirtylog_device_mark(struct dirtylog_device *device, uint64_t gpa, uint64_t len)
{
	struct region *region;

	pthread_mutex_lock(&device->lock);
	region = find_region(device->table, gpa);
	/* The view is changed under the lock only. */
	if (region != NULL && region->bitmap->view != NULL)
		dirtylog_view_mark(region->bitmap->view, gpa - region->range.gpa, len);
	pthread_mutex_unlock(&device->lock);
	return region == NULL ? -EFAULT : 0;
}

static bool
all_closed(const struct dirtylog_device *device)
{
	const struct dirtylog_marker *marker;

	for (marker = device->markers; marker != NULL; marker = marker->next)
		if (marker->gate != DIRTYLOG_GATE_CLOSED)
			return false;
	return true;
}

void
dirtylog_device_wait(struct dirtylog_device *device)
{
	dirtylog_epoch_sync(&device->epoch);
}

bool
dirtylog_device_stopped(struct dirtylog_device *device)
{
	bool stopped;

	pthread_mutex_lock(&device->lock);
	stopped = all_closed(device);
	pthread_mutex_unlock(&device->lock);
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

static int
table_create(struct dirtylog_device *device, const struct dirtylog_region *ranges,
		uint32_t nb_regions, struct table **out)
{
	struct table *table = calloc(1, sizeof(*table) + nb_regions * sizeof(table->regions[0]));
	unsigned int told = 0;
	uint32_t i;
	int ret = -ENOMEM;

	if (table == NULL)
		return ret;
	for (i = 0; i < nb_regions; i++) {
		struct region *region = &table->regions[i];

		if (ranges[i].gpa + (ranges[i].len - 1) < ranges[i].gpa) {
			ret = ranges[i].len == 0 ? -EINVAL : -EOVERFLOW;
			goto fail;
		}
		region->range = ranges[i];
		ret = dirtylog_bitmap_create(&device->epoch, ranges[i].len, &region->bitmap);
		if (ret < 0)
			goto fail;
		table->nb_regions++;
		if (device->log == NULL)
			continue;
		ret = make_log_view(device->log, &ranges[i], &region->log);
		if (ret == -ERANGE && !told++)
			DIRTYLOG_LOG(WARNING, "%s: region %u (GPA 0x%" PRIx64 ", %" PRIu64
					" bytes) is beyond the log of %" PRIu64
					" bytes: marks are kept until a larger log comes, and"
					" so they are for other such regions",
					device->name, i, ranges[i].gpa, ranges[i].len,
					device->log->len);
		if (ret < 0 && ret != -ERANGE)
			goto fail;
		if (ret == 0)
			region->direct = may_go_direct(device, &ranges[i], region->log);
	}
	ret = make_staging(device, table);
	if (ret < 0)
		goto fail;
	*out = table;
	return 0;
fail:
	table_free(table);
	return ret;
}

int
dirtylog_device_set_regions(struct dirtylog_device *device,
		const struct dirtylog_region *ranges, uint32_t nb_regions)
{
	struct table *table, *old;
	uint32_t i, j;
	int ret;

	if (nb_regions > DIRTYLOG_MAX_REGIONS)
		return -E2BIG;
	pthread_mutex_lock(&device->lock);
	ret = -EBUSY;
	if (!all_closed(device))
		goto unlock;
	ret = table_create(device, ranges, nb_regions, &table);
	if (ret < 0)
		goto unlock;
	old = device->table;
	device->table = table;
	install_views(device);
	/* Marks that no log has taken yet: by GPA, into the new table's places. */
	for (i = 0; i < old->nb_regions; i++) {
		if (!device->logging || old->regions[i].staging == NULL)
			continue;
		for (j = 0; j < table->nb_regions; j++)
			dirtylog_view_move(old->regions[i].staging,
					view_wanted(device, &table->regions[j]));
	}
	table_free(old);
	ret = 0;
unlock:
	pthread_mutex_unlock(&device->lock);
	return ret;
}

struct dirtylog_bitmap *
dirtylog_device_bitmap(struct dirtylog_device *device, uint32_t index)
{
	struct dirtylog_bitmap *bitmap = NULL;

	pthread_mutex_lock(&device->lock);
	if (index < device->table->nb_regions)
		bitmap = device->table->regions[index].bitmap;
	pthread_mutex_unlock(&device->lock);
	return bitmap;
}

struct dirtylog_bitmap *
dirtylog_device_find(struct dirtylog_device *device, uint64_t gpa, uint64_t *offset)
{
	struct dirtylog_bitmap *bitmap = NULL;
	struct region *region;

	pthread_mutex_lock(&device->lock);
	region = find_region(device->table, gpa);
	if (region != NULL) {
		bitmap = region->bitmap;
		*offset = gpa - region->range.gpa;
	}
	pthread_mutex_unlock(&device->lock);
	return bitmap;
}

/* What a region gets with a new log, before anything is changed. */
struct log_place {
	struct dirtylog_view *log;
	struct dirtylog_view *staging; /* the region's, or one made for it */
	bool direct;
};

static int
make_log_places(struct dirtylog_device *device, struct dirtylog_shm *log,
		struct log_place *places)
{
	const struct table *table = device->table;
	uint32_t i;
	int ret;

	for (i = 0; i < table->nb_regions; i++) {
		const struct region *region = &table->regions[i];

		places[i].staging = region->staging;
		ret = make_log_view(log, &region->range, &places[i].log);
		if (ret == -ERANGE) {
			device->stats.refused_logs++;
			DIRTYLOG_LOG(ERR, "%s: a log of %" PRIu64 " bytes does not cover region %u"
					" (GPA 0x%" PRIx64 ", %" PRIu64 " bytes): refused",
					device->name, log->len, i, region->range.gpa,
					region->range.len);
		}
		if (ret < 0)
			return ret;
		places[i].direct = may_go_direct(device, &region->range, places[i].log);
		if (!device->logging || places[i].direct || region->staging != NULL)
			continue;
		ret = dirtylog_view_create_staging(region->range.gpa, region->range.len,
				region->range.host, &places[i].staging);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int
dirtylog_device_set_log(struct dirtylog_device *device, struct dirtylog_shm *shm)
{
	struct log_place *places;
	struct dirtylog_shm *old_log;
	struct table *table;
	uint32_t i;
	int ret = -ENOMEM;

	pthread_mutex_lock(&device->lock);
	table = device->table;
	places = calloc(table->nb_regions + 1, sizeof(places[0]));
	if (places == NULL)
		goto unlock;
	ret = make_log_places(device, shm, places);
	if (ret < 0) {
		for (i = 0; i < table->nb_regions; i++)
			if (places[i].staging != table->regions[i].staging)
				dirtylog_view_free(places[i].staging);
		goto free_places;
	}

	/* The last look at the old one. */
	check_truncation(device);
	/* Each region's old view of the log goes into `places`, for freeing. */
	for (i = 0; i < table->nb_regions; i++) {
		struct region *region = &table->regions[i];
		struct dirtylog_view *old = region->log;

		region->log = places[i].log;
		region->staging = places[i].staging;
		region->direct = places[i].direct;
		places[i].log = old;
	}
	old_log = device->log;
	device->log = dirtylog_shm_ref(shm);
	device->log_current = true;
	device->truncation_told = false;
	device->stats.swaps++;
	install_views(device);
	publish(device);
	dirtylog_shm_unref(old_log);
free_places:
	for (i = 0; i < table->nb_regions; i++)
		dirtylog_view_free(places[i].log);
	free(places);
unlock:
	pthread_mutex_unlock(&device->lock);
	return ret;
}

int
dirtylog_device_leave_log(struct dirtylog_device *device)
{
	int ret = 0;

	pthread_mutex_lock(&device->lock);
	if (device->log_current) {
		device->log_current = false;
		ret = make_staging(device, device->table);
		if (ret < 0)
			device->log_current = true;
		else
			install_views(device);
	}
	pthread_mutex_unlock(&device->lock);
	return ret;
}

/* Nobody harvests any more: no log, no staged marks. */
static void
forget_log(struct dirtylog_device *device)
{
	uint32_t i;

	for (i = 0; i < device->table->nb_regions; i++) {
		struct region *region = &device->table->regions[i];

		dirtylog_view_free(region->log);
		dirtylog_view_free(region->staging);
		region->log = NULL;
		region->staging = NULL;
	}
	dirtylog_shm_unref(device->log);
	device->log = NULL;
	device->log_current = false;
}

int
dirtylog_device_set_logging(struct dirtylog_device *device, bool on)
{
	struct dirtylog_marker *marker;
	int ret = 0;

	pthread_mutex_lock(&device->lock);
	if (on == device->logging)
		goto unlock;
	device->logging = on;
	if (on) {
		ret = make_staging(device, device->table);
		if (ret < 0) {
			device->logging = false;
			goto unlock;
		}
		if (!device->log_current)
			DIRTYLOG_LOG(NOTICE, "%s: logging is on and there is no log:"
					" marks are kept until one comes", device->name);
		install_views(device);
		install_gates(device);
	} else {
		/* The other way round: the last burst that logs finds a view. */
		install_gates(device);
		for (marker = device->markers; marker != NULL; marker = marker->next)
			mark_index(marker);
		publish(device);
		install_views(device);
		forget_log(device);
	}
unlock:
	pthread_mutex_unlock(&device->lock);
	return ret;
}

int
dirtylog_device_reset(struct dirtylog_device *device)
{
	int ret = -EBUSY;

	pthread_mutex_lock(&device->lock);
	if (all_closed(device)) {
		device->logging = false;
		table_clear(device->table);
		forget_log(device);
		direct_publisher(device);
		ret = 0;
	}
	pthread_mutex_unlock(&device->lock);
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
dirty_rate(struct dirtylog_device *device, uint64_t pages)
{
	uint64_t now = monotonic_ns();

	if (device->rate.at != 0 && now - device->rate.at < RATE_WINDOW_NS)
		return device->rate.value;
	if (device->rate.at != 0)
		device->rate.value = (uint64_t)((double)(pages - device->rate.pages) * 1e9 /
				(double)(now - device->rate.at));
	device->rate.at = now;
	device->rate.pages = pages;
	return device->rate.value;
}

void
dirtylog_device_get_stats(struct dirtylog_device *device, struct dirtylog_device_stats *stats)
{
	const struct dirtylog_marker *marker;
	uint32_t i;

	pthread_mutex_lock(&device->lock);
	/* Marks that go to the log directly come by no publish that would tell. */
	check_truncation(device);
	*stats = device->stats;
	for (marker = device->markers; marker != NULL; marker = marker->next)
		add_marker_stats(&stats->marks, &marker->stats);
	for (i = 0; i < device->table->nb_regions && device->logging; i++) {
		const struct region *region = &device->table->regions[i];

		if (view_wanted(device, region) == region->log)
			stats->regions_direct++;
		else
			stats->regions_staged++;
	}
	stats->dirty_pages_per_second = dirty_rate(device,
			stats->marks.pages_dirtied + stats->pages_published);
	stats->logging = device->logging;
	pthread_mutex_unlock(&device->lock);
}

int
dirtylog_device_get_queue_stats(struct dirtylog_device *device, uint32_t index,
		struct dirtylog_marker_stats *stats)
{
	const struct dirtylog_marker *marker;

	memset(stats, 0, sizeof(*stats));
	pthread_mutex_lock(&device->lock);
	for (marker = device->markers; marker != NULL && index != 0; marker = marker->next)
		index--;
	if (marker != NULL)
		add_marker_stats(stats, &marker->stats);
	pthread_mutex_unlock(&device->lock);
	return marker == NULL ? -ENOENT : 0;
}

void
dirtylog_device_dump(struct dirtylog_device *device, FILE *stream)
{
	const struct dirtylog_marker *marker;
	unsigned int open = 0, closed = 0;
	uint32_t i = 0;

	pthread_mutex_lock(&device->lock);
	for (marker = device->markers; marker != NULL; marker = marker->next)
		marker->gate == DIRTYLOG_GATE_CLOSED ? closed++ : open++;
	fprintf(stream, "%s: logging %s, %s, %u queues open, %u closed, %u regions\n",
			device->name, device->logging ? "on" : "off",
			device->log == NULL ? "no log" :
			device->log_current ? "log in use" : "log left",
			open, closed, device->table->nb_regions);
	fprintf(stream, "  %" PRIu64 " swaps, %" PRIu64 " logs refused, %" PRIu64 " truncated, %"
			PRIu64 " publishes of %" PRIu64 " pages\n",
			device->stats.swaps, device->stats.refused_logs,
			device->stats.truncated_logs, device->stats.publishes,
			device->stats.pages_published);
	for (marker = device->markers; marker != NULL; marker = marker->next) {
		struct dirtylog_marker_stats stats = { .marks = 0 };

		add_marker_stats(&stats, &marker->stats);
		fprintf(stream, "  queue %u: %s, %" PRIu64 " marks, %" PRIu64 " words tested, %"
				PRIu64 " written, %" PRIu64 " pages dirtied\n", i++,
				marker->gate == DIRTYLOG_GATE_CLOSED ? "closed" : "open",
				stats.marks, stats.words_tested, stats.words_written,
				stats.pages_dirtied);
	}
	for (i = 0; i < device->table->nb_regions; i++) {
		struct region *region = &device->table->regions[i];

		fprintf(stream, "  region %u: GPA 0x%" PRIx64 ", marks go to %s; ", i,
				region->range.gpa, !device->logging ? "nowhere" :
				view_wanted(device, region) == region->log ? "the log" : "staging");
		dirtylog_bitmap_dump(region->bitmap, stream);
	}
	pthread_mutex_unlock(&device->lock);
}
