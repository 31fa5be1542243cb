/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * What an application can ask a net_dirtylog port beside the ethdev API.
 *
 * The counterparts of DPDK's rte_eth_vhost.h. Link with the driver
 * (-lrte_net_dirtylog) to use them.
 */

#ifndef DIRTYLOG_ETH_H
#define DIRTYLOG_ETH_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A queue of the port was enabled or disabled by the front-end. */
struct dirtylog_eth_queue_event {
	uint16_t queue_id; /**< of the ethdev */
	bool rx;           /**< a receive queue; false: a transmit queue */
	bool enable;       /**< packets can pass; false: not any more */
};

/**
 * Ask what an event RTE_ETH_EVENT_QUEUE_STATE was about.
 *
 * Several changes may cause one event: call it until it returns other than 0.
 * Each call tells of one queue whose state is not what was last told of it. A
 * front-end that goes away disables all its queues.
 *
 * Any thread, also from the event's callback.
 *
 * @param port_id
 *   ethdev port
 * @param[out] event
 *   the change
 * @return
 *   0; -ENOENT: nothing has changed (any more); -ENODEV: it is no port of
 *   net_dirtylog
 */
int dirtylog_eth_get_queue_event(uint16_t port_id, struct dirtylog_eth_queue_event *event);

/**
 * Ask for librte_vhost's id of the port's connection, for functions of rte_vhost.h.
 *
 * It is the connection's, not the port's: a front-end that comes back may get
 * another one.
 *
 * @param port_id
 *   ethdev port
 * @return
 *   the id; -ENOTCONN: no front-end is connected; -ENODEV: it is no port of
 *   net_dirtylog
 */
int dirtylog_eth_get_vid(uint16_t port_id);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_ETH_H */
