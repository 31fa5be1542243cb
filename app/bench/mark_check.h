/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second oracle beside the comparison of memory: each page of which a used entry
 * says that the back-end wrote it must be marked in the log. Rewriting a page
 * hides a lost mark from the comparison; it hides nothing here.
 *
 * Time is cut into epochs by the harvests. A page seen in epoch e was marked
 * before it was seen, so harvest e or, if the guest was slow to look, the one
 * before must have it. A mark that comes with the harvest after is late (allowed:
 * a back-end may collect marks for a moment); one that never comes is missing.
 */
#ifndef MARK_CHECK_H
#define MARK_CHECK_H

#include <stdint.h>

#include "guest_queue.h"

struct mark_check {
	struct guest_queue *queues;
	unsigned int n_queues;
	uint64_t words;
	uint64_t *marked[SEEN_SETS]; /* by harvest; the sweeps of one epoch fill one */
	uint64_t epoch;
	uint64_t first_epoch; /* what was seen before it began may be older than the log */
	uint64_t late, missing;
	uint64_t missing_page; /* one of them */
};

int mark_check_create(struct mark_check *c, struct guest_queue *queues, unsigned int n_queues,
		uint64_t words);

/* Logging begins in this epoch. */
void mark_check_begin(struct mark_check *c, uint64_t epoch);
/* Where the sweeps of the present epoch note what they find. */
uint64_t *mark_check_marked(struct mark_check *c);
/* The harvest that ends an epoch is complete, the guest is in the next one. */
void mark_check_end_epoch(struct mark_check *c);
/* The last harvest is complete too, the guest has stopped. */
void mark_check_finish(struct mark_check *c);

#endif
