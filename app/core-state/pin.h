/* SPDX-License-Identifier: BSD-3-Clause */
/* Which CPU a thread runs on. */
#ifndef PIN_H
#define PIN_H

#include <errno.h>
#include <sched.h>

/* The calling thread stays on `cpu`, less than CPU_SETSIZE. Returns an errno, or 0. */
static inline int
stay_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) != 0 ? errno : 0;
}

#endif
