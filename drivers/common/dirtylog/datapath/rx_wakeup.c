/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "datapath/rx_wakeup.h"

void
vnet_rx_wakeup_init(struct vnet_rx_wakeup *wakeup)
{
	wakeup->epoll_fd = -1;
	wakeup->own_fd = -1;
	wakeup->kick_fd = -1;
}

static int
watch(const struct vnet_rx_wakeup *wakeup, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	return epoll_ctl(wakeup->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int
vnet_rx_wakeup_open(struct vnet_rx_wakeup *wakeup)
{
	int ret;

	if (wakeup->epoll_fd >= 0)
		return 0;
	wakeup->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	wakeup->own_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wakeup->epoll_fd < 0 || wakeup->own_fd < 0)
		ret = -errno;
	else
		ret = watch(wakeup, wakeup->own_fd);
	if (ret == 0 && wakeup->kick_fd >= 0)
		ret = watch(wakeup, wakeup->kick_fd);
	if (ret < 0)
		vnet_rx_wakeup_close(wakeup);
	return ret;
}

void
vnet_rx_wakeup_close(struct vnet_rx_wakeup *wakeup)
{
	if (wakeup->epoll_fd >= 0)
		close(wakeup->epoll_fd);
	if (wakeup->own_fd >= 0)
		close(wakeup->own_fd);
	wakeup->epoll_fd = -1;
	wakeup->own_fd = -1;
}

/*
 * Kicks of long ago would wake the sleeper for nothing: when the queue opens it is
 * woken anyway. The one read there is that waits for nobody, whatever the flags that
 * the front-end has set; where a kernel has it not (before 5.8), it stays undone.
 */
static void
drop_kicks(int kick_fd)
{
	uint64_t count;
	struct iovec into = { .iov_base = &count, .iov_len = sizeof(count) };

	preadv2(kick_fd, &into, 1, -1, RWF_NOWAIT);
}

int
vnet_rx_wakeup_set_kick(struct vnet_rx_wakeup *wakeup, int kick_fd)
{
	int ret = 0;

	/* Others have the file too: that it is closed here would not take it out. */
	if (wakeup->kick_fd >= 0 && wakeup->epoll_fd >= 0)
		epoll_ctl(wakeup->epoll_fd, EPOLL_CTL_DEL, wakeup->kick_fd, NULL);
	wakeup->kick_fd = kick_fd;
	if (kick_fd >= 0 && wakeup->epoll_fd >= 0) {
		drop_kicks(kick_fd);
		ret = watch(wakeup, kick_fd);
	}
	return ret;
}

void
vnet_rx_wakeup_signal(const struct vnet_rx_wakeup *wakeup)
{
	if (wakeup->own_fd >= 0)
		eventfd_write(wakeup->own_fd, 1);
}

void
vnet_rx_wakeup_forget(const struct vnet_rx_wakeup *wakeup)
{
	struct epoll_event events[2];

	if (wakeup->epoll_fd >= 0)
		epoll_wait(wakeup->epoll_fd, events, 2, 0);
}
