/* SPDX-License-Identifier: BSD-3-Clause */
/* Ties a thread to a CPU. */
#ifndef PIN_H
#define PIN_H

#include <errno.h>
#include <sched.h>

/* The calling thread runs on `cpu` only, which is less than CPU_SETSIZE. Returns an errno, or 0. */
static inline int
pin_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) != 0 ? errno : 0;
}

#endif
