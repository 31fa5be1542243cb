/* SPDX-License-Identifier: BSD-3-Clause */

/* What the explored code calls outside of itself. */

#include <errno.h>
#include <linux/membarrier.h>

#include "datapath/call.h"
#include "diag.h"
#include "drainer.h"
#include "numa_node.h"
#include "shm.h"

#include "device.h"

int dirtylog_logtype;

bool
dirtylog_diag_allowed(void)
{
	return false;
}

/* membarrier(2), where the device is to have it. */
long
played_syscall(long number, int command, ...)
{
	if (number != __NR_membarrier || device.no_membarrier) {
		errno = ENOSYS;
		return -1;
	}
	if (command == MEMBARRIER_CMD_PRIVATE_EXPEDITED)
		weak_membarrier();
	return 0;
}

void
played_lock(uint32_t *lock)
{
	while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0)
		weak_pause();
}

void
played_unlock(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* No guest of these models wants interrupts. */
bool
vnet_call(int fd)
{
	(void)fd;
	return false;
}

/* ---- memory ---- */

int
dirtylog_shm_alloc(uint64_t len, bool huge, struct dirtylog_shm **out)
{
	struct dirtylog_shm *shm = malloc(sizeof(*shm));

	(void)huge;
	shm->addr = malloc(len);
	shm->len = len;
	shm->refs = 1;
	*out = shm;
	return 0;
}

int
dirtylog_shm_populate(struct dirtylog_shm *shm, uint64_t offset, uint64_t len)
{
	(void)shm, (void)offset, (void)len;
	return 0;
}

bool
dirtylog_shm_truncated(const struct dirtylog_shm *shm)
{
	(void)shm;
	return false;
}

struct dirtylog_shm *
dirtylog_shm_ref(struct dirtylog_shm *shm)
{
	shm->refs++;
	return shm;
}

void
dirtylog_shm_unref(struct dirtylog_shm *shm)
{
	if (shm == NULL || --shm->refs != 0)
		return;
	weak_free(shm->addr, shm->len);
	free(shm);
}

/* ---- one node, and a drainer that the model plays itself ---- */

bool
dirtylog_numa_present(void)
{
	return false;
}

int
dirtylog_numa_node_of(const void *addr, uint64_t len)
{
	(void)addr, (void)len;
	return DIRTYLOG_NODE_UNKNOWN;
}

bool
dirtylog_numa_spans_nodes(const void *addr, uint64_t len)
{
	(void)addr, (void)len;
	return false;
}

void
dirtylog_numa_prefer(void *addr, uint64_t len, int node)
{
	(void)addr, (void)len, (void)node;
}

bool
dirtylog_numa_gather(void *addr, uint64_t len, uint64_t page_size, int node)
{
	(void)addr, (void)len, (void)page_size, (void)node;
	return true;
}

int
dirtylog_drainer_set_period(struct dirtylog_drainer *drainer, uint32_t period_us)
{
	(void)drainer, (void)period_us;
	return 0;
}
