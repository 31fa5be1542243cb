/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (g) What a burst keeps of a view is not used once the view is left.
 *
 * Stands for
 *   dirtylog_marker.h       dirtylog_burst_begin(): the gate is compared with
 *                           the one that was seen last; dirtylog_run_begin(),
 *                           dirtylog_mark_ring(): words of a view that was
 *                           looked up in an earlier burst
 *   lib/src                 dirtylog_burst_follow(); dirtylog_views_install():
 *                           the views, then dirtylog_marker_renew(), then
 *                           dirtylog_epoch_sync()
 *
 * A queue makes any number of bursts, and marks once in each; the control thread
 * goes over to another view a few times, and leaves the old one when it has
 * waited.
 *
 * Abstracted: a view is a number, and each one is used once. A mark is a locked
 * operation on the view that is kept; what marks are good for: mark_harvest.pml
 * and log_swap.pml. membarrier: the queue's buffer is empty at some point of the
 * call. The gate's value is never an earlier one: in the code it has 62 bits.
 *
 * Plain stores between two fences: those of the queue are its section's, two for
 * each burst, and it may run ahead of memory without end; DEPTH holds two whole
 * bursts. The control thread: view, gate.
 *
 * Properties
 *   marks_arrive          no mark is made in a view that was left
 *   situations_missing    in the variant REACH only: fails when a view is left
 *                         after a mark in it by what was kept, and the control
 *                         thread had to wait for a burst
 *
 * @variant RIGHT                 holds
 * @variant REACH                 situations_missing
 * @variant NO_RENEW              marks_arrive
 * @variant RENEW_FIRST           marks_arrive
 * @variant RENEW_AFTER_WAIT      marks_arrive
 * @variant SEE_AFTER_LOOKUP      marks_arrive
 * @variant NO_MEMBARRIER         marks_arrive
 */

#define THREADS 2
#define QUEUE 0
#define CONTROL 1
#define DEPTH 4
#define SWAPS 3

/* Cells of memory. */
#define SECTION 0
#define VIEW 1
#define GATE 2
#define CELLS 3

bool left[SWAPS + 1];
bool marks_arrive = true;
#ifdef REACH
bool situations_missing = true;
bool kept_was_used;
bool waited;
#endif

#include "tso.pml"

inline look_up()
{
	d_step { true -> load(QUEUE, VIEW, kept) }
}

active proctype queue()
{
	byte gate, seen = 255, kept;

	do
	:: true ->
end:		d_step { ROOM(QUEUE) -> store(QUEUE, SECTION, 1) };
		d_step { true -> load(QUEUE, GATE, gate) };
		if
		:: gate != seen ->
#ifdef SEE_AFTER_LOOKUP
			/* The gate as it is now, not as it was when the burst began. */
			look_up();
			d_step { true -> load(QUEUE, GATE, seen) }
#else
			seen = gate;
			look_up()
#endif
		:: else ->
#ifdef REACH
			kept_was_used = true
#else
			skip
#endif
		fi;
		d_step {
			SB_EMPTY(QUEUE) ->
			marks_arrive = !left[kept];
			assert(marks_arrive)
		};
		d_step { ROOM(QUEUE) -> store(QUEUE, SECTION, 0); gate = 0 }
	od
}

inline renew()
{
	d_step { ROOM(CONTROL) -> store(CONTROL, GATE, view) }
}

active proctype control()
{
	byte view;

	do
	:: view < SWAPS ->
		view++;
#ifdef RENEW_FIRST
		renew();
#endif
		d_step { ROOM(CONTROL) -> store(CONTROL, VIEW, view) };
#if !defined(NO_RENEW) && !defined(RENEW_FIRST) && !defined(RENEW_AFTER_WAIT)
		renew();
#endif
		SB_EMPTY(CONTROL);
#ifndef NO_MEMBARRIER
		SB_EMPTY(QUEUE);
#endif
#ifdef REACH
		waited = waited || mem[SECTION];
#endif
		mem[SECTION] == 0;
		left[view - 1] = true;
#ifdef RENEW_AFTER_WAIT
		renew()
#else
		skip
#endif
	:: else -> break
	od;
#ifdef REACH
	situations_missing = !(kept_was_used && waited);
	assert(situations_missing)
#endif
}
