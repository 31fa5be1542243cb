/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A vhost-user-blk back-end on librte_vhost: a RAM disk over one virtqueue.
 *
 *   main       options, and a small console
 *   backend    librte_vhost's callbacks: the connection, its memory, its ring
 *   requests   the datapath: virtio-blk requests, from the ring to the disk
 *   migration  live migration: what libdirtylog wants to know
 */

#ifndef VHOST_BLK_H
#define VHOST_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_vhost.h>

#include <dirtylog_vhost.h>

#define SECTOR_SIZE 512

/* Descriptors of a request at most: header, status, and the data between. */
#define MAX_SEGMENTS 128

struct vhost_blk {
	struct dirtylog_marker marker;
	struct dirtylog *log;
	struct dirtylog_vhost *messages;

	uint8_t *disk;
	uint64_t size; /* bytes, whole sectors */

	/* The vhost thread's; constant while the queue is open. */
	int vid; /* negative: no connection */
	bool ready; /* the ring is, says librte_vhost */
	bool open;
	const struct dirtylog_memory *memory; /* NULL: none */
	struct rte_vhost_vring ring;
	const struct dirtylog_region *used_region; /* that the used ring lies in */

	/* The datapath's while the queue is open. */
	uint16_t next_avail;
	uint16_t next_used;
	const struct dirtylog_region *hint; /* the region that was found last */

	/* Counted by the datapath, read by anyone. */
	uint64_t reads;
	uint64_t writes;
	uint64_t broken; /* chains that were no requests */

	/* Set by anyone. */
	bool held; /* serve nothing, to have requests pile up */
	bool quit;
};

/* Serve a socket. Returns 0, or -1 after an error message. */
int backend_start(struct vhost_blk *blk, const char *path);
void backend_stop(const char *path);

/* What must happen before and after a message changes the ring, or all memory. */
void backend_quiesce(void *ctx, uint32_t vring);
void backend_resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory);
/* The messages of block devices. */
enum rte_vhost_msg_result backend_message(void *ctx, struct dirtylog_vhost_msg *msg);

/* Serve what is in the ring; returns how many requests that were. */
unsigned int requests_poll(struct vhost_blk *blk);

int migration_init(struct vhost_blk *blk);
int migration_attach(struct vhost_blk *blk, int vid);
void migration_wrote(struct vhost_blk *blk, const struct dirtylog_region *region, const void *host,
		uint64_t len);

#endif /* VHOST_BLK_H */
