/* SPDX-License-Identifier: BSD-3-Clause */

/* The driver's log lines. */

#ifndef DIRTYLOG_DRIVER_LOG_H
#define DIRTYLOG_DRIVER_LOG_H

#include <rte_common.h>
#include <rte_log.h>

extern int dirtylog_driver_logtype;

#define DRIVER_LOG(level, ...) \
	rte_log(RTE_LOG_ ## level, dirtylog_driver_logtype, \
		RTE_FMT("net_dirtylog: " RTE_FMT_HEAD(__VA_ARGS__,) "\n", \
			RTE_FMT_TAIL(__VA_ARGS__,)))

#endif /* DIRTYLOG_DRIVER_LOG_H */
