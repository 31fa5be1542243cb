/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Two rings, split or packed ones, between a guest and the driver's datapath, without
 * librte_vhost and a socket: guest memory, the queues as the driver's port.c fills
 * them in, the device's log state, and a model of what the back-end has to
 * write, which memory and log are compared with after each burst.
 */

#ifndef RING_RIG_H
#define RING_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "rxtx.h"
#include "dirtylog.h"
#include "datapath/offload.h"
#include "datapath/packed.h"
#include "datapath/split.h"
#include "frontend_log.h"
#include "rig/guest_ram.h"
#include "rig/packet.h"
#include "rig/program.h"
#include "rig/ring_writer.h"

/* Memory: two regions that are neighbours for the guest only, and a far one. */
#define RIG_LOW UINT64_C(0)
#define RIG_MIDDLE UINT64_C(0x100000)
#define RIG_MIDDLE_END UINT64_C(0x200000)
/* Above the hole; not on a word of the log. The rings are at its start. */
#define RIG_HIGH UINT64_C(0x100005000)
/* Bytes of the far region behind the rings, for tests. */
#define RIG_HIGH_ROOM UINT64_C(0x40000)

struct rig_options {
	uint16_t size;
	uint16_t start; /* of the ring positions, as ring_init() has it */
	bool mergeable;
	bool version_1;
	bool event_idx;
	bool logging;
	/* Offloads: what was negotiated, what the application wants. */
	uint64_t features;
	struct vnet_rx_config rx_config;
};

/* One ring with its queue. */
struct rig_side {
	struct vnet_queue *queue;
	struct ring_writer ring;
	uint16_t slots[32768];
	int call;
	uint16_t model_used; /* the position up to which the back-end should have used */
	uint16_t shown_used; /* the position up to which the back-end has shown them */
	uint64_t index_gpa;  /* the index; packed: the flags that were shown last */
	bool index_pending;  /* it was stored and its page is not marked yet */
};

/* Buffers that are available, as the model knows them. */
struct rig_chain {
	uint16_t head;
	unsigned int nb_buffers;
	struct guest_buffer buffers[128];
};

struct rig {
	struct rig_options options;
	struct guest_ram ram;
	struct dirtylog *dl;
	struct vnet_fault_log fault_log; /* of both queues */
	struct frontend_log log;
	const struct dirtylog_memory *mem;
	struct rig_side to_guest;   /* the driver transmits */
	struct rig_side from_guest; /* the driver receives */
	struct rte_mempool *pool;   /* mbufs of 2 KiB */
	struct rte_mempool *large;  /* mbufs of 10 KiB */
	struct rte_mempool *small;  /* mbufs of 200 bytes */
	uint64_t high_room;         /* GPA of RIG_HIGH_ROOM */
	uint64_t cursor;            /* where rig_alloc() goes on */
	uint64_t random;
	uint16_t header_len;
};

/* How the memory for a packet is cut into buffers. */
enum rig_shape {
	SHAPE_ONE,          /* a single descriptor */
	SHAPE_HEADER_APART, /* the header in a descriptor of its own */
	SHAPE_PIECES,       /* many small ones, in any lengths */
	SHAPE_INDIRECT,
	SHAPE_INDIRECT_PIECES,
	SHAPE_MIXED, /* a direct one, then an indirect table; packed: a table only */
	NB_SHAPES
};

struct rig *rig_create(const struct rig_options *options);
void rig_destroy(struct rig *rig);

/* Open and close both queues, as the driver's port.c does. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* Memory for a buffer, which may lie across the two neighbours. */
uint64_t rig_alloc(struct rig *rig, uint32_t len);

/* Make buffers of `len` bytes available, and fill `chain` in. */
void rig_offer(struct rig *rig, struct rig_side *side, uint32_t len, enum rig_shape shape,
		struct rig_chain *chain);

/* The guest writes a packet behind its header into a chain of buffers. */
void rig_fill(struct rig *rig, const struct rig_chain *chain, uint32_t number, uint32_t len);

/*
 * The model of the back-end: it puts a packet into the chains from `chains`
 * on. Returns how many it needs.
 */
unsigned int rig_expect_packet(struct rig *rig, const struct rig_chain *chains, uint32_t number,
		uint32_t len);

/* It returns a chain, `len` bytes of which it wrote. */
void rig_expect_used(struct rig *rig, struct rig_side *side, uint16_t head, uint32_t len);

/* Bursts of the driver, with what the model says of the index and its page. */
uint16_t rig_transmit(struct rig *rig, struct rte_mbuf **pkts, uint16_t n);
uint16_t rig_receive(struct rig *rig, struct rte_mempool *pool, struct rte_mbuf **pkts, uint16_t n);

/*
 * Pages that are marked and were not written, or the other way round. The
 * first one is described on stderr.
 */
uint64_t rig_log_errors(const struct rig *rig);

/*
 * Fail unless memory is what the model says and, with logging, the log shows
 * the pages that were written and no other. Then harvest the log.
 */
void rig_check(struct rig *rig);

/* Interrupts since the last call. */
uint64_t rig_interrupts(const struct rig_side *side);

/* Counted faults of a kind, and of all kinds. */
uint64_t rig_faults(const struct rig_side *side);

#endif /* RING_RIG_H */
