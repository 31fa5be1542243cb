/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Whether a core is ours alone.
 *
 * Two hyperthreads, so two virtual CPUs too, can share one core. A neighbour
 * does not change how long an addition takes that waits for the one before, but
 * it takes part of the units that do several things at once. So the width of a
 * core, the operations that it does in the time of one addition, falls to some
 * 60 % while its neighbour works. It is a ratio: clock frequency does not change
 * it, and memory is not in it.
 */

#ifndef WIDTH_H
#define WIDTH_H

/* Of the core that runs it; takes 1 ms. */
double core_width(void);

#endif
