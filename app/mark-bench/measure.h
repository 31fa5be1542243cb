/* SPDX-License-Identifier: BSD-3-Clause */

/* Runs the methods in turns and keeps what each turn cost. */

#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "methods.h"

#define MAX_THREADS 2

/* Which pages the buffers are in. */
enum pattern {
	PATTERN_RING, /* 256 buffers of 2 KiB, one after the other, again and again */
	PATTERN_RANDOM_64K,
	PATTERN_RANDOM_1M,
	NB_PATTERNS
};

/* Under which circumstances the methods are compared. */
struct scene {
	enum pattern pattern;
	bool harvested; /* all bits are cleared before each slice; else all stay set */
	uint32_t nb_threads;
};

struct settings {
	uint32_t rounds; /* turns of each method per scene */
	uint32_t marks;  /* per thread and turn (a slice) */
};

/* Cycles of the timestamp counter per mark. */
struct cost {
	double median, min, p25, p75;
};

struct result {
	struct scene scene;
	struct cost costs[NB_METHODS];
};

extern const char *const pattern_names[NB_PATTERNS];

/*
 * Measure one scene. Verifies, outside of the measured time, that each method
 * that claims to keep marks did.
 *
 * Returns 0 or a negative errno, after a message.
 */
int measure(const struct scene *scene, const struct settings *settings, struct result *result);

#endif
