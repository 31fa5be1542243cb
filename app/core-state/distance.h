/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How far apart two cores are: how long a line of memory takes from one to the
 * other and back, while each waits for it.
 *
 * A ring lives on that. Which cores a virtual machine's CPUs are changes, and
 * with it whether they share a cache.
 */

#ifndef DISTANCE_H
#define DISTANCE_H

/* Nanoseconds, or -errno: a CPU could not be had. Takes 1 to 10 ms. */
double core_distance(unsigned int cpu, unsigned int other);

#endif
