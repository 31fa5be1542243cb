/* SPDX-License-Identifier: BSD-3-Clause */
/* One migration from beginning to end, or until it is cancelled. */
#ifndef MIGRATION_H
#define MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "dirty_log.h"
#include "frontend.h"
#include "guest_cpu.h"
#include "mark_check.h"
#include "monitor.h"
#include "page_mover.h"
#include "results.h"

struct migration {
	const struct options *o;
	struct frontend *frontend;
	struct guest_cpus *cpus;
	struct page_mover *mover;
	struct mark_check *check;
	struct monitor *monitor;
	struct results *results;

	struct dirty_log log; /* in force: the back-end marks in it */
	struct dirty_log old; /* the one before: nothing may be marked in it */
	uint64_t began_ns, next_swap_ns;
	uint64_t round_packets[N_WAYS]; /* at the beginning of the round */
	uint64_t round_ns;
	double swap_ms, sweep_ms; /* of the round */
};

/* Logging on, the first full copy, the rounds. */
int migration_run(struct migration *m);
/* Then either of these. */
int migration_cancel(struct migration *m);
int migration_complete(struct migration *m);

#endif
