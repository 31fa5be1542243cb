/* SPDX-License-Identifier: BSD-3-Clause */

/* What the marker is meant to reach, and whether a result shows it. */

#ifndef TARGETS_H
#define TARGETS_H

#include "measure.h"

struct target {
	const char *what;
	enum method_id against;
	double times;  /* bound of the ratio of medians */
	bool at_least; /* the other one costs at least so many times as much as the marker;
			 * false: the marker at most so many times as much as the other one */
	bool random_steady_only;
};

#define NB_TARGETS 4

extern const struct target targets[NB_TARGETS];

bool target_applies(const struct target *target, const struct scene *scene);

/* How many times the dearer one costs, in the sense of the target. */
double target_ratio(const struct target *target, const struct result *result);

bool target_met(const struct target *target, const struct result *result);

#endif
