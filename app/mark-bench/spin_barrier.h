/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where the measured threads meet, so that they start a slice within some ten
 * nanoseconds. A thread that never comes ends the program.
 */

#ifndef SPIN_BARRIER_H
#define SPIN_BARRIER_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_pause.h>

#define SPIN_BARRIER_SECONDS 60

struct spin_barrier {
	uint32_t nb_threads;
	uint32_t arrived; /* since the start: one counter for all meetings */
};

static inline void
spin_barrier_wait(struct spin_barrier *barrier)
{
	uint32_t mine = __atomic_fetch_add(&barrier->arrived, 1, __ATOMIC_ACQ_REL);
	uint32_t all = mine - mine % barrier->nb_threads + barrier->nb_threads;
	time_t deadline = 0;
	uint32_t spins;

	for (spins = 1; (int32_t)(__atomic_load_n(&barrier->arrived, __ATOMIC_ACQUIRE) - all) < 0;
			spins++) {
		struct timespec now;

		rte_pause();
		if (spins % 4096 != 0)
			continue;
		/* The other one may be waiting for this very core. */
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (deadline == 0)
			deadline = now.tv_sec + SPIN_BARRIER_SECONDS;
		if (now.tv_sec > deadline) {
			fprintf(stderr, "a thread did not come within %d seconds\n",
					SPIN_BARRIER_SECONDS);
			exit(EXIT_FAILURE);
		}
	}
}

#endif
