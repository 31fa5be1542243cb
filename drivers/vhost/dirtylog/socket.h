/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A socket that the application has registered: what it has said of it, and who
 * serves it, this datapath or librte_vhost's own.
 *
 * That is settled when the socket is started, and as a whole: for what this
 * datapath lacks there is always librte_vhost.
 */

#ifndef DOOR_SOCKET_H
#define DOOR_SOCKET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_vhost.h>

struct door_socket {
	TAILQ_ENTRY(door_socket) next;
	char *path;
	uint64_t flags;
	const struct rte_vhost_device_ops *ops; /* the application's; or NULL */
	const char *why_stock;                  /* NULL: this datapath serves it */
	bool started;
	bool left; /* to who has a datapath of his own */
};

/* All functions may be called by several threads. */

/*
 * A socket is registered.
 * Returns 0, -ENOMEM, or -EEXIST: there is one of this path, which stays as it is.
 */
int door_socket_add(const char *path, uint64_t flags);

/* It is unregistered, and no callback of it runs any more. */
void door_socket_remove(const char *path);

/* The socket of a path, or NULL. It stays until it is removed. */
struct door_socket *door_socket_find(const char *path);

/* The socket of a connection, or NULL. */
struct door_socket *door_socket_of(int vid);

/* Have it served by librte_vhost; `why` is a constant. The first reason is kept. */
void door_socket_use_stock(const char *path, const char *why);

/* The socket of this path, which comes next, is somebody's with a datapath of his own. */
void door_socket_leave(const char *path);

/* The application's callbacks are known, and it starts: for good, why librte_vhost serves it. */
const char *door_socket_settle(struct door_socket *socket);

#endif /* DOOR_SOCKET_H */
