/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A port's life: the front-end's comings and goings on one side, the ethdev's
 * starts and stops on the other, and from both, which queues are open.
 *
 * A queue is open when the ethdev has it and is started, the front-end's
 * device is ready, and the virtqueue is. librte_vhost's event thread and the
 * ethdev's control thread both get here; the port's lock keeps them apart.
 * What librte_vhost knows is read by its own thread only, and kept.
 */

#ifndef ETH_DIRTYLOG_PORT_H
#define ETH_DIRTYLOG_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/un.h>

#include <rte_vhost.h>

#include "datapath/rx_wakeup.h"
#include "datapath/queue.h"
#include "dirtylog_vhost.h"

#define VNET_MAX_QUEUE_PAIRS 128

/* What the port tells the ethdev, from librte_vhost's thread, unlocked. */
struct eth_dirtylog_port_events {
	void (*link)(void *ctx, bool up);
	void (*queue_state)(void *ctx);
};

/* One virtqueue, whether an ethdev queue belongs to it or not. */
struct vnet_vring {
	struct vnet_queue *queue; /* the ethdev's, or NULL */
	struct rte_vhost_vring ring;  /* as librte_vhost knows it */
	uint16_t next_avail;          /* where the queue goes on when it opens */
	uint16_t next_used;
	int call_fd;                  /* our duplicate, or -1 */
	struct vnet_rx_wakeup wakeup; /* of receive queues: with the kick descriptor */
	bool ready;                   /* the front-end has set it up and enabled it */
	bool reported_ready;              /* `ready`, as the application was last told */
	bool open;
	bool was_open;                /* in this connection */
	bool call_changing;           /* not ready for a new call descriptor's sake only */
};

struct eth_dirtylog_port {
	TAILQ_ENTRY(eth_dirtylog_port) next;
	pthread_mutex_t lock;
	char iface[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* longer ones are cut off */
	uint16_t nb_queue_pairs;      /* offered to the front-end */
	uint16_t port_id;
	bool client;
	bool postcopy;                /* tell the front-end that it may migrate so */
	bool tso;                     /* take segments longer than the MTU from the guest */
	bool linear_buffers;          /* a received packet is one mbuf, or is dropped */
	bool ext_buffers;             /* ... with an external buffer if it is too long */
	bool legacy_ol_flags;         /* mbuf flags of transmit in received packets */
	uint64_t rx_offloads;         /* RTE_ETH_RX_OFFLOAD_*, as the ethdev is configured */
	struct dirtylog_options log_options;
	const struct eth_dirtylog_port_events *events;
	void *events_ctx;

	struct dirtylog *dl;
	struct dirtylog_stats stats_at_reset; /* its counters are read from there on */
	struct dirtylog_vhost *vhost; /* of the connection, or NULL */
	const struct dirtylog_memory *mem; /* of the connection, or NULL */
	uint64_t features;
	uint16_t mtu;                 /* as the front-end says, or 0 */
	int vid;                      /* -1: no connection */
	bool registered;              /* the socket exists */
	bool attached;                /* the front-end's device runs */
	bool started;                 /* the ethdev is */
	uint16_t next_change;         /* virtqueue to look at first for what changed */
	struct vnet_vring vrings[2 * VNET_MAX_QUEUE_PAIRS];
};

/*
 * Prepare a port. `port_id` and what eth_dirtylog_devargs_parse() fills in are set.
 * Returns 0 or -ENOMEM.
 */
int eth_dirtylog_port_init(struct eth_dirtylog_port *port, const struct eth_dirtylog_port_events *events,
		void *ctx);

/* Undo it. The socket is closed first if it is open. */
void eth_dirtylog_port_fini(struct eth_dirtylog_port *port);

/*
 * Listen on the socket, or keep connecting to it.
 * Returns 0; -EADDRINUSE: another process listens on it; -EIO: librte_vhost
 * refused, and has said why. Calling it again does nothing.
 */
int eth_dirtylog_port_register(struct eth_dirtylog_port *port);

/* Give the virtqueue its ethdev queue, or take it away (NULL). */
void eth_dirtylog_port_set_queue(struct eth_dirtylog_port *port, uint16_t vring,
		struct vnet_queue *queue);

/* The ethdev is configured, perhaps while it runs. */
void eth_dirtylog_port_set_rx_offloads(struct eth_dirtylog_port *port, uint64_t offloads);

/* The ethdev starts or stops. */
void eth_dirtylog_port_set_started(struct eth_dirtylog_port *port, bool started);

/*
 * Find a virtqueue that became ready, or is not any more, since this was last
 * told of it. Returns false if there is none.
 */
bool eth_dirtylog_port_next_change(struct eth_dirtylog_port *port, uint16_t *vring, bool *ready);

/* librte_vhost's id of the connection, or -ENOTCONN. */
int eth_dirtylog_port_vid(struct eth_dirtylog_port *port);

#endif /* ETH_DIRTYLOG_PORT_H */
