/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of a run; all that is counted is counted per phase. */
#ifndef PHASE_H
#define PHASE_H

enum phase {
	PHASE_WARMUP,
	PHASE_BASELINE,  /* no logging */
	PHASE_LOG_START, /* SET_LOG_BASE, LOG_ALL, addresses with F_LOG */
	PHASE_FULL_COPY, /* logging; all of RAM is copied once */
	PHASE_ROUNDS,    /* logging; harvest and copy, round after round */
	PHASE_CANCELLED, /* logging off again, before the next try */
	PHASE_STOP,      /* the guest stops, the rings stop, the last copy */
	N_PHASES,
};

static inline const char *
phase_name(enum phase phase)
{
	static const char *const names[N_PHASES] = {
		"warm-up",
		"baseline",
		"log on",
		"full copy",
		"rounds",
		"cancelled",
		"stop",
	};

	return names[phase];
}

#endif
