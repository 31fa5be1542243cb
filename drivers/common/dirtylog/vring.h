/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One virtqueue of a connection: what the front-end has said of it, the queue
 * that serves it, and whether that is open.
 *
 * All of it belongs to the connection, whose lock the caller holds. What
 * librte_vhost knows is read on its own thread only, and kept.
 */

#ifndef VNET_VRING_H
#define VNET_VRING_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_vhost.h>

#include "datapath/queue.h"
#include "dirtylog.h"
#include "dirtylog_memory.h"

/* What all virtqueues of a connection go by. */
struct vnet_device {
	const char *name; /* whose connection, for log lines */
	struct dirtylog *dl;
	const struct dirtylog_memory *memory; /* the library's; NULL: there is none */
	uint64_t features;                    /* negotiated */
	int vid;
	bool runs; /* the front-end has started it */
};

struct vnet_vring {
	struct vnet_queue *queue;    /* the owner's, that serves it; or NULL */
	struct rte_vhost_vring ring; /* as librte_vhost knows it */
	uint16_t next_avail;         /* where the queue goes on when it opens */
	uint16_t next_used;
	bool went_on;  /* ... which librte_vhost has not been told of */
	int call_fd;   /* our duplicate, the same number as long as the vring lives; or -1 */
	bool can_call; /* the front-end wants it to be used */
	int kick_fd;   /* our duplicate, of a virtqueue that the guest sends on; or -1 */
	bool ready;    /* the front-end has set it up and enabled it */
	bool open;
	bool was_open;      /* in this connection */
	bool call_changing; /* not ready for a new call descriptor's sake only */
	bool quiesced;      /* closed until the message that runs is over */
	bool announce;      /* the guest, when it opens: see vnet_vring_announce() */
	uint64_t mac;       /* ... with this address */
};

/* Even ones are what the guest receives from, odd ones what it sends on. */
static inline bool
vnet_vring_is_guest_rx(uint16_t index)
{
	return index % 2 == 0;
}

void vnet_vring_init(struct vnet_vring *vring);

/* Open the queue if everything it needs is there, and no message is under way. */
void vnet_vring_open(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index);

/* Close it: no burst touches ring or guest memory any more when this returns. */
void vnet_vring_close(struct vnet_vring *vring, const struct vnet_device *device);

/*
 * The same, and tell librte_vhost how far the ring was used: it will be asked.
 * On its thread.
 */
void vnet_vring_hand_back(struct vnet_vring *vring, const struct vnet_device *device,
		uint16_t index);

/* Take over what librte_vhost knows of it; it is closed. On librte_vhost's thread. */
void vnet_vring_read(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index);

/* The call descriptor has changed, perhaps while it is open. On librte_vhost's thread. */
void vnet_vring_read_call_fd(struct vnet_vring *vring, const struct vnet_device *device,
		uint16_t index);

/* Give it a queue to be served by, or (NULL) take that away; it is closed by this. */
void vnet_vring_set_queue(struct vnet_vring *vring, const struct vnet_device *device,
		uint16_t index, struct vnet_queue *queue);

/*
 * Have its queue announce the guest that has arrived: at once, or when it opens. QEMU asks
 * by the clock, and its guest may be started, with its device, after the last time.
 * `mac` is as in vnet_rarp_request().
 */
void vnet_vring_announce(struct vnet_vring *vring, uint64_t mac);

/* The connection ends. */
void vnet_vring_fini(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index);

#endif /* VNET_VRING_H */
