/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "datapath/call.h"

/* Requests that may be under way: each is done when its submission returns. */
#define NB_REQUESTS 64

/* The completed requests, as the kernel shows them to the process (its aio ring). */
struct completions {
	uint32_t id;
	uint32_t nb;
	uint32_t head;
	uint32_t tail;
	uint32_t magic;
};

#define MAGIC 0xa10a10a1

static struct {
	pthread_mutex_t lock;
	unsigned int users;
	aio_context_t context;
	int nothing; /* reads of it are done at once, with nothing */
} calls = { .lock = PTHREAD_MUTEX_INITIALIZER, .nothing = -1 };

static int
open_queue(void)
{
	aio_context_t context = 0;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (syscall(SYS_io_setup, NB_REQUESTS, &context) < 0) {
		close(fd);
		return -errno;
	}
	if (((struct completions *)context)->magic != MAGIC) {
		syscall(SYS_io_destroy, context);
		close(fd);
		return -ENOSYS;
	}
	calls.nothing = fd;
	calls.context = context;
	return 0;
}

int
vnet_call_init(void)
{
	int ret = 0;

	pthread_mutex_lock(&calls.lock);
	if (calls.users++ == 0)
		ret = open_queue();
	pthread_mutex_unlock(&calls.lock);
	return ret;
}

void
vnet_call_fini(void)
{
	pthread_mutex_lock(&calls.lock);
	if (--calls.users == 0 && calls.context != 0) {
		syscall(SYS_io_destroy, calls.context);
		close(calls.nothing);
		calls.context = 0;
		calls.nothing = -1;
	}
	pthread_mutex_unlock(&calls.lock);
}

/*
 * Make room for further completions: nobody looks at them. Several threads may
 * do so at a time; one that is late puts the head back for a moment, and what is
 * behind it is passed over by the next call.
 */
static void
drop_completions(void)
{
	struct completions *completions = (struct completions *)calls.context;
	/* Acquire: orders the load of the tail before the store of the head. */
	uint32_t tail = __atomic_load_n(&completions->tail, __ATOMIC_ACQUIRE);

	__atomic_store_n(&completions->head, tail, __ATOMIC_RELEASE);
}

static bool
submit(int fd)
{
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)calls.nothing,
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)fd,
	};
	struct iocb *requests[] = { &request };
	long ret = syscall(SYS_io_submit, calls.context, 1, requests);

	drop_completions();
	/* So many at a time that the completions had no room: now they have. */
	if (ret < 0 && errno == EAGAIN)
		ret = syscall(SYS_io_submit, calls.context, 1, requests);
	return ret == 1;
}

bool
vnet_call(int fd)
{
	if (calls.context != 0)
		return submit(fd);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return eventfd_write(fd, 1) == 0;
}
