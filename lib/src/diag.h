/* SPDX-License-Identifier: BSD-3-Clause */

/* The library's log lines. Private. */

#ifndef DIRTYLOG_DIAG_H
#define DIRTYLOG_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_log.h>

extern int dirtylog_logtype;

/*
 * How many lines there were of late that one front-end has caused. It may cause as many
 * as it likes, by messages or by connecting again; zeroed memory to begin with. Several
 * threads may use one: a few lines more come through then.
 */
struct dirtylog_diag_limit {
	uint64_t period; /* that is counted, of the clock */
	unsigned int nb_lines;
};

/* Whether one more line may be logged; it is counted. */
bool dirtylog_diag_take(struct dirtylog_diag_limit *limit);

/* From now on this thread's lines are of that limit; NULL: of none. */
void dirtylog_diag_set_limit(struct dirtylog_diag_limit *limit);

/* Whether this thread may log a line now. */
bool dirtylog_diag_allowed(void);

#define DIRTYLOG_DIAG(level, ...) \
	do { \
		if (dirtylog_diag_allowed()) \
			rte_log(RTE_LOG_##level, dirtylog_logtype, \
					RTE_FMT("dirtylog: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", \
							RTE_FMT_TAIL(__VA_ARGS__, ))); \
	} while (0)

#endif /* DIRTYLOG_DIAG_H */
