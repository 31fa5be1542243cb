/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What there is to see of a dirtylog: its counters, with the rate at which
 * pages become dirty; one queue's counters; a description of the state.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "bitmap.h"
#include "dirtylog_pvt.h"
#include "marker.h"
#include "regions.h"
#include "shm.h"
#include "views.h"

/* A dirty rate is measured over at least this time. */
#define RATE_WINDOW_NS 100000000

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
dirtylog_count_refused_log(struct dirtylog *dl)
{
	pthread_mutex_lock(&dl->lock);
	dl->stats.refused_logs++;
	pthread_mutex_unlock(&dl->lock);
}

void
dirtylog_get_stats(struct dirtylog *dl, struct dirtylog_stats *stats)
{
	const struct dirtylog_marker *marker;
	uint32_t i;

	pthread_mutex_lock(&dl->lock);
	/* Marks that go to the log directly come by no drain that would tell. */
	dirtylog_views_check_truncation(dl);
	dirtylog_regions_check_lost(dl);
	*stats = dl->stats;
	for (marker = dl->markers; marker != NULL; marker = marker->next)
		dirtylog_marker_add_stats(marker, &stats->marks);
	for (i = 0; i < dl->table->nb_regions && dl->logging; i++) {
		const struct region_views *views = &dl->table->views[i];

		if (dirtylog_views_wanted(dl, views) == views->log)
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
dirtylog_get_queue_stats(struct dirtylog *dl, uint32_t index, struct dirtylog_marker_stats *stats)
{
	const struct dirtylog_marker *marker;

	memset(stats, 0, sizeof(*stats));
	pthread_mutex_lock(&dl->lock);
	for (marker = dl->markers; marker != NULL && index != 0; marker = marker->next)
		index--;
	if (marker != NULL)
		dirtylog_marker_add_stats(marker, stats);
	pthread_mutex_unlock(&dl->lock);
	return marker == NULL ? -ENOENT : 0;
}

static void
dump_state(const struct dirtylog *dl, FILE *stream)
{
	const struct dirtylog_marker *marker;
	unsigned int open = 0, closed = 0;

	for (marker = dl->markers; marker != NULL; marker = marker->next)
		dirtylog_marker_gate(marker) == DIRTYLOG_GATE_CLOSED ? closed++ : open++;
	fprintf(stream, "%s: logging %s, %s, %u queues open, %u closed, %u regions\n", dl->name,
			dl->logging ? "on" : "off",
			dl->log == NULL                 ? "no log" :
					dl->log_current ? "log in use" :
							  "log left",
			open, closed, dl->table->nb_regions);
	fprintf(stream,
			"  %" PRIu64 " swaps, %" PRIu64 " logs refused, %" PRIu64
			" truncated, %" PRIu64 " drains of %" PRIu64 " pages\n",
			dl->stats.swaps, dl->stats.refused_logs, dl->stats.truncated_logs,
			dl->stats.drains, dl->stats.pages_drained);
}

static void
dump_queues(const struct dirtylog *dl, FILE *stream)
{
	const struct dirtylog_marker *marker;
	uint32_t i = 0;

	for (marker = dl->markers; marker != NULL; marker = marker->next) {
		struct dirtylog_marker_stats stats = { .marks = 0 };

		dirtylog_marker_add_stats(marker, &stats);
		fprintf(stream,
				"  queue %u: %s, %" PRIu64 " marks, %" PRIu64
				" words tested, %" PRIu64 " written, %" PRIu64 " pages dirtied\n",
				i++,
				dirtylog_marker_gate(marker) == DIRTYLOG_GATE_CLOSED ? "closed" :
										       "open",
				stats.marks, stats.words_tested, stats.words_written,
				stats.pages_dirtied);
	}
}

static void
dump_bitmap(const struct region_views *views, FILE *stream)
{
	const struct dirtylog_view *view = views->bitmap.view;
	const struct dirtylog_shm *shm = view == NULL ? NULL : dirtylog_view_shm(view);

	fprintf(stream, "bitmap of %" PRIu64 " bytes", views->region->len);
	if (view == NULL)
		fprintf(stream, ": no view, marks are no-ops\n");
	else
		fprintf(stream,
				": GPA 0x%" PRIx64 ", %" PRIu64 " pages dirty, view at %p"
				" in a log of %" PRIu64 " bytes, pages of %" PRIu64 "\n",
				dirtylog_view_gpa(view), dirtylog_view_count(view),
				(void *)view->words, shm->len, shm->page_size);
}

static void
dump_regions(const struct dirtylog *dl, FILE *stream)
{
	uint32_t i;

	for (i = 0; i < dl->table->nb_regions; i++) {
		const struct region_views *views = &dl->table->views[i];

		fprintf(stream, "  region %u: GPA 0x%" PRIx64 ", marks go to %s; ", i,
				views->region->gpa,
				!dl->logging ? "nowhere" :
						dirtylog_views_wanted(dl, views) == views->log ?
					       "the log" :
					       "staging");
		dump_bitmap(views, stream);
	}
}

void
dirtylog_dump(struct dirtylog *dl, FILE *stream)
{
	pthread_mutex_lock(&dl->lock);
	dump_state(dl, stream);
	dump_queues(dl, stream);
	dump_regions(dl, stream);
	pthread_mutex_unlock(&dl->lock);
}
