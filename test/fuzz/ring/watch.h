/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the code under test does with guest memory, seen at each of its loads
 * and stores: it is compiled with -fsanitize-coverage=trace-loads,trace-stores,
 * whose callbacks are in watch.c, and its copies come by there too.
 *
 * Of a burst it is checked that
 *  - it reads nothing but the ring and what a descriptor names that it has read;
 *  - it writes nothing but the device's parts of the ring and what a descriptor
 *    names that it has read as one to write to;
 *  - all pages that it wrote before the store that shows its buffers to the
 *    guest are marked by then, and when it is over, all but that store's own;
 *  - all that it does has a bound.
 *
 * And between two of its reads guest memory can change, always at the same one:
 * a thread could do that too, but no run would be like another.
 */

#ifndef FUZZ_WATCH_H
#define FUZZ_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Some of the host's memory, or none: len 0. */
struct watch_area {
	const void *at;
	size_t len;
};

/* A burst's ring. */
struct watch_ring {
	bool packed;
	struct watch_area read[3];    /* all of it, */
	struct watch_area written[2]; /* and what of it is the device's to write */
	const void *shows;            /* the store here lets the guest see the others */
};

/* Something that happens just before a read of guest memory. */
struct watch_change {
	uint32_t at; /* which read of the burst, from 0 on */
	enum { CHANGE_THERE, CHANGE_GPA, CHANGE_HARVEST } kind;
	uint64_t gpa;
	uint8_t len;
	uint8_t bytes[8];
};

#define WATCH_MAX_CHANGES 4

struct watch {
	/* For the next burst; changes are used up by it. */
	struct watch_change changes[WATCH_MAX_CHANGES];
	unsigned int nb_changes;

	/* The log. */
	bool logging;        /* what is written is to be marked, */
	uint64_t *log;       /* here and at once; NULL: later */
	uint64_t dirty;      /* pages written since they were last harvested, */
	uint64_t later;      /* and of them, those that the next burst marks, */
	uint64_t with_index; /* or the first one that shows the guest something */

	/* Of the burst, also when it is over. */
	uint64_t work;     /* loads, stores, and copied lines of 16 bytes */
	uint32_t nb_reads; /* of guest memory */
	uint64_t stored;   /* pages it wrote */
	bool changed;      /* a change took place */
	bool ring_offered; /* a buffer to write to lay over the ring */
};

extern struct watch watch;

/*
 * Around a burst, or whatever else reads and writes the ring. `marks`: at its
 * end all that it and those before it wrote is marked.
 */
void watch_begin(const struct watch_ring *ring);
void watch_end(bool marks);

/* The front-end fetches the marks, and the pages. */
void watch_harvest(uint64_t *log);

/* Each page that is dirty must be marked in a log, but those of `later`. */
void watch_check_marked(const uint64_t *log, uint64_t later, const char *when);

#endif /* FUZZ_WATCH_H */
