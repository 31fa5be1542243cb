/* SPDX-License-Identifier: BSD-3-Clause */

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "cycles.h"
#include "distance.h"
#include "pin.h"

#define ROUNDS 21
#define TRIPS 500 /* there and back, in a round */

/* A line of memory for each direction. Processors fetch them in pairs, so each has a pair. */
struct road {
	uint64_t there __attribute__((aligned(128)));
	uint64_t back __attribute__((aligned(128)));
	int error; /* of the far end; it is -1 until known */
	unsigned int cpu;
};

static void *
far_end(void *arg)
{
	struct road *road = arg;
	int error = pin_to(road->cpu);
	uint64_t i;

	__atomic_store_n(&road->error, error, __ATOMIC_RELEASE);
	for (i = 1; error == 0 && i <= ROUNDS * TRIPS; i++) {
		while (__atomic_load_n(&road->there, __ATOMIC_ACQUIRE) < i)
			;
		__atomic_store_n(&road->back, i, __ATOMIC_RELEASE);
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double
core_distance(unsigned int cpu, unsigned int other)
{
	struct road road = { .error = -1, .cpu = other };
	uint64_t rounds[ROUNDS];
	uint64_t i = 0, start;
	unsigned int r, t;
	pthread_t thread;
	int error = pin_to(cpu);

	if (error == 0)
		error = pthread_create(&thread, NULL, far_end, &road);
	if (error != 0)
		return -error;
	while ((error = __atomic_load_n(&road.error, __ATOMIC_ACQUIRE)) == -1)
		;
	for (r = 0; error == 0 && r < ROUNDS; r++) {
		start = now_ns();
		for (t = 0; t < TRIPS; t++) {
			__atomic_store_n(&road.there, ++i, __ATOMIC_RELEASE);
			while (__atomic_load_n(&road.back, __ATOMIC_ACQUIRE) < i)
				;
		}
		rounds[r] = now_ns() - start;
	}
	pthread_join(thread, NULL);
	if (error != 0)
		return -error;
	/* The median: an interrupt spoils one round only. */
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	return (double)rounds[ROUNDS / 2] / TRIPS;
}
