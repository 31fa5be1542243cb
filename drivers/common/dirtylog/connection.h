/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One connection of a front-end: a vid of librte_vhost, with its log state, its
 * memory and its virtqueues.
 *
 * Two sides meet here. librte_vhost's event thread brings messages and
 * callbacks, by vid. The owner, who offers the packets to an application, gives
 * queues to virtqueues and takes them back. A queue is open while the
 * front-end's device runs, its virtqueue is ready, there is memory, and no
 * message is under way that changes one of these.
 *
 * Several connections may be on one socket, each with a state of its own. All
 * functions may be called by several threads; each takes the connection's lock.
 * The owner's callbacks are called without it.
 */

#ifndef VNET_CONNECTION_H
#define VNET_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_vhost.h>

#include "datapath/queue.h"
#include "dirtylog.h"

#define VNET_MAX_QUEUE_PAIRS 128

struct vnet_connection;

/* What a connection tells its owner, on librte_vhost's event thread. Each is optional. */
struct vnet_connection_ops {
	/* The front-end's device runs, or has stopped. */
	void (*device_state)(void *ctx, struct vnet_connection *connection, bool runs);
	/* Virtqueues became ready, or are not any more: see vnet_connection_is_ready(). */
	void (*vring_state)(void *ctx, struct vnet_connection *connection);
	/* Extern message handlers of an application's: see struct dirtylog_vhost_ops. */
	enum rte_vhost_msg_result (*pre_msg_handle)(void *ctx, void *msg);
	enum rte_vhost_msg_result (*post_msg_handle)(void *ctx, void *msg);
};

/* How a connection is served. */
struct vnet_connection_config {
	const char *name;        /* of the owner, for log lines; must outlive the connection */
	const char *log_name;    /* for the library's log lines; copied */
	uint16_t nb_queue_pairs; /* virtqueues beyond them are not served */
	bool postcopy;           /* it is offered to the front-end */
	bool inflight;           /* so are files of in-flight descriptors, by librte_vhost */
	bool as_librte_vhost;    /* how many queues the front-end is told of is its affair */
	struct dirtylog_options log_options;
	const struct vnet_connection_ops *ops;
	void *ctx; /* for `ops` */
};

/*
 * Serve a vid; from librte_vhost's new_connection(), so that no message is missed.
 * Returns 0; -ENOMEM; -EMFILE: few descriptors are left, for those who are served;
 * -EIO: librte_vhost does not know the vid.
 */
int vnet_connection_create(int vid, const struct vnet_connection_config *config,
		struct vnet_connection **connection);

/*
 * The front-end is gone, or the owner does not want it any more: its queues are
 * closed and the owner's again. On librte_vhost's thread, or when that brings no
 * more messages of this vid.
 */
void vnet_connection_destroy(struct vnet_connection *connection);

/* The connection that serves a vid, or NULL. */
struct vnet_connection *vnet_connection_of(int vid);

/* For librte_vhost: struct rte_vhost_device_ops has members of these names. */
int vnet_connection_new_device(int vid);
void vnet_connection_destroy_device(int vid);
int vnet_connection_vring_state_changed(int vid, uint16_t vring, int enable);

/*
 * Have a virtqueue served by a queue, or (NULL) by none: that queue, if there was
 * one, is closed and the caller's again. The owner's fields of the queue are
 * filled in.
 */
void vnet_connection_set_queue(struct vnet_connection *connection, uint16_t vring,
		struct vnet_queue *queue);

/* The `ctx` that it was created with. */
void *vnet_connection_owner(const struct vnet_connection *connection);

/* Whether the front-end has set up and enabled a virtqueue. */
bool vnet_connection_is_ready(struct vnet_connection *connection, uint16_t vring);

/* The MTU that the front-end has told its guest, or 0. */
uint16_t vnet_connection_mtu(struct vnet_connection *connection);

/*
 * Mark what the owner has written to the guest's memory by itself. Nothing
 * happens where there is no such memory, or no such ring.
 */
void vnet_connection_mark(struct vnet_connection *connection, uint64_t gpa, uint64_t len);

/* The same of `len` bytes at an offset into a virtqueue's used ring. */
void vnet_connection_mark_used(struct vnet_connection *connection, uint16_t vring, uint64_t offset,
		uint64_t len);

/* Read the counters of its log state. */
void vnet_connection_get_stats(struct vnet_connection *connection, struct dirtylog_stats *stats);

/* Write a readable description. */
void vnet_connection_dump(struct vnet_connection *connection, FILE *stream);

#endif /* VNET_CONNECTION_H */
