/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * dirtylog-core-width: whether a core is ours alone.
 *
 * Two hyperthreads, so two virtual CPUs too, can share one core. A neighbour
 * does not change how long an addition takes that waits for the one before, but
 * it takes part of the units that do several things at once. So the width of a
 * core, the operations that it does in the time of one addition, falls to some
 * 60 % while its neighbour works. It is a ratio: clock frequency does not change
 * it, and memory is not in it.
 */

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"

#define ROUNDS 41
#define TURNS 4000 /* of a loop in a round: some 10 us */

/* The compiler may not merge, drop or vectorise it. */
#define ADD(x) \
	do { \
		(x)++; \
		__asm__ volatile("" : "+r"(x)); \
	} while (0)

static uint64_t
time_of_waiting(void)
{
	uint64_t a = 0, start = cycles();
	unsigned int i;

	for (i = 0; i < TURNS; i++) {
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
		ADD(a);
	}
	return cycles() - start;
}

/* As many operations, which need not wait: of those that cores can do several of at once. */
static uint64_t
time_of_independent(void)
{
	volatile uint64_t words[3] = { 0, 0, 0 };
	uint64_t a = 0, b = 0, c = 0, d = 0, e = 0, start = cycles();
	unsigned int i;

	for (i = 0; i < TURNS; i++) {
		ADD(a);
		ADD(b);
		(void)words[0];
		ADD(c);
		ADD(d);
		(void)words[1];
		ADD(e);
		words[2] = 1;
	}
	return cycles() - start;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of short rounds: an interrupt spoils one of them only. */
static double
width(void)
{
	double rounds[ROUNDS];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t waiting = time_of_waiting(), independent = time_of_independent();

		rounds[i] = independent != 0 ? (double)waiting / (double)independent : 0;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	return rounds[ROUNDS / 2];
}

int
main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: dirtylog-core-width CPU ...\n"
				"Prints a line per CPU: how many independent operations its core does "
				"in the time of one\naddition that waits for another.\n");
		return 2;
	}
	for (i = 1; i < argc; i++) {
		char *end;
		unsigned long cpu = strtoul(argv[i], &end, 10);
		cpu_set_t set;

		if (*end != '\0' || end == argv[i] || cpu >= CPU_SETSIZE) {
			fprintf(stderr, "dirtylog-core-width: \"%s\" is no CPU (0 to %d)\n", argv[i],
					CPU_SETSIZE - 1);
			return 2;
		}
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) != 0) {
			fprintf(stderr, "dirtylog-core-width: CPU %lu: %s\n", cpu, strerror(errno));
			return 1;
		}
		printf("%lu %.3f\n", cpu, width());
	}
	return 0;
}
