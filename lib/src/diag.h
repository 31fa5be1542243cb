/* SPDX-License-Identifier: BSD-3-Clause */

/* The library's log lines. Private. */

#ifndef DIRTYLOG_DIAG_H
#define DIRTYLOG_DIAG_H

#include <rte_common.h>
#include <rte_log.h>

extern int dirtylog_logtype;

#define DIRTYLOG_DIAG(level, ...) \
	rte_log(RTE_LOG_##level, dirtylog_logtype, \
			RTE_FMT("dirtylog: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", \
					RTE_FMT_TAIL(__VA_ARGS__, )))

#endif /* DIRTYLOG_DIAG_H */
