/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run found out: filled by the run, read by the reports. */
#ifndef RESULTS_H
#define RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "gap_histogram.h"
#include "phase.h"

enum { WAY_RX, WAY_TX, N_WAYS }; /* as the guest sees it */

struct sample {
	double t; /* seconds since the first */
	uint64_t packets[N_WAYS];
	enum phase phase;
	unsigned int round;
};

struct round_result {
	unsigned int attempt; /* counts the migrations: those before the last were cancelled */
	double t, seconds;
	uint64_t log_pages, guest_pages, copied_pages, stray_pages;
	uint64_t packets[N_WAYS];
	double swap_ms, sweep_ms, copy_ms;
};

/* One stretch of time in one phase; with --cancel a phase comes again and again. */
struct slice {
	enum phase phase;
	unsigned int attempt;
	unsigned int interval_ms; /* between the harvests of this attempt */
	double t, seconds;
	uint64_t packets[N_WAYS];
	double away; /* see phase_result */
};

struct phase_result {
	double seconds;
	uint64_t packets[N_WAYS], bytes[N_WAYS];
	uint64_t works[N_WAYS], starved[N_WAYS];
	struct gap_histogram gaps[N_WAYS]; /* ns */
	/* the guest's threads */
	double busy; /* share of time in turns that found work */
	double away; /* share of time in which a thread did not poll for AWAY_US and more */
	double away_max_us;
};

#define MAX_DIFFERENCES 16

struct difference {
	uint64_t gpa;
	char what[48];
};

struct results {
	uint64_t features, protocol_features;
	uint64_t ram_mib;
	unsigned int log_reply_bytes;

	struct sample *samples;
	unsigned int n_samples, room_samples;
	struct slice *slices;
	unsigned int n_slices, room_slices;
	struct round_result *rounds;
	unsigned int n_rounds, room_rounds;
	struct phase_result phase[N_PHASES];

	/* the migration that was completed */
	bool migrated;
	bool converged;
	unsigned int live_rounds;
	double total_s, downtime_ms;
	double last_ring_packets; /* buffers written between the guest's stop and the rings' */
	struct gap_histogram log_base_us; /* SET_LOG_BASE: from message to reply */
	uint64_t swaps;

	/* what was lost */
	uint64_t pages_compared;
	uint64_t differing;
	uint64_t differing_buffers, differing_rings, differing_other;
	unsigned int n_differences;
	struct difference differences[MAX_DIFFERENCES];
	uint64_t marks_missing, marks_late;
	uint64_t marks_in_old_log; /* after the reply to SET_LOG_BASE and the harvest */
	uint64_t marks_after_stop; /* after the reply to GET_VRING_BASE and the last harvest */
	uint64_t stray_pages;      /* marks of pages that the guest does not have */
	uint64_t dropped_pages;    /* by --drop-marks-test */
};

/* Packets per second of a phase, in millions. */
static inline double
phase_mpps(const struct results *r, enum phase phase, int way)
{
	const struct phase_result *p = &r->phase[phase];

	return p->seconds > 0 ? (double)p->packets[way] / p->seconds * 1e-6 : 0;
}

static inline bool
results_pages_lost(const struct results *r)
{
	return r->differing > 0 || r->marks_missing > 0 || r->marks_in_old_log > 0 ||
			r->marks_after_stop > 0;
}

#endif
