/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The slow way through buffers: descriptor chains, indirect tables, buffers
 * that cross regions. The result is a list of pieces, each checked.
 */

#ifndef DIRTYLOG_CHAIN_H
#define DIRTYLOG_CHAIN_H

#include "datapath/queue.h"

/*
 * Read a descriptor once: the guest may change it at any time, and what was
 * checked must be what is used.
 */
static inline struct vring_desc
dirtylog_read_desc(const struct vring_desc *desc)
{
	const uint64_t *raw = (const uint64_t *)desc;
	union {
		uint64_t raw[2];
		struct vring_desc desc;
	} copy;

	copy.raw[0] = __atomic_load_n(&raw[0], __ATOMIC_RELAXED);
	copy.raw[1] = __atomic_load_n(&raw[1], __ATOMIC_RELAXED);
	return copy.desc;
}

/*
 * List the pieces of the chain that starts at a descriptor of the split ring,
 * in queue->pieces from index `from` on.
 *
 * device_writes: the direction that every buffer must have.
 * len: receives the bytes of all pieces found.
 * Returns the index after the last piece, or -1: the chain is bad, which is
 * counted already.
 */
int dirtylog_chain_walk(struct dirtylog_queue *queue, uint16_t head, bool device_writes,
		int from, uint64_t *len);

/*
 * The same for a packed ring, where the chain's descriptors follow each other.
 *
 * limit: descriptors that it may have.
 * buffer: receives the id and the number of descriptors, also of a bad chain
 * that has an end; of one without, nb_desc is 0.
 */
int dirtylog_chain_walk_packed(struct dirtylog_queue *queue, uint16_t index, uint16_t limit,
		bool device_writes, int from, uint64_t *len,
		struct dirtylog_packed_buffer *buffer);

/* Copy `len` bytes to the pieces, `skip` bytes into them. They have the room. */
void dirtylog_chain_write(const struct guest_piece *pieces, uint32_t skip, const void *data,
		uint32_t len);

/* Mark the first `len` bytes of the pieces, which were written. */
void dirtylog_chain_mark(struct dirtylog_queue *queue, const struct guest_piece *pieces,
		uint64_t len);

/* Copy the first `len` bytes of the pieces, which are that long. */
void dirtylog_chain_peek(const struct guest_piece *pieces, void *data, uint32_t len);

/*
 * Copy `len` bytes, `skip` bytes into the pieces, to an mbuf that is empty;
 * further segments come from its pool. Returns false if there are none left.
 */
bool dirtylog_chain_read(const struct guest_piece *pieces, uint32_t skip, uint32_t len,
		struct rte_mbuf *mbuf);

#endif /* DIRTYLOG_CHAIN_H */
