/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What librte_vhost passes to an extern message handler: a struct of its own,
 * which is declared in no installed header of DPDK's. This is the one place that
 * says what it looks like. Private.
 */

#ifndef DIRTYLOG_VHOST_MSG_H
#define DIRTYLOG_VHOST_MSG_H

#include <linux/vhost_types.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of the vhost-user protocol, as far as the library knows them. */
enum vhost_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
};

#define VHOST_MSG_MAX_FDS 8

#define VHOST_MSG_NEED_REPLY (UINT32_C(1) << 3) /* in the flags: acknowledge it */

/* Bytes that have been there for the payload in each release since 22.11, at least. */
#define VHOST_MSG_PAYLOAD_ROOM 632

#define VHOST_VRING_INDEX_MASK 0xff /* of the u64 of SET_VRING_KICK and _CALL */

/* These fields have been where they are since 2018. */
struct librte_msg {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* bytes of the payload, never more than there is room for */
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct {
			uint64_t size;
			uint64_t offset;
		} __attribute__((packed)) log;
		struct {
			uint32_t nb_regions; /* padding with ADD_MEM_REG */
			uint32_t padding;
			struct {
				uint64_t gpa;
				uint64_t size;
				uint64_t user_addr;
				uint64_t offset;
			} regions[VHOST_MSG_MAX_FDS];
		} __attribute__((packed)) memory;
		uint8_t bytes[VHOST_MSG_PAYLOAD_ROOM];
	} __attribute__((packed)) payload;
} __attribute__((packed));

/*
 * The descriptors that came with a message: behind a payload whose size varies,
 * see dirtylog_message_fds_at().
 */
struct librte_msg_fds {
	int fds[VHOST_MSG_MAX_FDS];
	int nb_fds;
};

/*
 * How many bytes from the beginning of a message that is. 0: it is not known of
 * this DPDK, or not yet, see dirtylog_vhost_init().
 */
size_t dirtylog_message_fds_at(void);

#endif /* DIRTYLOG_VHOST_MSG_H */
