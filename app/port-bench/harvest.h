/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a migration does with a log: takes all marks out each 100 ms. In steps, so
 * that whoever takes them is never away from its rings for long. Time counts only
 * while the rings are polled: turns of two ports then have as many harvests each.
 */
#ifndef HARVEST_H
#define HARVEST_H

#include "dirty_log.h"

#define HARVEST_MS 100u
#define HARVEST_STEP 8u /* words, a line */

/* Written at each poll: no other core looks at this line. */
struct harvest {
	const struct dirty_log *log; /* NULL: no logging */
	uint64_t interval;           /* cycles */
	uint64_t waited;             /* since the last harvest began */
	uint64_t at;                 /* the next word, or the log's end */
	uint64_t harvests, marks;
} __attribute__((aligned(128)));

/* So many cycles have passed since the last call. */
static inline void
harvest_step(struct harvest *h, uint64_t cycles)
{
	uint64_t words, end;

	if (h == NULL || h->log == NULL)
		return;
	words = dirty_log_words(h->log);
	h->waited += cycles;
	if (h->waited >= h->interval) {
		h->waited = 0;
		h->at = 0;
		h->harvests++;
	} else if (h->harvests == 0) {
		return;
	}
	end = h->at + HARVEST_STEP < words ? h->at + HARVEST_STEP : words;
	for (; h->at < end; h->at++)
		h->marks += (unsigned int)__builtin_popcountll(dirty_log_take(h->log, h->at));
}

#endif
