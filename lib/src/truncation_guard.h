/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A front-end can truncate the file of a log that we have mapped, unless it
 * is sealed. The next mark would be a SIGBUS on a polling core, and the end
 * of every port of the process. While such a log is mapped, a SIGBUS handler
 * puts private memory under the address that faulted: the marks of this log
 * are lost, which its owner chose; everything else goes on.
 *
 * The handler belongs to the whole process: sigbus.h tells who else wants it,
 * and which fault cannot be caught. Private.
 */

#ifndef DIRTYLOG_TRUNCATION_GUARD_H
#define DIRTYLOG_TRUNCATION_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Guard a mapping. Returns its slot, or -ENOSPC. */
int dirtylog_truncation_guard_add(void *addr, size_t len, uint64_t page_size);

/* Before the mapping ends. */
void dirtylog_truncation_guard_remove(int slot);

/* Whether a fault was caught in the mapping. */
bool dirtylog_truncation_guard_hit(int slot);

/* Have the handler in force again if somebody has replaced it, and a guard needs it. */
void dirtylog_truncation_guard_check(void);

#endif /* DIRTYLOG_TRUNCATION_GUARD_H */
