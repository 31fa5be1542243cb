/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <stdlib.h>
#include <time.h>

#include <rte_lcore.h>

#include "cycles.h"
#include "worker.h"

#define LIMIT_S 600 /* of all turns of one setting */

void
sleep_us(unsigned int us)
{
	const struct timespec t = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&t, NULL);
}

int
worker_start(unsigned int lcore, lcore_function_t *function, void *arg)
{
	int ret = rte_eal_remote_launch(function, arg, lcore);

	if (ret < 0)
		warnx("lcore %u is busy", lcore);
	return ret;
}

int
worker_wait(unsigned int lcore)
{
	uint64_t deadline = now_ns() + LIMIT_S * 1000000000ull;

	while (rte_eal_get_lcore_state(lcore) == RUNNING) {
		/* Rings and mbufs are in its hands: nothing of it can be freed. */
		if (now_ns() > deadline)
			errx(EXIT_FAILURE, "the bursts of lcore %u do not end within %d s", lcore,
					LIMIT_S);
		sleep_us(1000);
	}
	return rte_eal_wait_lcore(lcore);
}

int
worker_run(unsigned int lcore, lcore_function_t *function, void *arg)
{
	int ret = worker_start(lcore, function, arg);

	return ret < 0 ? ret : worker_wait(lcore);
}
