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
 * as dirtylog_notify.c says.
 */

#ifndef DIRTYLOG_DOORBELL_H
#define DIRTYLOG_DOORBELL_H

struct dirtylog_doorbell {
	int epoll_fd; /* what the application sleeps on; -1: it does not want to */
	int own_fd;   /* rung by the driver */
	int kick_fd;  /* rung by the guest; -1: it cannot */
};

void dirtylog_doorbell_init(struct dirtylog_doorbell *doorbell);

/* The application is going to sleep on it. Returns 0 or a negative errno. */
int dirtylog_doorbell_open(struct dirtylog_doorbell *doorbell);

/* It is not, any more. The kick descriptor stays. */
void dirtylog_doorbell_close(struct dirtylog_doorbell *doorbell);

/*
 * The front-end has sent another kick descriptor, or there is none (-1). It is
 * the doorbell's from now on. The queue is closed.
 * Returns 0 or a negative errno: the guest cannot ring then.
 */
int dirtylog_doorbell_set_kick(struct dirtylog_doorbell *doorbell, int kick_fd);

/* Wake who sleeps, or who goes to sleep next. */
void dirtylog_doorbell_ring(const struct dirtylog_doorbell *doorbell);

/* Forget what the driver, or the guest, has rung: the application looks now. */
void dirtylog_doorbell_forget_own(const struct dirtylog_doorbell *doorbell);
void dirtylog_doorbell_forget_kick(const struct dirtylog_doorbell *doorbell);

#endif /* DIRTYLOG_DOORBELL_H */
