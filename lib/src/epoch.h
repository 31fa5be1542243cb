/* SPDX-License-Identifier: BSD-3-Clause */

/* The control thread's side of an epoch: see dirtylog_epoch.h. Private. */

#ifndef DIRTYLOG_EPOCH_PVT_H
#define DIRTYLOG_EPOCH_PVT_H

#include <pthread.h>

#include "dirtylog_epoch.h"

/* The readers that one control side waits for. Epochs are not numbered: readers say enough. */
struct dirtylog_epoch {
	pthread_mutex_t lock; /* protects the list; never taken by a reader */
	struct dirtylog_reader *readers;
};

/* Prepare an epoch. Returns 0, or a negative errno of pthread_mutex_init(3). */
int dirtylog_epoch_init(struct dirtylog_epoch *epoch);

/* Release what dirtylog_epoch_init() took. No reader may be left. */
void dirtylog_epoch_fini(struct dirtylog_epoch *epoch);

/*
 * Add a reader. Its owner has zeroed its memory once, before it is added for
 * the first time and before any section; the memory must stay until
 * dirtylog_epoch_remove(). The reader's thread may enter and leave sections all
 * the time, also before, between one epoch and the next, and during this call,
 * as long as it finds nothing there to use: no epoch waits for these.
 */
void dirtylog_epoch_add(struct dirtylog_epoch *epoch, struct dirtylog_reader *reader);

/* Remove a reader that finds nothing to use any more in a section that it enters. */
void dirtylog_epoch_remove(struct dirtylog_epoch *epoch, struct dirtylog_reader *reader);

/*
 * Wait until each section that was entered before this call is over. What the
 * control thread stored before the call is seen by every section that is
 * entered afterwards. Any thread, but not from inside a section of the same
 * epoch: it would wait for itself.
 */
void dirtylog_epoch_sync(struct dirtylog_epoch *epoch);

#endif /* DIRTYLOG_EPOCH_PVT_H */
