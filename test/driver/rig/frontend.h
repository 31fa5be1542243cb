/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A vhost-user front-end with a guest behind it, as small as can be: it sets a
 * device up over the socket as the specification says, and lets a test send
 * anything else too. Everything that waits has a time limit.
 *
 * Not app/vmm/frontend.h, which drives the benchmarks: tests share no code with
 * them, so that a mistake there is not taken for right here.
 */

#ifndef FRONTEND_H
#define FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "frontend_log.h"
#include "rig/guest_ram.h"
#include "rig/ring_writer.h"

/* Requests of the vhost-user protocol. */
enum frontend_request {
	REQ_GET_FEATURES = 1,
	REQ_SET_FEATURES = 2,
	REQ_SET_OWNER = 3,
	REQ_RESET_OWNER = 4,
	REQ_SET_MEM_TABLE = 5,
	REQ_SET_LOG_BASE = 6,
	REQ_SET_VRING_NUM = 8,
	REQ_SET_VRING_ADDR = 9,
	REQ_SET_VRING_BASE = 10,
	REQ_GET_VRING_BASE = 11,
	REQ_SET_VRING_KICK = 12,
	REQ_SET_VRING_CALL = 13,
	REQ_SET_VRING_ERR = 14,
	REQ_GET_PROTOCOL_FEATURES = 15,
	REQ_SET_PROTOCOL_FEATURES = 16,
	REQ_GET_QUEUE_NUM = 17,
	REQ_SET_VRING_ENABLE = 18,
	REQ_SEND_RARP = 19,
	REQ_NET_SET_MTU = 20,
	REQ_ADD_MEM_REG = 37,
	REQ_REM_MEM_REG = 38,
};

#define FRONTEND_MAX_PACKED 512 /* descriptors */
#define FRONTEND_MAX_RINGS 256  /* of 128 queue pairs */
#define FRONTEND_F_PROTOCOL (UINT64_C(1) << 30)
#define FRONTEND_F_LOG_ALL (UINT64_C(1) << VHOST_F_LOG_ALL)
#define FRONTEND_F_MRG (UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF)
#define FRONTEND_F_V1 (UINT64_C(1) << VIRTIO_F_VERSION_1)
#define FRONTEND_F_EVENT_IDX (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)
#define FRONTEND_F_INDIRECT (UINT64_C(1) << VIRTIO_RING_F_INDIRECT_DESC)
#define FRONTEND_F_MTU (UINT64_C(1) << VIRTIO_NET_F_MTU)
#define FRONTEND_F_PACKED (UINT64_C(1) << VIRTIO_F_RING_PACKED)
#define FRONTEND_F_IN_ORDER (UINT64_C(1) << VIRTIO_F_IN_ORDER)
#define FRONTEND_F_MQ (UINT64_C(1) << VIRTIO_NET_F_MQ)

/* The guest's memory: buffers low, rings above a hole. */
#define FRONTEND_LOW UINT64_C(0)
#define FRONTEND_LOW_LEN UINT64_C(0x400000)
#define FRONTEND_HIGH UINT64_C(0x100000000)
#define FRONTEND_HIGH_LEN UINT64_C(0x200000)
/* Where the front-end has it, from the protocol's point of view. */
#define FRONTEND_USER(gpa) ((gpa) + UINT64_C(0x7000000000))

struct frontend {
	int sock;
	struct guest_ram ram;
	uint64_t features; /* what it negotiates, LOG_ALL included when on */
	uint64_t offered;  /* what the back-end offers */
	uint16_t ring_size;
	unsigned int nb_rings;
	struct ring_writer rings[FRONTEND_MAX_RINGS];
	uint16_t slots[FRONTEND_MAX_RINGS][FRONTEND_MAX_PACKED]; /* the packed rings' */
	int call[FRONTEND_MAX_RINGS];
	int kick[FRONTEND_MAX_RINGS];
};

/* A region of the memory table, as on the wire. */
struct frontend_region {
	uint64_t gpa;
	uint64_t len;
	uint64_t user;
	uint64_t offset;
};

/* Bytes of buffers for each ring, low in memory. */
static inline uint64_t
frontend_room(const struct frontend *frontend)
{
	return FRONTEND_LOW_LEN / (frontend->nb_rings > 4 ? frontend->nb_rings : 4);
}

/* Memory and rings, whose indices begin at `start`; no connection. */
void frontend_create(struct frontend *frontend, uint64_t features, uint16_t ring_size,
		unsigned int nb_rings, uint16_t start);
void frontend_destroy(struct frontend *frontend);

/* Connect; false if nobody listens for five seconds. */
bool frontend_connect(struct frontend *frontend, const char *path);
void frontend_disconnect(struct frontend *frontend);

/* Send a message. False if the connection is closed. */
bool frontend_send(struct frontend *frontend, uint32_t request, bool need_reply,
		const void *payload, uint32_t len, const int *fds, unsigned int nb_fds);

/* Wait for the reply to a request; returns the bytes of its payload or -1. */
int frontend_reply(struct frontend *frontend, uint32_t request, void *payload, size_t room);

/* What became of a message that asks for an acknowledgement. */
enum frontend_answer { ANSWER_OK, ANSWER_REFUSED, ANSWER_CLOSED };

enum frontend_answer frontend_ask(struct frontend *frontend, uint32_t request, const void *payload,
		uint32_t len, const int *fds, unsigned int nb_fds);

/*
 * The back-end acknowledges a message before it has told everybody what
 * follows from it. When this returns true it has, for all messages so far.
 */
bool frontend_settle(struct frontend *frontend);

/* Steps of the set-up; each waits until the back-end has it. */
enum frontend_answer frontend_hello(struct frontend *frontend); /* up to the features */
enum frontend_answer frontend_set_features(struct frontend *frontend, uint64_t features);
enum frontend_answer frontend_set_memory(struct frontend *frontend);
enum frontend_answer frontend_set_regions(struct frontend *frontend,
		const struct frontend_region *regions, const int *fds, unsigned int n);
enum frontend_answer frontend_set_num(struct frontend *frontend, unsigned int ring, uint32_t size);
enum frontend_answer frontend_set_base(struct frontend *frontend, unsigned int ring, uint32_t base);
void frontend_fill_addr(struct frontend *frontend, unsigned int ring,
		struct vhost_vring_addr *addr);
enum frontend_answer frontend_set_addr(struct frontend *frontend, unsigned int ring);
enum frontend_answer frontend_set_call(struct frontend *frontend, unsigned int ring, int fd);
enum frontend_answer frontend_set_kick(struct frontend *frontend, unsigned int ring, int fd);
enum frontend_answer frontend_enable(struct frontend *frontend, unsigned int ring, bool on);
/* Everything of a ring, up to its being enabled. */
enum frontend_answer frontend_start_ring(struct frontend *frontend, unsigned int ring);
/* Everything after frontend_connect(). */
enum frontend_answer frontend_start(struct frontend *frontend);

/* GET_VRING_BASE; -1 if there is no answer. */
int frontend_stop_ring(struct frontend *frontend, unsigned int ring);

/*
 * Whether the back-end finds the descriptors of messages: not where other_dpdk.c
 * hides them. SET_LOG_BASE is librte_vhost's then, for better or worse.
 */
bool frontend_fds_are_found(void);

/*
 * SET_LOG_BASE and its reply, which must be 16 bytes, as they were sent; librte_vhost's
 * own must be empty.
 */
enum frontend_answer frontend_set_log(struct frontend *frontend, int fd, uint64_t len,
		uint64_t offset);

/* Bytes of a log that covers the memory. */
uint64_t frontend_log_len(void);

#endif /* FRONTEND_H */
