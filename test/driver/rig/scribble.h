/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A guest that scribbles: random bytes, often nearly right, into rings, indirect
 * tables, virtio-net headers and an application's mbufs.
 */

#ifndef SCRIBBLE_H
#define SCRIBBLE_H

#include "rig/ring_rig.h"

/* Of the rings. */
#define SCRIBBLE_SIZE 256

/* Garbage into some descriptors, entries of tables, and the available ring. */
void scribble_ring(struct rig *rig, struct rig_side *side, uint64_t *random, unsigned int n);

/* Mostly the index moves as it should. */
void scribble_index(struct rig *rig, struct rig_side *side, uint64_t *random);

/* The beginnings of packets that headers are about. */
void scribble_packets(struct rig *rig, const struct rig_side *side, uint64_t *random,
		unsigned int n);

/* Offload flags and lengths of headers, right or wrong. */
void scribble_mbuf(struct rte_mbuf *mbuf, uint64_t *random);

#endif /* SCRIBBLE_H */
