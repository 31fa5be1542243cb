/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * External buffers (ext-buffer=1): a received packet that is longer than an
 * mbuf of the application's pool gets one of these, and stays in one piece.
 *
 * net_vhost allocates one for each such packet. Here they come from a pool of
 * the queue, made when the queue is set up: the datapath allocates nothing. A
 * packet that finds the pool empty comes in segments or, where linear-buffer=1
 * forbids them, stays in the guest's ring until a buffer is back.
 */

#ifndef VNET_EXT_BUFFERS_H
#define VNET_EXT_BUFFERS_H

#include "datapath/queue.h"

/* The longest that an mbuf can describe. */
#define VNET_EXT_SIZE UINT16_MAX

/* Where an external buffer ends and what mbufs that share it have in common begins. */
#define VNET_EXT_INFO (VNET_EXT_SIZE - sizeof(struct rte_mbuf_ext_shared_info))
#define VNET_EXT_END RTE_ALIGN_FLOOR(VNET_EXT_INFO, sizeof(uintptr_t))

/* Room for a packet in it: the longest that Linux makes, and some more. */
#define VNET_EXT_ROOM ((uint32_t)(VNET_EXT_END - RTE_PKTMBUF_HEADROOM))

/*
 * The pool of a receive queue, by a name of its own. Returns NULL if there is no
 * memory for it.
 */
struct rte_mempool *vnet_ext_buffers_create(const char *name, int socket);

/*
 * Give a pool up, which may be NULL. One whose buffers the application still
 * holds stays, and is found again when that queue is set up the next time.
 */
void vnet_ext_buffers_release(struct rte_mempool *pool);

/* Bytes of the longest packet that the queue takes, given a fresh mbuf of its pool. */
static inline uint32_t
vnet_ext_buffers_longest(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		uint32_t longest)
{
	uint32_t room = rte_pktmbuf_tailroom(pkt);

	if (!queue->linear)
		return longest;
	return queue->ext_buffers == NULL ? room : RTE_MAX(room, VNET_EXT_ROOM);
}

/*
 * Give a fresh mbuf the room for `len` bytes, if it has to be and can be.
 * Returns false if the packet has to wait for a buffer.
 */
bool vnet_ext_buffers_attach(struct vnet_queue *queue, struct rte_mbuf *pkt, uint32_t len);

/* Make an mbuf fresh again: without segments, buffer, contents. */
void vnet_ext_buffers_renew(struct rte_mbuf *pkt);

#endif /* VNET_EXT_BUFFERS_H */
