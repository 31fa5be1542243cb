/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What an application sleeps on until there is something in a receive queue:
 * one file descriptor that stays the same while front-ends, and the kick
 * descriptors that they send, come and go.
 *
 * It is an epoll instance in which the present kick descriptor is, and an
 * eventfd of our own, by which the driver itself wakes the sleeper. The kick
 * descriptor is the virtqueue's. The front-end has it too, and could have a
 * read(2) of it wait: so none is made. Each write to one of the two is an event
 * (EPOLLET), which is forgotten by asking for it.
 *
 * Opened and closed while no connection has its queue. The kick descriptor is
 * changed while the queue is closed. The queue's thread uses it as notify.c says.
 */

#ifndef VNET_RX_WAKEUP_H
#define VNET_RX_WAKEUP_H

struct vnet_rx_wakeup {
	int epoll_fd; /* what the application sleeps on; -1: it does not want to */
	int own_fd;   /* written by the driver */
	int kick_fd;  /* written by the guest; -1: it cannot */
};

void vnet_rx_wakeup_init(struct vnet_rx_wakeup *wakeup);

/* The application is going to sleep on it. Returns 0 or a negative errno. */
int vnet_rx_wakeup_open(struct vnet_rx_wakeup *wakeup);

/* It is not, any more. */
void vnet_rx_wakeup_close(struct vnet_rx_wakeup *wakeup);

/*
 * The front-end has sent another kick descriptor, or there is none (-1). The one
 * before is still open, and the queue is closed.
 * Returns 0 or a negative errno: the guest's kicks wake nobody then.
 */
int vnet_rx_wakeup_set_kick(struct vnet_rx_wakeup *wakeup, int kick_fd);

/* Wake who sleeps, or who goes to sleep next. */
void vnet_rx_wakeup_signal(const struct vnet_rx_wakeup *wakeup);

/* Forget what was written so far: the application looks now. The queue's thread. */
void vnet_rx_wakeup_forget(const struct vnet_rx_wakeup *wakeup);

#endif /* VNET_RX_WAKEUP_H */
