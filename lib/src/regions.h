/* SPDX-License-Identifier: BSD-3-Clause */

/* The memory table. Private; with the lock held, but for the first and the last. */

#ifndef DIRTYLOG_REGIONS_H
#define DIRTYLOG_REGIONS_H

#include "dirtylog_pvt.h"

/* No regions. Returns 0 or -ENOMEM. */
int dirtylog_regions_init(struct dirtylog *dl);

void dirtylog_regions_fini(struct dirtylog *dl);

/* No regions again, and none of their bitmaps; all queues are closed. */
void dirtylog_regions_clear(struct dirtylog *dl);

/* The region that holds a GPA, or NULL. */
const struct dirtylog_region *dirtylog_regions_find(const struct dirtylog *dl, uint64_t gpa);

/*
 * Look whether the front-end has taken memory from its guest that bursts use.
 * What they read there now is not what the guest wrote: they end.
 */
void dirtylog_regions_check_lost(struct dirtylog *dl);

#endif /* DIRTYLOG_REGIONS_H */
