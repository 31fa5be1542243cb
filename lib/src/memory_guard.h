/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The guards of a guest's memory, a region each: see truncation_guard.h.
 * Private to dirtylog.
 */

#ifndef DIRTYLOG_MEMORY_GUARD_H
#define DIRTYLOG_MEMORY_GUARD_H

#include <stdint.h>

#include "dirtylog_memory.h"

struct dirtylog_memory_guard;

/*
 * Guard the regions of a table whose host addresses are known. NULL for no
 * table. The table stays the caller's, and must outlive the guards. Returns 0
 * or -ENOMEM.
 */
int dirtylog_memory_guard_create(const struct dirtylog_memory *memory,
		struct dirtylog_memory_guard **guard);

/*
 * How many regions were lost since the last call, in part or as a whole; `name`
 * is the device's, for a log line. NULL is allowed: none.
 */
uint32_t dirtylog_memory_guard_losses(struct dirtylog_memory_guard *guard, const char *name);

/*
 * Before the regions are unmapped. Returns 0, or -EBUSY: one of them must stay,
 * see dirtylog_truncation_guard_remove(). NULL is allowed.
 */
int dirtylog_memory_guard_free(struct dirtylog_memory_guard *guard);

#endif /* DIRTYLOG_MEMORY_GUARD_H */
