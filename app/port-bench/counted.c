/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of their own: in that of their caller a compiler may inline them, or copy and rename. */
#include <rte_ethdev.h>

#include "counted.h"

/* Else the driver's function is jumped to, and the count could end with the jump. */
static inline uint16_t
not_by_a_jump(uint16_t n)
{
	__asm__ volatile("" : "+r"(n));
	return n;
}

uint16_t
count_burst_rx(uint16_t port, struct rte_mbuf **mbufs, uint16_t n)
{
	return not_by_a_jump(rte_eth_rx_burst(port, 0, mbufs, n));
}

uint16_t
count_burst_tx(uint16_t port, struct rte_mbuf **mbufs, uint16_t n)
{
	return not_by_a_jump(rte_eth_tx_burst(port, 0, mbufs, n));
}

void
count_cell_end(void)
{
	__asm__ volatile("");
}
