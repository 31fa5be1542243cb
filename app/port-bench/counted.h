/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bursts whose instructions are counted, by what looks at the program from outside:
 * instructions.py has valgrind count what happens between the first instruction of a
 * function and its last, and names these functions.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include <rte_mbuf.h>

/* Of queue 0; rx and tx as the port has them, the guest has the other. */
uint16_t count_burst_rx(uint16_t port, struct rte_mbuf **mbufs, uint16_t n);
uint16_t count_burst_tx(uint16_t port, struct rte_mbuf **mbufs, uint16_t n);
/* What was counted since the last call is a cell's. */
void count_cell_end(void);

#endif
