/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What an application sleeps on until there is something in a receive queue:
 * one file descriptor that stays the same while front-ends, and the kick
 * descriptors that they send, come and go.
 *
 * It is an epoll instance in which the present kick descriptor is, and an
 * eventfd of our own, by which the driver itself wakes the sleeper. The kick
 * descriptor is a duplicate: librte_vhost may close its own at any time, and
 * the number may be another file's a moment later.
 *
 * Changed by control threads under the port's lock; the queue's thread uses it
 * as vnet_notify.c says.
 */

#ifndef VNET_RX_WAKEUP_H
#define VNET_RX_WAKEUP_H

struct vnet_rx_wakeup {
	int epoll_fd; /* what the application sleeps on; -1: it does not want to */
	int own_fd;   /* rung by the driver */
	int kick_fd;  /* rung by the guest; -1: it cannot */
};

void vnet_rx_wakeup_init(struct vnet_rx_wakeup *wakeup);

/* The application is going to sleep on it. Returns 0 or a negative errno. */
int vnet_rx_wakeup_open(struct vnet_rx_wakeup *wakeup);

/* It is not, any more. The kick descriptor stays. */
void vnet_rx_wakeup_close(struct vnet_rx_wakeup *wakeup);

/*
 * The front-end has sent another kick descriptor, or there is none (-1). It is
 * the wakeup's from now on. The queue is closed.
 * Returns 0 or a negative errno: the guest cannot ring then.
 */
int vnet_rx_wakeup_set_kick(struct vnet_rx_wakeup *wakeup, int kick_fd);

/* Wake who sleeps, or who goes to sleep next. */
void vnet_rx_wakeup_signal(const struct vnet_rx_wakeup *wakeup);

/* Forget what the driver, or the guest, has rung: the application looks now. */
void vnet_rx_wakeup_forget_own(const struct vnet_rx_wakeup *wakeup);
void vnet_rx_wakeup_forget_kick(const struct vnet_rx_wakeup *wakeup);

#endif /* VNET_RX_WAKEUP_H */
