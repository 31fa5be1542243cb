/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

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
static struct sigaction previous;
static bool installed;

static void
pass_on(int signal, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(signal, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(signal);
	} else if (previous.sa_handler == SIG_DFL || info->si_code > 0) {
		/* What it would have been without us: sent, it comes again; a fault, too. */
		sigaction(SIGBUS, &previous, NULL);
		raise(signal);
	}
}

static void
on_sigbus(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int saved_errno = errno;
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
		errno = saved_errno;
		return;
	}
	pass_on(signal, info, context);
	errno = saved_errno;
}

int
dirtylog_truncation_guard_add(void *addr, size_t len, uint64_t page_size)
{
	int slot = -ENOSPC;
	int i;

	pthread_mutex_lock(&slots_lock);
	if (!installed) {
		struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

		sigemptyset(&action.sa_mask);
		installed = sigaction(SIGBUS, &action, &previous) == 0;
	}
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
