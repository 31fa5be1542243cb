/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The slow way through buffers: descriptor chains, indirect tables, buffers
 * that cross regions. The result is a list of iov, each checked.
 */

#ifndef VNET_CHAIN_H
#define VNET_CHAIN_H

#include "datapath/queue.h"

/*
 * List the pieces of the chain that starts at a descriptor of the split ring,
 * in queue->iov from index `from` on. Descriptors of no bytes have none.
 *
 * device_writes: the direction that every buffer must have.
 * len: receives the bytes of all pieces found.
 * Returns the index after the last iov, or -1: the chain is bad, which is
 * counted already.
 */
int vnet_chain_walk(struct vnet_queue *queue, uint16_t head, bool device_writes, int from,
		uint64_t *len);

/*
 * The same for a packed ring, where the chain's descriptors follow each other.
 *
 * limit: descriptors that it may have.
 * buffer: receives the id and the number of descriptors, also of a bad chain
 * that has an end; of one without, nb_desc is 0.
 */
int vnet_chain_walk_packed(struct vnet_queue *queue, uint16_t index, uint16_t limit,
		bool device_writes, int from, uint64_t *len, struct vnet_packed_buffer *buffer);

/* A packet that the guest sends, its header in one piece and its data in another. */
struct vnet_found {
	const uint8_t *header;
	const uint8_t *data;
	uint32_t len; /* of the data */
};

/*
 * What drivers send whose header is apart: an indirect table, of a split ring's or of
 * a packed ring's descriptors, which has the header and then all of the data. Both are
 * fetched.
 *
 * room: bytes of data that may be.
 * Returns false if it is anything else, good or bad; nothing is counted then.
 */
bool vnet_chain_find_pair(struct vnet_queue *queue, uint64_t table, uint32_t len, uint32_t room,
		struct vnet_found *found);
bool vnet_chain_find_pair_packed(struct vnet_queue *queue, uint64_t table, uint32_t len,
		uint32_t room, struct vnet_found *found);

/* A place in iov: so many bytes into one, or into those that follow it. */
struct vnet_iov_pos {
	const struct vnet_iov *iov;
	uint32_t skip;
};

/* Copy `len` bytes to a place, which has the room, and have it be the one behind them. */
void vnet_chain_write(struct vnet_iov_pos *pos, const void *data, uint32_t len);

/* Mark the first `len` bytes of the iov, which were written. */
void vnet_chain_mark(struct vnet_queue *queue, const struct vnet_iov *iov, uint64_t len);

/* Copy the first `len` bytes of the iov, which are that long. */
void vnet_chain_peek(const struct vnet_iov *iov, void *data, uint32_t len);

/*
 * Copy `len` bytes, `skip` bytes into the iov, to an mbuf that is empty;
 * further segments come from its pool. Returns false if there are none left.
 */
bool vnet_chain_read(const struct vnet_iov *iov, uint32_t skip, uint32_t len,
		struct rte_mbuf *mbuf);

#endif /* VNET_CHAIN_H */
