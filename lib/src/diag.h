/* SPDX-License-Identifier: BSD-3-Clause */

/* The library's log lines. Private. */

#ifndef DIRTYLOG_LOG_H
#define DIRTYLOG_LOG_H

#include <rte_common.h>
#include <rte_log.h>

extern int dirtylog_logtype;

#define DIRTYLOG_LOG(level, ...) \
	rte_log(RTE_LOG_ ## level, dirtylog_logtype, \
		RTE_FMT("dirtylog: " RTE_FMT_HEAD(__VA_ARGS__,) "\n", \
			RTE_FMT_TAIL(__VA_ARGS__,)))

#endif /* DIRTYLOG_LOG_H */
