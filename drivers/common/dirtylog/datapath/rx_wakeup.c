/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datapath/rx_wakeup.h"

void
dirtylog_doorbell_init(struct dirtylog_doorbell *doorbell)
{
	doorbell->epoll_fd = -1;
	doorbell->own_fd = -1;
	doorbell->kick_fd = -1;
}

static int
watch(const struct dirtylog_doorbell *doorbell, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(doorbell->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int
dirtylog_doorbell_open(struct dirtylog_doorbell *doorbell)
{
	int ret;

	if (doorbell->epoll_fd >= 0)
		return 0;
	doorbell->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	doorbell->own_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (doorbell->epoll_fd < 0 || doorbell->own_fd < 0)
		ret = -errno;
	else
		ret = watch(doorbell, doorbell->own_fd);
	if (ret == 0 && doorbell->kick_fd >= 0)
		ret = watch(doorbell, doorbell->kick_fd);
	if (ret < 0)
		dirtylog_doorbell_close(doorbell);
	return ret;
}

void
dirtylog_doorbell_close(struct dirtylog_doorbell *doorbell)
{
	if (doorbell->epoll_fd >= 0)
		close(doorbell->epoll_fd);
	if (doorbell->own_fd >= 0)
		close(doorbell->own_fd);
	doorbell->epoll_fd = -1;
	doorbell->own_fd = -1;
}

int
dirtylog_doorbell_set_kick(struct dirtylog_doorbell *doorbell, int kick_fd)
{
	int ret = 0;

	if (doorbell->kick_fd >= 0) {
		/* Others have the file too: closing would not take it out. */
		if (doorbell->epoll_fd >= 0)
			epoll_ctl(doorbell->epoll_fd, EPOLL_CTL_DEL, doorbell->kick_fd, NULL);
		close(doorbell->kick_fd);
	}
	doorbell->kick_fd = kick_fd;
	if (kick_fd >= 0 && doorbell->epoll_fd >= 0)
		ret = watch(doorbell, kick_fd);
	return ret;
}

void
dirtylog_doorbell_ring(const struct dirtylog_doorbell *doorbell)
{
	if (doorbell->own_fd >= 0)
		eventfd_write(doorbell->own_fd, 1);
}

static void
forget(int fd)
{
	eventfd_t count;

	if (fd >= 0)
		eventfd_read(fd, &count);
}

void
dirtylog_doorbell_forget_own(const struct dirtylog_doorbell *doorbell)
{
	forget(doorbell->own_fd);
}

void
dirtylog_doorbell_forget_kick(const struct dirtylog_doorbell *doorbell)
{
	forget(doorbell->kick_fd);
}
