/* SPDX-License-Identifier: BSD-3-Clause */
/* What all modes have in common, and the modes. */
#ifndef PORT_BENCH_H
#define PORT_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_mempool.h>

#include "guest.h"

#define NB_DRIVERS 2
#define BURST 32u
#define LCORE_BURSTS 1u /* on the CPU for bursts */
#define LCORE_GUEST 2u  /* on the guest's CPU, for mode "queues" */
#define FEW_BUFFERS 256u
#define MANY_BUFFERS 65536u

extern const char *const driver_names[NB_DRIVERS];

struct settings {
	unsigned int cpus[2]; /* the guest's, and that of the bursts */
	unsigned int modes;   /* a bit for each */
	unsigned int seconds; /* per mode, roughly */
	bool quick;
	bool hugepages;
	const char *driver;  /* NULL: the one beside this program */
	const char *port;    /* mode "count": the driver; NULL: both */
	const char *cells;   /* mode "count": a pattern for the names of cells */
	unsigned int bursts; /* mode "count": how many in each cell */
	const char *json;
};

struct port_bench {
	struct settings settings;
	struct rte_mempool *pool;
	char folder[64];      /* of the sockets and of the EAL */
	char file_prefix[32]; /* of the EAL */
	FILE *out;
	double hz; /* of the TSC */
	uint64_t cycles_per_ms;
};

/*
 * Each prints its results as members of a JSON object to b->out, and nothing while
 * it measures. 0, or -errno: what went wrong was printed.
 */
int mode_small(struct port_bench *b);
int mode_idle(struct port_bench *b);
int mode_events(struct port_bench *b);
int mode_queues(struct port_bench *b);
int mode_memcpy(struct port_bench *b);
int mode_count(struct port_bench *b);

/* A guest with one queue pair, or more. */
struct guest_config guest_config(const struct port_bench *b, bool packed, enum direction direction,
		unsigned int buffers, unsigned int size);

static inline const char *
ring_name(bool packed)
{
	return packed ? "packed" : "split";
}

static inline const char *
direction_name(bool tx)
{
	return tx ? "tx" : "rx";
}

static inline const char *
json_bool(bool value)
{
	return value ? "true" : "false";
}

#endif
