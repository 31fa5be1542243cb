/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Chains of buffers with one thing wrong each, and good ones to go before and
 * behind them in a burst.
 */

#ifndef BAD_CHAIN_H
#define BAD_CHAIN_H

#include "rig/ring_rig.h"

/* GPA of a buffer that nothing is wrong with. */
#define GOOD 0x3000

struct bad_case {
	const char *name;
	/* Describes the chain; returns its head, or its id. */
	uint16_t (*make)(struct rig *rig, struct rig_side *side);
	enum vnet_fault fault; /* that is counted */
	/* With these rings it can be done, and is bad. */
	enum { BAD_BOTH, BAD_SPLIT, BAD_PACKED, BAD_PACKED_TO_GUEST } where;
	bool if_first; /* fine behind a buffer that has the header */
};

extern const struct bad_case bad_cases[];
extern const unsigned int nb_bad_cases;

bool bad_case_applies(const struct bad_case *bad, bool to_guest);

/* What bad chains are made of: the direction of a side's buffers. */
uint16_t right_flags(const struct rig *rig, const struct rig_side *side);

/* A chain of one descriptor. */
uint16_t chain_one(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len,
		uint16_t flags);

/*
 * Two descriptors in a chain. In a split ring `next` is the second one's; in a
 * packed ring there is no such field.
 */
uint16_t chain_two(struct rig_side *side, const struct guest_buffer *first,
		const struct guest_buffer *second, uint16_t first_flags, uint16_t flags,
		uint16_t next);

/* An indirect descriptor for a table of one entry with these fields. */
uint16_t chain_table(struct rig *rig, struct rig_side *side, uint64_t addr, uint32_t len,
		uint16_t flags, uint16_t next, uint32_t table_len);

/* A descriptor of a split ring whose next one is itself. */
uint16_t loop_of_one(struct rig *rig, struct rig_side *side);

/* Good buffers for a packet, and what the model says of it. */
void offer_good(struct rig *rig, struct rig_side *side, uint32_t number);

/* The `n` packets from `number` on, which have their buffers, in one burst. */
void pass_good(struct rig *rig, struct rig_side *side, uint32_t number, unsigned int n);

/* A bad chain that comes back empty. */
void offer_bad(struct rig *rig, struct rig_side *side, const struct bad_case *bad);

#endif /* BAD_CHAIN_H */
