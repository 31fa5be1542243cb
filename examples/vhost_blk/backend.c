/* SPDX-License-Identifier: BSD-3-Clause */

/* The connection to the front-end, as librte_vhost's callbacks tell of it. */

#include <linux/vhost_types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhost_blk.h"

#define FEATURES ( \
	(1ULL << VIRTIO_F_VERSION_1) | \
	(1ULL << VHOST_F_LOG_ALL) | \
	(1ULL << VHOST_USER_F_PROTOCOL_FEATURES) | \
	(1ULL << VIRTIO_BLK_F_SEG_MAX) | \
	(1ULL << VIRTIO_BLK_F_BLK_SIZE) | \
	(1ULL << VIRTIO_BLK_F_FLUSH))

#define PROTOCOL_FEATURES ( \
	(1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD) | \
	(1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK) | \
	(1ULL << VHOST_USER_PROTOCOL_F_CONFIG))

/* What the vhost-user specification says of GET_CONFIG. */
#define VHOST_USER_GET_CONFIG 24

struct config_payload {
	uint32_t offset;
	uint32_t len;
	uint32_t flags;
	uint8_t config[256];
};

/* librte_vhost's callbacks get a vid and no context; there is one socket. */
static struct vhost_blk *served;

/* Open the queue if all that it needs is there. */
static void
open_queue(struct vhost_blk *blk)
{
	uint64_t index_gpa;

	if (blk->open || !blk->ready || blk->memory == NULL ||
			rte_vhost_get_vhost_vring(blk->vid, 0, &blk->ring) < 0 ||
			rte_vhost_get_vring_base(blk->vid, 0, &blk->next_avail,
				&blk->next_used) < 0)
		return;
	blk->hint = &blk->memory->regions[0];
	blk->used_region = dirtylog_memory_find_host(blk->memory, blk->ring.used,
			sizeof(struct vring_used) + blk->ring.size * sizeof(struct vring_used_elem));
	blk->open = blk->used_region != NULL &&
			dirtylog_memory_gpa(blk->memory, &blk->ring.used->idx, &index_gpa) == 0 &&
			dirtylog_open(blk->log, &blk->marker, index_gpa) == 0;
	if (!blk->open)
		fprintf(stderr, "vhost_blk: the ring is outside of guest memory\n");
}

/* Close it, and hand the index back, which librte_vhost will be asked for. */
static void
close_queue(struct vhost_blk *blk)
{
	if (!blk->open)
		return;
	dirtylog_close(blk->log, &blk->marker);
	rte_vhost_set_vring_base(blk->vid, 0, blk->next_avail, blk->next_used);
	blk->open = false;
}

void
backend_quiesce(void *ctx, uint32_t vring)
{
	struct vhost_blk *blk = ctx;

	close_queue(blk);
	if (vring == DIRTYLOG_ALL_VRINGS)
		blk->memory = NULL; /* librte_vhost unmaps it next */
}

void
backend_resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory)
{
	struct vhost_blk *blk = ctx;

	if (vring == DIRTYLOG_ALL_VRINGS)
		blk->memory = memory;
	open_queue(blk);
}

/* librte_vhost knows no configuration space: the answer goes back as the message came. */
enum rte_vhost_msg_result
backend_message(void *ctx, struct dirtylog_vhost_msg *msg)
{
	const struct vhost_blk *blk = ctx;
	struct config_payload *config = msg->payload;
	struct virtio_blk_config space = {
		.capacity = blk->size / SECTOR_SIZE,
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
	if (served->vid >= 0) {
		fprintf(stderr, "vhost_blk: there is a front-end already: the new one is refused\n");
		return -1;
	}
	if (migration_attach(served, vid) < 0)
		return -1;
	served->vid = vid;
	return 0;
}

static void
destroy_connection(int vid)
{
	if (served->vid != vid)
		return;
	close_queue(served);
	dirtylog_vhost_detach(served->messages);
	dirtylog_reset(served->log);
	served->memory = NULL;
	served->ready = false;
	served->vid = -1;
}

static int
vring_state_changed(int vid, uint16_t vring, int ready)
{
	if (served->vid != vid || vring != 0)
		return 0;
	served->ready = ready;
	if (ready)
		open_queue(served);
	else
		close_queue(served);
	return 0;
}

static void
destroy_device(int vid)
{
	if (served->vid == vid)
		close_queue(served);
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
	served = blk;
	blk->vid = -1;
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
