/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the test can do wrong on purpose, so that its comparison is seen to see
 * it. A mistake is made where the right thing is done otherwise: DROP_SWAP in
 * swap_log(), the others in a writer's burst.
 */

#include "torture.h"

const char *const mistake_names[NB_MISTAKES] = {
	"none",
	"drop-swap",
	"no-flush-at-stop",
	"mark-before-write",
};

void
stop_writers_wrongly(struct torture *torture)
{
	unsigned int i;

	for (i = 0; i < torture->nb_writers; i++)
		__atomic_store_n(&torture->writers[i].stop_wrongly, true, __ATOMIC_RELEASE);
	for (i = 0; i < torture->nb_writers; i++)
		while (!__atomic_load_n(&torture->writers[i].stopped_wrongly, __ATOMIC_ACQUIRE))
			usleep(100);
}
