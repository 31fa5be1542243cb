/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A port: a socket, the connections of front-ends on it, and the ethdev whose
 * queues serve them.
 *
 * The ethdev's queues serve one connection at a time, the one that came last:
 * a front-end that comes back may be here before its old connection is seen
 * closed. One that lost them so does not get them back. While the ethdev is
 * stopped nobody has them.
 *
 * librte_vhost's event thread and the ethdev's control thread both get here; the
 * port's lock keeps them apart. It is taken before a connection's.
 */

#ifndef ETH_DIRTYLOG_PORT_H
#define ETH_DIRTYLOG_PORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/un.h>

#include "connection.h"
#include "datapath/queue.h"
#include "datapath/rx_wakeup.h"

/* What the port tells the ethdev, from librte_vhost's thread, unlocked. */
struct eth_dirtylog_port_events {
	void (*link)(void *ctx, bool up);
	void (*queue_state)(void *ctx);
};

/* A connection on the port's socket. */
struct eth_dirtylog_link {
	TAILQ_ENTRY(eth_dirtylog_link) next;
	struct vnet_connection *connection; /* NULL: librte_vhost's own datapath serves it */
	int vid;
	uint16_t mtu; /* of one without a connection; else vnet_connection_mtu() */
	bool runs;    /* the front-end's device does */
};

/*
 * What librte_vhost's thread tells of virtqueues that its own datapath serves, with
 * the locks held that their bursts wait for. So its lock is taken after all others,
 * and who holds it waits for nobody.
 */
struct eth_dirtylog_stock_vrings {
	pthread_mutex_t lock;
	int vid; /* of the port's current link, or -1 */
	bool ready[2 * VNET_MAX_QUEUE_PAIRS];
	int kick_fds[VNET_MAX_QUEUE_PAIRS]; /* of what guests send on; the port's own, or -1 */
};

struct eth_dirtylog_port {
	TAILQ_ENTRY(eth_dirtylog_port) next;
	pthread_mutex_t lock;
	char name[sizeof("port 65535")];
	char iface[sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint16_t nb_queue_pairs;
	uint16_t port_id;
	bool client;
	bool iommu;           /* offer a vIOMMU: librte_vhost's own datapath has the packets */
	bool postcopy;        /* tell the front-end that it may migrate so */
	bool tso;             /* take segments longer than the MTU from the guest */
	bool linear_buffers;  /* a received packet is one mbuf, or is dropped */
	bool ext_buffers;     /* a packet too long for an mbuf gets an external buffer */
	bool legacy_ol_flags; /* mbuf flags of transmit in received packets */
	struct dirtylog_options log_options;
	const struct eth_dirtylog_port_events *events;
	void *events_ctx;

	TAILQ_HEAD(, eth_dirtylog_link) links;
	struct eth_dirtylog_link *current;  /* has the queues; NULL: nobody has */
	struct dirtylog_stats log_past;     /* of connections that are gone */
	struct dirtylog_stats log_at_reset; /* the log's counters are read from there on */
	struct vnet_rx_config rx_config;
	struct vnet_fault_log fault_log;
	bool registered;      /* the socket exists */
	bool started;         /* the ethdev is */
	uint16_t next_change; /* virtqueue to look at first for what changed */
	struct vnet_queue *queues[2 * VNET_MAX_QUEUE_PAIRS]; /* the ethdev's, by virtqueue */
	bool reported_ready[2 * VNET_MAX_QUEUE_PAIRS];       /* what the application knows */
	bool reported_unpolled[2 * VNET_MAX_QUEUE_PAIRS];    /* what the log says */
	struct vnet_rx_wakeup wakeups[VNET_MAX_QUEUE_PAIRS]; /* of receive queues */
	struct eth_dirtylog_stock_vrings stock;              /* with `iommu` */
};

/*
 * Prepare a port. `port_id` and what eth_dirtylog_devargs_parse() fills in are set.
 */
void eth_dirtylog_port_init(struct eth_dirtylog_port *port,
		const struct eth_dirtylog_port_events *events, void *ctx);

/* Undo it. The socket is closed first if it is open. */
void eth_dirtylog_port_fini(struct eth_dirtylog_port *port);

/*
 * Listen on the socket, or keep connecting to it.
 * Returns 0; -EADDRINUSE: another process listens on it, or this one serves it
 * already; -EIO: librte_vhost refused, and has said why. Calling it again does
 * nothing.
 */
int eth_dirtylog_port_register(struct eth_dirtylog_port *port);

/* Give the virtqueue its ethdev queue, or take it away (NULL). */
void eth_dirtylog_port_set_queue(struct eth_dirtylog_port *port, uint16_t vring,
		struct vnet_queue *queue);

/* The ethdev is configured, perhaps while it runs. */
void eth_dirtylog_port_set_rx_config(struct eth_dirtylog_port *port,
		const struct vnet_rx_config *config);

/* The ethdev starts or stops. */
void eth_dirtylog_port_set_started(struct eth_dirtylog_port *port, bool started);

/*
 * Find a virtqueue that became ready, or is not any more, since this was last
 * told of it. Returns false if there is none.
 */
bool eth_dirtylog_port_next_change(struct eth_dirtylog_port *port, uint16_t *vring, bool *ready);

/* librte_vhost's id of the connection, or -ENOTCONN. */
int eth_dirtylog_port_vid(struct eth_dirtylog_port *port);

/* The MTU that the front-end has told its guest, or 0. */
uint16_t eth_dirtylog_port_mtu(struct eth_dirtylog_port *port);

/* The log's counters, of all connections so far, and its state now. */
void eth_dirtylog_port_get_stats(struct eth_dirtylog_port *port, struct dirtylog_stats *stats);

#endif /* ETH_DIRTYLOG_PORT_H */
