/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A vhost-user-blk back-end on librte_vhost: a RAM disk, for several front-ends, each
 * with one virtqueue.
 *
 *   main       options, a small console, messages
 *   backend    librte_vhost's callbacks: a connection, its memory, its ring
 *   requests   the datapath: virtio-blk requests, from the ring to the disk
 *   call       interrupts for the guest
 *   migration  live migration: what libdirtylog wants to know
 *
 * Front-ends and guests are not trusted: what they name is checked, and what
 * one of them can make a call cost is bounded here, since the others wait.
 */

#ifndef VHOST_BLK_H
#define VHOST_BLK_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_vhost.h>

#include <dirtylog_vhost.h>

#define SECTOR_SIZE 512

#define MAX_FRONT_ENDS 8

/* Descriptors of a request at most: header, status, and the data between. */
#define MAX_SEGMENTS 128

/* Bytes of one such piece of data, as the guest is told, and of all of them: 1008 KiB. */
#define MAX_SEGMENT_LEN 8192
#define MAX_DATA_LEN ((MAX_SEGMENTS - 2) * MAX_SEGMENT_LEN)

/* A queue's interrupts. The control thread's, but for call_guest(). */
struct call {
	int fd; /* our duplicate of the front-end's; -1: it wants none, or the queue is closed */
	pthread_t thread;
	sem_t work;
	bool asked; /* set by the datapath, cleared by the thread */
	bool over;
};

struct vhost_blk;

/* A place for a front-end. Polled all the time, with a connection or without. */
struct front_end {
	struct dirtylog_marker marker;
	struct dirtylog *log;
	struct dirtylog_vhost *messages;
	struct vhost_blk *blk;

	/* The vhost thread's; constant while the queue is open. */
	int vid;    /* negative: no connection */
	bool ready; /* the ring is, says librte_vhost */
	bool open;
	const struct dirtylog_memory *memory; /* NULL: none */
	struct rte_vhost_vring ring;
	struct call call;

	/* The datapath's while the queue is open. */
	uint16_t next_avail;
	uint16_t next_used;
	bool gave_up;                       /* the guest's index is nonsense */
	const struct dirtylog_region *hint; /* the region that was found last */
};

struct vhost_blk {
	uint8_t *disk;
	uint64_t size; /* bytes, whole sectors */

	struct front_end front_ends[MAX_FRONT_ENDS];

	/* Counted by the datapath, read by anyone. */
	uint64_t reads;
	uint64_t writes;
	uint64_t broken; /* chains that were no requests, and rings that were given up */

	/* Set by anyone. */
	bool held; /* serve nothing, to have requests pile up */
	bool quit;
};

/* Print an error line; what is too much for one second is left out. Any thread. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Serve a socket. Returns 0, or -1 after an error message. */
int backend_start(struct vhost_blk *blk, const char *path);
void backend_stop(const char *path);

/* What must happen before and after a message changes the ring, or all memory. */
void backend_quiesce(void *ctx, uint32_t vring);
void backend_resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory);
/* The messages of block devices. */
enum rte_vhost_msg_result backend_message(void *ctx, struct dirtylog_vhost_msg *msg);

/* Serve what is in the ring, or a part of it; returns how many requests that were. */
unsigned int requests_poll(struct front_end *fe);

/*
 * From now on interrupts go to `fd`, the first one at once: the ring may have used
 * entries that nobody was told of. Negative: none. Returns 0, or -1 after a message.
 */
int call_start(struct call *call, int fd);
/* The datapath's: interrupt the guest. Never waits for anyone. */
void call_guest(struct call *call);
/* The datapath asks no more. What it asked for is done, if the front-end lets us. */
void call_stop(struct call *call);

int migration_init(struct front_end *fe);
void migration_fini(struct front_end *fe);
int migration_attach(struct front_end *fe, int vid);
void migration_wrote(struct front_end *fe, const struct dirtylog_region *region, const void *host,
		uint64_t len);

#endif /* VHOST_BLK_H */
