/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * librte_vhost's net API on this project's datapath: sockets, their callbacks, and
 * the table of all functions.
 *
 * Of each callback that librte_vhost makes: what comes is seen here first, what goes
 * is seen by the application first.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>
#include <rte_version.h>

#include "api.h"
#include "burst.h"
#include "datapath/diag.h"
#include "device.h"
#include "socket.h"
#include "stats.h"

const char vnet_log_name[] = "dirtylog";

/* For the library's telemetry. */
extern const char dirtylog_door[];
const char dirtylog_door[] = "rte_vhost";

RTE_LOG_REGISTER(vnet_logtype, lib.vhost.dirtylog, INFO)

/* ---- librte_vhost's callbacks ---- */

/* The application's, of a connection; there may be none. */
static const struct rte_vhost_device_ops *
ops_of(int vid)
{
	static const struct rte_vhost_device_ops none;
	struct door_device *device = door_device_of(vid);
	struct door_socket *socket = device != NULL ? device->socket : door_socket_of(vid);

	return socket == NULL || socket->ops == NULL ? &none : socket->ops;
}

static int
new_connection(int vid)
{
	struct door_socket *socket = door_socket_of(vid);
	int ret;

	if (socket == NULL)
		return -1;
	ret = door_device_create(vid, socket);
	if (ret < 0)
		VNET_DIAG(ERR, "%s: vid %d: %s: librte_vhost's own datapath", socket->path, vid,
				strerror(-ret));
	if (ops_of(vid)->new_connection == NULL)
		return 0;
	ret = ops_of(vid)->new_connection(vid);
	/* librte_vhost ends it without a destroy_connection(). */
	if (ret < 0)
		door_device_destroy(door_device_of(vid));
	return ret;
}

static void
destroy_connection(int vid)
{
	struct door_device *device = door_device_of(vid);

	if (ops_of(vid)->destroy_connection != NULL)
		ops_of(vid)->destroy_connection(vid);
	door_device_destroy(device);
}

static int
new_device(int vid)
{
	if (door_device_of(vid) != NULL)
		vnet_connection_new_device(vid);
	return ops_of(vid)->new_device == NULL ? 0 : ops_of(vid)->new_device(vid);
}

static void
destroy_device(int vid)
{
	if (ops_of(vid)->destroy_device != NULL)
		ops_of(vid)->destroy_device(vid);
	if (door_device_of(vid) != NULL)
		vnet_connection_destroy_device(vid);
}

static int
vring_state_changed(int vid, uint16_t vring, int enable)
{
	struct door_device *device = door_device_of(vid);
	int ret = 0;

	if (enable && device != NULL) {
		door_device_add_queue(device, vring);
		vnet_connection_vring_state_changed(vid, vring, enable);
	}
	if (ops_of(vid)->vring_state_changed != NULL)
		ret = ops_of(vid)->vring_state_changed(vid, vring, enable);
	if (!enable && device != NULL)
		vnet_connection_vring_state_changed(vid, vring, enable);
	return ret;
}

static int
features_changed(int vid, uint64_t features)
{
	return ops_of(vid)->features_changed == NULL ? 0 :
						       ops_of(vid)->features_changed(vid, features);
}

static const struct rte_vhost_device_ops device_ops = {
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
	.features_changed = features_changed,
};

/* ---- what the application says of a socket ---- */

static int
driver_register(const char *path, uint64_t flags)
{
	int added, ret;

	dirtylog_vhost_init();
	added = path == NULL ? -EINVAL : door_socket_add(path, flags);
	ret = door_stock->driver_register(path, flags);
	if (ret < 0 && added == 0)
		door_socket_remove(path);
	return ret;
}

static int
driver_unregister(const char *path)
{
	/* First: it waits for the callbacks that run, and makes those of the end. */
	int ret = door_stock->driver_unregister(path);
	struct door_socket *socket = ret < 0 ? NULL : door_socket_find(path);

	if (socket == NULL)
		return ret;
	/* It does not say that the connections end with the socket. */
	door_device_destroy_all(socket);
	door_socket_remove(path);
	return ret;
}

static int
driver_callback_register(const char *path, struct rte_vhost_device_ops const *const ops)
{
	struct door_socket *socket = path == NULL ? NULL : door_socket_find(path);

	if (socket != NULL)
		__atomic_store_n(&socket->ops, ops, __ATOMIC_RELEASE);
	/* Before the start nothing is called; after it librte_vhost has the door's. */
	if (socket != NULL && socket->started && socket->why_stock == NULL)
		return 0;
	return door_stock->driver_callback_register(path, ops);
}

static int
driver_start(const char *path)
{
	struct door_socket *socket = path == NULL ? NULL : door_socket_find(path);
	const char *why;

	if (socket == NULL || socket->started)
		return door_stock->driver_start(path);
	why = door_socket_settle(socket);
	if (why == NULL && door_stock->driver_callback_register(path, &device_ops) == 0)
		VNET_DIAG(NOTICE, "%s: packets take dirtylog's datapath", path);
	else if (!socket->left)
		VNET_DIAG(NOTICE, "%s: packets take librte_vhost's own datapath, because %s", path,
				why == NULL ? "it refuses callbacks" : why);
	socket->started = true;
	return door_stock->driver_start(path);
}

static int
driver_set_features(const char *path, uint64_t features)
{
	if (path != NULL)
		door_socket_use_stock(path, "the application has features of its own");
	return door_stock->driver_set_features(path, features);
}

static int
driver_attach_vdpa_device(const char *path, struct rte_vdpa_device *vdpa)
{
	if (path != NULL)
		door_socket_use_stock(path, "a vDPA device is attached to it");
	return door_stock->driver_attach_vdpa_device(path, vdpa);
}

/* ---- what it says of a connection ---- */

static int
extern_callback_register(int vid, struct rte_vhost_user_extern_ops const *const ops, void *ctx)
{
	struct door_device *device = door_device_of(vid);

	/* librte_vhost's place for handlers is taken by the log's, which pass messages on. */
	if (device == NULL || ops == NULL)
		return door_stock->extern_callback_register(vid, ops, ctx);
	device->extern_ctx = ctx;
	device->extern_ops = ops;
	return 0;
}

static void
log_write(int vid, uint64_t addr, uint64_t len)
{
	struct door_device *device = door_device_of(vid);

	/* librte_vhost has no log of such a connection. */
	if (device != NULL)
		vnet_connection_mark(device->connection, addr, len);
	else
		door_stock->log_write(vid, addr, len);
}

static void
log_used_vring(int vid, uint16_t vring, uint64_t offset, uint64_t len)
{
	struct door_device *device = door_device_of(vid);

	if (device != NULL)
		vnet_connection_mark_used(device->connection, vring, offset, len);
	else
		door_stock->log_used_vring(vid, vring, offset, len);
}

/* ---- the table ---- */

static const struct vhost_api api = {
	.driver_register = driver_register,
	.driver_unregister = driver_unregister,
	.driver_start = driver_start,
	.driver_callback_register = driver_callback_register,
	.driver_set_features = driver_set_features,
	.driver_attach_vdpa_device = driver_attach_vdpa_device,
	.enqueue_burst = door_enqueue_burst,
	.dequeue_burst = door_dequeue_burst,
	.rx_queue_count = door_rx_queue_count,
	.avail_entries = door_avail_entries,
	.enable_guest_notification = door_enable_guest_notification,
	.get_monitor_addr = door_get_monitor_addr,
	.vring_stats_get = door_vring_stats_get,
	.vring_stats_reset = door_vring_stats_reset,
	.get_vring_base = door_get_vring_base,
	.extern_callback_register = extern_callback_register,
	.log_write = log_write,
	.log_used_vring = log_used_vring,
	.leave = door_socket_leave,
};

/* Their types are librte_vhost's. */
#define CHECK_TYPE(type, none, name, parameters, arguments) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(rte_vhost_##name) *, \
				       __typeof__(((struct vhost_api *)0)->name)), \
			"rte_vhost_" #name);
VHOST_API(CHECK_TYPE)

const struct vhost_api *
dirtylog_vhost_door_1(const struct vhost_api *functions, const char **why)
{
	unsigned int year, month;

	/* mbufs and mempools are used inline: what they look like is of that release. */
	if (sscanf(rte_version(), "%*s %u.%u", &year, &month) != 2 || year != RTE_VER_YEAR ||
			month != RTE_VER_MONTH) {
		*why = "it is for another release of DPDK";
		return NULL;
	}
	door_stock = functions;
	return &api;
}
