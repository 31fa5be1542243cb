/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The front-end's end of a vhost-user socket, and how to know that what was
 * sent has been handled, without any reply of a back-end that may have none.
 */

#ifndef FUZZ_VMM_H
#define FUZZ_VMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests of the vhost-user protocol. */
enum vmm_request {
	VMM_GET_FEATURES = 1,
	VMM_SET_FEATURES = 2,
	VMM_SET_OWNER = 3,
	VMM_RESET_OWNER = 4,
	VMM_SET_MEM_TABLE = 5,
	VMM_SET_LOG_BASE = 6,
	VMM_SET_LOG_FD = 7,
	VMM_SET_VRING_NUM = 8,
	VMM_SET_VRING_ADDR = 9,
	VMM_SET_VRING_BASE = 10,
	VMM_GET_VRING_BASE = 11,
	VMM_SET_VRING_KICK = 12,
	VMM_SET_VRING_CALL = 13,
	VMM_SET_VRING_ERR = 14,
	VMM_GET_PROTOCOL_FEATURES = 15,
	VMM_SET_PROTOCOL_FEATURES = 16,
	VMM_GET_QUEUE_NUM = 17,
	VMM_SET_VRING_ENABLE = 18,
	VMM_SEND_RARP = 19,
	VMM_NET_SET_MTU = 20,
	VMM_SET_SLAVE_REQ_FD = 21,
	VMM_IOTLB_MSG = 22,
	VMM_SET_VRING_ENDIAN = 23,
	VMM_GET_CONFIG = 24,
	VMM_SET_CONFIG = 25,
	VMM_GET_INFLIGHT_FD = 31,
	VMM_SET_INFLIGHT_FD = 32,
	VMM_GPU_SET_SOCKET = 33,
	VMM_RESET_DEVICE = 34,
	VMM_GET_MAX_MEM_SLOTS = 36,
	VMM_ADD_MEM_REG = 37,
	VMM_REM_MEM_REG = 38,
	VMM_SET_STATUS = 39,
	VMM_GET_STATUS = 40,
};

#define VMM_VERSION 1U
#define VMM_NEED_REPLY 8U
#define VMM_NO_FD 0x100U
/* What librte_vhost takes; of more it drops those that it has, and never closes them. */
#define VMM_MAX_FDS 8

/* More than librte_vhost has room for; longer ones it refuses unread. */
#define VMM_MAX_PAYLOAD 1100U

struct vmm_message {
	uint32_t request;
	uint32_t flags;
	uint32_t len; /* of the payload, as the header says it */
	uint8_t payload[VMM_MAX_PAYLOAD];
	unsigned int nb_fds;
	int fds[VMM_MAX_FDS];
};

/* -1: nobody listens. */
int vmm_connect(const char *path);

/*
 * Send a message; if the connection is closed, nothing. A payload that the
 * header says is longer than any is left out, as the back-end does not read it.
 */
void vmm_send(int sock, const struct vmm_message *message);

/* Send the beginning of one only. */
void vmm_send_part(int sock, const struct vmm_message *message, size_t len);

/* Some bytes of replies, which do not matter. */
void vmm_drain(int sock);

/* Whether the back-end has read all that was sent. */
bool vmm_is_read(int sock);

/* Ask for the features, and wait for them; milliseconds, or -1: no answer came. */
long vmm_ask(int sock, long limit_ms);

#endif /* FUZZ_VMM_H */
