/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
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
	struct epoll_event event = { .events = EPOLLIN };

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

int
vnet_rx_wakeup_set_kick(struct vnet_rx_wakeup *wakeup, int kick_fd)
{
	int ret = 0;

	/* Others have the file too: that it is closed here would not take it out. */
	if (wakeup->kick_fd >= 0 && wakeup->epoll_fd >= 0)
		epoll_ctl(wakeup->epoll_fd, EPOLL_CTL_DEL, wakeup->kick_fd, NULL);
	wakeup->kick_fd = kick_fd;
	if (kick_fd >= 0 && wakeup->epoll_fd >= 0)
		ret = watch(wakeup, kick_fd);
	return ret;
}

void
vnet_rx_wakeup_signal(const struct vnet_rx_wakeup *wakeup)
{
	if (wakeup->own_fd >= 0)
		eventfd_write(wakeup->own_fd, 1);
}

static void
forget(int fd)
{
	eventfd_t count;

	if (fd >= 0)
		eventfd_read(fd, &count);
}

void
vnet_rx_wakeup_forget_own(const struct vnet_rx_wakeup *wakeup)
{
	forget(wakeup->own_fd);
}

void
vnet_rx_wakeup_forget_kick(const struct vnet_rx_wakeup *wakeup)
{
	forget(wakeup->kick_fd);
}
