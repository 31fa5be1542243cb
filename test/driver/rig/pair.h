/* SPDX-License-Identifier: BSD-3-Clause */

/* A port of the driver, and a front-end that has set everything up on it. */

#ifndef PAIR_H
#define PAIR_H

#include "rig/port_rig.h"

struct pair {
	struct port_rig port;
	struct frontend frontend;
};

/*
 * Port `number` and its front-end, with the kind of rings that the program runs
 * with; their positions begin at `start`.
 */
struct pair *pair_create(unsigned int number, uint64_t features, uint16_t nb_queues,
		uint16_t start);
/* The same of port 0 with receive interrupts, and with the link up. */
struct pair *pair_create_sleepy(uint64_t features, uint16_t ring_size);
void pair_destroy(struct pair *pair);

/* Pass 40 packets each way on queue pair 0, as port_exchange() does. */
bool pair_exchange(struct pair *pair, uint32_t number);

/* Poll for one packet, which must be this one; false if there is none. */
bool pair_takes(struct pair *pair, uint32_t number);

/*
 * Port 0 with more device arguments, and a front-end with split rings; both are
 * the caller's. And their end.
 */
void connect_port(struct port_rig *port, struct frontend *frontend, uint64_t features,
		uint16_t nb_queues, const char *more);
void disconnect_port(struct port_rig *port, struct frontend *frontend);

#endif /* PAIR_H */
