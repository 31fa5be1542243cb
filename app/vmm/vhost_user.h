/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user protocol, front-end side: one message out, one reply in, each
 * within a time limit. What goes wrong is printed with the name of the message;
 * the functions then return -errno: -ETIMEDOUT no answer, -ECONNRESET the
 * back-end is gone, -EPROTO an answer that makes no sense, -EIO a refusal.
 */
#ifndef VHOST_USER_H
#define VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "gap_histogram.h"

#define VHOST_USER_MAX_REGIONS 8

/* Device features that the front-end uses. */
#define VIRTIO_NET_F_MRG_RXBUF (1ull << 15)
#define VIRTIO_NET_F_MQ (1ull << 22)
#define VHOST_F_LOG_ALL (1ull << 26)
#define VIRTIO_RING_F_INDIRECT_DESC (1ull << 28)
#define VHOST_USER_F_PROTOCOL_FEATURES (1ull << 30)
#define VIRTIO_F_VERSION_1 (1ull << 32)
#define VIRTIO_F_RING_PACKED (1ull << 34)
#define VIRTIO_F_IN_ORDER (1ull << 35)

#define VHOST_USER_PROTOCOL_F_MQ (1ull << 0)
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD (1ull << 1)
#define VHOST_USER_PROTOCOL_F_REPLY_ACK (1ull << 3)

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
};

struct vhost_user_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
#define VHOST_VRING_F_LOG 1u
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

struct vhost_user {
	int fd;
	unsigned int timeout_ms;
	bool reply_ack;                /* negotiated: any message may ask for an answer */
	struct gap_histogram *answers; /* ns until each answer; or NULL: nobody asks */
};

/*
 * Connects, or accepts one connection; tries until the time limit. A server removes a
 * socket that nobody listens on any more; -EEXIST: there is another file,
 * -EADDRINUSE: somebody listens there.
 */
int vhost_user_open(struct vhost_user *vu, const char *path, bool server, unsigned int timeout_ms);
void vhost_user_close(struct vhost_user *vu);

int vhost_user_get_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t *value);
/* ack: wait until the back-end has done it, where REPLY_ACK makes that possible. */
int vhost_user_set_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t value,
		bool ack);
int vhost_user_set_owner(struct vhost_user *vu);
int vhost_user_set_mem_table(struct vhost_user *vu, const struct vhost_user_region *regions,
		const int *fds, unsigned int n);
int vhost_user_set_vring_state(struct vhost_user *vu, enum vhost_user_request request,
		unsigned int index, unsigned int value, bool ack);
int vhost_user_set_vring_addr(struct vhost_user *vu, const struct vhost_user_vring_addr *addr,
		bool ack);
int vhost_user_set_vring_fd(struct vhost_user *vu, enum vhost_user_request request,
		unsigned int index, int fd);
/* Stops the ring; *base is where the back-end stopped. */
int vhost_user_get_vring_base(struct vhost_user *vu, unsigned int index, uint32_t *base);
/* *reply_size: bytes of payload in the reply, at most 16. */
int vhost_user_set_log_base(struct vhost_user *vu, uint64_t size, uint64_t offset, int fd,
		unsigned int *reply_size);

const char *vhost_user_request_name(unsigned int request);

#endif
