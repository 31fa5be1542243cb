/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Receive interrupts: the ethdev's side. A queue's wakeup is its interrupt.
 *
 * An application enables a queue's interrupt before it sleeps and polls after
 * it woke, as with a NIC. Each time that a queue opens its interrupt is off
 * and the wakeup is rung once, so that the application sees what has come
 * meanwhile and enables it anew.
 */

#ifndef ETH_DIRTYLOG_RX_INTR_H
#define ETH_DIRTYLOG_RX_INTR_H

#include <stdint.h>

struct rte_eth_dev;

/*
 * Give the started ethdev an interrupt per receive queue if its configuration
 * wants that, or take them away. Those of the last start stay if they can: an
 * application need not register them again.
 * Returns 0 or a negative errno.
 */
int eth_dirtylog_rx_intr_start(struct rte_eth_dev *dev);

/* Take them away. */
void eth_dirtylog_rx_intr_remove(struct rte_eth_dev *dev);

/* The ethdev's operations; the queue's thread calls them. */
int eth_dirtylog_rx_intr_enable(struct rte_eth_dev *dev, uint16_t queue);
int eth_dirtylog_rx_intr_disable(struct rte_eth_dev *dev, uint16_t queue);

#endif /* ETH_DIRTYLOG_RX_INTR_H */
