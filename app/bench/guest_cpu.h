/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's CPUs: threads that poll virtqueues, and move pages when they find nothing. */
#ifndef GUEST_CPU_H
#define GUEST_CPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "gap_histogram.h"
#include "guest_queue.h"
#include "options.h"
#include "page_mover.h"
#include "phase.h"

enum guest_command { GUEST_RUN, GUEST_PARK, GUEST_EXIT };

/* Written by the control thread, read by all CPUs at each turn. */
struct guest_control {
	int command;
	int phase;
	uint64_t epoch;  /* see mark_check.h */
	uint32_t poison; /* buffers that each queue is to poison in this epoch */
} __attribute__((aligned(128)));

struct cpu_phase_stats {
	uint64_t turns;
	uint64_t busy_turns; /* found something in a ring */
	uint64_t cycles;
	uint64_t busy_cycles;
	uint64_t away_cycles; /* the thread was not running, or not polling, for more than AWAY_US */
	struct gap_histogram away;
};

#define AWAY_US 10

struct guest_cpu {
	/* set before the start */
	unsigned int cpu; /* NO_CPU: not pinned */
	bool polls;       /* false: moves pages only */
	struct guest_queue **queues;
	unsigned int n_queues;
	struct page_mover *mover; /* NULL: another CPU does that */
	const struct guest_control *control;
	uint64_t away_limit; /* cycles */
	struct cpu_phase_stats *stats;
	pthread_t thread;
	bool started;

	/* written by the thread */
	uint64_t epoch_seen __attribute__((aligned(128)));
	int command_seen;
	uint64_t away; /* cycles, all phases together; may be read at any time */
};

struct guest_cpus {
	struct guest_control control;
	struct guest_cpu *cpu;
	unsigned int n; /* with the mover's own CPU, if any */
	uint64_t cycles_per_second;
};

int guest_cpus_start(struct guest_cpus *g, const struct options *o, struct guest_queue *queues,
		unsigned int n_queues, struct page_mover *mover);
void guest_cpus_stop(struct guest_cpus *g);

/* All CPUs have seen the present command and epoch. */
bool guest_cpus_agree(const struct guest_cpus *g);
/* Cycles for which CPUs that poll were away, all together. */
uint64_t guest_cpus_away(const struct guest_cpus *g);
unsigned int guest_cpus_polling(const struct guest_cpus *g);

#endif
