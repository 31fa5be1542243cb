/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The memory table: made and cleared; looked up in; guarded against a front-end
 * that takes memory away; limited in its size; and put in place of the one
 * before, with the marks that no log has taken yet.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_common.h>

#include "bitmap.h"
#include "diag.h"
#include "dirtylog_pvt.h"
#include "marker.h"
#include "regions.h"
#include "shm.h"
#include "views.h"

/* ---- one table ---- */

/* Room for a table of so many regions, with none. */
static struct memory_table *
table_alloc(uint32_t nb_regions)
{
	struct memory_table *table = calloc(1,
			sizeof(*table) + nb_regions * sizeof(table->views[0]));

	if (table == NULL || nb_regions == 0)
		return table;
	table->memory = calloc(1,
			sizeof(*table->memory) + nb_regions * sizeof(table->memory->regions[0]));
	if (table->memory == NULL) {
		free(table);
		return NULL;
	}
	table->memory->nb_regions = nb_regions;
	return table;
}

static void
table_clear(struct memory_table *table)
{
	uint32_t i;

	for (i = 0; i < table->nb_regions; i++) {
		struct region_views *views = &table->views[i];

		dirtylog_view_free(views->log);
		dirtylog_view_free(views->staging);
	}
	table->nb_regions = 0;
	free(table->memory);
	table->memory = NULL;
}

static void
table_free(struct memory_table *table)
{
	table_clear(table);
	free(table);
}

int
dirtylog_regions_init(struct dirtylog *dl)
{
	dl->table = table_alloc(0);
	return dl->table == NULL ? -ENOMEM : 0;
}

void
dirtylog_regions_fini(struct dirtylog *dl)
{
	dirtylog_memory_guard_free(dl->memory_guard);
	table_free(dl->table);
}

const struct dirtylog_region *
dirtylog_regions_find(const struct dirtylog *dl, uint64_t gpa)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		const struct dirtylog_region *region = dl->table->views[i].region;

		if (gpa - region->gpa < region->len)
			return region;
	}
	return NULL;
}

/* ---- memory that is taken away ---- */

void
dirtylog_regions_check_lost(struct dirtylog *dl)
{
	uint32_t nb_lost = dirtylog_memory_guard_losses(dl->memory_guard, dl->name);
	struct dirtylog_marker *marker;

	if (nb_lost == 0)
		return;
	dl->stats.truncated_regions += nb_lost;
	dl->memory_lost = true;
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		dirtylog_views_close_queue(dl, marker);
}

bool
dirtylog_memory_lost(struct dirtylog *dl)
{
	bool lost;

	pthread_mutex_lock(&dl->lock);
	dirtylog_regions_check_lost(dl);
	lost = dl->memory_lost;
	pthread_mutex_unlock(&dl->lock);
	return lost;
}

static int
forget_memory(struct dirtylog *dl)
{
	int ret;

	dirtylog_regions_check_lost(dl);
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
dirtylog_regions_clear(struct dirtylog *dl)
{
	forget_memory(dl);
	dl->memory_lost = false;
	table_clear(dl->table);
}

/* ---- its size ---- */

/* What a device may name: promised memory costs bitmaps, whether it is there or not. */
static uint64_t
max_memory(const struct dirtylog *dl)
{
	if (dl->options.max_memory != 0)
		return dl->options.max_memory;
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int
check_sizes(struct dirtylog *dl, const struct dirtylog_region *regions, uint32_t nb_regions)
{
	uint64_t max = max_memory(dl), total = 0;
	uint32_t i, nb_refused = 0;

	for (i = 0; i < nb_regions; i++) {
		if (regions[i].gpa + (regions[i].len - 1) < regions[i].gpa)
			return 0; /* refused for that */
		total = regions[i].len > UINT64_MAX - total ? UINT64_MAX : total + regions[i].len;
		nb_refused += total > max;
	}
	if (nb_refused == 0)
		return 0;
	dl->stats.refused_regions += nb_refused;
	DIRTYLOG_DIAG(ERR,
			"%s: %" PRIu64 " MiB of guest memory in %u regions, but %" PRIu64
			" MiB are what a device may have: refused",
			dl->name, total >> 20, nb_regions, max >> 20);
	return -EFBIG;
}

int
dirtylog_check_regions(struct dirtylog *dl, const struct dirtylog_region *regions,
		uint32_t nb_regions)
{
	int ret;

	pthread_mutex_lock(&dl->lock);
	ret = check_sizes(dl, regions, nb_regions);
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

/* ---- a new one ---- */

/* Add the next region. Returns 0 or an errno. */
static int
add_region(struct memory_table *table, const struct dirtylog_region *region)
{
	uint32_t index = table->nb_regions;
	struct dirtylog_region *added = &table->memory->regions[index];

	if (region->gpa + (region->len - 1) < region->gpa)
		return region->len == 0 ? -EINVAL : -EOVERFLOW;
	*added = *region;
	added->bitmap = &table->views[index].bitmap;
	table->views[index].region = added;
	table->nb_regions++;
	return 0;
}

/* Give the regions of a new table their parts of the log, as far as it goes. */
static int
look_at_log(struct dirtylog *dl, struct memory_table *table)
{
	bool told = false;
	uint32_t i;

	for (i = 0; i < table->nb_regions && dl->log != NULL; i++) {
		struct region_views *views = &table->views[i];
		int ret = dirtylog_views_on_log(dl, dl->log, views->region, &views->log,
				&views->direct);

		if (ret == -ERANGE && !told)
			DIRTYLOG_DIAG(WARNING,
					"%s: region %u (GPA 0x%" PRIx64 ", %" PRIu64
					" bytes) is beyond the log of %" PRIu64
					" bytes: marks are kept until a larger log comes, and"
					" so they are for other such regions",
					dl->name, i, views->region->gpa, views->region->len,
					dl->log->len);
		told |= ret == -ERANGE;
		if (ret < 0 && ret != -ERANGE)
			return ret;
	}
	return 0;
}

static int
table_create(struct dirtylog *dl, const struct dirtylog_region *regions, uint32_t nb_regions,
		struct memory_table **out)
{
	struct memory_table *table = table_alloc(nb_regions);
	uint32_t i;
	int ret = 0;

	if (table == NULL)
		return -ENOMEM;
	for (i = 0; i < nb_regions && ret == 0; i++)
		ret = add_region(table, &regions[i]);
	if (ret == 0)
		ret = look_at_log(dl, table);
	if (ret == 0)
		ret = dirtylog_views_make_staging(dl, table);
	if (ret < 0)
		table_free(table);
	else
		*out = table;
	return ret;
}

/* Marks that no log has taken yet: by GPA, into the targets of the table in force. */
static void
move_staged(struct dirtylog *dl, const struct memory_table *old)
{
	uint32_t i, j;

	for (i = 0; i < old->nb_regions; i++) {
		if (!dl->logging || old->views[i].staging == NULL)
			continue;
		for (j = 0; j < dl->table->nb_regions; j++)
			dirtylog_view_move(old->views[i].staging,
					dirtylog_views_wanted(dl, &dl->table->views[j]));
	}
}

/* The end of the range from `gpa` on, up to `end`, that is in the table, or is not. */
static uint64_t
range_end(const struct dirtylog_memory *memory, uint64_t gpa, uint64_t end, bool *inside)
{
	uint32_t i;

	*inside = false;
	for (i = 0; memory != NULL && i < memory->nb_regions; i++) {
		const struct dirtylog_region *region = &memory->regions[i];

		if (gpa - region->gpa < region->len) {
			*inside = true;
			return RTE_MIN(end, region->gpa + region->len);
		}
		if (region->gpa > gpa)
			end = RTE_MIN(end, region->gpa);
	}
	return end;
}

/*
 * Memory that goes takes its staged marks along, if no log has come that could
 * take them. Then all of memory is marked in the next log, and all that comes
 * later: it may be the same again.
 */
static void
note_dropped_marks(struct dirtylog *dl, const struct memory_table *old)
{
	uint32_t i;
	bool inside;

	for (i = 0; i < old->nb_regions && dl->logging && !dl->log_current; i++) {
		const struct dirtylog_region *region = old->views[i].region;
		uint64_t at = region->gpa, end = at + region->len;

		for (inside = true; inside && at != end;)
			at = range_end(dl->table->memory, at, end, &inside);
		if (old->views[i].staging != NULL && !inside) {
			dl->marks_dropped = true;
			dl->mark_all = true;
		}
	}
}

/* See note_dropped_marks(). */
static void
mark_new_memory(struct dirtylog *dl, const struct dirtylog_memory *old)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions && dl->marks_dropped; i++) {
		const struct region_views *views = &dl->table->views[i];
		uint64_t gpa = views->region->gpa, end = gpa + views->region->len, next;
		bool inside;

		for (; gpa != end; gpa = next) {
			next = range_end(old, gpa, end, &inside);
			if (!inside)
				dirtylog_views_mark(dl, views, gpa - views->region->gpa,
						next - gpa);
		}
	}
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

/* Put a table, with its guard, in place of the one before. */
static void
change_table(struct dirtylog *dl, struct memory_table *table, struct dirtylog_memory_guard *guard)
{
	struct memory_table *old = dl->table;

	forget_memory(dl);
	dl->memory_guard = guard;
	dl->memory_lost &= same_memory(old->memory, table->memory);
	dl->table = table;
	dirtylog_views_install(dl);
	move_staged(dl, old);
	note_dropped_marks(dl, old);
	mark_new_memory(dl, old->memory);
	table_free(old);
}

static int
set_regions_locked(struct dirtylog *dl, const struct dirtylog_region *regions, uint32_t nb_regions)
{
	struct dirtylog_memory_guard *guard;
	struct memory_table *table;
	int ret;

	if (!dirtylog_markers_closed(dl->markers))
		return -EBUSY;
	ret = check_sizes(dl, regions, nb_regions);
	if (ret < 0)
		return ret;
	ret = table_create(dl, regions, nb_regions, &table);
	if (ret < 0)
		return ret;
	ret = dirtylog_memory_guard_create(table->memory, &guard);
	if (ret < 0)
		table_free(table);
	else
		change_table(dl, table, guard);
	return ret;
}

int
dirtylog_set_regions(struct dirtylog *dl, const struct dirtylog_region *regions,
		uint32_t nb_regions)
{
	int ret;

	if (nb_regions > DIRTYLOG_MAX_REGIONS)
		return -E2BIG;
	pthread_mutex_lock(&dl->lock);
	ret = set_regions_locked(dl, regions, nb_regions);
	pthread_mutex_unlock(&dl->lock);
	return ret;
}

/* ---- what users ask ---- */

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
dirtylog_find(struct dirtylog *dl, uint64_t gpa, uint64_t *offset)
{
	struct dirtylog_bitmap *bitmap = NULL;
	const struct dirtylog_region *region;

	pthread_mutex_lock(&dl->lock);
	region = dirtylog_regions_find(dl, gpa);
	if (region != NULL) {
		bitmap = region->bitmap;
		*offset = gpa - region->gpa;
	}
	pthread_mutex_unlock(&dl->lock);
	return bitmap;
}

int
dirtylog_mark_gpa(struct dirtylog *dl, uint64_t gpa, uint64_t len)
{
	const struct dirtylog_region *region;
	int ret = -EFAULT;
	uint64_t n;

	pthread_mutex_lock(&dl->lock);
	/* Regions may follow each other. The views are changed under the lock only. */
	while ((region = dirtylog_regions_find(dl, gpa)) != NULL) {
		ret = 0;
		n = RTE_MIN(len, region->len - (gpa - region->gpa));
		if (region->bitmap->view != NULL)
			dirtylog_view_mark(region->bitmap->view, gpa - region->gpa, n);
		gpa += n;
		len -= n;
		if (len == 0)
			break;
	}
	pthread_mutex_unlock(&dl->lock);
	return ret;
}
