/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long packets wait for their burst, while the front-end does something and
 * while it does nothing. The front-end opens a window before and closes it after;
 * the thread of the bursts adds the time between two of them to the window in
 * which it lies, in part at least. No locks: each side writes what is its own.
 */
#ifndef DELAYS_H
#define DELAYS_H

#include <stdbool.h>
#include <stddef.h>

#include "gap_histogram.h"

enum event { EVENT_LOG_ON, EVENT_LOG_SWAP, EVENT_LOG_OFF, EVENT_NONE, NB_EVENTS };

#define MAX_WINDOWS 65536u

struct window {
	uint32_t event;
	uint32_t length; /* cycles */
	uint64_t worst;  /* cycles */
};

struct delays {
	/* Written by the front-end. Window number at / 2 is open while it is odd. */
	uint32_t at __attribute__((aligned(128)));
	/* The rest is written by the thread of the bursts, but for what a window begins with. */
	struct gap_histogram delay[NB_EVENTS] __attribute__((aligned(128)));
	struct gap_histogram outside;
	uint64_t dry[NB_EVENTS]; /* bursts that found no buffer: their delay is not known */
	struct window windows[MAX_WINDOWS];
};

static inline uint32_t
delays_at(const struct delays *d)
{
	return __atomic_load_n(&d->at, __ATOMIC_ACQUIRE);
}

/* False: there are too many windows already. */
static inline bool
delays_open(struct delays *d, enum event event)
{
	uint32_t at = d->at;

	if (at / 2 == MAX_WINDOWS)
		return false;
	d->windows[at / 2] = (struct window){ .event = event };
	__atomic_store_n(&d->at, at + 1, __ATOMIC_RELEASE);
	return true;
}

static inline void
delays_close(struct delays *d, uint64_t length)
{
	d->windows[d->at / 2].length = (uint32_t)length;
	__atomic_store_n(&d->at, d->at + 1, __ATOMIC_RELEASE);
}

/* The window of a time that began when delays_at() was before, and ended when it was after. */
static inline struct window *
delays_window(struct delays *d, uint32_t before, uint32_t after)
{
	if (before == after && before % 2 == 0)
		return NULL;
	/* That which is open, else the one that was last. */
	return &d->windows[after % 2 == 1 ? after / 2 : after / 2 - 1];
}

static inline void
delays_add(struct delays *d, uint32_t before, uint32_t after, uint64_t delay)
{
	struct window *w = delays_window(d, before, after);

	if (w == NULL) {
		gap_add(&d->outside, delay);
		return;
	}
	gap_add(&d->delay[w->event], delay);
	if (delay > w->worst)
		w->worst = delay;
}

static inline void
delays_add_dry(struct delays *d, uint32_t before, uint32_t after)
{
	const struct window *w = delays_window(d, before, after);

	if (w != NULL)
		d->dry[w->event]++;
}

#endif
