/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The control thread's side of dirtylog_epoch.h: the list of readers, and waiting
 * for them.
 */

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rte_pause.h>

#include "diag.h"
#include "epoch.h"

/* Polls of a running section before the processor is offered to its thread. */
#define SPINS_BEFORE_YIELD 1000

static bool have_membarrier;

static void
register_membarrier(void)
{
	have_membarrier = syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
					  0) == 0;
}

int
dirtylog_epoch_init(struct dirtylog_epoch *epoch)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, register_membarrier);
	epoch->readers = NULL;
	return -pthread_mutex_init(&epoch->lock, NULL);
}

void
dirtylog_epoch_fini(struct dirtylog_epoch *epoch)
{
	pthread_mutex_destroy(&epoch->lock);
}

void
dirtylog_epoch_add(struct dirtylog_epoch *epoch, struct dirtylog_reader *reader)
{
	__atomic_store_n(&reader->membarrier, have_membarrier, __ATOMIC_RELAXED);
	pthread_mutex_lock(&epoch->lock);
	reader->next = epoch->readers;
	epoch->readers = reader;
	pthread_mutex_unlock(&epoch->lock);
}

void
dirtylog_epoch_remove(struct dirtylog_epoch *epoch, struct dirtylog_reader *reader)
{
	struct dirtylog_reader **link;

	pthread_mutex_lock(&epoch->lock);
	for (link = &epoch->readers; *link != NULL; link = &(*link)->next) {
		if (*link == reader) {
			*link = reader->next;
			break;
		}
	}
	pthread_mutex_unlock(&epoch->lock);
}

/*
 * The kernel had no memory for it, or a filter of system calls came after the queues. A
 * core keeps back what it has stored for less than a microsecond; there is no promise of
 * that, hence the system call, but this is the best that is left.
 */
static void
wait_for_stores(int error)
{
	static bool told;

	if (!__atomic_exchange_n(&told, true, __ATOMIC_RELAXED))
		DIRTYLOG_DIAG(ERR,
				"membarrier(2) fails by now (%s): a millisecond is waited instead,"
				" each time that a queue or the log changes",
				strerror(error));
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Orders the caller's stores of new state before its loads of the sections. */
static void
serialise_readers(void)
{
	/* Also for the caller, and for readers that run on no core right now. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (have_membarrier && syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) < 0)
		wait_for_stores(errno);
}

static void
wait_for_section(const struct dirtylog_reader *reader)
{
	/* Acquire: pairs with the release in dirtylog_reader_leave(). */
	uint32_t seen = __atomic_load_n(&reader->section, __ATOMIC_ACQUIRE);
	unsigned int spins = 0;

	if ((seen & 1) == 0)
		return;
	while (__atomic_load_n(&reader->section, __ATOMIC_ACQUIRE) == seen) {
		if (++spins < SPINS_BEFORE_YIELD)
			rte_pause();
		else
			sched_yield();
	}
}

void
dirtylog_epoch_sync(struct dirtylog_epoch *epoch)
{
	const struct dirtylog_reader *reader;

	serialise_readers();
	pthread_mutex_lock(&epoch->lock);
	for (reader = epoch->readers; reader != NULL; reader = reader->next)
		wait_for_section(reader);
	pthread_mutex_unlock(&epoch->lock);
}
