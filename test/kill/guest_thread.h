/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's CPU: polls both rings of the first queue pair, and looks at each packet
 * that it gets. It goes on whatever happens to the back-end.
 */
#ifndef GUEST_THREAD_H
#define GUEST_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

#define MAX_WRITERS 16 /* back-ends that one guest sees, one after the other */

enum { GUEST_PARKED, GUEST_RUNS, GUEST_ENDS };

struct guest_thread {
	struct guest *guest;
	pthread_t thread;
	bool started;
	int wanted, seen;

	/* its own; may be read while it is parked */
	uint32_t writers[MAX_WRITERS]; /* the last is the one that is alive */
	unsigned int n_writers;
	uint32_t last_number; /* of its packets */
	uint64_t checked, damaged;
	uint64_t lost;  /* gaps in the numbers of one writer while it is alive */
	uint64_t late;  /* packets of writers that are dead */
	uint64_t empty; /* buffers whose packets died with their writer */
};

int guest_thread_start(struct guest_thread *t, struct guest *guest);
/* Returns when the thread does so. */
void guest_thread_set(struct guest_thread *t, int wanted);
void guest_thread_end(struct guest_thread *t);

#endif
