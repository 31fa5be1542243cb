/* SPDX-License-Identifier: BSD-3-Clause */

/* By DPDK's sources: where the descriptors of a message lie in the release that runs. */

#ifndef OTHER_DPDK_H
#define OTHER_DPDK_H

#include <rte_version.h>

#define OTHER_DPDK_REAL_AT (RTE_VERSION >= RTE_VERSION_NUM(25, 3, 0, 0) ? 1084 : 644)

#endif /* OTHER_DPDK_H */
