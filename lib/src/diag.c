/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <time.h>

#include "diag.h"

RTE_LOG_REGISTER(dirtylog_logtype, lib.dirtylog, INFO)

#define PERIOD_S 10
#define MAX_LINES 40 /* in a period: a front-end that does much wrong at once can be told apart */

static __thread struct dirtylog_diag_limit *current;

void
dirtylog_diag_set_limit(struct dirtylog_diag_limit *limit)
{
	current = limit;
}

bool
dirtylog_diag_take(struct dirtylog_diag_limit *limit)
{
	struct timespec now;
	uint64_t period;
	unsigned int line;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	period = (uint64_t)now.tv_sec / PERIOD_S;
	if (__atomic_exchange_n(&limit->period, period, __ATOMIC_RELAXED) != period)
		__atomic_store_n(&limit->nb_lines, 0, __ATOMIC_RELAXED);
	line = __atomic_fetch_add(&limit->nb_lines, 1, __ATOMIC_RELAXED);
	if (line == MAX_LINES)
		rte_log(RTE_LOG_WARNING, dirtylog_logtype,
				"dirtylog: further lines about this front-end are left out, for %u"
				" seconds at most\n",
				PERIOD_S);
	return line < MAX_LINES;
}

bool
dirtylog_diag_allowed(void)
{
	return current == NULL || dirtylog_diag_take(current);
}
