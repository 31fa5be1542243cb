/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line, checked. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend.h"
#include "guest.h"

enum log_swap {
	SWAP_NEVER,
	SWAP_SAME, /* a new log of the same size, every swap_ms */
	SWAP_QEMU, /* memory plugged and unplugged every swap_ms, the log resized in QEMU's order */
	SWAP_CH,   /* Cloud Hypervisor: a fresh log, of odd size, for each harvest */
};

#define MAX_CPUS 64
#define MAX_INTERVALS 8
#define NO_CPU UINT32_MAX
#define NO_CONVERGE UINT32_MAX

struct options {
	/* the socket */
	const char *socket;
	bool server;
	unsigned int timeout_ms;

	/* the device */
	unsigned int packed; /* 0 or 1 */
	bool mergeable;
	bool in_order;
	bool tables; /* indirect ones, one a buffer */
	unsigned int ring_size;
	unsigned int queue_pairs;
	unsigned int direction; /* enum direction */
	unsigned int size;      /* of a packet, or IMIX */

	/* the guest's memory */
	unsigned int buffers; /* per virtqueue; 0: the ring size */
	unsigned int buffer_size;
	unsigned int order; /* enum buffer_order */
	bool spread;
	unsigned int ram_mib; /* 0: what the buffers need */
	unsigned int regions;
	unsigned int hole_mib;
	bool one_memfd;
	bool hugepages;

	/* the migration */
	bool migrate;
	unsigned int warmup_ms;
	unsigned int baseline_ms;
	unsigned int time_ms;
	unsigned int n_intervals;
	unsigned int intervals[MAX_INTERVALS]; /* ms; attempts take turns */
	unsigned int log_swap;                 /* enum log_swap */
	unsigned int swap_ms;
	bool log_hugepages;
	unsigned int log_offset;
	unsigned int log_reply; /* enum log_reply */
	unsigned int cancels;
	unsigned int converge_pages; /* or NO_CONVERGE: by time */
	unsigned int max_rounds;
	unsigned int bandwidth_mib; /* MiB/s; 0: no limit */

	/* the check of memory */
	bool poison;
	bool last_ring;
	bool drop_marks;

	/* the machine */
	unsigned int n_cpus;
	unsigned int cpus[MAX_CPUS];
	unsigned int mover_cpu; /* NO_CPU: the first guest CPU does it between polls */

	/* the output */
	const char *label;
	const char *json;
	const char *report_dir;
	bool quiet;
};

/* 0: run; 1: --help was printed; -EINVAL: what is wrong was printed. */
int options_parse(struct options *o, int argc, char **argv);

/* The guest and the front-end that they ask for. */
void options_guest(const struct options *o, struct guest_config *c);
void options_frontend(const struct options *o, struct frontend_config *c);

#endif
