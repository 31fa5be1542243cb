/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Included before everything in what is explored: what the code calls that is not memory.
 * The headers come first, so that nothing of theirs is renamed.
 */

#ifndef INSTRUMENTED_H
#define INSTRUMENTED_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_atomic.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "weak.h"

/* DPDK's own is this on all machines but x86, where it is a locked operation. */
#define rte_atomic_thread_fence(order) __atomic_thread_fence(order)

#define rte_pause() weak_pause()
#define sched_yield() weak_pause()
#define syscall(...) played_syscall(__VA_ARGS__)
#define pthread_once(once, function) ((void)(once), (function)())
#define pthread_mutex_lock(mutex) played_lock((uint32_t *)(mutex))
#define pthread_mutex_unlock(mutex) played_unlock((uint32_t *)(mutex))

#define malloc(len) weak_alloc(len)
#define calloc(nb, len) weak_alloc((nb) * (len))
#define free(addr) weak_free(addr, addr == NULL ? 0 : sizeof(*(addr)))

/* In played.c. */
long played_syscall(long number, int command, ...);
void played_lock(uint32_t *lock);
void played_unlock(uint32_t *lock);

#endif /* INSTRUMENTED_H */
