/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mark_check.h"

int
mark_check_create(struct mark_check *c, struct guest_queue *queues, unsigned int n_queues,
		uint64_t words)
{
	unsigned int i;

	*c = (struct mark_check){ .queues = queues, .n_queues = n_queues, .words = words };
	for (i = 0; i < SEEN_SETS; i++) {
		c->marked[i] = calloc(words, sizeof(uint64_t));
		if (c->marked[i] == NULL) {
			warn("bitmaps");
			return -ENOMEM;
		}
	}
	return 0;
}

void
mark_check_begin(struct mark_check *c, uint64_t epoch)
{
	unsigned int i;

	for (i = 0; i < SEEN_SETS; i++)
		memset(c->marked[i], 0, c->words * sizeof(uint64_t));
	c->epoch = epoch;
	c->first_epoch = epoch + 1;
}

uint64_t *
mark_check_marked(struct mark_check *c)
{
	return c->marked[c->epoch % SEEN_SETS];
}

/* Each page seen in `epoch` must be in a harvest; one that is in `after` only was marked late. */
static void
check(struct mark_check *c, uint64_t epoch, const uint64_t *after)
{
	uint64_t seen, timely, all, w;
	unsigned int q, i;

	for (q = 0; q < c->n_queues; q++) {
		uint64_t *set = c->queues[q].seen[epoch % SEEN_SETS];

		if (!c->queues[q].active)
			continue;
		for (w = 0; w < c->words; w++) {
			seen = set[w];
			if (seen == 0)
				continue;
			set[w] = 0;
			if (epoch < c->first_epoch)
				continue;
			timely = 0;
			for (i = 0; i < SEEN_SETS; i++)
				timely |= c->marked[i] == after ? 0 : c->marked[i][w];
			all = timely | (after != NULL ? after[w] : 0);
			c->late += (unsigned int)__builtin_popcountll(seen & all & ~timely);
			if ((seen & ~all) != 0) {
				c->missing += (unsigned int)__builtin_popcountll(seen & ~all);
				c->missing_page = w * 64 +
						(unsigned int)__builtin_ctzll(seen & ~all);
			}
		}
	}
}

void
mark_check_end_epoch(struct mark_check *c)
{
	uint64_t e = c->epoch++;

	if (e > 0)
		check(c, e - 1, c->marked[e % SEEN_SETS]);
	memset(c->marked[c->epoch % SEEN_SETS], 0, c->words * sizeof(uint64_t));
}

void
mark_check_finish(struct mark_check *c)
{
	if (c->epoch > 0)
		check(c, c->epoch - 1, NULL);
	check(c, c->epoch, NULL);
}
