/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's CPU: a thread that polls one virtqueue at a time. */
#ifndef GUEST_THREAD_H
#define GUEST_THREAD_H

#include <pthread.h>

#include "guest_queue.h"
#include "harvest.h"

struct guest_work {
	struct guest_queue *queue;
	struct harvest *harvest;
	/* Called for each poll that took n buffers back, if set. */
	void (*returned)(void *arg, unsigned int n);
	void *arg;
};

struct guest_thread {
	unsigned int cpu;
	bool yields; /* runs only when nobody else wants its CPU */
	pthread_t thread;
	bool started;
	const struct guest_work *work
			__attribute__((aligned(128))); /* what it is to do, NULL: nothing */
	bool end;
	const struct guest_work *doing __attribute__((aligned(128))); /* what it does */
};

int guest_thread_start(struct guest_thread *t, unsigned int cpu, bool yields);
void guest_thread_stop(struct guest_thread *t);
/* Returns when it does this work and no other. */
int guest_thread_turn_to(struct guest_thread *t, const struct guest_work *work);
/*
 * Returns when it does no work, so that its queues can be freed. Where it does not get to
 * run within the limit, that is an error, and it has ended.
 */
int guest_thread_rest(struct guest_thread *t);

#endif
