/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a migration does with memory: takes marks out of logs, copies dirty pages
 * to the destination. Work is done in steps of well under a microsecond, so that
 * a guest thread can do it between two polls without keeping the back-end waiting.
 */
#ifndef PAGE_MOVER_H
#define PAGE_MOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "dirty_log.h"
#include "guest_ram.h"

enum mover_job { MOVER_IDLE, MOVER_SWEEP, MOVER_TAKE_GUEST, MOVER_COPY };

struct page_mover {
	struct guest_ram *ram;
	uint64_t words;        /* of each bitmap: 64 guest pages each, holes included */
	uint64_t *dirty;       /* to be copied */
	uint64_t *guest_wrote; /* by the guest itself, since the last round */
	uint64_t *marked;      /* where sweeps note what they found; see mark_check.h */

	/* the job: set by the control thread, cleared by the thread that takes the last step */
	int job;
	int done_fd; /* an eventfd: the job is done */
	int wake_fd; /* an eventfd: a job was given, or the process is to end */
	const struct dirty_log *log;
	uint64_t at; /* the next word */
	uint64_t copy_started_ns, copied_in_job;
	uint64_t bytes_per_second; /* 0: no limit */

	/* --drop-marks-test: one page of the sweep, chosen at random, will be ignored */
	bool drop;
	uint64_t drop_page, drop_seen, random;

	/* what the jobs since page_mover_reset_counts() did */
	uint64_t log_pages; /* marks found in logs */
	uint64_t guest_pages;
	uint64_t stray_pages; /* marks of pages that no region has */
	uint64_t copied_pages;
	uint64_t dropped_pages;
};

int page_mover_create(struct page_mover *m, struct guest_ram *ram);
void page_mover_reset_counts(struct page_mover *m);

/* Begin a job; done_fd becomes readable at its end. */
void page_mover_sweep(struct page_mover *m, const struct dirty_log *log);
void page_mover_take_guest(struct page_mover *m);
void page_mover_copy(struct page_mover *m);
/* One step of the job. False: there is nothing to do at the moment. */
bool page_mover_step(struct page_mover *m);
/* A thread that only moves pages sleeps here while there is nothing to do. */
void page_mover_wait(struct page_mover *m);
void page_mover_wake(struct page_mover *m);

void page_mover_all_dirty(struct page_mover *m);
void page_mover_none_dirty(struct page_mover *m);
uint64_t page_mover_count_dirty(const struct page_mover *m);

#endif
