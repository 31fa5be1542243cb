/* SPDX-License-Identifier: BSD-3-Clause */
/* The cheapest clock of the machine, and the pause of a polling loop. */
#ifndef CYCLES_H
#define CYCLES_H

#include <stdint.h>
#include <time.h>

static inline uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* A clock that may be read at each poll; cycles_per_second() gives its unit. */
static inline uint64_t
cycles(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
	return now_ns();
#endif
}

static inline uint64_t
cycles_per_second(void)
{
	const uint64_t span_ns = 20000000;
	uint64_t t0 = now_ns(), c0 = cycles(), t1, c1;

	do {
		t1 = now_ns();
		c1 = cycles();
	} while (t1 - t0 < span_ns);
	return (uint64_t)((double)(c1 - c0) * 1e9 / (double)(t1 - t0));
}

static inline void
cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
