/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A thread that moves staged marks to the log again and again, while there is
 * something staged. Private to dirtylog_device.
 */

#ifndef DIRTYLOG_PUBLISHER_H
#define DIRTYLOG_PUBLISHER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct dirtylog_publisher {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started; /* the thread exists: from the first time it is needed */
	bool quit;
	uint32_t period_us;
	void (*publish)(void *ctx);
	void *ctx;
};

/* Prepare it, idle. Returns 0 or a negative errno. */
int dirtylog_publisher_init(struct dirtylog_publisher *publisher, void (*publish)(void *ctx),
		void *ctx);

/* Stop the thread and wait for it. Not with a lock held that publish() takes. */
void dirtylog_publisher_fini(struct dirtylog_publisher *publisher);

/*
 * Call publish() every `period_us`, or no more (0). Does not wait: one more
 * call may come. Returns 0, or a negative errno of pthread_create(3).
 */
int dirtylog_publisher_set_period(struct dirtylog_publisher *publisher, uint32_t period_us);

#endif /* DIRTYLOG_PUBLISHER_H */
