/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdint.h>
#include <stdlib.h>

#include "cycles.h"
#include "width.h"

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

/* As many operations that do not wait for each other: a core does several of them at once. */
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
double
core_width(void)
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
