/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "datapath/diag.h"
#include "datapath/offload.h"
#include "datapath/packed.h"
#include "port.h"
#include "crash_recovery.h"
#include "datapath/rarp.h"
#include "datapath/split.h"

/* librte_vhost's features that this datapath does not have. */
#define FEATURES_LACKING ( \
	(1ULL << VIRTIO_F_ACCESS_PLATFORM))

/* Segments longer than the MTU, from the guest. */
#define FEATURES_HOST_TSO ( \
	(1ULL << VIRTIO_NET_F_HOST_TSO4) | (1ULL << VIRTIO_NET_F_HOST_TSO6) | \
	(1ULL << VIRTIO_NET_F_HOST_UFO) | (1ULL << VIRTIO_NET_F_HOST_ECN) | \
	(1ULL << VIRTIO_NET_F_GSO))

/* Protocol features that this back-end keeps of librte_vhost's. */
#define PROTOCOL_FEATURES ( \
	(1ULL << VHOST_USER_PROTOCOL_F_MQ) | \
	(1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD) | \
	(1ULL << VHOST_USER_PROTOCOL_F_RARP) | \
	(1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	(1ULL << VHOST_USER_PROTOCOL_F_NET_MTU) | \
	(1ULL << VHOST_USER_PROTOCOL_F_STATUS))

/*
 * librte_vhost's callbacks get a vid, which names a socket path, which names
 * the port.
 */
static TAILQ_HEAD(, eth_dirtylog_port) ports = TAILQ_HEAD_INITIALIZER(ports);
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

static struct eth_dirtylog_port *
find_port(int vid)
{
	struct eth_dirtylog_port *port = NULL;
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

/*
 * Tell where a queue's own writes to the ring are marked, and let its bursts
 * begin. Returns 0 or -EFAULT: the front-end names no memory.
 *
 * `log_guest_addr` is the used ring's GPA as the front-end says it. With a
 * packed ring it is the device event area, not the descriptors, which are what
 * we write: those are found by their address here, and so is the event area.
 */
static int
open_marked(struct eth_dirtylog_port *port, struct vnet_vring *vring)
{
	struct vnet_queue *queue = vring->queue;
	const void *ring = queue->packed ? (void *)queue->packed_desc : (void *)queue->used;
	uint64_t told = vring->ring.log_guest_addr;
	uint64_t gpa = told, event;
	int ret;

	if ((queue->packed || told == 0) && dirtylog_memory_gpa(port->mem, ring, &gpa) < 0)
		return -EFAULT;
	queue->used_bitmap = dirtylog_find(port->dl, gpa, &queue->used_offset);
	if (queue->used_bitmap == NULL)
		return -EFAULT;
	if (!queue->packed)
		return dirtylog_open(port->dl, &queue->marker, gpa);

	if (dirtylog_memory_gpa(port->mem, queue->device_event, &event) < 0)
		return -EFAULT;
	if (told == 0)
		told = event;
	queue->event[0].bitmap = dirtylog_find(port->dl, event,
			&queue->event[0].offset);
	queue->event[1].bitmap = dirtylog_find(port->dl, told,
			&queue->event[1].offset);
	if (queue->event[0].bitmap == NULL || queue->event[1].bitmap == NULL)
		return -EFAULT;
	if (told == event)
		queue->event[1].bitmap = NULL;
	ret = dirtylog_open(port->dl, &queue->marker, gpa);
	if (ret < 0)
		return ret;
	/* Written when the queue was started, by no burst. */
	dirtylog_mark_gpa(port->dl, event, sizeof(*queue->device_event));
	dirtylog_mark_gpa(port->dl, told, sizeof(*queue->device_event));
	return 0;
}

static bool
is_guest_rx(uint16_t index)
{
	return index % 2 == 0;
}

/* A packed ring goes on where a back-end left it that went without being asked. */
static void
find_packed_pos(struct eth_dirtylog_port *port, struct vnet_queue *queue)
{
	int place = vnet_recover_packed_pos(queue, queue->next_used);

	if (place == queue->next_used)
		return;
	if (place < 0) {
		VNET_DIAG(WARNING, "port %u virtqueue %u: the front-end does not know how far its"
				" packed ring was used, and the ring does not tell: packets will not"
				" flow until the guest's driver starts anew", port->port_id,
				queue->vring);
		return;
	}
	VNET_DIAG(NOTICE, "port %u virtqueue %u: goes on at 0x%x, where the packed ring was left,"
			" not at 0x%x as the front-end says", port->port_id, queue->vring,
			(unsigned int)place, queue->next_used);
	queue->next_avail = (uint16_t)place;
	queue->next_used = (uint16_t)place;
}

/* Open a queue if everything it needs is there. */
static void
open_queue(struct eth_dirtylog_port *port, uint16_t index)
{
	struct vnet_vring *vring = &port->vrings[index];
	struct vnet_queue *queue = vring->queue;
	const struct vnet_rx_config rx_config = {
		.offloads = port->rx_offloads,
		.legacy_ol_flags = port->legacy_ol_flags,
	};
	int ret;

	if (vring->open || queue == NULL || !port->started || !port->attached ||
			!vring->ready || port->mem == NULL)
		return;
	queue->desc = vring->ring.desc;
	queue->avail = vring->ring.avail;
	queue->used = vring->ring.used;
	queue->size = vring->ring.size;
	queue->mem = port->mem;
	queue->packed = (port->features >> VIRTIO_F_RING_PACKED) & 1;
	queue->mergeable = (port->features >> VIRTIO_NET_F_MRG_RXBUF) & 1;
	queue->event_idx = (port->features >> VIRTIO_RING_F_EVENT_IDX) & 1;
	queue->header_len = queue->mergeable || ((port->features >> VIRTIO_F_VERSION_1) & 1) ?
			sizeof(struct virtio_net_hdr_mrg_rxbuf) : sizeof(struct virtio_net_hdr);
	queue->linear = port->linear_buffers;
	vnet_offload_open(queue, port->features, &rx_config);
	queue->next_avail = vring->next_avail;
	queue->next_used = vring->next_used;
	queue->call_fd = vring->call_fd;
	ret = queue->packed ? vnet_packed_start(queue) : vnet_split_start(queue);
	if (ret < 0) {
		VNET_DIAG(ERR, "port %u virtqueue %u stays closed: %s", port->port_id, index,
				ret == -EINVAL ? "size, index or alignment of the ring" :
				"the ring is outside of guest memory");
		return;
	}
	if (queue->packed && !vring->was_open && ((port->features >> VIRTIO_RING_F_INDIRECT_DESC) & 1))
		find_packed_pos(port, queue);
	if (is_guest_rx(index) && !vring->was_open && ((port->features >> VHOST_F_LOG_ALL) & 1))
		vnet_recover_marks(queue, port->dl);
	if (open_marked(port, vring) < 0) {
		VNET_DIAG(ERR, "port %u virtqueue %u stays closed: its writes to the ring are to"
				" be logged at GPA 0x%" PRIx64 ", which is no memory",
				port->port_id, index, vring->ring.log_guest_addr);
		return;
	}
	vring->open = true;
	vring->was_open = true;
	/* What came before nobody was kicked for. */
	vnet_rx_wakeup_signal(&vring->wakeup);
}

static void
close_queue(struct eth_dirtylog_port *port, uint16_t index)
{
	struct vnet_vring *vring = &port->vrings[index];

	if (!vring->open)
		return;
	dirtylog_close(port->dl, &vring->queue->marker);
	vring->next_avail = vring->queue->next_avail;
	vring->next_used = vring->queue->next_used;
	vring->open = false;
}

/* For librte_vhost's thread: it will be asked for the index, so it must know. */
static void
close_and_hand_back(struct eth_dirtylog_port *port, uint16_t index)
{
	struct vnet_vring *vring = &port->vrings[index];

	close_queue(port, index);
	if (vring->ready)
		rte_vhost_set_vring_base(port->vid, index, vring->next_avail, vring->next_used);
}

static void
open_all(struct eth_dirtylog_port *port)
{
	uint16_t i;

	for (i = 0; i < 2 * port->nb_queue_pairs; i++)
		open_queue(port, i);
}

static void
close_all(struct eth_dirtylog_port *port)
{
	uint16_t i;

	for (i = 0; i < 2 * port->nb_queue_pairs; i++)
		close_queue(port, i);
}

/*
 * Whether it can be an eventfd: those have no file type. A write to anything
 * else that a front-end passes could end this process, by SIGPIPE for one.
 */
static bool
is_event_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0;
}

/* A duplicate of a descriptor that a front-end has sent, or -1 and a log line. */
static int
duplicate_event_fd(const struct eth_dirtylog_port *port, uint16_t index, int fd, const char *what)
{
	int own = -1;

	if (fd < 0)
		return -1;
	if (!is_event_fd(fd))
		VNET_DIAG(ERR, "port %u virtqueue %u: no %s: the descriptor is no eventfd",
				port->port_id, index, what);
	else if ((own = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		VNET_DIAG(ERR, "port %u virtqueue %u: no %s: %s", port->port_id, index, what,
				strerror(errno));
	/* Whatever it is that the front-end passed: nobody must block on it. */
	else
		fcntl(own, F_SETFL, fcntl(own, F_GETFL) | O_NONBLOCK);
	return own;
}

/* Replace our duplicate of a call descriptor; the queue may be open. */
static void
take_call_fd(struct eth_dirtylog_port *port, uint16_t index, int fd)
{
	struct vnet_vring *vring = &port->vrings[index];
	int old = vring->call_fd;

	vring->call_fd = duplicate_event_fd(port, index, fd, "interrupts");
	if (vring->open) {
		__atomic_store_n(&vring->queue->call_fd, vring->call_fd, __ATOMIC_RELAXED);
		dirtylog_wait(port->dl);
	}
	if (old >= 0)
		close(old);
}

/* Replace our duplicate of a kick descriptor; the queue is closed. */
static void
take_kick_fd(struct eth_dirtylog_port *port, uint16_t index, int fd)
{
	int ret;

	if (index % 2 == 0)
		return; /* nobody waits for buffers to transmit to */
	fd = duplicate_event_fd(port, index, fd, "kicks");
	ret = vnet_rx_wakeup_set_kick(&port->vrings[index].wakeup, fd);
	if (ret < 0)
		VNET_DIAG(ERR, "port %u virtqueue %u: no kicks: %s", port->port_id, index,
				strerror(-ret));
}

/* Take over what librte_vhost knows of a virtqueue. Its own thread. */
static void
read_vring(struct eth_dirtylog_port *port, uint16_t index)
{
	struct vnet_vring *vring = &port->vrings[index];

	if (rte_vhost_get_vhost_vring(port->vid, index, &vring->ring) < 0 ||
			rte_vhost_get_vring_base(port->vid, index, &vring->next_avail,
				&vring->next_used) < 0) {
		vring->ready = false;
		return;
	}
	/* librte_vhost does not say that RESET_OWNER has ended a virtqueue; this does. */
	vring->ready = vring->ring.desc != NULL && vring->ring.avail != NULL &&
			vring->ring.used != NULL;
	take_call_fd(port, index, vring->ring.callfd);
	take_kick_fd(port, index, vring->ring.kickfd);
}

/* The library's view of the messages: see dirtylog_vhost.h. */
static void
on_quiesce(void *ctx, uint32_t vring)
{
	struct eth_dirtylog_port *port = ctx;
	uint16_t i;

	pthread_mutex_lock(&port->lock);
	for (i = 0; i < 2 * port->nb_queue_pairs; i++)
		if (vring == i || vring == DIRTYLOG_ALL_VRINGS)
			close_and_hand_back(port, i);
	if (vring == DIRTYLOG_ALL_VRINGS)
		port->mem = NULL; /* librte_vhost unmaps it next */
	pthread_mutex_unlock(&port->lock);
}

static void
on_resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory)
{
	struct eth_dirtylog_port *port = ctx;
	uint16_t i;

	pthread_mutex_lock(&port->lock);
	if (vring == DIRTYLOG_ALL_VRINGS) {
		port->mem = memory;
		if (memory == NULL)
			VNET_DIAG(ERR, "port %u: no guest memory", port->port_id);
	}
	for (i = 0; i < 2 * port->nb_queue_pairs; i++) {
		if (!port->vrings[i].ready || (vring != i && vring != DIRTYLOG_ALL_VRINGS))
			continue;
		read_vring(port, i);
		open_queue(port, i);
	}
	pthread_mutex_unlock(&port->lock);
}

static void
on_call_fd(void *ctx, uint32_t vring, bool changing)
{
	struct eth_dirtylog_port *port = ctx;
	struct rte_vhost_vring ring;

	if (vring >= 2U * port->nb_queue_pairs)
		return;
	pthread_mutex_lock(&port->lock);
	port->vrings[vring].call_changing = changing;
	if (!changing && rte_vhost_get_vhost_vring(port->vid, (uint16_t)vring, &ring) == 0)
		take_call_fd(port, (uint16_t)vring, ring.callfd);
	pthread_mutex_unlock(&port->lock);
}

/* What librte_vhost passes to a message handler, for SEND_RARP. */
struct rarp_message {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
	uint64_t mac;
} __attribute__((packed));

#define SEND_RARP 19

/*
 * The guest has arrived, and the front-end says that it will not announce
 * itself. librte_vhost notes it too, for a datapath that is not in use.
 */
static enum rte_vhost_msg_result
on_message(void *ctx, void *message)
{
	const struct rarp_message *msg = message;
	struct eth_dirtylog_port *port = ctx;
	uint16_t i;

	if (msg->request != SEND_RARP || msg->size != sizeof(msg->mac))
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	pthread_mutex_lock(&port->lock);
	/* Guest TX queues are the odd ones; one that is open is polled. */
	for (i = 1; i < 2 * port->nb_queue_pairs; i += 2) {
		if (port->vrings[i].open) {
			vnet_rarp_request(port->vrings[i].queue, msg->mac);
			vnet_rx_wakeup_signal(&port->vrings[i].wakeup);
			break;
		}
	}
	pthread_mutex_unlock(&port->lock);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct dirtylog_vhost_ops vhost_ops = {
	.quiesce = on_quiesce,
	.resume = on_resume,
	.call_fd = on_call_fd,
	.message = on_message,
};

/* Forget the connection: the next one starts afresh. */
static void
drop_connection(struct eth_dirtylog_port *port)
{
	uint16_t i;

	close_all(port);
	for (i = 0; i < 2 * port->nb_queue_pairs; i++) {
		struct vnet_vring *vring = &port->vrings[i];

		vring->ready = false;
		vring->call_changing = false;
		vring->was_open = false;
		if (vring->queue != NULL)
			vnet_rarp_cancel(vring->queue);
		take_call_fd(port, i, -1);
		take_kick_fd(port, i, -1);
	}
	dirtylog_vhost_detach(port->vhost);
	port->vhost = NULL;
	dirtylog_reset(port->dl);
	port->mem = NULL;
	port->attached = false;
	port->mtu = 0;
	port->vid = -1;
}

static int
new_connection(int vid)
{
	struct eth_dirtylog_port *port = find_port(vid);
	bool was_attached;
	int ret;

	if (port == NULL)
		return -1;
	pthread_mutex_lock(&port->lock);
	was_attached = port->attached;
	/* A front-end that comes back may be here before its old socket is seen closed. */
	if (port->vid >= 0) {
		VNET_DIAG(NOTICE, "port %u: a new front-end takes over", port->port_id);
		drop_connection(port);
	}
	ret = dirtylog_vhost_attach(vid, port->dl, &vhost_ops, port, &port->vhost);
	if (ret == 0)
		port->vid = vid;
	pthread_mutex_unlock(&port->lock);
	/* The old device's own end is nobody's business any more. */
	if (was_attached) {
		port->events->link(port->events_ctx, false);
		port->events->queue_state(port->events_ctx);
	}
	return ret;
}

static void
destroy_connection(int vid)
{
	struct eth_dirtylog_port *port = find_port(vid);
	bool ours;

	if (port == NULL)
		return;
	pthread_mutex_lock(&port->lock);
	ours = port->vid == vid;
	if (ours)
		drop_connection(port);
	pthread_mutex_unlock(&port->lock);
	/* librte_vhost does not say that the virtqueues end with the connection. */
	if (ours)
		port->events->queue_state(port->events_ctx);
}

/* The front-end's device becomes ready, or stops. */
static int
set_attached(int vid, bool attached)
{
	struct eth_dirtylog_port *port = find_port(vid);
	bool ours;
	uint16_t i;

	if (port == NULL)
		return -1;
	pthread_mutex_lock(&port->lock);
	ours = port->vid == vid;
	if (ours && attached) {
		rte_vhost_get_negotiated_features(vid, &port->features);
		/* Not negotiated, or never sent: the port keeps the ethdev's own. */
		if (rte_vhost_get_mtu(vid, &port->mtu) < 0)
			port->mtu = 0;
		port->attached = true;
		open_all(port);
	} else if (ours) {
		for (i = 0; i < 2 * port->nb_queue_pairs; i++)
			close_and_hand_back(port, i);
		port->attached = false;
	}
	pthread_mutex_unlock(&port->lock);
	if (ours)
		port->events->link(port->events_ctx, attached);
	return ours ? 0 : -1;
}

static int
new_device(int vid)
{
	return set_attached(vid, true);
}

static void
destroy_device(int vid)
{
	set_attached(vid, false);
}

static int
vring_state_changed(int vid, uint16_t index, int ready)
{
	struct eth_dirtylog_port *port = find_port(vid);
	struct vnet_vring *vring;

	if (port == NULL)
		return 0;
	if (index >= 2 * port->nb_queue_pairs) {
		if (ready)
			VNET_DIAG(WARNING, "port %u: the front-end uses virtqueue %u, which nobody"
					" serves: the port has queues=%u", port->port_id, index,
					port->nb_queue_pairs);
		return 0;
	}
	vring = &port->vrings[index];
	pthread_mutex_lock(&port->lock);
	if (port->vid != vid || (vring->call_changing && !ready) || vring->ready == !!ready) {
		pthread_mutex_unlock(&port->lock);
		return 0;
	}
	if (ready) {
		vring->ready = true;
		rte_vhost_get_negotiated_features(vid, &port->features);
		read_vring(port, index);
		open_queue(port, index);
		/* Fewer queues to transmit on are in order. */
		if (port->started && vring->queue == NULL && index % 2 == 1)
			VNET_DIAG(WARNING, "port %u: the guest sends on virtqueue %u, which nobody"
					" polls: the application has too few receive queues",
					port->port_id, index);
	} else {
		close_and_hand_back(port, index);
		vring->ready = false;
	}
	pthread_mutex_unlock(&port->lock);
	port->events->queue_state(port->events_ctx);
	return 0;
}

static const struct rte_vhost_device_ops device_ops = {
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
};

/* librte_vhost's features that the port does not offer, by its settings. */
static uint64_t
features_not_offered(const struct eth_dirtylog_port *port)
{
	uint64_t features = FEATURES_LACKING;

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

int
eth_dirtylog_port_init(struct eth_dirtylog_port *port, const struct eth_dirtylog_port_events *events,
		void *ctx)
{
	unsigned int i;
	int ret;

	ret = dirtylog_create(port->iface, &port->dl);
	if (ret < 0)
		return ret;
	dirtylog_configure(port->dl, &port->log_options);
	pthread_mutex_init(&port->lock, NULL);
	port->events = events;
	port->events_ctx = ctx;
	port->vid = -1;
	for (i = 0; i < RTE_DIM(port->vrings); i++) {
		port->vrings[i].call_fd = -1;
		vnet_rx_wakeup_init(&port->vrings[i].wakeup);
	}
	return 0;
}

int
eth_dirtylog_port_register(struct eth_dirtylog_port *port)
{
	uint64_t flags = 0;
	int ret;

	if (port->registered)
		return 0;
	if (port->client)
		flags |= RTE_VHOST_USER_CLIENT;
	if (port->postcopy)
		flags |= RTE_VHOST_USER_POSTCOPY_SUPPORT;
	if (!port->client) {
		ret = remove_stale_socket(port->iface);
		if (ret < 0) {
			VNET_DIAG(ERR, "port %u: %s: %s", port->port_id, port->iface,
					strerror(-ret));
			return ret;
		}
	}
	if (rte_vhost_driver_register(port->iface, flags) < 0)
		goto failed;
	/*
	 * Features are taken away, not set: setting them would make librte_vhost
	 * wait for all virtqueues, also those that the guest does not use.
	 */
	if (rte_vhost_driver_disable_features(port->iface, features_not_offered(port)) < 0 ||
			rte_vhost_driver_set_protocol_features(port->iface,
				protocol_features(port)) < 0 ||
			rte_vhost_driver_callback_register(port->iface, &device_ops) < 0)
		goto unregister;
	pthread_mutex_lock(&ports_lock);
	TAILQ_INSERT_TAIL(&ports, port, next);
	pthread_mutex_unlock(&ports_lock);
	if (rte_vhost_driver_start(port->iface) < 0) {
		pthread_mutex_lock(&ports_lock);
		TAILQ_REMOVE(&ports, port, next);
		pthread_mutex_unlock(&ports_lock);
		goto unregister;
	}
	port->registered = true;
	return 0;
unregister:
	rte_vhost_driver_unregister(port->iface);
failed:
	VNET_DIAG(ERR, "port %u: cannot serve %s", port->port_id, port->iface);
	return -EIO;
}

void
eth_dirtylog_port_fini(struct eth_dirtylog_port *port)
{
	if (port->registered) {
		/* Unlocked: it waits for the callbacks that run. */
		rte_vhost_driver_unregister(port->iface);
		pthread_mutex_lock(&ports_lock);
		TAILQ_REMOVE(&ports, port, next);
		pthread_mutex_unlock(&ports_lock);
		port->registered = false;
	}
	pthread_mutex_lock(&port->lock);
	drop_connection(port);
	pthread_mutex_unlock(&port->lock);
	dirtylog_destroy(port->dl);
	pthread_mutex_destroy(&port->lock);
}

void
eth_dirtylog_port_set_queue(struct eth_dirtylog_port *port, uint16_t index, struct vnet_queue *queue)
{
	struct vnet_vring *vring = &port->vrings[index];

	pthread_mutex_lock(&port->lock);
	if (vring->queue != NULL) {
		close_queue(port, index);
		dirtylog_remove_queue(port->dl, &vring->queue->marker);
	}
	vring->queue = queue;
	if (queue != NULL) {
		queue->wakeup = &vring->wakeup;
		dirtylog_add_queue(port->dl, &queue->marker);
	}
	pthread_mutex_unlock(&port->lock);
}

void
eth_dirtylog_port_set_rx_offloads(struct eth_dirtylog_port *port, uint64_t offloads)
{
	pthread_mutex_lock(&port->lock);
	port->rx_offloads = offloads;
	close_all(port);
	open_all(port);
	pthread_mutex_unlock(&port->lock);
}

void
eth_dirtylog_port_set_started(struct eth_dirtylog_port *port, bool started)
{
	pthread_mutex_lock(&port->lock);
	port->started = started;
	if (started)
		open_all(port);
	else
		close_all(port);
	pthread_mutex_unlock(&port->lock);
}

bool
eth_dirtylog_port_next_change(struct eth_dirtylog_port *port, uint16_t *index, bool *ready)
{
	uint16_t i, nb_vrings = 2 * port->nb_queue_pairs;
	bool found = false;

	pthread_mutex_lock(&port->lock);
	/* On from where the last one was found: one that flaps must not hide the others. */
	for (i = 0; i < nb_vrings && !found; i++) {
		struct vnet_vring *vring = &port->vrings[port->next_change];

		if (vring->ready != vring->reported_ready) {
			vring->reported_ready = vring->ready;
			*index = port->next_change;
			*ready = vring->ready;
			found = true;
		}
		port->next_change = (uint16_t)((port->next_change + 1) % nb_vrings);
	}
	pthread_mutex_unlock(&port->lock);
	return found;
}

int
eth_dirtylog_port_vid(struct eth_dirtylog_port *port)
{
	int vid;

	pthread_mutex_lock(&port->lock);
	vid = port->vid;
	pthread_mutex_unlock(&port->lock);
	return vid < 0 ? -ENOTCONN : vid;
}
