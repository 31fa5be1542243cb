/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is shared with a front-end is not ours: it can truncate the file of a
 * log, or of its guest's memory, or take pages out of it, while we have it
 * mapped. The next access would be a SIGBUS on a polling core, and the end of
 * every port of the process. While such a mapping is guarded, a SIGBUS handler
 * puts private memory in the place of what is gone. What was there is lost,
 * which its owner chose; everything else goes on.
 *
 * The handler belongs to the whole process: sigbus.h tells who else wants it,
 * and which fault cannot be caught. Private.
 */

#ifndef DIRTYLOG_TRUNCATION_GUARD_H
#define DIRTYLOG_TRUNCATION_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One guarded mapping. */
struct dirtylog_guard;

/*
 * Guard a mapping, or a part of one. page_size: of the memory behind it, 0 if
 * that is not known. Returns 0 or -ENOMEM.
 */
int dirtylog_truncation_guard_add(const void *addr, size_t len, uint64_t page_size,
		struct dirtylog_guard **guard);

/*
 * Before the mapping ends. Returns 0, or -EBUSY: a handler may still put memory
 * there, after a second of waiting; the caller must leave the addresses alone
 * for ever. NULL is allowed.
 */
int dirtylog_truncation_guard_remove(struct dirtylog_guard *guard);

/* Whether a fault was caught in the mapping. NULL is allowed: no. */
bool dirtylog_truncation_guard_hit(const struct dirtylog_guard *guard);

/* Have the handler in force again if somebody has replaced it, and a guard needs it. */
void dirtylog_truncation_guard_check(void);

#endif /* DIRTYLOG_TRUNCATION_GUARD_H */
