/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A port for front-ends that are broken or hostile, and a bystander: another port
 * with another front-end, which must not notice. After each abuse a fresh
 * connection to the same port passes packets.
 *
 * The group fixture of such a program; a test finds it in `*state`.
 */

#ifndef VICTIM_H
#define VICTIM_H

#include "rig/port_rig.h"

#define VICTIM_FEATURES (FRONTEND_F_V1 | FRONTEND_F_MRG)
#define VICTIM_RING_SIZE 256

struct victim {
	struct port_rig port;
	uint32_t turn; /* the number of the next packet */
	struct port_rig bystander;
	struct frontend *neighbour; /* the bystander's front-end */
};

int victim_setup(void **state);
int victim_teardown(void **state);

/* A front-end that has connected and said nothing; and one that has set everything up. */
struct frontend *victim_connect(struct victim *victim);
struct frontend *victim_start(struct victim *victim);

/* Its end, whatever became of the connection. */
void victim_disconnect(struct frontend *frontend);

/* Pass `n` packets each way, as port_exchange() does. */
bool victim_exchange(struct victim *victim, struct frontend *frontend, unsigned int n);

/* The end of each test: who was bad is gone, and all is well. */
void victim_is_well(struct victim *victim);

/* A memfd of some length. */
int file_of(uint64_t len);

#endif /* VICTIM_H */
