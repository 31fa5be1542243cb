/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short measurements of two ports or more, in turns; app/compare/port_bench.py says
 * what they say together.
 */
#ifndef TURNS_H
#define TURNS_H

#include "port_bench.h"

struct turn {
	const char *who;
	uint64_t cycles;
	uint64_t packets;
	uint64_t calls;		/* bursts */
	uint64_t empty;		/* ... that moved nothing */
};

#define MAX_TURNS 4096u

/* A setting's turns: blocks of so many, each so long. */
struct turns {
	unsigned int blocks, per_block;
	uint64_t cycles;	/* of a turn */
	unsigned int n;
	struct turn turn[MAX_TURNS];
};

/* Divides a mode's time among its settings. */
void turns_plan(struct turns *t, const struct port_bench *b, unsigned int settings, unsigned int per_block);
/* A block of turns A B B A: whose turn number i is, of two; per_block 4. */
static inline unsigned int
turns_whose(unsigned int i)
{
	return i % 4 == 1 || i % 4 == 2;
}

/* "turns": [...] */
void turns_print(const struct turns *t, const struct port_bench *b);

#endif
