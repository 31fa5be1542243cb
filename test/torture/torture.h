/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the parts of the torture test share; main.c says what they do.
 */

#ifndef TORTURE_H
#define TORTURE_H

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "dirtylog.h"
#include "frontend_log.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define MAX_WRITERS 8

/*
 * Memory as below and above a hole, whose ends share a word of the log, and a
 * region far up that comes and goes. In pages.
 */
#define NB_REGIONS 3
static const struct {
	uint64_t first, nb, ram; /* GPA, length, offset in the RAMs */
} layout[NB_REGIONS] = {
	{ 0, 2501, 0 },
	{ 2510, 3800, 2501 },
	{ 0x100007, 1700, 2501 + 3800 },
};
#define RAM_PAGES (2501 + 3800 + 1700)

/*
 * The first pages of region 0 hold the rings and no packets: in each first the index,
 * then entries. The first ring lies over the end of a word of the log.
 */
#define RING_PAGES 5
#define RING_PAGE(writer) (62 + RING_PAGES * (writer)->number)
#define FIRST_PACKET_PAGE (62 + RING_PAGES * MAX_WRITERS)

enum mistake {
	NONE,
	DROP_SWAP,         /* the old log is not harvested after a swap */
	NO_FLUSH_AT_STOP,  /* the last burst's marks and the index are left out */
	MARK_BEFORE_WRITE, /* pages are marked first and written then */
	NB_MISTAKES
};

struct torture;

/* A queue. */
struct writer {
	struct dirtylog_marker marker;
	struct torture *torture;
	pthread_t thread;
	unsigned int number;
	/* NO_FLUSH_AT_STOP: asked for by control, answered by the writer. */
	bool stop_wrongly, stopped_wrongly;
	/* The thread's own. */
	uint64_t random, value, bursts, packets;
	uint64_t entry; /* the next one, in units of 8 bytes, without end */
};

struct torture {
	unsigned int seconds, nb_writers;
	uint64_t seed;
	enum mistake mistake;
	struct dirtylog_options options;
	struct dirtylog_stats stats;
	bool huge_logs;
	struct dirtylog *dl;
	struct writer writers[MAX_WRITERS];
	uint64_t *source, *destination;
	/* The memory table; changed while all queues are closed. */
	unsigned int nb_regions;
	struct dirtylog_bitmap *bitmaps[NB_REGIONS];
	bool quit;

	/* The lock is over the destination, and the log that is harvested. */
	pthread_mutex_t harvest_lock;
	struct frontend_log *log; /* NULL: none */
	pthread_t harvester;
	uint64_t harvests, pages_copied, stray_bits;

	/* Control's own. */
	uint64_t random;
	struct frontend_log *replaced; /* harvested to the end: stays clean */
	uint64_t swaps, migrations, cancels, restarts, tables, closes;
	uint64_t huge_swaps;
	uint64_t late_bits, dead_canaries, differences;
};

static inline uint64_t
draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* What must not fail: a machine without memory is no test result. */
static inline void
require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "torture: %s failed\n", what);
	exit(2);
}

/* options.c: ends the program if they are wrong. */
extern const char *const placement_names[];
void parse_options(struct torture *torture, int argc, char **argv);

/* mistakes.c */
extern const char *const mistake_names[NB_MISTAKES];
void stop_writers_wrongly(struct torture *torture);

/* writer.c: a queue's thread. */
void *write_packets(void *writer);

/* harvester.c: a thread; the other two need the harvest lock to be held. */
void *harvest_all_the_time(void *torture);
void copy_page(struct torture *torture, uint64_t page);
void harvest(struct torture *torture, struct frontend_log *log);

/* control.c: the front-end's messages. */
void pause_ms(struct torture *torture, unsigned int ms);
void destroy_log(struct torture *torture, struct frontend_log *log);
void retire_log(struct torture *torture, struct frontend_log *log);
void swap_log(struct torture *torture, unsigned int nb_regions);
struct frontend_log *take_log(struct torture *torture, bool last_harvest);
void leave_and_swap(struct torture *torture);
void open_queues(struct torture *torture);
void close_queues(struct torture *torture);
void close_and_open_one(struct torture *torture);
void set_table(struct torture *torture, unsigned int nb_regions);
void change_table(struct torture *torture);
void restart(struct torture *torture);

/* migration.c: one, from its first pass to the comparison. */
void migrate(struct torture *torture);

#endif /* TORTURE_H */
