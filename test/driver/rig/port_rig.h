/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An ethdev port of the driver in this process, and packets between it and the
 * guest behind a front-end. The thread that calls polls.
 */

#ifndef PORT_RIG_H
#define PORT_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "rig/frontend.h"
#include "rig/packet.h"

struct port_rig {
	char name[32];
	char path[64]; /* of the socket */
	uint16_t id;
	uint16_t nb_queues;
	bool rx_interrupts; /* configured with them */
	struct rte_mempool *pool;
};

/* The folder for sockets, made for this process; and its end. */
const char *port_rig_folder(void);
void port_rig_remove_folder(void);

/*
 * The kind of vdev that ports are: net_dirtylog, unless DIRTYLOG_TEST_VDEV in the
 * environment names another. DPDK's net_vhost is served by the door if that is preloaded.
 */
const char *port_rig_vdev(void);
bool port_rig_is_ours(void);

/* Probe the vdev of a number, configure and start it. `more` are devargs. */
void port_create(struct port_rig *port, unsigned int number, uint16_t nb_queues, const char *more);
/* The same with receive interrupts. */
void port_create_sleepy(struct port_rig *port, unsigned int number, uint16_t nb_queues,
		const char *more);
void port_configure(struct port_rig *port);
void port_destroy(struct port_rig *port);

/* Wait until the link is as said; false after five seconds. */
bool port_wait_link(const struct port_rig *port, bool up);

/*
 * Pass `n` packets each way on a queue pair, numbered from `number` on, of
 * different lengths, and check them. False if one does not come within five
 * seconds; a wrong one fails the test.
 */
bool port_exchange(struct port_rig *port, struct frontend *frontend, unsigned int pair,
		uint32_t number, unsigned int n);
bool port_to_guest(struct port_rig *port, struct frontend *frontend, unsigned int pair,
		uint32_t number, unsigned int n);
bool port_from_guest(struct port_rig *port, struct frontend *frontend, unsigned int pair,
		uint32_t number, unsigned int n);

/*
 * The guest makes a packet of a number available, of a length that goes with
 * it, and nobody receives it yet.
 */
void port_offer_packet(struct frontend *frontend, unsigned int pair, uint32_t number);
bool port_packet_is(const struct rte_mbuf *pkt, uint32_t number);

/* The guest makes a buffer of 1600 bytes available. */
void port_offer_room(struct frontend *frontend, unsigned int pair);

/* Send this one packet; false if it does not go within five seconds. */
bool port_send(struct port_rig *port, struct frontend *frontend, unsigned int pair,
		struct rte_mbuf *pkt);

/* Polls both directions `n` times; no packet may come or go. */
void port_poll_idle(struct port_rig *port, unsigned int n);

/* Whether a packet would go to the guest now, for which it has a buffer. */
bool port_is_open(struct port_rig *port, struct frontend *frontend, unsigned int pair);

/* An extended statistic by its name; and fail the test unless it has a value. */
uint64_t port_xstat(uint16_t port, const char *name);
void port_xstat_is(uint16_t port, const char *name, uint64_t wanted);

#endif /* PORT_RIG_H */
