/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Pools of mbufs in which the address sanitizer sees what is free and what is
 * beyond a buffer. They give what was returned last, and no more than allowed.
 */

#ifndef FUZZ_MBUFS_H
#define FUZZ_MBUFS_H

#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

/* `room`: bytes for data beside the headroom. */
struct rte_mempool *mbufs_create(const char *name, unsigned int n, uint16_t room);

/* From now on, give `n` at most until some are returned; UINT32_MAX: all. */
void mbufs_allow(uint32_t n);

/* All mbufs must be back. */
void mbufs_check(struct rte_mempool *pool);

/* What lies before and behind the data of a segment must not be looked at until it is free. */
void mbufs_hide_rest(struct rte_mbuf *seg);

#endif /* FUZZ_MBUFS_H */
