/* SPDX-License-Identifier: BSD-3-Clause */

/* What a control thread does to a marker. Private. */

#ifndef DIRTYLOG_MARKER_PVT_H
#define DIRTYLOG_MARKER_PVT_H

#include "dirtylog_marker.h"

/*
 * Make a marker, which is closed, a reader of the epoch, with its counters at
 * 0. Its thread may be polling it.
 */
void dirtylog_marker_join(struct dirtylog_marker *marker, struct dirtylog_epoch *epoch);

#endif /* DIRTYLOG_MARKER_PVT_H */
