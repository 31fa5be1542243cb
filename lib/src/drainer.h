/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A thread that moves staged marks to the log again and again, while there is
 * something staged. Private to dirtylog.
 */

#ifndef DIRTYLOG_DRAINER_H
#define DIRTYLOG_DRAINER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct dirtylog_drainer {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started; /* the thread exists: from the first time it is needed */
	bool quit;
	uint32_t period_us;
	void (*drain)(void *ctx);
	void *ctx;
};

/* Prepare it, idle. Returns 0 or a negative errno. */
int dirtylog_drainer_init(struct dirtylog_drainer *drainer, void (*drain)(void *ctx), void *ctx);

/* Stop the thread and wait for it. Not with a lock held that drain() takes. */
void dirtylog_drainer_fini(struct dirtylog_drainer *drainer);

/*
 * Call drain() every `period_us`, or no more (0). Does not wait: one more
 * call may come. Returns 0, or a negative errno of pthread_create(3).
 */
int dirtylog_drainer_set_period(struct dirtylog_drainer *drainer, uint32_t period_us);

#endif /* DIRTYLOG_DRAINER_H */
