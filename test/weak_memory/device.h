/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What most models are about: a device of the library's with one word of pages of which four are used, its
 * queues, logs, and a front-end that copies the pages whose bits it finds.
 *
 * A page's content is one number, 0 at first. The front-end reads it while it is written,
 * so accesses to it are atomic, and relaxed, as memcpy()'s are at best.
 */

#ifndef DEVICE_H
#define DEVICE_H

#include "dirtylog_marker.h"

#include "weak.h"

enum {
	PAGE_RING,
	PAGE_INDEX, /* the ring's second: what shows a burst to the guest */
	PAGE_DATA,
	PAGE_MORE,
	NB_PAGES
};

/* Where the index is in the ring. */
#define INDEX_OFFSET ((PAGE_INDEX - PAGE_RING) * DIRTYLOG_PAGE_SIZE)

struct device {
	struct dirtylog *dl;
	struct dirtylog_marker *queues[2];
	struct dirtylog_region *region;
	struct dirtylog_shm *logs[2]; /* of the front-end, one word each */
	uint64_t *pages;
	uint64_t *logged; /* what bursts wrote that logged */
	uint64_t *copies; /* the front-end's */
	bool no_membarrier;
};

extern struct device device;

/* What the device has, before its queues are opened: no log, and no logging. */
void device_make(unsigned int nb_queues, bool membarrier);

/* One that logs, whose queue is open: the datapath's, with that marker. */
void device_make_for(struct dirtylog_marker *marker);

/* The first log comes, and logging goes on. Staged: marks are, and the drainer moves them. */
void device_log(bool staged);

/* Open a queue, whose ring is the first two pages. */
void device_open(unsigned int queue);

/*
 * A burst that writes one page, and shows it to the guest, or does not. Returns false if
 * the queue is closed.
 */
bool device_burst(unsigned int queue, unsigned int page, uint64_t content, bool shows);

/* One whose page is marked as part of a run. */
bool device_run(unsigned int queue, unsigned int page, uint64_t content);

/* The word of a log. */
uint64_t *device_log_word(unsigned int log);

/* The front-end's look at a log: bits are taken, and the pages copied. */
void device_harvest(unsigned int log);

/* What a guest that was shown a burst must see: PAGE_DATA, and its mark and the ring's. */
void device_check_shown(void);

/* A fault if the front-end's copy of a page is not the page. */
void device_check_copies(void);

/* The same after a last look at the logs; what is staged is moved before. */
void device_check_pages(void);

#endif /* DEVICE_H */
