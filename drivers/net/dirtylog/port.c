/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: who has the queues, librte_vhost's callbacks, what a port offers,
 * its socket, and what the ethdev calls.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "datapath/diag.h"
#include "dirtylog_vhost.h"
#include "peer_diag.h"
#include "port.h"
#include "stock.h"
#include "vring.h"

/* librte_vhost's features that this datapath does not have. */
#define FEATURES_LACKING ((1ULL << VIRTIO_F_ACCESS_PLATFORM))

/* Segments longer than the MTU, from the guest. */
#define FEATURES_HOST_TSO \
	((1ULL << VIRTIO_NET_F_HOST_TSO4) | (1ULL << VIRTIO_NET_F_HOST_TSO6) | \
			(1ULL << VIRTIO_NET_F_HOST_UFO) | (1ULL << VIRTIO_NET_F_HOST_ECN) | \
			(1ULL << VIRTIO_NET_F_GSO))

/*
 * Front-ends on one socket: the one that is served, and some that come back before
 * their old connection is seen closed. Each costs descriptors and mappings.
 */
#define MAX_LINKS 4

/* Protocol features that this back-end keeps of librte_vhost's. */
#define PROTOCOL_FEATURES \
	((1ULL << VHOST_USER_PROTOCOL_F_MQ) | (1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD) | \
			(1ULL << VHOST_USER_PROTOCOL_F_RARP) | \
			(1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
			(1ULL << VHOST_USER_PROTOCOL_F_NET_MTU) | \
			(1ULL << VHOST_USER_PROTOCOL_F_STATUS))

/*
 * The door to this datapath that stands before librte_vhost, if this process has
 * one: the socket that is registered next is not to be served by it.
 */
extern void dirtylog_vhost_leave(const char *path) __attribute__((weak));

/*
 * librte_vhost's new_connection() gets a vid, which names a socket path, which
 * names the port. All others find the connection by its vid.
 */
static TAILQ_HEAD(, eth_dirtylog_port) ports = TAILQ_HEAD_INITIALIZER(ports);
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

static struct eth_dirtylog_port *
find_port(int vid)
{
	struct eth_dirtylog_port *port;
	char iface[PATH_MAX];

	if (rte_vhost_get_ifname(vid, iface, sizeof(iface)) < 0)
		return NULL;
	pthread_mutex_lock(&ports_lock);
	TAILQ_FOREACH(port, &ports, next)
		if (strcmp(port->iface, iface) == 0)
			break;
	pthread_mutex_unlock(&ports_lock);
	return port;
}

/* ---- who has the queues; the port's lock is held ---- */

static struct eth_dirtylog_link *
find_link(struct eth_dirtylog_port *port, const struct vnet_connection *connection)
{
	struct eth_dirtylog_link *link;

	TAILQ_FOREACH(link, &port->links, next)
		if (link->connection == connection)
			break;
	return link;
}

static void
serve(struct eth_dirtylog_port *port, uint16_t vring)
{
	struct eth_dirtylog_link *link = port->current;
	struct vnet_queue *queue = port->queues[vring];

	if (link == NULL || queue == NULL || !port->started)
		return;
	if (port->iommu) {
		if (link->runs)
			eth_dirtylog_stock_open(queue, link->vid, &port->rx_config);
		return;
	}
	queue->rx_config = port->rx_config;
	vnet_connection_set_queue(link->connection, vring, queue);
}

/* Take a queue back from the current link. */
static void
leave(struct eth_dirtylog_port *port, uint16_t vring)
{
	if (port->current == NULL)
		return;
	if (!port->iommu)
		vnet_connection_set_queue(port->current->connection, vring, NULL);
	else if (port->queues[vring] != NULL)
		eth_dirtylog_stock_close(port->queues[vring]);
}

/* Have the current link served. */
static void
serve_all(struct eth_dirtylog_port *port)
{
	uint16_t i;

	for (i = 0; i < 2 * port->nb_queue_pairs; i++)
		serve(port, i);
}

static void
leave_all(struct eth_dirtylog_port *port)
{
	uint16_t i;

	for (i = 0; i < 2 * port->nb_queue_pairs; i++)
		leave(port, i);
}

/* Fewer queues to transmit on are as expected; a guest that sends in vain is not. */
static void
report_unpolled(struct eth_dirtylog_port *port)
{
	struct eth_dirtylog_link *link = port->current;
	uint16_t i;

	for (i = 1; link != NULL && port->started && i < 2 * port->nb_queue_pairs; i += 2) {
		if (port->queues[i] != NULL || port->reported_unpolled[i] ||
				!vnet_connection_is_ready(link->connection, i))
			continue;
		port->reported_unpolled[i] = true;
		VNET_PEER_DIAG(link->vid, WARNING,
				"%s: the guest sends on virtqueue %u, which nobody polls: the"
				" application has too few receive queues",
				port->name, i);
	}
}

static void
add_counters(struct dirtylog_stats *sum, const struct dirtylog_stats *stats)
{
	vnet_add_marks(&sum->marks, &stats->marks);
	sum->swaps += stats->swaps;
	sum->refused_logs += stats->refused_logs;
	sum->drains += stats->drains;
	sum->pages_drained += stats->pages_drained;
	sum->truncated_logs += stats->truncated_logs;
	sum->truncated_regions += stats->truncated_regions;
	sum->refused_regions += stats->refused_regions;
	sum->whole_marks += stats->whole_marks;
}

/* ---- virtqueues that librte_vhost's own datapath serves; see port.h for their lock ---- */

/* Have the sleeper of what the guest sends on woken by its kicks, or not any more. */
static void
stock_watch_kicks(struct eth_dirtylog_port *port, uint16_t vring, bool on)
{
	struct rte_vhost_vring ring = { .kickfd = -1 };
	int *kick_fd = &port->stock.kick_fds[vring / 2], old = *kick_fd;

	if (on)
		rte_vhost_get_vhost_vring(port->stock.vid, vring, &ring);
	/* One of its own: librte_vhost does not say when it closes the other. */
	*kick_fd = ring.kickfd < 0 ? -1 : fcntl(ring.kickfd, F_DUPFD_CLOEXEC, 0);
	if (vnet_rx_wakeup_set_kick(&port->wakeups[vring / 2], *kick_fd) < 0)
		VNET_DIAG(ERR, "%s virtqueue %u: no kicks", port->name, vring);
	if (old >= 0)
		close(old);
	/* Nobody was kicked for what came before. */
	vnet_rx_wakeup_signal(&port->wakeups[vring / 2]);
}

/* Another connection, or none, has the queues from now on. */
static void
stock_set_vid(struct eth_dirtylog_port *port, int vid)
{
	uint16_t i;

	if (!port->iommu)
		return;
	pthread_mutex_lock(&port->stock.lock);
	for (i = 1; i < 2 * port->nb_queue_pairs; i += 2)
		if (port->stock.kick_fds[i / 2] >= 0)
			stock_watch_kicks(port, i, false);
	memset(port->stock.ready, 0, sizeof(port->stock.ready));
	port->stock.vid = vid;
	pthread_mutex_unlock(&port->stock.lock);
}

/* ---- connections come, change and go, on librte_vhost's thread ---- */

static void
on_device_state(void *ctx, struct vnet_connection *connection, bool runs)
{
	struct eth_dirtylog_port *port = ctx;
	struct eth_dirtylog_link *link;
	bool is_current;

	pthread_mutex_lock(&port->lock);
	link = find_link(port, connection);
	link->runs = runs;
	is_current = link == port->current;
	pthread_mutex_unlock(&port->lock);
	if (is_current)
		port->events->link(port->events_ctx, runs);
}

static void
on_vring_state(void *ctx, struct vnet_connection *connection)
{
	struct eth_dirtylog_port *port = ctx;
	bool is_current;

	pthread_mutex_lock(&port->lock);
	is_current = port->current != NULL && port->current->connection == connection;
	if (is_current)
		report_unpolled(port);
	pthread_mutex_unlock(&port->lock);
	if (is_current)
		port->events->queue_state(port->events_ctx);
}

static const struct vnet_connection_ops connection_ops = {
	.device_state = on_device_state,
	.vring_state = on_vring_state,
};

static unsigned int
nb_links(struct eth_dirtylog_port *port)
{
	struct eth_dirtylog_link *link;
	unsigned int n = 0;

	pthread_mutex_lock(&port->lock);
	TAILQ_FOREACH(link, &port->links, next)
		n++;
	pthread_mutex_unlock(&port->lock);
	return n;
}

/* Have the dirty log, and this project's datapath, for a connection. */
static int
connect_link(struct eth_dirtylog_port *port, struct eth_dirtylog_link *link)
{
	const struct vnet_connection_config config = {
		.name = port->name,
		.log_name = port->iface,
		.nb_queue_pairs = port->nb_queue_pairs,
		.postcopy = port->postcopy,
		.log_options = port->log_options,
		.ops = &connection_ops,
		.ctx = port,
	};

	return vnet_connection_create(link->vid, &config, &link->connection);
}

/* The port's lock is held. Returns whether the link goes down. */
static bool
take_over(struct eth_dirtylog_port *port, struct eth_dirtylog_link *link)
{
	struct eth_dirtylog_link *old = port->current;

	if (old != NULL)
		VNET_PEER_DIAG(link->vid, NOTICE, "%s: a new front-end takes over", port->name);
	leave_all(port);
	TAILQ_INSERT_TAIL(&port->links, link, next);
	port->current = link;
	memset(port->reported_unpolled, 0, sizeof(port->reported_unpolled));
	stock_set_vid(port, link->vid);
	serve_all(port);
	return old != NULL && old->runs;
}

static int
new_connection(int vid)
{
	struct eth_dirtylog_port *port = find_port(vid);
	struct eth_dirtylog_link *link;
	bool was_up;
	int ret;

	if (port == NULL)
		return -1;
	if (nb_links(port) >= MAX_LINKS) {
		VNET_PEER_DIAG(vid, ERR,
				"%s: %u front-ends are connected to %s: one more is refused",
				port->name, MAX_LINKS, port->iface);
		return -EBUSY;
	}
	link = calloc(1, sizeof(*link));
	if (link == NULL)
		return -ENOMEM;
	link->vid = vid;
	ret = port->iommu ? 0 : connect_link(port, link);
	if (ret < 0) {
		free(link);
		return ret;
	}
	pthread_mutex_lock(&port->lock);
	was_up = take_over(port, link);
	pthread_mutex_unlock(&port->lock);
	if (was_up) {
		port->events->link(port->events_ctx, false);
		port->events->queue_state(port->events_ctx);
	}
	return 0;
}

/* Forget a connection; returns whether it had the queues. */
static bool
drop_link(struct eth_dirtylog_port *port, struct eth_dirtylog_link *link)
{
	struct dirtylog_stats stats;
	bool was_current;

	pthread_mutex_lock(&port->lock);
	was_current = link == port->current;
	if (was_current) {
		leave_all(port);
		port->current = NULL;
		stock_set_vid(port, -1);
	}
	if (link->connection != NULL) {
		vnet_connection_get_stats(link->connection, &stats);
		add_counters(&port->log_past, &stats);
	}
	TAILQ_REMOVE(&port->links, link, next);
	pthread_mutex_unlock(&port->lock);
	if (link->connection != NULL)
		vnet_connection_destroy(link->connection);
	free(link);
	return was_current;
}

static void
destroy_connection(int vid)
{
	struct vnet_connection *connection = vnet_connection_of(vid);
	struct eth_dirtylog_port *port;
	struct eth_dirtylog_link *link;

	if (connection == NULL)
		return;
	port = vnet_connection_owner(connection);
	pthread_mutex_lock(&port->lock);
	link = find_link(port, connection);
	pthread_mutex_unlock(&port->lock);
	/* librte_vhost does not say that the virtqueues end with the connection. */
	if (drop_link(port, link))
		port->events->queue_state(port->events_ctx);
}

/* ---- the same of connections that librte_vhost's own datapath serves ---- */

static struct eth_dirtylog_link *
find_stock_link(struct eth_dirtylog_port *port, int vid)
{
	struct eth_dirtylog_link *link;

	TAILQ_FOREACH(link, &port->links, next)
		if (link->vid == vid)
			break;
	return link;
}

/* Their bursts have ended when it returns; they, and no message, are waited for. */
static int
stock_device_state(int vid, bool runs)
{
	struct eth_dirtylog_port *port = find_port(vid);
	struct eth_dirtylog_link *link;
	bool is_current;

	if (port == NULL)
		return -1;
	pthread_mutex_lock(&port->lock);
	link = find_stock_link(port, vid);
	is_current = link != NULL && link == port->current;
	if (is_current && !runs)
		leave_all(port);
	if (link != NULL)
		link->runs = runs;
	/* Not negotiated, or never sent: the owner keeps its own. */
	if (link != NULL && rte_vhost_get_mtu(vid, &link->mtu) < 0)
		link->mtu = 0;
	if (is_current && runs)
		serve_all(port);
	pthread_mutex_unlock(&port->lock);
	if (is_current)
		port->events->link(port->events_ctx, runs);
	return 0;
}

static int
stock_new_device(int vid)
{
	return stock_device_state(vid, true);
}

static void
stock_destroy_device(int vid)
{
	stock_device_state(vid, false);
}

/* Not with the port's lock: see struct eth_dirtylog_stock_vrings. */
static int
stock_vring_state_changed(int vid, uint16_t vring, int enable)
{
	struct eth_dirtylog_port *port = find_port(vid);
	bool changed = false;

	if (port == NULL || vring >= 2 * port->nb_queue_pairs)
		return 0;
	pthread_mutex_lock(&port->stock.lock);
	if (port->stock.vid == vid) {
		changed = port->stock.ready[vring] != (enable != 0);
		port->stock.ready[vring] = enable != 0;
		if (!vnet_vring_is_guest_rx(vring))
			stock_watch_kicks(port, vring, enable != 0);
	}
	pthread_mutex_unlock(&port->stock.lock);
	if (changed)
		port->events->queue_state(port->events_ctx);
	return 0;
}

static void
stock_destroy_connection(int vid)
{
	struct eth_dirtylog_port *port = find_port(vid);
	struct eth_dirtylog_link *link;

	if (port == NULL)
		return;
	pthread_mutex_lock(&port->lock);
	link = find_stock_link(port, vid);
	pthread_mutex_unlock(&port->lock);
	if (link != NULL && drop_link(port, link))
		port->events->queue_state(port->events_ctx);
}

static const struct rte_vhost_device_ops stock_ops = {
	.new_connection = new_connection,
	.destroy_connection = stock_destroy_connection,
	.new_device = stock_new_device,
	.destroy_device = stock_destroy_device,
	.vring_state_changed = stock_vring_state_changed,
	.guest_notified = eth_dirtylog_stock_guest_notified,
};

static const struct rte_vhost_device_ops device_ops = {
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
	.new_device = vnet_connection_new_device,
	.destroy_device = vnet_connection_destroy_device,
	.vring_state_changed = vnet_connection_vring_state_changed,
};

/* ---- the socket ---- */

/* librte_vhost's features that the port does not offer, by its settings. */
static uint64_t
features_not_offered(const struct eth_dirtylog_port *port)
{
	uint64_t features = port->iommu ? 0 : FEATURES_LACKING;

	/* As net_vhost: such a packet may be too long for the mbufs' pool. */
	if (!port->tso || (port->linear_buffers && !port->ext_buffers))
		features |= FEATURES_HOST_TSO;
	return features;
}

static uint64_t
protocol_features(const struct eth_dirtylog_port *port)
{
	uint64_t features = PROTOCOL_FEATURES;

	if (port->postcopy)
		features |= 1ULL << VHOST_USER_PROTOCOL_F_PAGEFAULT;
	return features;
}

/*
 * A socket file that nobody listens on is left over from a process that died,
 * and librte_vhost would fail on it. Anything else at the path stays.
 */
static int
remove_stale_socket(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int fd, ret = 0;

	strcpy(addr.sun_path, path);
	/*
	 * A stream socket refuses a datagram one by its type, if it is alive. A
	 * connection that is accepted would push the guest of that port off.
	 */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 || errno == EPROTOTYPE)
		ret = -EADDRINUSE;
	else if (errno == ECONNREFUSED && stat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		ret = -EEXIST; /* librte_vhost would delete whatever it is */
	else if (errno == ECONNREFUSED)
		unlink(path);
	close(fd);
	return ret;
}

static bool
is_same_file(const char *path, const char *other)
{
	struct stat a, b;

	return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
			a.st_ino == b.st_ino;
}

/* Whether two paths name one socket, which may not be there yet, in whatever words. */
static bool
is_same_socket(const char *path, const char *other)
{
	char folder[PATH_MAX], other_folder[PATH_MAX];
	char *name, *other_name;

	if (strcmp(path, other) == 0 || is_same_file(path, other))
		return true;
	/* So that a relative one has a slash too; absolute ones are read behind the dot. */
	snprintf(folder, sizeof(folder), "./%s", path);
	snprintf(other_folder, sizeof(other_folder), "./%s", other);
	name = strrchr(folder, '/') + 1;
	other_name = strrchr(other_folder, '/') + 1;
	if (strcmp(name, other_name) != 0)
		return false;
	*name = '\0';
	*other_name = '\0';
	return is_same_file(path[0] == '/' ? folder + 2 : folder,
			other[0] == '/' ? other_folder + 2 : other_folder);
}

/*
 * librte_vhost takes a path twice, and then takes the first socket for the second
 * one in every call: to register, to undo that, to start. So whatever is there
 * under our path has to be ours.
 */
static int
claim_path(struct eth_dirtylog_port *port)
{
	const struct eth_dirtylog_port *other;
	int ret = 0;

	pthread_mutex_lock(&ports_lock);
	TAILQ_FOREACH(other, &ports, next)
		if (is_same_socket(port->iface, other->iface))
			break;
	if (other != NULL) {
		VNET_DIAG(ERR, "%s: %s is served by %s", port->name, port->iface, other->name);
		ret = -EADDRINUSE;
		/* Takes no feature away, and says whether librte_vhost knows the path. */
	} else if (rte_vhost_driver_disable_features(port->iface, 0) == 0) {
		VNET_DIAG(ERR, "%s: %s is served by another driver of this process", port->name,
				port->iface);
		ret = -EADDRINUSE;
	} else {
		TAILQ_INSERT_TAIL(&ports, port, next);
	}
	pthread_mutex_unlock(&ports_lock);
	return ret;
}

static void
give_path_up(struct eth_dirtylog_port *port)
{
	pthread_mutex_lock(&ports_lock);
	TAILQ_REMOVE(&ports, port, next);
	pthread_mutex_unlock(&ports_lock);
}

/* What librte_vhost's own datapath is to do is said by flags, too. */
static uint64_t
socket_flags(const struct eth_dirtylog_port *port)
{
	uint64_t flags = 0;

	if (port->client)
		flags |= RTE_VHOST_USER_CLIENT;
	if (port->postcopy)
		flags |= RTE_VHOST_USER_POSTCOPY_SUPPORT;
	if (!port->iommu)
		return flags;
	flags |= RTE_VHOST_USER_IOMMU_SUPPORT;
	if (port->linear_buffers)
		flags |= RTE_VHOST_USER_LINEARBUF_SUPPORT;
	if (port->ext_buffers)
		flags |= RTE_VHOST_USER_EXTBUF_SUPPORT;
	if (!port->legacy_ol_flags)
		flags |= RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS;
	return flags;
}

/*
 * Features are taken away, not set: setting them would make librte_vhost wait for all
 * virtqueues, also those that the guest does not use. Its own datapath has all of its
 * protocol features.
 */
static int
start_socket(const struct eth_dirtylog_port *port)
{
	if (rte_vhost_driver_disable_features(port->iface, features_not_offered(port)) < 0 ||
			(!port->iommu &&
					rte_vhost_driver_set_protocol_features(port->iface,
							protocol_features(port)) < 0) ||
			rte_vhost_driver_callback_register(port->iface,
					port->iommu ? &stock_ops : &device_ops) < 0)
		return -1;
	if (port->iommu)
		VNET_DIAG(NOTICE,
				"%s: packets take librte_vhost's own datapath, because a vIOMMU is"
				" wanted (iommu-support=1)",
				port->name);
	return rte_vhost_driver_start(port->iface);
}

/* With a path that nobody else in this process has. Returns as the function below. */
static int
open_socket(const struct eth_dirtylog_port *port)
{
	int ret;

	if (!port->client) {
		ret = remove_stale_socket(port->iface);
		if (ret < 0) {
			VNET_DIAG(ERR, "%s: %s: %s", port->name, port->iface, strerror(-ret));
			return ret;
		}
	}
	dirtylog_vhost_init();
	if (dirtylog_vhost_leave != NULL)
		dirtylog_vhost_leave(port->iface);
	if (rte_vhost_driver_register(port->iface, socket_flags(port)) < 0)
		goto failed;
	if (start_socket(port) == 0)
		return 0;
	rte_vhost_driver_unregister(port->iface);
failed:
	VNET_DIAG(ERR, "%s: cannot serve %s", port->name, port->iface);
	return -EIO;
}

int
eth_dirtylog_port_register(struct eth_dirtylog_port *port)
{
	int ret;

	if (port->registered)
		return 0;
	ret = claim_path(port);
	if (ret < 0)
		return ret;
	ret = open_socket(port);
	if (ret < 0)
		give_path_up(port);
	port->registered = ret == 0;
	return ret;
}

/* ---- what the ethdev calls ---- */

void
eth_dirtylog_port_init(struct eth_dirtylog_port *port,
		const struct eth_dirtylog_port_events *events, void *ctx)
{
	unsigned int i;

	pthread_mutex_init(&port->lock, NULL);
	pthread_mutex_init(&port->stock.lock, NULL);
	port->stock.vid = -1;
	for (i = 0; i < RTE_DIM(port->stock.kick_fds); i++)
		port->stock.kick_fds[i] = -1;
	TAILQ_INIT(&port->links);
	snprintf(port->name, sizeof(port->name), "port %u", port->port_id);
	port->events = events;
	port->events_ctx = ctx;
	for (i = 0; i < RTE_DIM(port->wakeups); i++)
		vnet_rx_wakeup_init(&port->wakeups[i]);
}

void
eth_dirtylog_port_fini(struct eth_dirtylog_port *port)
{
	struct eth_dirtylog_link *link;

	if (port->registered) {
		/* Unlocked: it waits for the callbacks that run. */
		rte_vhost_driver_unregister(port->iface);
		give_path_up(port);
		port->registered = false;
	}
	while ((link = TAILQ_FIRST(&port->links)) != NULL)
		drop_link(port, link);
	pthread_mutex_destroy(&port->stock.lock);
	pthread_mutex_destroy(&port->lock);
}

void
eth_dirtylog_port_set_queue(struct eth_dirtylog_port *port, uint16_t vring,
		struct vnet_queue *queue)
{
	pthread_mutex_lock(&port->lock);
	if (port->queues[vring] != NULL)
		leave(port, vring);
	port->queues[vring] = queue;
	if (queue != NULL && !vnet_vring_is_guest_rx(vring))
		queue->wakeup = &port->wakeups[vring / 2];
	serve(port, vring);
	pthread_mutex_unlock(&port->lock);
}

void
eth_dirtylog_port_set_rx_config(struct eth_dirtylog_port *port, const struct vnet_rx_config *config)
{
	pthread_mutex_lock(&port->lock);
	port->rx_config = *config;
	leave_all(port);
	serve_all(port);
	pthread_mutex_unlock(&port->lock);
}

void
eth_dirtylog_port_set_started(struct eth_dirtylog_port *port, bool started)
{
	pthread_mutex_lock(&port->lock);
	port->started = started;
	if (started)
		serve_all(port);
	else
		leave_all(port);
	pthread_mutex_unlock(&port->lock);
}

/* The port's lock is held. */
static bool
is_ready(struct eth_dirtylog_port *port, uint16_t vring)
{
	bool ready;

	if (port->current == NULL)
		return false;
	if (!port->iommu)
		return vnet_connection_is_ready(port->current->connection, vring);
	pthread_mutex_lock(&port->stock.lock);
	ready = port->stock.ready[vring];
	pthread_mutex_unlock(&port->stock.lock);
	return ready;
}

bool
eth_dirtylog_port_next_change(struct eth_dirtylog_port *port, uint16_t *vring, bool *ready)
{
	uint16_t i, nb_vrings = 2 * port->nb_queue_pairs;
	bool found = false;

	pthread_mutex_lock(&port->lock);
	/* On from where the last one was found: one that flaps must not hide the others. */
	for (i = 0; i < nb_vrings && !found; i++) {
		uint16_t at = port->next_change;
		bool now = is_ready(port, at);

		if (now != port->reported_ready[at]) {
			port->reported_ready[at] = now;
			*vring = at;
			*ready = now;
			found = true;
		}
		port->next_change = (uint16_t)((at + 1) % nb_vrings);
	}
	pthread_mutex_unlock(&port->lock);
	return found;
}

int
eth_dirtylog_port_vid(struct eth_dirtylog_port *port)
{
	struct eth_dirtylog_link *link;
	int vid = -ENOTCONN;

	pthread_mutex_lock(&port->lock);
	link = port->current;
	if (link != NULL)
		vid = link->vid;
	pthread_mutex_unlock(&port->lock);
	return vid;
}

uint16_t
eth_dirtylog_port_mtu(struct eth_dirtylog_port *port)
{
	struct eth_dirtylog_link *link;
	uint16_t mtu = 0;

	pthread_mutex_lock(&port->lock);
	link = port->current;
	if (link != NULL)
		mtu = link->connection == NULL ? link->mtu : vnet_connection_mtu(link->connection);
	pthread_mutex_unlock(&port->lock);
	return mtu;
}

/* Whether librte_vhost's own datapath marks what it writes. */
static bool
stock_logs(int vid)
{
	uint64_t features = 0;

	rte_vhost_get_negotiated_features(vid, &features);
	return (features >> VHOST_F_LOG_ALL & 1) != 0;
}

void
eth_dirtylog_port_get_stats(struct eth_dirtylog_port *port, struct dirtylog_stats *stats)
{
	struct eth_dirtylog_link *link;
	struct dirtylog_stats of_link;

	pthread_mutex_lock(&port->lock);
	*stats = port->log_past;
	if (port->iommu && port->current != NULL)
		stats->logging = stock_logs(port->current->vid);
	TAILQ_FOREACH(link, &port->links, next) {
		if (link->connection == NULL)
			continue;
		vnet_connection_get_stats(link->connection, &of_link);
		add_counters(stats, &of_link);
		if (link != port->current)
			continue;
		stats->regions_direct = of_link.regions_direct;
		stats->regions_staged = of_link.regions_staged;
		stats->dirty_pages_per_second = of_link.dirty_pages_per_second;
		stats->logging = of_link.logging;
	}
	pthread_mutex_unlock(&port->lock);
}
