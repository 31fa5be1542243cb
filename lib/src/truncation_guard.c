/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: what the handler does, which puts memory in the place of what is
 * gone; and guards, added, removed when no handler may act on them, and asked.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <rte_common.h>

#include "diag.h"
#include "sigbus.h"
#include "truncation_guard.h"

/* How long a mapping that ends waits for handlers that may act on it. */
#define REMOVE_TIMEOUT_NS 1000000000

/*
 * Constant once it is in the list, but for `hit` and `lost_from`. The handler
 * reads it without a lock, see survive().
 */
struct dirtylog_guard {
	struct dirtylog_guard *next;
	uintptr_t begin, end;
	uint64_t page_size; /* 0: not known */
	bool hit;
	uintptr_t lost_from; /* from here to the end it is memory of our own; `end`: nothing is */
};

/* Changed with the lock held. */
static struct {
	struct dirtylog_guard *first;
	unsigned int phase;
	unsigned int inside[2]; /* handlers that may look at the list, by the phase they saw */
} guards;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- in the handler: nothing takes a lock, or allocates ---- */

/* Private memory in place of what is there, as one mapping. Returns 0 or -errno. */
static int
put_memory(uintptr_t at, size_t len)
{
	/*
	 * Made elsewhere, since an application that locks all memory it will ever
	 * have (mlockall(2), MCL_FUTURE) would get each page of it at once. Memory
	 * that nobody can access is left alone; then it is unlocked. What goes away
	 * does not count against a limit of locked memory.
	 */
	void *new;
	int ret;

	munlock((void *)at, len);
	new = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (new == MAP_FAILED)
		return -errno;
	if (munlock(new, len) == 0 && mprotect(new, len, PROT_READ | PROT_WRITE) == 0 &&
			mremap(new, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)at) !=
					MAP_FAILED)
		return 0;
	ret = -errno;
	munmap(new, len);
	return ret;
}

/*
 * A truncation is a suffix: all from the fault on goes, so that a thousand pages
 * that are gone are one signal, and one mapping more. Who comes from behind, or
 * truncates again, has a second one: then all of it goes.
 */
static int
replace_rest(struct dirtylog_guard *guard, uintptr_t lost_from, uintptr_t at, uint64_t page_size)
{
	uintptr_t first = lost_from == guard->end ? at : guard->begin;
	uintptr_t from = RTE_ALIGN_FLOOR(first, page_size);
	int ret = put_memory(from, RTE_ALIGN_CEIL(guard->end, page_size) - from);

	if (ret < 0)
		return ret;
	while (from < lost_from &&
			!__atomic_compare_exchange_n(&guard->lost_from, &lost_from, from, false,
					__ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
	return 0;
}

static bool
replace(struct dirtylog_guard *guard, uintptr_t at, bool poisoned)
{
	/* Of the memory that may be behind it; a wrong one is refused with EINVAL. */
	static const uint64_t sizes[] = { 1 << 12, 1 << 14, 1 << 16, 1 << 21, 1 << 25, 1 << 29,
		1 << 30, UINT64_C(1) << 34 };
	/* Acquire: what another thread put there meanwhile is in place. */
	uintptr_t lost_from = __atomic_load_n(&guard->lost_from, __ATOMIC_ACQUIRE);
	uint64_t page_size = guard->page_size;
	unsigned int i;
	int ret = -EINVAL;

	if (at >= lost_from && !poisoned)
		return true;
	if (page_size != 0)
		ret = replace_rest(guard, lost_from, at, page_size);
	for (i = 0; guard->page_size == 0 && ret == -EINVAL && i < RTE_DIM(sizes); i++) {
		page_size = sizes[i];
		ret = replace_rest(guard, lost_from, at, page_size);
	}
	/* A limit on memory: there may still be room for a page. */
	if (ret < 0 && ret != -EINVAL)
		ret = put_memory(RTE_ALIGN_FLOOR(at, page_size), page_size);
	if (ret == 0)
		__atomic_store_n(&guard->hit, true, __ATOMIC_RELAXED);
	return ret == 0;
}

/* Whether the fault was in a guarded mapping, and is none any more. */
static bool
survive(uintptr_t at, bool poisoned)
{
	unsigned int phase = __atomic_load_n(&guards.phase, __ATOMIC_RELAXED) & 1;
	struct dirtylog_guard *guard;
	bool survived = false;

	__atomic_fetch_add(&guards.inside[phase], 1, __ATOMIC_RELAXED);
	/*
	 * Full fence: orders the count before the loads of the list. The remover
	 * takes a guard out of the list, then reads the count.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* Acquire, here and for the next one: the fields of a guard that is found. */
	for (guard = __atomic_load_n(&guards.first, __ATOMIC_ACQUIRE); guard != NULL;
			guard = __atomic_load_n(&guard->next, __ATOMIC_ACQUIRE)) {
		if (at >= guard->begin && at < guard->end) {
			survived = replace(guard, at, poisoned);
			break;
		}
	}
	/* Release: what was done to the mapping comes before the remover's unmap. */
	__atomic_fetch_sub(&guards.inside[phase], 1, __ATOMIC_RELEASE);
	return survived;
}

/* ---- guards ---- */

void
dirtylog_truncation_guard_check(void)
{
	pthread_mutex_lock(&lock);
	if (guards.first != NULL)
		dirtylog_sigbus_come_first(survive);
	pthread_mutex_unlock(&lock);
}

int
dirtylog_truncation_guard_add(const void *addr, size_t len, uint64_t page_size,
		struct dirtylog_guard **out)
{
	struct dirtylog_guard *guard = calloc(1, sizeof(*guard));

	if (guard == NULL)
		return -ENOMEM;
	guard->begin = (uintptr_t)addr;
	guard->end = guard->begin + len;
	guard->lost_from = guard->end;
	guard->page_size = page_size;
	pthread_mutex_lock(&lock);
	dirtylog_sigbus_come_first(survive);
	guard->next = guards.first;
	/* Release: a handler that finds the guard finds its fields. */
	__atomic_store_n(&guards.first, guard, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	*out = guard;
	return 0;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Wait until no handler can have found a guard that is out of the list. */
static bool
handlers_done(void)
{
	const struct timespec pause = { .tv_nsec = 10000 };
	uint64_t deadline = now_ns() + REMOVE_TIMEOUT_NS;
	unsigned int phase;

	/*
	 * Full fence: orders the removal from the list before the loads of the
	 * counts, see survive().
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (phase = 0; phase < 2; phase++) {
		/* New handlers count elsewhere: this one can only fall. */
		__atomic_store_n(&guards.phase, !phase, __ATOMIC_RELAXED);
		/* Acquire: what the handlers did comes before the caller's unmap. */
		while (__atomic_load_n(&guards.inside[phase], __ATOMIC_ACQUIRE) != 0) {
			if (now_ns() > deadline)
				return false;
			nanosleep(&pause, NULL);
		}
	}
	return true;
}

int
dirtylog_truncation_guard_remove(struct dirtylog_guard *guard)
{
	struct dirtylog_guard **at;
	bool done;

	if (guard == NULL)
		return 0;
	pthread_mutex_lock(&lock);
	for (at = &guards.first; *at != guard; at = &(*at)->next)
		;
	__atomic_store_n(at, guard->next, __ATOMIC_RELAXED);
	done = handlers_done();
	pthread_mutex_unlock(&lock);
	if (!done) {
		/* And neither is it freed. */
		DIRTYLOG_DIAG(ERR, "a handler of SIGBUS does not end: %zu bytes at %p are given up",
				(size_t)(guard->end - guard->begin), (void *)guard->begin);
		return -EBUSY;
	}
	free(guard);
	return 0;
}

bool
dirtylog_truncation_guard_hit(const struct dirtylog_guard *guard)
{
	return guard != NULL && __atomic_load_n(&guard->hit, __ATOMIC_RELAXED);
}
