/* SPDX-License-Identifier: BSD-3-Clause */

/* The connections to the front-ends, as librte_vhost's callbacks tell of them. */

#include <linux/vhost_types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "vhost_blk.h"

#define FEATURES \
	((1ULL << VIRTIO_F_VERSION_1) | (1ULL << VHOST_F_LOG_ALL) | \
			(1ULL << VHOST_USER_F_PROTOCOL_FEATURES) | \
			(1ULL << VIRTIO_BLK_F_SIZE_MAX) | (1ULL << VIRTIO_BLK_F_SEG_MAX) | \
			(1ULL << VIRTIO_BLK_F_BLK_SIZE) | (1ULL << VIRTIO_BLK_F_FLUSH))

#define PROTOCOL_FEATURES \
	((1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD) | (1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
			(1ULL << VHOST_USER_PROTOCOL_F_CONFIG))

/* What the vhost-user specification says of GET_CONFIG. */
#define VHOST_USER_GET_CONFIG 24

struct config_payload {
	uint32_t offset;
	uint32_t len;
	uint32_t flags;
	uint8_t config[256];
};

/* For new_connection() alone, which gets a vid and no context. */
static struct vhost_blk *served;

/*
 * The ring as librte_vhost has it now. It has checked the addresses for the size
 * that the ring had when they came, and a later message may have changed it: so all of
 * it is looked up anew, for the size that the bursts are going to use. False:
 * it does not lie in the guest's memory.
 */
static bool
take_ring(struct front_end *fe)
{
	const struct rte_vhost_vring *ring = &fe->ring;
	uint32_t size = ring->size;
	size_t desc_len = size * sizeof(struct vring_desc);
	size_t avail_len = sizeof(struct vring_avail) + size * sizeof(ring->avail->ring[0]);
	size_t used_len = sizeof(struct vring_used) + size * sizeof(ring->used->ring[0]);

	if (size == 0 || (size & (size - 1)) != 0) {
		complain("vid %d: a ring of %u entries: refused", fe->vid, size);
		return false;
	}
	if (dirtylog_memory_find_host(fe->memory, ring->used, used_len) == NULL ||
			dirtylog_memory_find_host(fe->memory, ring->desc, desc_len) == NULL ||
			dirtylog_memory_find_host(fe->memory, ring->avail, avail_len) == NULL) {
		complain("vid %d: the ring of %u entries is not all in guest memory: refused",
				fe->vid, size);
		return false;
	}
	/* As virtio wants it: atomic accesses need it. */
	if (((uintptr_t)ring->desc & 15) != 0 || ((uintptr_t)ring->avail & 1) != 0 ||
			((uintptr_t)ring->used & 3) != 0) {
		complain("vid %d: the ring is not aligned: refused", fe->vid);
		return false;
	}
	return true;
}

/* Open the queue if all that it needs is there. */
static void
open_queue(struct front_end *fe)
{
	uint64_t used_gpa, used_len;

	if (fe->open || !fe->ready || fe->memory == NULL ||
			rte_vhost_get_vhost_vring(fe->vid, 0, &fe->ring) < 0 ||
			rte_vhost_get_vring_base(fe->vid, 0, &fe->next_avail, &fe->next_used) < 0 ||
			!take_ring(fe) ||
			dirtylog_memory_gpa(fe->memory, fe->ring.used, &used_gpa) < 0 ||
			call_start(&fe->call, fe->ring.callfd) < 0)
		return;
	fe->hint = &fe->memory->regions[0];
	fe->gave_up = false;
	used_len = sizeof(struct vring_used) + fe->ring.size * sizeof(struct vring_used_elem);
	fe->open = dirtylog_open(fe->log, &fe->marker, used_gpa, used_len) == 0;
	if (!fe->open) {
		complain("vid %d: the queue cannot be opened", fe->vid);
		call_stop(&fe->call);
	}
}

/* Close it, and hand the index back, which librte_vhost will be asked for. */
static void
close_queue(struct front_end *fe)
{
	if (!fe->open)
		return;
	dirtylog_close(fe->log, &fe->marker);
	rte_vhost_set_vring_base(fe->vid, 0, fe->next_avail, fe->next_used);
	call_stop(&fe->call);
	fe->open = false;
}

/* Front-ends can name virtqueues that this device does not have. */
static bool
is_ours(uint32_t vring)
{
	return vring == 0 || vring == DIRTYLOG_ALL_VRINGS;
}

void
backend_quiesce(void *ctx, uint32_t vring)
{
	struct front_end *fe = ctx;

	if (!is_ours(vring))
		return;
	close_queue(fe);
	if (vring == DIRTYLOG_ALL_VRINGS)
		fe->memory = NULL; /* librte_vhost unmaps it next */
}

void
backend_resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory)
{
	struct front_end *fe = ctx;

	if (!is_ours(vring))
		return;
	fe->memory = memory;
	open_queue(fe);
}

/* librte_vhost knows no configuration space: the answer goes back as the message came. */
enum rte_vhost_msg_result
backend_message(void *ctx, struct dirtylog_vhost_msg *msg)
{
	const struct front_end *fe = ctx;
	struct config_payload *config = msg->payload;
	struct virtio_blk_config space = {
		.capacity = fe->blk->size / SECTOR_SIZE,
		.size_max = MAX_SEGMENT_LEN,
		.seg_max = MAX_SEGMENTS - 2,
		.blk_size = SECTOR_SIZE,
	};

	if (msg->request != VHOST_USER_GET_CONFIG)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (config->len > sizeof(config->config) ||
			msg->size != offsetof(struct config_payload, config) + config->len)
		return RTE_VHOST_MSG_RESULT_ERR;
	memset(config->config, 0, config->len);
	if (config->offset < sizeof(space))
		memcpy(config->config, (uint8_t *)&space + config->offset,
				RTE_MIN(config->len, (uint32_t)sizeof(space) - config->offset));
	return RTE_VHOST_MSG_RESULT_REPLY;
}

static int
new_connection(int vid)
{
	struct front_end *fe;

	for (fe = served->front_ends; fe < served->front_ends + MAX_FRONT_ENDS; fe++) {
		if (fe->vid >= 0)
			continue;
		fe->vid = vid;
		if (migration_attach(fe, vid) == 0)
			return 0;
		fe->vid = -1;
		complain("vid %d: its messages cannot be followed: refused", vid);
		return -1;
	}
	complain("there are %d front-ends already: another one is refused", MAX_FRONT_ENDS);
	return -1;
}

static void
destroy_connection(int vid)
{
	struct front_end *fe = dirtylog_vhost_ctx(vid);

	if (fe == NULL)
		return; /* it was refused */
	close_queue(fe);
	dirtylog_vhost_detach(fe->messages);
	dirtylog_reset(fe->log);
	fe->memory = NULL;
	fe->ready = false;
	fe->vid = -1;
}

static int
vring_state_changed(int vid, uint16_t vring, int ready)
{
	struct front_end *fe = dirtylog_vhost_ctx(vid);

	if (fe == NULL || vring != 0)
		return 0;
	fe->ready = ready;
	if (ready)
		open_queue(fe);
	else
		close_queue(fe);
	return 0;
}

static void
destroy_device(int vid)
{
	struct front_end *fe = dirtylog_vhost_ctx(vid);

	if (fe != NULL)
		close_queue(fe);
}

static const struct rte_vhost_device_ops device_ops = {
	.new_connection = new_connection,
	.destroy_connection = destroy_connection,
	.vring_state_changed = vring_state_changed,
	.destroy_device = destroy_device,
};

int
backend_start(struct vhost_blk *blk, const char *path)
{
	unsigned int i;

	served = blk;
	for (i = 0; i < MAX_FRONT_ENDS; i++)
		blk->front_ends[i].vid = -1;
	dirtylog_vhost_init();
	if (rte_vhost_driver_register(path, 0) < 0) {
		fprintf(stderr, "vhost_blk: %s: not a path for a socket\n", path);
		return -1;
	}
	if (rte_vhost_driver_set_features(path, FEATURES) < 0 ||
			rte_vhost_driver_set_protocol_features(path, PROTOCOL_FEATURES) < 0 ||
			rte_vhost_driver_callback_register(path, &device_ops) < 0 ||
			rte_vhost_driver_start(path) < 0) {
		fprintf(stderr, "vhost_blk: %s: cannot be served; is it in use, or left over?\n",
				path);
		rte_vhost_driver_unregister(path);
		return -1;
	}
	return 0;
}

void
backend_stop(const char *path)
{
	rte_vhost_driver_unregister(path);
}
