/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_version.h>

#include "api.h"
#include "socket.h"

/* Flags of a socket that this datapath knows; 1 << 10 is ASYNC_CONNECT of 25.11. */
#define FLAGS_KNOWN \
	(RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT | RTE_VHOST_USER_POSTCOPY_SUPPORT | \
			RTE_VHOST_USER_EXTBUF_SUPPORT | RTE_VHOST_USER_LINEARBUF_SUPPORT | \
			RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS | RTE_VHOST_USER_NET_STATS_ENABLE | \
			(1ULL << 10))

#define UNLESS "unless=" /* followed by patterns of paths, with a ',' between */

static TAILQ_HEAD(, door_socket) sockets = TAILQ_HEAD_INITIALIZER(sockets);
static pthread_mutex_t sockets_lock = PTHREAD_MUTEX_INITIALIZER;

/* The lock is held. */
static struct door_socket *
find(const char *path)
{
	struct door_socket *socket;

	TAILQ_FOREACH(socket, &sockets, next)
		if (strcmp(socket->path, path) == 0)
			break;
	return socket;
}

/* The lock is held; NULL: no memory. */
static struct door_socket *
add(const char *path)
{
	struct door_socket *socket = calloc(1, sizeof(*socket));

	if (socket == NULL)
		return NULL;
	socket->path = strdup(path);
	if (socket->path == NULL) {
		free(socket);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&sockets, socket, next);
	return socket;
}

int
door_socket_add(const char *path, uint64_t flags)
{
	struct door_socket *socket;
	int ret = 0;

	pthread_mutex_lock(&sockets_lock);
	socket = find(path);
	if (socket != NULL)
		ret = socket->left ? 0 : -EEXIST;
	else if ((socket = add(path)) == NULL)
		ret = -ENOMEM;
	else
		socket->flags = flags;
	pthread_mutex_unlock(&sockets_lock);
	return ret;
}

void
door_socket_remove(const char *path)
{
	struct door_socket *socket;

	pthread_mutex_lock(&sockets_lock);
	socket = find(path);
	if (socket != NULL) {
		TAILQ_REMOVE(&sockets, socket, next);
		free(socket->path);
		free(socket);
	}
	pthread_mutex_unlock(&sockets_lock);
}

struct door_socket *
door_socket_find(const char *path)
{
	struct door_socket *socket;

	pthread_mutex_lock(&sockets_lock);
	socket = find(path);
	pthread_mutex_unlock(&sockets_lock);
	return socket;
}

struct door_socket *
door_socket_of(int vid)
{
	char path[PATH_MAX];

	return rte_vhost_get_ifname(vid, path, sizeof(path)) < 0 ? NULL : door_socket_find(path);
}

void
door_socket_use_stock(const char *path, const char *why)
{
	struct door_socket *socket;

	pthread_mutex_lock(&sockets_lock);
	socket = find(path);
	if (socket != NULL && socket->why_stock == NULL)
		socket->why_stock = why;
	pthread_mutex_unlock(&sockets_lock);
}

void
door_socket_leave(const char *path)
{
	struct door_socket *socket;

	pthread_mutex_lock(&sockets_lock);
	socket = find(path);
	if (socket == NULL)
		socket = add(path);
	if (socket != NULL)
		socket->left = true;
	pthread_mutex_unlock(&sockets_lock);
}

/* Whether the operator has excepted it. */
static bool
is_excepted(const char *path)
{
	const char *patterns = getenv(DIRTYLOG_VHOST_SWITCH);
	char *copy, *pattern, *rest;
	bool found = false;

	if (patterns == NULL || strncmp(patterns, UNLESS, strlen(UNLESS)) != 0)
		return false;
	copy = strdup(patterns + strlen(UNLESS));
	if (copy == NULL)
		return true;
	for (pattern = strtok_r(copy, ",", &rest); pattern != NULL && !found;
			pattern = strtok_r(NULL, ",", &rest))
		found = fnmatch(pattern, path, 0) == 0;
	free(copy);
	return found;
}

/* Who answers a guest's notification itself: guest_notify() from 23.11 on. */
static bool
notifies_by_itself(const struct rte_vhost_device_ops *ops)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
	return ops->guest_notify != NULL;
#else
	return ops->reserved[0] != NULL;
#endif
}

const char *
door_socket_settle(struct door_socket *socket)
{
	const char *why = NULL;

	if (socket->why_stock != NULL)
		return socket->why_stock;
	if (socket->left)
		why = "a driver with a datapath of its own has it";
	else if (is_excepted(socket->path))
		why = "the operator has excepted it (" DIRTYLOG_VHOST_SWITCH ")";
	else if (strncmp(socket->path, "/dev/vduse/", strlen("/dev/vduse/")) == 0)
		why = "it is VDUSE's";
	else if (strlen(socket->path) >= PATH_MAX)
		why = "its path is too long";
	else if ((socket->flags & RTE_VHOST_USER_IOMMU_SUPPORT) != 0)
		why = "the application wants a vIOMMU";
	else if ((socket->flags & RTE_VHOST_USER_ASYNC_COPY) != 0)
		why = "the application wants asynchronous copies";
	else if ((socket->flags & ~FLAGS_KNOWN) != 0)
		why = "it has flags that are not known here";
	else if (socket->ops != NULL && notifies_by_itself(socket->ops))
		why = "the application notifies guests by itself";
	socket->why_stock = why;
	return why;
}
