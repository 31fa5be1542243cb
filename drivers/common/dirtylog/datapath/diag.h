/* SPDX-License-Identifier: BSD-3-Clause */

/* Log lines, under the name of the door that they come through. */

#ifndef VNET_DIAG_H
#define VNET_DIAG_H

#include <rte_common.h>
#include <rte_log.h>

extern int vnet_logtype;
extern const char vnet_log_name[];

#define VNET_DIAG(level, ...) \
	rte_log(RTE_LOG_##level, vnet_logtype, \
			RTE_FMT("%s: " RTE_FMT_HEAD(__VA_ARGS__, ) "\n", vnet_log_name, \
					RTE_FMT_TAIL(__VA_ARGS__, )))

#endif /* VNET_DIAG_H */
