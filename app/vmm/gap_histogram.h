/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How often which time lay between two events: 16 classes per power of two, so a
 * value is known to 6 %, and adding one costs a few cycles.
 */
#ifndef GAP_HISTOGRAM_H
#define GAP_HISTOGRAM_H

#include <stdint.h>

#define GAP_SUB_BITS 4
#define GAP_CLASSES ((64 - GAP_SUB_BITS + 1) << GAP_SUB_BITS)

struct gap_histogram {
	uint64_t count[GAP_CLASSES];
	uint64_t total;
	uint64_t max;
};

static inline unsigned int
gap_class(uint64_t value)
{
	unsigned int shift;

	if (value < (1u << GAP_SUB_BITS))
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - GAP_SUB_BITS;
	return ((shift + 1) << GAP_SUB_BITS) +
			(unsigned int)((value >> shift) & ((1u << GAP_SUB_BITS) - 1));
}

/* The smallest value of a class. */
static inline uint64_t
gap_class_value(unsigned int class)
{
	unsigned int shift = class >> GAP_SUB_BITS;
	uint64_t sub = class & ((1u << GAP_SUB_BITS) - 1);

	return shift == 0 ? sub : (sub | (1u << GAP_SUB_BITS)) << (shift - 1);
}

static inline void
gap_add(struct gap_histogram *h, uint64_t value)
{
	h->count[gap_class(value)]++;
	h->total++;
	if (value > h->max)
		h->max = value;
}

static inline void
gap_merge(struct gap_histogram *to, const struct gap_histogram *from)
{
	unsigned int i;

	for (i = 0; i < GAP_CLASSES; i++)
		to->count[i] += from->count[i];
	to->total += from->total;
	if (from->max > to->max)
		to->max = from->max;
}

/* The value that a fraction of all events does not exceed. */
static inline uint64_t
gap_quantile(const struct gap_histogram *h, double fraction)
{
	uint64_t want = (uint64_t)(fraction * (double)h->total), sum = 0;
	unsigned int i;

	for (i = 0; i < GAP_CLASSES; i++) {
		sum += h->count[i];
		if (sum > want)
			return gap_class_value(i);
	}
	return h->max;
}

#endif
