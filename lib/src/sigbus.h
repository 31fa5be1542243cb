/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The process's handler of SIGBUS, which others want too:
 *
 *  - What is not for us goes to the handler that was there before.
 *  - Who installs one later should pass on what is not for him. If he does not,
 *    ours gets in front of him when it is asked to, and passes on to him.
 *  - The EAL's handler for hot-unplugged devices passes on, but on x86-64
 *    without saying what happened: it compares sa_flags with SA_SIGINFO for
 *    equality, and the C library adds a flag. Then it is read from the stack.
 *  - Not to be helped: for a moment, whenever the EAL's heap takes a huge page
 *    at run time, a handler is in force that jumps into the stack of the
 *    allocating thread, whichever thread had the fault. A fault on another core
 *    in just that moment ends the process. With memory that is reserved at the
 *    start (--socket-mem, --legacy-mem) there is no such moment.
 *
 * Private to the truncation guard.
 */

#ifndef DIRTYLOG_SIGBUS_H
#define DIRTYLOG_SIGBUS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Called by the handler for each fault at an address: true, the access can be
 * tried again. `poisoned`: the machine has lost the memory. It may neither lock
 * nor allocate; errno is kept for it.
 */
typedef bool dirtylog_sigbus_survive_t(uintptr_t at, bool poisoned);

/*
 * Have the handler in force, in front of the one that is, unless it is already.
 * One caller at a time, always with the same function.
 */
void dirtylog_sigbus_come_first(dirtylog_sigbus_survive_t *survive);

#endif /* DIRTYLOG_SIGBUS_H */
