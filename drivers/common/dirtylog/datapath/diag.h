/* SPDX-License-Identifier: BSD-3-Clause */

/* The driver's log lines. */

#ifndef VNET_DIAG_H
#define VNET_DIAG_H

#include <rte_common.h>
#include <rte_log.h>

extern int vnet_logtype;

#define VNET_DIAG(level, ...) \
	rte_log(RTE_LOG_##level, vnet_logtype, \
			RTE_FMT("net_dirtylog: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", \
					RTE_FMT_TAIL(__VA_ARGS__, )))

#endif /* VNET_DIAG_H */
