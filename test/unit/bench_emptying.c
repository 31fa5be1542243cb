/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What it costs to empty the staging bitmap of a 1 TiB guest into a log, by
 * its summary and by a full scan of the bitmap, for several numbers of dirty
 * pages, drawn at random. Both ways are the library's: a view without a
 * summary is scanned. Interleaved; medians and best.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bitmap.h"
#include "frontend_log.h"
#include "shm.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define GUEST (UINT64_C(1) << 40)
#define ROUNDS 101

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint64_t
draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
mark_pages(struct dirtylog_view *view, uint64_t *random, unsigned int nb)
{
	while (nb-- > 0)
		dirtylog_view_mark(view, draw(random) % (GUEST / PAGE) * PAGE, 1);
}

static void
measure(struct dirtylog_view *staging, struct dirtylog_view *to, unsigned int nb_dirty)
{
	const uint64_t summary_words = GUEST / PAGE / 64 / DIRTYLOG_LINE_WORDS / 64;
	struct dirtylog_whole_view without = *dirtylog_view_whole(staging);
	double by_summary[ROUNDS], by_scan[ROUNDS], begin;
	uint64_t random = 88172645463325252, moved = 0, scanned = 0;
	unsigned int i;

	without.view.summary = NULL;
	for (i = 0; i < ROUNDS; i++) {
		uint64_t same = random;

		mark_pages(staging, &random, nb_dirty);
		begin = now_us();
		moved += dirtylog_view_move(staging, to);
		by_summary[i] = now_us() - begin;
		/* A harvest: the log is as cold for the other way. */
		memset(to->words, 0, dirtylog_view_shm(to)->len);
		random = same;
		mark_pages(staging, &random, nb_dirty);
		begin = now_us();
		scanned += dirtylog_view_move(&without.view, to);
		by_scan[i] = now_us() - begin;
		memset(to->words, 0, dirtylog_view_shm(to)->len);
		memset(staging->summary, 0, summary_words * sizeof(uint64_t));
	}
	qsort(by_summary, ROUNDS, sizeof(by_summary[0]), compare);
	qsort(by_scan, ROUNDS, sizeof(by_scan[0]), compare);
	printf("%8u dirty pages: summary %9.1f us (best %9.1f), scan %9.1f us (best %9.1f):"
	       " 1/%.0f%s\n",
			nb_dirty, by_summary[ROUNDS / 2], by_summary[0], by_scan[ROUNDS / 2],
			by_scan[0], by_scan[ROUNDS / 2] / by_summary[ROUNDS / 2],
			moved != scanned ? " BOTH DIFFER" : "");
}

int
main(void)
{
	static const unsigned int nbs[] = { 0, 10, 100, 1000, 10000, 100000 };
	struct dirtylog_view *staging, *to;
	struct frontend_log log;
	struct dirtylog_shm *shm;
	unsigned int i;

	if (dirtylog_view_create_staging(0, GUEST, NULL, &staging) < 0 ||
			frontend_log_create(&log, GUEST / PAGE / 8) < 0 ||
			dirtylog_shm_map(log.fd, 0, log.len, &shm) < 0 ||
			dirtylog_view_create(shm, 0, GUEST, &to) < 0) {
		fprintf(stderr, "no memory\n");
		return EXIT_FAILURE;
	}
	dirtylog_shm_unref(shm);
	printf("Emptying the staging bitmap of 1 TiB (32 MiB, pages of %" PRIu64
	       " KiB) into a log, medians of %d:\n",
			dirtylog_view_shm(staging)->page_size / 1024, ROUNDS);
	for (i = 0; i < sizeof(nbs) / sizeof(nbs[0]); i++)
		measure(staging, to, nbs[i]);
	dirtylog_view_free(staging);
	dirtylog_view_free(to);
	frontend_log_destroy(&log);
	return EXIT_SUCCESS;
}
