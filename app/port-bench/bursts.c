/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bursts.h"

#define CALLS_PER_LOOK 16 /* at the clock */

int
bursts_alloc(struct rte_mempool *pool, struct rte_mbuf **mbufs, unsigned int n, unsigned int size)
{
	unsigned int i;

	if (rte_pktmbuf_alloc_bulk(pool, mbufs, n) != 0)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		mbufs[i]->data_len = (uint16_t)size;
		mbufs[i]->pkt_len = size;
	}
	return 0;
}

int
bursts_send(uint16_t port, uint16_t queue, struct rte_mempool *pool, unsigned int size,
		unsigned int burst, uint64_t cycles, struct turn *turn)
{
	const uint64_t start = rte_rdtsc();
	struct rte_mbuf *mbufs[BURST];
	unsigned int have = 0, i;
	uint16_t n;
	int ret = 0;

	do {
		for (i = 0; ret == 0 && i < CALLS_PER_LOOK; i++) {
			if (have == 0) {
				ret = bursts_alloc(pool, mbufs, burst, size);
				have = ret == 0 ? burst : 0;
			}
			/* What was not taken is offered again. */
			n = rte_eth_tx_burst(port, queue, mbufs + burst - have, (uint16_t)have);
			have -= n;
			turn->packets += n;
			turn->calls++;
			turn->empty += n == 0;
		}
		turn->cycles = rte_rdtsc() - start;
	} while (ret == 0 && turn->cycles < cycles);
	rte_pktmbuf_free_bulk(mbufs + burst - have, have);
	return ret;
}

int
bursts_receive(uint16_t port, uint16_t queue, unsigned int burst, uint64_t cycles,
		struct turn *turn)
{
	const uint64_t start = rte_rdtsc();
	struct rte_mbuf *mbufs[BURST];
	unsigned int i;
	uint16_t n;

	do {
		for (i = 0; i < CALLS_PER_LOOK; i++) {
			n = rte_eth_rx_burst(port, queue, mbufs, (uint16_t)burst);
			if (n > 0)
				rte_pktmbuf_free_bulk(mbufs, n);
			turn->packets += n;
			turn->calls++;
			turn->empty += n == 0;
		}
		turn->cycles = rte_rdtsc() - start;
	} while (turn->cycles < cycles);
	return 0;
}
