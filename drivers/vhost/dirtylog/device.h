/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a vid is to the door: the connection that serves it, and a queue for each
 * of its virtqueues.
 *
 * A queue is there when its virtqueue first gets ready, on the guest's NUMA node
 * and outside of the EAL's heap, which the operator has sized for something else.
 * The application's first burst has it served: who has a datapath of his own on
 * librte_vhost's rings never makes one, and keeps them.
 *
 * librte_vhost's thread makes and ends devices. An application stops its bursts
 * before a device is gone (destroy_device()), as librte_vhost wants it.
 */

#ifndef DOOR_DEVICE_H
#define DOOR_DEVICE_H

#include <rte_common.h>
#include <rte_spinlock.h>

#include "api.h"
#include "connection.h"
#include "datapath/queue.h"
#include "dirtylog_vhost.h"
#include "socket.h"

#define DOOR_MAX_VRINGS (2 * VNET_MAX_QUEUE_PAIRS)

/* Any thread may make a burst; the queue is one thread's at a time. */
struct door_queue {
	rte_spinlock_t lock;
	bool served; /* an application has made a burst */
	bool taking; /* ... and a thread sees to it */
	struct vnet_queue queue;
};

struct door_device {
	int vid;
	uint16_t nb_vrings; /* up to the highest one that was ready */
	struct door_socket *socket;
	struct vnet_connection *connection;
	const struct rte_vhost_user_extern_ops *extern_ops; /* the application's; or NULL */
	void *extern_ctx;
	struct vnet_fault_log fault_log;
	struct door_queue *queues[DOOR_MAX_VRINGS];
};

extern struct door_device *door_devices[DIRTYLOG_MAX_VIDS];

/* librte_vhost's own functions, for what the door does not serve; since it is open. */
extern const struct vhost_api *door_stock;

/* The device that the door serves, or NULL: librte_vhost does. */
static inline struct door_device *
door_device_of(int vid)
{
	if (unlikely((unsigned int)vid >= DIRTYLOG_MAX_VIDS))
		return NULL;
	/* Acquire: orders the load of the pointer before the loads of what it points to. */
	return __atomic_load_n(&door_devices[vid], __ATOMIC_ACQUIRE);
}

/* A queue of it, or NULL: it was never ready. */
static inline struct door_queue *
door_queue_of(struct door_device *device, uint16_t vring)
{
	if (unlikely(vring >= DOOR_MAX_VRINGS))
		return NULL;
	/* Acquire: as above. */
	return __atomic_load_n(&device->queues[vring], __ATOMIC_ACQUIRE);
}

/* A connection of a socket that the door serves. Returns 0 or a negative errno. */
int door_device_create(int vid, struct door_socket *socket);

/* It is gone, unless that is done or it is NULL. */
void door_device_destroy(struct door_device *device);

/* The socket is unregistered: all of its connections are gone. */
void door_device_destroy_all(const struct door_socket *socket);

/* A virtqueue is ready: see to it that there is a queue. */
void door_device_add_queue(struct door_device *device, uint16_t vring);

/* Have a queue served from now on. False: another thread does so. */
bool door_device_serve(struct door_device *device, struct door_queue *queue);

#endif /* DOOR_DEVICE_H */
