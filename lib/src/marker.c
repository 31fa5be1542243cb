/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "dirtylog_marker.h"

void
dirtylog_marker_init(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch)
{
	memset(marker, 0, sizeof(*marker));
	dirtylog_epoch_add(epoch, &marker->reader);
}

void
dirtylog_marker_fini(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch)
{
	dirtylog_epoch_remove(epoch, &marker->reader);
}

void
dirtylog_marker_set_gate(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch,
		enum dirtylog_gate gate)
{
	/* Release: what was prepared for the bursts is written before they may look. */
	__atomic_store_n(&marker->gate, gate, __ATOMIC_RELEASE);
	dirtylog_epoch_sync(epoch);
}
