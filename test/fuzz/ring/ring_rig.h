/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One queue of the datapath, without librte_vhost and a socket: set up, opened
 * and closed as the driver does, with a front-end's log. All that the fuzzer
 * knows of the datapath's types and functions is in ring_rig.c.
 *
 * Nothing is allocated for an input, unless it changes the log.
 */

#ifndef FUZZ_RING_RIG_H
#define FUZZ_RING_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "ring/watch.h"

#define RIG_PORT 7

/* Packets that a burst is asked for at most. */
#define RIG_BURST 40

enum rig_pool {
	RIG_POOL_SMALL, /* 64 bytes */
	RIG_POOL_MIDDLE,
	RIG_POOL_LARGE, /* 2 KiB, as applications have them */
	RIG_NB_POOLS
};

struct rig_config {
	bool to_guest; /* the driver sends to the guest; else it receives */
	bool logging;
	bool strip_vlan; /* how packets are to be received */
	bool partial_checksums;
	bool legacy_ol_flags;
	bool linear;
	bool ext_buffers;
	uint64_t features;  /* VIRTIO_F_RING_PACKED and the others, as negotiated */
	enum rig_pool pool; /* to receive to */
	uint16_t size;
	uint16_t start; /* where the front-end says that the ring goes on */
	uint64_t desc;  /* GPAs; of a packed ring with the two event areas */
	uint64_t avail;
	uint64_t used;
};

/* The driver's place in the ring, and what it has counted. */
struct rig_state {
	uint16_t next_avail;
	uint16_t next_used;
	uint16_t header_len;
	uint64_t packets;
	uint64_t dropped;
	uint64_t no_mbuf;
	uint64_t faults;
};

/* What a front-end does about the log. */
enum rig_log {
	RIG_LOG_OFF,
	RIG_LOG_ON,
	RIG_LOG_SWAP,  /* the next SET_LOG_BASE */
	RIG_LOG_LEAVE, /* every queue of the device has stopped */
	RIG_LOG_HARVEST,
	RIG_NB_LOGS
};

void rig_init(void);

/* Returns false if the driver refuses the ring. */
bool rig_open(const struct rig_config *config);

/* Close it and open it again, where it was. */
bool rig_reopen(void);

/* The end of an input: closed, checked, and as it was in the beginning. */
void rig_finish(void);

struct rig_state rig_state(void);

uint16_t rig_burst(struct rte_mbuf **pkts, uint16_t n);
void rig_enable_kicks(bool on);
void rig_look(void); /* how many wait, and what to watch for more */
void rig_rarp(uint64_t mac);
void rig_log(enum rig_log what);

/* For packets to send; NULL: there are no more. */
struct rte_mbuf *rig_alloc(bool small);

#endif /* FUZZ_RING_RIG_H */
