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
	uint64_t calls;        /* bursts */
	uint64_t empty;        /* bursts that moved nothing */
	uint64_t faults;       /* page faults of its thread, mode "memcpy" */
	unsigned int repeated; /* how often it was taken again, see turns_check() */
};

#define MAX_TURNS 4096u

/* A setting's turns: blocks of so many, each so long. */
struct turns {
	unsigned int blocks, per_block;
	uint64_t cycles; /* of a turn */
	unsigned int n;
	struct turn turn[MAX_TURNS];
};

/* Divides a mode's time among its settings. */
void turns_plan(struct turns *t, const struct port_bench *b, unsigned int settings,
		unsigned int per_block);
/* A block of turns A B B A: whose turn number i is, of two; per_block 4. */
static inline unsigned int
turns_whose(unsigned int i)
{
	return i % 4 == 1 || i % 4 == 2;
}

/*
 * A turn in which no packet moved says only that somebody else had a CPU meanwhile. It
 * is taken again, for a while. 0: it counts; 1: to be taken again, it began first at
 * began_ns; -EIO: the while is over, and that was printed with the name.
 */
int turns_check(struct turn *turn, const char *name, uint64_t began_ns, unsigned int *repeated);

/*
 * The first packet that goes through a page of guest memory costs a page fault, many times
 * what it costs else. So packets move uncounted until each buffer was used once, or for a
 * while. Whether to go on, with so many packets of n_buffers moved since began_ns.
 */
bool turns_touch(uint64_t packets, uint64_t n_buffers, uint64_t began_ns);

/* "turns": [...] */
void turns_print(const struct turns *t, const struct port_bench *b);

#endif
