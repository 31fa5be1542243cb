/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: what the library calls around messages, what librte_vhost calls,
 * what the owner calls, and how a connection begins and ends.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "connection.h"
#include "datapath/call.h"
#include "dirtylog_vhost.h"
#include "peer_diag.h"
#include "vring.h"

struct vnet_connection {
	pthread_mutex_t lock;
	struct vnet_connection_config config;
	struct dirtylog_vhost *vhost;
	struct vnet_device device;
	uint16_t mtu;
	bool reported_unserved; /* that it uses virtqueues which nobody serves */
	uint16_t nb_vrings;
	struct vnet_vring vrings[];
};

/* Each virtqueue that a message is about: one, or all. */
#define FOR_VRINGS(connection, i, which) \
	for (i = 0; i < (connection)->nb_vrings; i++) \
		if ((which) == i || (which) == DIRTYLOG_ALL_VRINGS)

/* ---- around messages: see dirtylog_vhost.h ---- */

static void
on_quiesce(void *ctx, uint32_t vring)
{
	struct vnet_connection *connection = ctx;
	uint16_t i;

	pthread_mutex_lock(&connection->lock);
	FOR_VRINGS(connection, i, vring)
	{
		vnet_vring_hand_back(&connection->vrings[i], &connection->device, i);
		connection->vrings[i].quiesced = true;
	}
	if (vring == DIRTYLOG_ALL_VRINGS)
		connection->device.memory = NULL; /* librte_vhost unmaps it next */
	pthread_mutex_unlock(&connection->lock);
}

static void
on_resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory)
{
	struct vnet_connection *connection = ctx;
	uint16_t i;

	pthread_mutex_lock(&connection->lock);
	connection->device.memory = memory;
	FOR_VRINGS(connection, i, vring)
	{
		struct vnet_vring *v = &connection->vrings[i];

		v->quiesced = false;
		if (!v->ready)
			continue;
		vnet_vring_read(v, &connection->device, i);
		vnet_vring_open(v, &connection->device, i);
	}
	pthread_mutex_unlock(&connection->lock);
}

static void
on_call_fd(void *ctx, uint32_t vring, bool changing)
{
	struct vnet_connection *connection = ctx;

	if (vring >= connection->nb_vrings)
		return;
	pthread_mutex_lock(&connection->lock);
	connection->vrings[vring].call_changing = changing;
	if (!changing)
		vnet_vring_read_call_fd(&connection->vrings[vring], &connection->device,
				(uint16_t)vring);
	pthread_mutex_unlock(&connection->lock);
}

/* Once: there may be many. */
static void
report_unserved(struct vnet_connection *connection, unsigned int vring)
{
	connection->reported_unserved = true;
	VNET_PEER_DIAG(connection->device.vid, WARNING,
			"%s: the front-end uses virtqueue %u, which nobody serves: the port"
			" has queues=%u",
			connection->config.name, vring, connection->config.nb_queue_pairs);
}

/* The guest has arrived, and the front-end says that it will not announce itself. */
static void
on_send_rarp(void *ctx, uint64_t mac)
{
	struct vnet_connection *connection = ctx;
	uint16_t i;

	pthread_mutex_lock(&connection->lock);
	/* By one that the guest sends on and that is polled: open, or the first when it opens. */
	for (i = 1; i < connection->nb_vrings && !connection->vrings[i].open; i += 2)
		;
	vnet_vring_announce(&connection->vrings[i < connection->nb_vrings ? i : 1], mac);
	pthread_mutex_unlock(&connection->lock);
}

/* Everything is quiesced already, until another table comes. */
static void
on_memory_lost(void *ctx)
{
	const struct vnet_connection *connection = ctx;

	VNET_PEER_DIAG(connection->device.vid, ERR,
			"%s: the front-end has taken away memory of its guest: no packets pass until"
			" it sends another memory table",
			connection->config.name);
}

/* Requests that are answered here: see vhost-user's specification. */
enum {
	SET_VRING_NUM = 8,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_QUEUE_NUM = 17,
	POSTCOPY_ADVISE = 28,
	POSTCOPY_LISTEN = 29,
	POSTCOPY_END = 30,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
};

/*
 * A descriptor for a virtqueue. librte_vhost keeps up to three of each of 256,
 * whether or not they are served: of those that are not, none is kept.
 */
static enum rte_vhost_msg_result
take_vring_fd(struct vnet_connection *connection, const struct dirtylog_vhost_msg *msg)
{
	unsigned int vring = *(const uint8_t *)msg->payload; /* the lowest byte of a le64 */

	if (vring < connection->nb_vrings || !msg->closes_fds)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (!connection->reported_unserved)
		report_unserved(connection, vring);
	return RTE_VHOST_MSG_RESULT_OK;
}

/* librte_vhost has up to 1.5 MB of the EAL's memory for one: for none that is not served. */
static enum rte_vhost_msg_result
take_vring_num(const struct vnet_connection *connection, const struct dirtylog_vhost_msg *msg)
{
	uint32_t vring;

	memcpy(&vring, msg->payload, sizeof(vring));
	return vring < connection->nb_vrings || !msg->closes_fds ?
			RTE_VHOST_MSG_RESULT_NOT_HANDLED :
			RTE_VHOST_MSG_RESULT_OK;
}

static enum rte_vhost_msg_result
refuse_message(const struct vnet_connection *connection, const struct dirtylog_vhost_msg *msg)
{
	VNET_PEER_DIAG(connection->device.vid, ERR,
			"%s: message %u belongs to a protocol feature that is not offered: refused",
			connection->config.name, msg->request);
	return RTE_VHOST_MSG_RESULT_ERR;
}

static enum rte_vhost_msg_result
on_message(void *ctx, struct dirtylog_vhost_msg *msg)
{
	struct vnet_connection *connection = ctx;
	uint64_t nb_queue_pairs = connection->config.nb_queue_pairs;

	switch (msg->request) {
	case GET_QUEUE_NUM:
		if (connection->config.as_librte_vhost)
			break;
		/* librte_vhost says 128, and flows vanish in the queues beyond ours. */
		memcpy(msg->payload, &nb_queue_pairs, sizeof(nb_queue_pairs));
		msg->size = sizeof(nb_queue_pairs);
		return RTE_VHOST_MSG_RESULT_REPLY;
	case SET_VRING_NUM:
		return take_vring_num(connection, msg);
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
		return take_vring_fd(connection, msg);
	/*
	 * Of protocol features that are not offered. librte_vhost would handle them all
	 * the same, by sizes and files that the front-end names.
	 */
	case POSTCOPY_ADVISE:
	case POSTCOPY_LISTEN:
	case POSTCOPY_END:
		if (connection->config.postcopy)
			break;
		return refuse_message(connection, msg);
	case GET_INFLIGHT_FD:
	case SET_INFLIGHT_FD:
		if (connection->config.inflight)
			break;
		return refuse_message(connection, msg);
	}
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result
on_pre_msg_handle(void *ctx, void *msg)
{
	struct vnet_connection *connection = ctx;

	if (connection->config.ops->pre_msg_handle == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	return connection->config.ops->pre_msg_handle(connection->config.ctx, msg);
}

static enum rte_vhost_msg_result
on_post_msg_handle(void *ctx, void *msg)
{
	struct vnet_connection *connection = ctx;

	if (connection->config.ops->post_msg_handle == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	return connection->config.ops->post_msg_handle(connection->config.ctx, msg);
}

static const struct dirtylog_vhost_ops vhost_ops = {
	.quiesce = on_quiesce,
	.resume = on_resume,
	.call_fd = on_call_fd,
	.send_rarp = on_send_rarp,
	.memory_lost = on_memory_lost,
	.message = on_message,
	.pre_msg_handle = on_pre_msg_handle,
	.post_msg_handle = on_post_msg_handle,
};

/* ---- librte_vhost's callbacks ---- */

struct vnet_connection *
vnet_connection_of(int vid)
{
	return dirtylog_vhost_ctx(vid);
}

static void
tell_device_state(struct vnet_connection *connection, bool runs)
{
	if (connection->config.ops->device_state != NULL)
		connection->config.ops->device_state(connection->config.ctx, connection, runs);
}

int
vnet_connection_new_device(int vid)
{
	struct vnet_connection *connection = vnet_connection_of(vid);
	uint16_t i;

	if (connection == NULL)
		return -1;
	pthread_mutex_lock(&connection->lock);
	rte_vhost_get_negotiated_features(vid, &connection->device.features);
	/* Not negotiated, or never sent: the owner keeps its own. */
	if (rte_vhost_get_mtu(vid, &connection->mtu) < 0)
		connection->mtu = 0;
	connection->device.runs = true;
	for (i = 0; i < connection->nb_vrings; i++)
		vnet_vring_open(&connection->vrings[i], &connection->device, i);
	pthread_mutex_unlock(&connection->lock);
	tell_device_state(connection, true);
	return 0;
}

void
vnet_connection_destroy_device(int vid)
{
	struct vnet_connection *connection = vnet_connection_of(vid);
	uint16_t i;

	if (connection == NULL)
		return;
	pthread_mutex_lock(&connection->lock);
	for (i = 0; i < connection->nb_vrings; i++)
		vnet_vring_hand_back(&connection->vrings[i], &connection->device, i);
	connection->device.runs = false;
	pthread_mutex_unlock(&connection->lock);
	tell_device_state(connection, false);
}

/* Returns whether that changes anything. */
static bool
vring_state(struct vnet_connection *connection, uint16_t index, bool ready)
{
	struct vnet_vring *vring = &connection->vrings[index];

	if ((vring->call_changing && !ready) || vring->ready == ready)
		return false;
	if (ready) {
		vring->ready = true;
		vring->quiesced = false;
		rte_vhost_get_negotiated_features(connection->device.vid,
				&connection->device.features);
		vnet_vring_read(vring, &connection->device, index);
		vnet_vring_open(vring, &connection->device, index);
	} else {
		vnet_vring_hand_back(vring, &connection->device, index);
		vring->ready = false;
	}
	return true;
}

int
vnet_connection_vring_state_changed(int vid, uint16_t index, int enable)
{
	struct vnet_connection *connection = vnet_connection_of(vid);
	bool changed;

	if (connection == NULL)
		return 0;
	if (index >= connection->nb_vrings) {
		if (enable && !connection->reported_unserved)
			report_unserved(connection, index);
		return 0;
	}
	pthread_mutex_lock(&connection->lock);
	changed = vring_state(connection, index, enable != 0);
	pthread_mutex_unlock(&connection->lock);
	if (changed && connection->config.ops->vring_state != NULL)
		connection->config.ops->vring_state(connection->config.ctx, connection);
	return 0;
}

/* ---- the owner's calls ---- */

void
vnet_connection_set_queue(struct vnet_connection *connection, uint16_t vring,
		struct vnet_queue *queue)
{
	pthread_mutex_lock(&connection->lock);
	vnet_vring_set_queue(&connection->vrings[vring], &connection->device, vring, queue);
	pthread_mutex_unlock(&connection->lock);
}

void *
vnet_connection_owner(const struct vnet_connection *connection)
{
	return connection->config.ctx;
}

bool
vnet_connection_is_ready(struct vnet_connection *connection, uint16_t vring)
{
	bool ready;

	pthread_mutex_lock(&connection->lock);
	ready = connection->vrings[vring].ready;
	pthread_mutex_unlock(&connection->lock);
	return ready;
}

uint16_t
vnet_connection_mtu(struct vnet_connection *connection)
{
	uint16_t mtu;

	pthread_mutex_lock(&connection->lock);
	mtu = connection->mtu;
	pthread_mutex_unlock(&connection->lock);
	return mtu;
}

void
vnet_connection_mark(struct vnet_connection *connection, uint64_t gpa, uint64_t len)
{
	dirtylog_mark_gpa(connection->device.dl, gpa, len);
}

void
vnet_connection_mark_used(struct vnet_connection *connection, uint16_t vring, uint64_t offset,
		uint64_t len)
{
	const struct vnet_device *device = &connection->device;
	uint64_t gpa = 0;

	pthread_mutex_lock(&connection->lock);
	if (vring < connection->nb_vrings && connection->vrings[vring].ready &&
			device->memory != NULL) {
		const struct rte_vhost_vring *ring = &connection->vrings[vring].ring;

		/* Where the front-end says it is; it need not. */
		gpa = ring->log_guest_addr;
		if (gpa != 0 || dirtylog_memory_gpa(device->memory, ring->used, &gpa) == 0)
			dirtylog_mark_gpa(device->dl, gpa + offset, len);
	}
	pthread_mutex_unlock(&connection->lock);
}

void
vnet_connection_get_stats(struct vnet_connection *connection, struct dirtylog_stats *stats)
{
	dirtylog_get_stats(connection->device.dl, stats);
}

static void
dump_vring(const struct vnet_vring *vring, unsigned int index, FILE *stream)
{
	if (vring->queue == NULL && !vring->ready)
		return;
	fprintf(stream, "  virtqueue %u (%s_q%u): %s", index, index % 2 == 0 ? "tx" : "rx",
			index / 2,
			vring->open                          ? "open" :
					vring->queue == NULL ? "closed, no queue to serve it" :
					vring->ready         ? "closed" :
							       "closed, not ready in the front-end");
	if (vring->ready)
		fprintf(stream, ", size %u", vring->ring.size);
	if (!vring->open)
		fprintf(stream, ", next available %u, used %u", vring->next_avail,
				vring->next_used);
	fprintf(stream, ", interrupts %s\n", vring->can_call ? "possible" : "impossible");
}

void
vnet_connection_dump(struct vnet_connection *connection, FILE *stream)
{
	const struct vnet_device *device = &connection->device;
	unsigned int i;

	pthread_mutex_lock(&connection->lock);
	fprintf(stream, "  front-end connected, vid %d, its device %s\n", device->vid,
			device->runs ? "runs" : "does not run");
	fprintf(stream, "  features 0x%" PRIx64 ", %u regions of guest memory\n", device->features,
			device->memory == NULL ? 0 : device->memory->nb_regions);
	for (i = 0; i < connection->nb_vrings; i++)
		dump_vring(&connection->vrings[i], i, stream);
	dirtylog_dump(device->dl, stream);
	pthread_mutex_unlock(&connection->lock);
}

/* ---- beginning and end ---- */

/*
 * Whether the process has descriptors for one more front-end. librte_vhost forgets some of
 * messages that it refuses before anybody sees them, so a front-end that connects again and
 * again could take all, also those that others need for what they have. A new descriptor
 * has the lowest number that is free.
 */
static bool
has_descriptors(int vid, const char *name)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit limit;
	bool enough;

	if (fd >= 0)
		close(fd);
	enough = fd >= 0 &&
			(getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
					(rlim_t)fd < limit.rlim_cur - limit.rlim_cur / 8);
	if (!enough)
		VNET_PEER_DIAG(vid, ERR,
				"%s: seven eighths of the descriptors that this process may have are"
				" in use: no further front-end is served",
				name);
	return enough;
}

int
vnet_connection_create(int vid, const struct vnet_connection_config *config,
		struct vnet_connection **out)
{
	uint16_t i, nb_vrings = 2 * config->nb_queue_pairs;
	struct vnet_connection *connection = calloc(1,
			sizeof(*connection) + nb_vrings * sizeof(connection->vrings[0]));
	int ret;

	if (connection == NULL)
		return -ENOMEM;
	if (!has_descriptors(vid, config->name)) {
		free(connection);
		return -EMFILE;
	}
	ret = vnet_call_init();
	if (ret < 0)
		VNET_PEER_DIAG(vid, WARNING,
				"%s: no asynchronous requests here (%s): a hostile front-end may"
				" hold up interrupts",
				config->name, strerror(-ret));
	ret = dirtylog_create(config->log_name, &connection->device.dl);
	if (ret < 0)
		goto free;
	dirtylog_configure(connection->device.dl, &config->log_options);
	pthread_mutex_init(&connection->lock, NULL);
	connection->config = *config;
	connection->device.name = config->name;
	connection->device.vid = vid;
	connection->nb_vrings = nb_vrings;
	for (i = 0; i < nb_vrings; i++)
		vnet_vring_init(&connection->vrings[i]);
	ret = dirtylog_vhost_attach(vid, connection->device.dl, &vhost_ops, connection,
			&connection->vhost);
	if (ret < 0)
		goto destroy;
	*out = connection;
	return 0;
destroy:
	pthread_mutex_destroy(&connection->lock);
	dirtylog_destroy(connection->device.dl);
free:
	vnet_call_fini();
	free(connection);
	return ret;
}

void
vnet_connection_destroy(struct vnet_connection *connection)
{
	uint16_t i;

	/* First: the vid leads nobody here any more. */
	dirtylog_vhost_detach(connection->vhost);
	pthread_mutex_lock(&connection->lock);
	for (i = 0; i < connection->nb_vrings; i++)
		vnet_vring_fini(&connection->vrings[i], &connection->device, i);
	pthread_mutex_unlock(&connection->lock);
	dirtylog_destroy(connection->device.dl);
	vnet_call_fini();
	pthread_mutex_destroy(&connection->lock);
	free(connection);
}
