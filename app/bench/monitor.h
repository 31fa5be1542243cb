/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All waiting of the control thread: meanwhile the packet rate is sampled, the
 * progress line kept, and a back-end that dies, stalls or breaks a ring is noticed.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdint.h>

#include "frontend.h"
#include "guest_cpu.h"
#include "results.h"

struct monitor {
	struct frontend *frontend;
	struct guest_cpus *cpus;
	struct results *results;
	const char *step; /* what is going on, for messages */
	unsigned int round;
	unsigned int attempt;     /* counts the migrations: those before the last were cancelled */
	unsigned int interval_ms; /* from harvest to harvest in this attempt */
	bool progress;
	uint64_t phase_packets[N_WAYS], phase_away; /* when the phase began */
	uint64_t started_ns, phase_ns, next_sample_ns, next_progress_ns;
	uint64_t moved_ns[N_WAYS], moved_packets[N_WAYS]; /* when packets were seen last */
	uint64_t progress_packets[N_WAYS], progress_ns;
};

void monitor_start(struct monitor *m);
void monitor_phase(struct monitor *m, enum phase phase, const char *step);
/* Closes the last phase, and collects the statistics of queues and CPUs. */
void monitor_finish(struct monitor *m);

/* Waits until a time, or until fd (if not negative) can be read: 1 then, 0 time, or -errno. */
int monitor_wait(struct monitor *m, uint64_t until_ns, int fd);
/* Waits until each direction that is in use has passed packets. */
int monitor_first_packets(struct monitor *m);
/* The command and epoch of the guest: waits until all its CPUs act accordingly. */
int monitor_command(struct monitor *m, enum guest_command command, uint64_t epoch);

void monitor_packets(const struct monitor *m, uint64_t packets[N_WAYS]);
double monitor_seconds(const struct monitor *m);

#endif
