/* SPDX-License-Identifier: BSD-3-Clause */

/* Log lines about what a front-end does: it could cause as many as it likes. */

#ifndef VNET_PEER_DIAG_H
#define VNET_PEER_DIAG_H

#include "datapath/diag.h"
#include "dirtylog_vhost.h"

#define VNET_PEER_DIAG(vid, level, ...) \
	do { \
		if (dirtylog_vhost_may_log(vid)) \
			VNET_DIAG(level, __VA_ARGS__); \
	} while (0)

#endif /* VNET_PEER_DIAG_H */
