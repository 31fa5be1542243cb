/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#include <rte_common.h>

#include "sigbus.h"
#include "truncation_guard.h"

/* Logs that can be mapped and unsealed at one time: more than vhost devices. */
#define NB_SLOTS 2048

/*
 * Read by the signal handler, hence a fixed array without a lock. A slot is in
 * use while `addr` is not 0; its other fields are written before.
 */
static struct {
	uintptr_t addr;
	size_t len;
	uint64_t page_size;
	bool hit;
} slots[NB_SLOTS];

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

static bool
survive(uintptr_t at, bool poisoned __rte_unused)
{
	unsigned int i;

	for (i = 0; i < NB_SLOTS; i++) {
		/* Acquire: the slot's other fields. */
		uintptr_t addr = __atomic_load_n(&slots[i].addr, __ATOMIC_ACQUIRE);
		void *page;

		if (addr == 0 || at - addr >= slots[i].len)
			continue;
		page = (void *)(at / slots[i].page_size * slots[i].page_size);
		if (mmap(page, slots[i].page_size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != page)
			break;
		__atomic_store_n(&slots[i].hit, true, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

void
dirtylog_truncation_guard_check(void)
{
	bool needed = false;
	int i;

	pthread_mutex_lock(&slots_lock);
	for (i = 0; i < NB_SLOTS; i++)
		needed |= slots[i].addr != 0;
	if (needed)
		dirtylog_sigbus_come_first(survive);
	pthread_mutex_unlock(&slots_lock);
}

int
dirtylog_truncation_guard_add(void *addr, size_t len, uint64_t page_size)
{
	int slot = -ENOSPC;
	int i;

	pthread_mutex_lock(&slots_lock);
	dirtylog_sigbus_come_first(survive);
	for (i = 0; i < NB_SLOTS && slot < 0; i++)
		if (slots[i].addr == 0)
			slot = i;
	if (slot >= 0) {
		slots[slot].len = len;
		slots[slot].page_size = page_size;
		slots[slot].hit = false;
		/* Release: the handler finds the fields of a slot that it sees in use. */
		__atomic_store_n(&slots[slot].addr, (uintptr_t)addr, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&slots_lock);
	return slot;
}

void
dirtylog_truncation_guard_remove(int slot)
{
	pthread_mutex_lock(&slots_lock);
	__atomic_store_n(&slots[slot].addr, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&slots_lock);
}

bool
dirtylog_truncation_guard_hit(int slot)
{
	return __atomic_load_n(&slots[slot].hit, __ATOMIC_RELAXED);
}
