/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Interrupts: a write to the call descriptor.
 *
 * The descriptor is the front-end's, and it keeps its own copy. That has three
 * consequences:
 *
 *  - It may be anything. A write to a pipe that nobody reads would end this process
 *    by SIGPIPE, one to a file on a dead network would never return. So nothing
 *    but an eventfd is taken.
 *  - A write to an eventfd waits while the counter is full, and whoever has a copy
 *    can fill it, and can take O_NONBLOCK away at any moment. A burst that waits
 *    there would stop all front-ends: the control thread waits for bursts. So a
 *    thread that nobody depends on does the write, and may wait: one per queue.
 *  - librte_vhost closes its number when a message brings another one, and the
 *    number is then some other file's. So the thread has a duplicate of its own.
 *
 * The thread costs the burst an atomic exchange, and a futex(2) when it sleeps.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vhost_blk.h"

/* How long the control thread waits for a last interrupt: the other front-ends wait too. */
#define LAST_CALL_NS 10000000

static bool
is_eventfd(int fd)
{
	static const char name[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(name)];
	struct stat st;
	ssize_t len;

	/* Files that have a name have a type too, so none can be called like that. */
	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target));
	return len == (ssize_t)sizeof(name) - 1 && memcmp(target, name, (size_t)len) == 0;
}

/* May wait, and call_stop() may cancel it then: there is nothing to clean up. */
static void
write_call(int fd)
{
	static const uint64_t one = 1;
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	/* EAGAIN: the counter is full, so the guest has been told. */
	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_setcancelstate(state, NULL);
}

static void *
signal_guest(void *arg)
{
	struct call *call = arg;
	bool over;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	do {
		while (sem_wait(&call->work) < 0)
			; /* interrupted, by a debugger at most */
		/* Acquire: orders this load before that of `asked`, which came first. */
		over = __atomic_load_n(&call->over, __ATOMIC_ACQUIRE);
		/*
		 * Acquire: orders the load of `asked`, and with it the burst's store of the
		 * used index, before the write that wakes the guest. Cleared before
		 * the write: who asks from now on gets another one.
		 */
		if (__atomic_exchange_n(&call->asked, false, __ATOMIC_ACQ_REL))
			write_call(call->fd);
	} while (!over);
	return NULL;
}

/* A thread that gets no signals: those are for main(). */
static int
start_thread(struct call *call)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&call->thread, NULL, signal_guest, call);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int
call_start(struct call *call, int fd)
{
	int ret;

	call->fd = -1;
	if (fd < 0)
		return 0;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		complain("the call descriptor cannot be duplicated: %s", strerror(errno));
		return -1;
	}
	if (!is_eventfd(fd)) {
		complain("the call descriptor is no eventfd: refused");
		close(fd);
		return -1;
	}
	call->fd = fd;
	call->over = false;
	call->asked = true;
	sem_init(&call->work, 0, 1);
	ret = start_thread(call);
	if (ret != 0) {
		complain("no thread for interrupts: %s", strerror(ret));
		sem_destroy(&call->work);
		close(fd);
		call->fd = -1;
		return -1;
	}
	return 0;
}

void
call_guest(struct call *call)
{
	/*
	 * Release: orders the store of the used index before that of `asked`. One post
	 * at most is on its way, so the semaphore cannot overflow while the thread waits.
	 */
	if (call->fd >= 0 && !__atomic_exchange_n(&call->asked, true, __ATOMIC_ACQ_REL))
		sem_post(&call->work);
}

void
call_stop(struct call *call)
{
	struct timespec end;

	if (call->fd < 0)
		return;
	/* Release: orders the last store of `asked` before that of `over`. */
	__atomic_store_n(&call->over, true, __ATOMIC_RELEASE);
	sem_post(&call->work);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += LAST_CALL_NS;
	if (end.tv_nsec >= 1000000000) {
		end.tv_nsec -= 1000000000;
		end.tv_sec++;
	}
	if (pthread_clockjoin_np(call->thread, NULL, CLOCK_MONOTONIC, &end) != 0) {
		/* It is in write_call(), or will be. */
		complain("the call descriptor takes no interrupt: one is lost");
		pthread_cancel(call->thread);
		pthread_join(call->thread, NULL);
	}
	sem_destroy(&call->work);
	close(call->fd);
	call->fd = -1;
}
