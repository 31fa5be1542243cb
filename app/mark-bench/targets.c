/* SPDX-License-Identifier: BSD-3-Clause */

#include "targets.h"

const struct target targets[NB_TARGETS] = {
	{ "at least 8 times cheaper than lock + byte OR", METHOD_LOCK_BYTE_OR, 8, true, false },
	{ "at least 3 times cheaper than the searched cache (random pages, steady)",
			METHOD_SEARCHED_CACHE, 3, true, true },
	{ "at most 2.5 times of the plain store", METHOD_PLAIN_STORE, 2.5, false, false },
	/* A store alone sets eight pages' bits; the cheapest that sets one is this. */
	{ "at most 2.5 times of the plain load, or, store", METHOD_PLAIN_OR, 2.5, false, false },
};

bool
target_applies(const struct target *target, const struct scene *scene)
{
	return !target->random_steady_only || (scene->pattern != PATTERN_RING && !scene->harvested);
}

double
target_ratio(const struct target *target, const struct result *result)
{
	double ours = result->costs[METHOD_MARKER].median;
	double other = result->costs[target->against].median;

	return target->at_least ? other / ours : ours / other;
}

bool
target_met(const struct target *target, const struct result *result)
{
	double ratio = target_ratio(target, result);

	return target->at_least ? ratio >= target->times : ratio <= target->times;
}
