/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (c) Burst and control thread: a closed queue touches nothing.
 *
 * Stands for
 *   dirtylog_epoch.h        dirtylog_reader_enter(), dirtylog_reader_leave()
 *   dirtylog_marker.h       dirtylog_burst_begin(): the gate
 *   lib/src                 dirtylog_epoch_sync(), dirtylog_open(),
 *                           dirtylog_views_close_queue()
 *   the driver              on_quiesce(), on_resume(): the queues are closed one
 *                           after the other, librte_vhost unmaps the guest's
 *                           memory, maps it elsewhere, the queues get the new
 *                           table and are opened
 *
 * RIGHT is the asymmetric way: plain stores in the burst, membarrier(2) in the
 * control thread. RIGHT+READER_FENCE is the one for a kernel without membarrier.
 * NET_VHOST is stock net_vhost's: allow_queuing, while_queuing, and plain stores
 * and loads on both sides; with NET_VHOST+FENCED, a full fence on both sides, the
 * same code is right.
 *
 * Two queues make any number of bursts; the control thread closes, changes the
 * memory, and opens any number of times.
 *
 * Abstracted: memory is mapped at one of two places, in turn. A burst touches it
 * twice, the second time with a store to the guest's page. The store that is
 * watched is of one of the queues, whichever. membarrier: the buffer of each
 * other thread is empty at some point of the call, in any order. `section` is 1
 * inside and 0 outside: "even, or has moved" is true from the first moment on at
 * which it is even. The list of readers and its lock: not modelled.
 *
 * Plain stores between two fences: a queue executes none and may run ahead of
 * memory without end; DEPTH holds two whole bursts (enter, page, leave). The
 * control thread: table, two gates opened, one closed.
 *
 * Properties
 *   touched_is_mapped     a burst touches memory only where it is mapped;
 *                         LOSS_ONLY leaves this unchecked
 *   closed_is_written     when the queues are closed, what their bursts stored
 *                         is in memory: the front-end may copy it
 *   situations_missing    in the variants REACH only: fails when memory is
 *                         unmapped after the control thread had to wait for a
 *                         burst, and a burst was turned away at the gate
 *
 * @variant RIGHT                          holds
 * @variant RIGHT+READER_FENCE             holds
 * @variant RIGHT+NET_VHOST+FENCED         holds
 * @variant REACH                          situations_missing
 * @variant REACH+READER_FENCE             situations_missing
 * @variant REACH+NET_VHOST+FENCED         situations_missing
 * @variant NET_VHOST                      touched_is_mapped
 * @variant NET_VHOST+FENCED_CONTROL       touched_is_mapped
 * @variant NO_MEMBARRIER                  touched_is_mapped
 * @variant READER_FENCE+NO_CONTROL_FENCE  touched_is_mapped
 * @variant NO_WAIT                        touched_is_mapped
 * @variant UNMAP_FIRST                    touched_is_mapped
 * @variant LEAVE_FIRST                    touched_is_mapped
 * @variant LEAVE_FIRST+LOSS_ONLY          closed_is_written
 * @variant OPEN_FIRST                     touched_is_mapped
 */

#define THREADS 3
#define CONTROL 2 /* the control thread; 0 and 1 are the queues' */
#define DEPTH 6

/* Cells of memory. */
#define PAGE 0
#define SECTION(q) (1 + (q)) /* net_vhost: while_queuing */
#define GATE(q) (3 + (q))    /* net_vhost: allow_queuing; 1: open */
#define TABLE 5              /* where the guest's memory is mapped: 0 or 1 */
#define CELLS 6

bit watched;
bool mapped[2];
byte not_written; /* stores to the page that are not in memory */

bool touched_is_mapped = true;
bool closed_is_written = true;
#ifdef REACH
bool situations_missing = true;
bool waited;
bool turned_away;
#endif

#define ON_VISIBLE(cell) not_written = not_written - (cell == PAGE)

#include "tso.pml"

/* The membarrier is needed where neither side's code has the fence. */
#if !defined(READER_FENCE) && !defined(NET_VHOST) && !defined(NO_MEMBARRIER)
#define MEMBARRIER
#endif

#if defined(READER_FENCE) || defined(FENCED)
#define READER_FENCE_DONE(q) SB_EMPTY(q)
#else
#define READER_FENCE_DONE(q) true
#endif

#if (defined(NET_VHOST) && !defined(FENCED) && !defined(FENCED_CONTROL)) || \
	defined(NO_CONTROL_FENCE)
#define CONTROL_FENCE_DONE true
#else
#define CONTROL_FENCE_DONE SB_EMPTY(CONTROL)
#endif

/* Within a step. */
inline touch(table)
{
	touched_is_mapped = mapped[table];
#ifndef LOSS_ONLY
	assert(touched_is_mapped)
#endif
}

inline enter(q)
{
	d_step { ROOM(q) -> store(q, SECTION(q), 1) }
}

inline leave(q)
{
	d_step { ROOM(q) -> store(q, SECTION(q), 0) }
}

proctype queue(byte q)
{
	byte gate, table;

	do
	:: true ->
#ifdef NET_VHOST
		d_step { true -> load(q, GATE(q), gate) };
		if
		:: gate -> gate = 0
		:: else -> goto next_burst
		fi;
#endif
		enter(q);
		d_step { READER_FENCE_DONE(q) -> load(q, GATE(q), gate) };
		if
		:: gate ->
			d_step { true -> load(q, TABLE, table); gate = 0 };
			d_step { true -> touch(table) };
#ifdef LEAVE_FIRST
			leave(q);
#endif
			d_step {
				ROOM(q) ->
				touch(table);
				if
				:: q == watched -> store(q, PAGE, 0); not_written++
				:: else
				fi;
				table = 0
			};
#ifdef LEAVE_FIRST
			goto next_burst
#endif
		:: else ->
#ifdef REACH
			turned_away = true
#else
			skip
#endif
		fi;
		leave(q);
next_burst:	skip
	od
}

inline wait_for_section(q)
{
#ifdef REACH
	waited = waited || mem[SECTION(q)];
#endif
#ifndef NO_WAIT
	mem[SECTION(q)] == 0
#else
	skip
#endif
}

inline close(q)
{
	d_step { ROOM(CONTROL) -> store(CONTROL, GATE(q), 0) };
	CONTROL_FENCE_DONE;
#ifdef MEMBARRIER
	if
	:: SB_EMPTY(0) -> SB_EMPTY(1)
	:: SB_EMPTY(1) -> SB_EMPTY(0)
	fi;
#endif
#ifdef NET_VHOST
	wait_for_section(q)
#else
	wait_for_section(0);
	wait_for_section(1)
#endif
}

inline set_table(place)
{
	d_step { ROOM(CONTROL) -> store(CONTROL, TABLE, place) }
}

active proctype control()
{
	bit place;

	atomic {
		mem[GATE(0)] = 1;
		mem[GATE(1)] = 1;
		mapped[0] = true;
		if
		:: watched = 0
		:: watched = 1
		fi;
		run queue(0);
		run queue(1)
	};
	do
	:: true ->
#ifdef UNMAP_FIRST
		mapped[place] = false;
#endif
		close(0);
		close(1);
		closed_is_written = not_written == 0;
		assert(closed_is_written);
		d_step { mapped[place] = false; place = 1 - place; mapped[place] = true };
#ifdef REACH
		situations_missing = !(waited && turned_away);
		assert(situations_missing);
#endif
#ifndef OPEN_FIRST
		set_table(place);
#endif
		d_step { ROOM(CONTROL) -> store(CONTROL, GATE(0), 1) };
		d_step { ROOM(CONTROL) -> store(CONTROL, GATE(1), 1) };
#ifdef OPEN_FIRST
		set_table(place)
#endif
	od
}
