/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <numa.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "datapath/diag.h"
#include "datapath/ext_buffers.h"
#include "device.h"
#include "vring.h"

struct door_device *door_devices[DIRTYLOG_MAX_VIDS];
const struct vhost_api *door_stock;

/* ---- messages for the application's own handlers ---- */

static enum rte_vhost_msg_result
on_pre_msg_handle(void *ctx, void *msg)
{
	struct door_device *device = ctx;

	if (device->extern_ops == NULL || device->extern_ops->pre_msg_handle == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	return device->extern_ops->pre_msg_handle(device->vid, msg);
}

static enum rte_vhost_msg_result
on_post_msg_handle(void *ctx, void *msg)
{
	struct door_device *device = ctx;

	if (device->extern_ops == NULL || device->extern_ops->post_msg_handle == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	return device->extern_ops->post_msg_handle(device->vid, msg);
}

static const struct vnet_connection_ops connection_ops = {
	.pre_msg_handle = on_pre_msg_handle,
	.post_msg_handle = on_post_msg_handle,
};

/* ---- queues ---- */

static struct door_queue *
map_queue(int node)
{
	struct door_queue *queue = mmap(NULL, sizeof(*queue), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (queue == MAP_FAILED)
		return NULL;
	if (node >= 0 && numa_available() >= 0)
		numa_tonode_memory(queue, sizeof(*queue), node);
	return queue;
}

void
door_device_add_queue(struct door_device *device, uint16_t vring)
{
	const struct door_socket *socket = device->socket;
	struct door_queue *queue;

	if (vring >= DOOR_MAX_VRINGS || device->queues[vring] != NULL)
		return;
	queue = map_queue(rte_vhost_get_numa_node(device->vid));
	if (queue == NULL) {
		VNET_DIAG(ERR, "%s virtqueue %u: no memory: its packets do not pass", socket->path,
				vring);
		return;
	}
	rte_spinlock_init(&queue->lock);
	queue->queue.name = socket->path;
	queue->queue.fault_log = &device->fault_log;
	queue->queue.vring = vring;
	queue->queue.call_fd = -1;
	/* librte_vhost leaves it as the pool's mbufs have it. */
	queue->queue.mbuf_port = RTE_MBUF_PORT_INVALID;
	queue->queue.linear = (socket->flags & RTE_VHOST_USER_LINEARBUF_SUPPORT) != 0;
	queue->queue.rx_config = (struct vnet_rx_config){
		/* librte_vhost completes none in software. */
		.partial_checksums = true,
		.legacy_ol_flags = (socket->flags & RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS) == 0,
	};
	device->nb_vrings = RTE_MAX(device->nb_vrings, (uint16_t)(vring + 1));
	/* Release: orders the stores of the queue before the store of its pointer. */
	__atomic_store_n(&device->queues[vring], queue, __ATOMIC_RELEASE);
}

/* Where it fails, a long packet is several mbufs, or is dropped, and counted. */
static void
add_ext_buffers(struct door_device *device, struct vnet_queue *queue)
{
	char name[RTE_MEMPOOL_NAMESIZE];

	if ((device->socket->flags & RTE_VHOST_USER_EXTBUF_SUPPORT) == 0 ||
			vnet_vring_is_guest_rx(queue->vring))
		return;
	snprintf(name, sizeof(name), "dirtylog_vid%d_%u", device->vid, queue->vring);
	queue->ext_buffers = vnet_ext_buffers_create(name, rte_vhost_get_numa_node(device->vid));
}

bool
door_device_serve(struct door_device *device, struct door_queue *queue)
{
	if (__atomic_exchange_n(&queue->taking, true, __ATOMIC_RELAXED))
		return false;
	add_ext_buffers(device, &queue->queue);
	vnet_connection_set_queue(device->connection, queue->queue.vring, &queue->queue);
	/* Release: orders what was stored above before bursts of other threads. */
	__atomic_store_n(&queue->served, true, __ATOMIC_RELEASE);
	return true;
}

/* ---- beginning and end ---- */

/* Whether the application offers them to front-ends. */
static bool
offers_inflight(const struct door_socket *socket)
{
	uint64_t features = 0;

	rte_vhost_driver_get_protocol_features(socket->path, &features);
	return (features >> VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD & 1) != 0;
}

int
door_device_create(int vid, struct door_socket *socket)
{
	struct door_device *device;
	struct vnet_connection_config config;
	int ret;

	if (vid < 0 || vid >= DIRTYLOG_MAX_VIDS)
		return -ENOSPC;
	/* librte_vhost uses it again, and has not said that the one before is gone. */
	door_device_destroy(door_device_of(vid));
	device = calloc(1, sizeof(*device));
	if (device == NULL)
		return -ENOMEM;
	device->vid = vid;
	device->socket = socket;
	config = (struct vnet_connection_config){
		.name = socket->path,
		.log_name = socket->path,
		.nb_queue_pairs = VNET_MAX_QUEUE_PAIRS,
		.postcopy = (socket->flags & RTE_VHOST_USER_POSTCOPY_SUPPORT) != 0,
		.inflight = offers_inflight(socket),
		.as_librte_vhost = true,
		.ops = &connection_ops,
		.ctx = device,
	};
	/* Its handlers of messages are registered here: the vid is not the door's yet. */
	ret = vnet_connection_create(vid, &config, &device->connection);
	if (ret < 0) {
		free(device);
		return ret;
	}
	/* Release: orders the stores of the device before the store of its pointer. */
	__atomic_store_n(&door_devices[vid], device, __ATOMIC_RELEASE);
	return 0;
}

void
door_device_destroy(struct door_device *device)
{
	struct door_device *expected = device;
	uint16_t i;

	/* By one thread: a socket may end while its vid is used again. */
	if (device == NULL ||
			!__atomic_compare_exchange_n(&door_devices[device->vid], &expected, NULL,
					false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	vnet_connection_destroy(device->connection);
	for (i = 0; i < device->nb_vrings; i++) {
		if (device->queues[i] == NULL)
			continue;
		vnet_ext_buffers_release(device->queues[i]->queue.ext_buffers);
		munmap(device->queues[i], sizeof(*device->queues[i]));
	}
	free(device);
}

void
door_device_destroy_all(const struct door_socket *socket)
{
	int vid;

	for (vid = 0; vid < DIRTYLOG_MAX_VIDS; vid++) {
		struct door_device *device = door_device_of(vid);

		if (device != NULL && device->socket == socket)
			door_device_destroy(device);
	}
}
