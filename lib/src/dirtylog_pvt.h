/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * struct dirtylog, for the files that share it, from top to bottom:
 *
 *     dirtylog.c   its life; queues, opened and closed
 *     regions.c    the memory table
 *     views.c      what bursts go by: gates, and where marks go
 *
 * and report.c, which reads it all and stands beside dirtylog.c. A file calls
 * those below it only; marker.c, bitmap.c and so on are below all of them. All
 * fields are under the lock.
 */

#ifndef DIRTYLOG_PVT_H
#define DIRTYLOG_PVT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dirtylog.h"
#include "drainer.h"
#include "epoch.h"
#include "memory_guard.h"

/*
 * A region, and the two targets its marks can go to. Which of them is its
 * bitmap's view follows from the rest: see dirtylog_views_wanted().
 */
struct region_views {
	const struct dirtylog_region *region; /* in the table that users get */
	struct dirtylog_bitmap bitmap;        /* the region's */
	struct dirtylog_view *log;            /* NULL: no log, or it does not cover the region */
	struct dirtylog_view *staging;        /* NULL: not needed so far */
	bool direct;                          /* the placement's answer, where there is a log */
};

/* A memory table. */
struct memory_table {
	struct dirtylog_memory *memory; /* what users get; NULL: no regions */
	uint32_t nb_regions;
	struct region_views views[];
};

struct dirtylog {
	pthread_mutex_t lock;
	struct dirtylog_epoch epoch;
	struct dirtylog_marker *markers;
	struct memory_table *table;
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
	struct dirtylog_stats stats; /* what is not its markers' part */
	struct {
		uint64_t at;    /* nanoseconds, monotonic; 0: no sample yet */
		uint64_t pages; /* dirtied until then */
		uint64_t value; /* pages per second before that */
	} rate;
	bool truncation_reported;
	bool was_open;      /* a queue was, since logging was last reset */
	bool mark_all;      /* in the next log, every page of every region */
	bool marks_dropped; /* staged ones, of memory that went before a log came */
	struct dirtylog_memory_guard *memory_guard; /* of the table; NULL: none, or forgotten */
	bool memory_lost; /* the queues stay closed until another table comes */
	char name[];
};

/*
 * Logging is on before a queue was ever open: the connection follows one that may
 * have died with marks in its hands (killed, or its socket broken, before a log
 * came). Nobody knows which pages; so in the first log that it gets all are
 * marked. Where a queue was open already this does nothing.
 */
void dirtylog_follow_predecessor(struct dirtylog *dl);

/* A log was refused before it got here. */
void dirtylog_count_refused_log(struct dirtylog *dl);

#endif /* DIRTYLOG_PVT_H */
