/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets whose bytes follow from a number and a length, as bytes and as mbufs. */

#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define PACKET_MAX 70000U

/* The bytes of packet `number`; valid until the next call. */
const uint8_t *packet_bytes(uint32_t number, uint32_t len);

/*
 * An mbuf of it, in segments of `segment` bytes; 0: one segment. Every third
 * segment is empty if `with_holes`.
 */
struct rte_mbuf *packet_mbuf(struct rte_mempool *pool, uint32_t number, uint32_t len,
		uint32_t segment, bool with_holes);

/* Whether an mbuf is it, in whatever segments, and sound. */
bool packet_is(const struct rte_mbuf *mbuf, uint32_t number, uint32_t len);

/* A pseudo-random number; the same sequence in each run. */
uint64_t packet_random(uint64_t *state);

#endif /* PACKET_H */
