/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets as fast as a port takes or gives them, as testpmd's txonly and rxonly do it. */
#ifndef BURSTS_H
#define BURSTS_H

#include <rte_mbuf.h>

#include "turns.h"

/* For so many cycles. burst: packets offered or asked for at once, at most BURST. */
int bursts_send(uint16_t port, uint16_t queue, struct rte_mempool *pool, unsigned int size,
		unsigned int burst, uint64_t cycles, struct turn *turn);
int bursts_receive(uint16_t port, uint16_t queue, unsigned int burst, uint64_t cycles,
		struct turn *turn);

/* Mbufs of this size out of the pool. */
int bursts_alloc(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int n,
		unsigned int size);

#endif
