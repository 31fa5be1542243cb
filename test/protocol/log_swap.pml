/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (b) A swap of logs (SET_LOG_BASE) under running bursts: no mark is made in
 * the old log after the reply, and none is lost.
 *
 * Stands for
 *   dirtylog_marker.h       a burst: dirtylog_reader_enter(), the load of the
 *                           view in dirtylog_mark(), dirtylog_flush(),
 *                           dirtylog_reader_leave()
 *   lib/src                 dirtylog_set_log(), dirtylog_suspend_log(),
 *                           dirtylog_views_install(), dirtylog_views_drain(),
 *                           dirtylog_views_close_queue(), dirtylog_epoch_sync();
 *                           log_base() before librte_vhost's reply, and
 *                           log_base_mapped() after it
 *   the front-end           harvests its log; hands over a fresh one, waits for
 *                           the reply, harvests the old one once more, and from
 *                           then on only the new one; stops and, RESTART, starts
 *                           the device again
 *
 * RIGHT answers the message itself: exchange the views, wait for the bursts,
 * unmap the old log, reply. RIGHT+FALLBACK is the way where the descriptor cannot
 * be found: leave the log for staging, reply, then take the new log and move what
 * was staged. With RESTART the device may stop and start again, also during the
 * migration: the log is left at a stop, marks are staged, copied to the log that was
 * left whenever queues close (a stop, or a new ring address), and moved to the next
 * log if one comes.
 *
 * Each queue makes any number of bursts; the front-end harvests and swaps any
 * number of times, between two log areas in turn. Both queues write, each its
 * own cell, in one page.
 *
 * Abstracted: the cell that one of the queues writes, whichever, is watched; the
 * other queue marks only (a page is lost in a cell, so each may be looked at
 * alone). Instead of contents there is one bit: the copy is old from a store's
 * arrival in memory to the next copying. One region, one page. What is published
 * after the marks and the page of the index: mark_harvest.pml. The gate at a stop:
 * burst_control.pml; here it is read in one step, and the control thread continues
 * when the burst is over and its stores have left the buffer. `section` is 1
 * inside and 0 outside: "even, or has moved" is true from the first moment on at
 * which it is even. Both queues are closed by one message.
 *
 * Plain stores between two fences: leave, enter, data. The control thread
 * fences after each store before it looks at anything: its stores go straight to
 * memory.
 *
 * Properties
 *   no_page_lost         after the last harvest the copy is not old
 *   log_in_use_mapped    no burst tests or sets a bit of a log that the
 *                        front-end was told is left (fallback), or that is
 *                        unmapped; LOSS_ONLY leaves this unchecked, to see what
 *                        becomes of it
 *   situations_missing   in the variants REACH only: fails when the last
 *                        comparison is reached after a swap in the middle of a
 *                        burst that then marked in the old log (FALLBACK: and
 *                        after staged marks were moved; RESTART: or copied)
 *
 * @variant RIGHT                                holds
 * @variant RIGHT+FALLBACK                       holds
 * @variant RIGHT+RESTART                        holds
 * @variant RIGHT+FALLBACK+RESTART               holds
 * @variant REACH                                situations_missing
 * @variant REACH+FALLBACK                       situations_missing
 * @variant REACH+RESTART                        situations_missing
 * @variant NO_WAIT                              log_in_use_mapped
 * @variant NO_WAIT+LOSS_ONLY                    no_page_lost
 * @variant NO_WAIT+FALLBACK+LOSS_ONLY           no_page_lost
 * @variant NO_MEMBARRIER                        log_in_use_mapped
 * @variant NO_MEMBARRIER+LOSS_ONLY              no_page_lost
 * @variant ALL_AFTER_REPLY+LOSS_ONLY            no_page_lost
 * @variant STAGED_NOT_MOVED+FALLBACK            no_page_lost
 * @variant MOVE_TO_LEFT_LOG+RESTART             no_page_lost
 */

#define THREADS 2 /* the queues' */
#define DEPTH 3

/* Cells of memory. */
#define DATA 0
#define SECTION(q) (1 + (q))
#define VIEW 3      /* its value is the cell of the word to mark in */
#define LOG(n) (4 + (n))
#define STAGING 6
#define CELLS 7

mtype = { NO_MESSAGE, SET_LOG_BASE, GET_VRING_BASE, SET_VRING_ADDR, SET_VRING_KICK };
mtype message = NO_MESSAGE; /* the reply takes it back */

bit watched;
bool closed;
bool in_burst[2];
bit latest;       /* the log that SET_LOG_BASE gave last */
bool log_left;    /* and it was left at a stop: `log_current` is false */
bool mapped[2];   /* bursts may touch LOG(n) */

bool copy_old;    /* the front-end's copy of DATA */

bool no_page_lost = true;
bool log_in_use_mapped = true;
#ifdef REACH
bool situations_missing = true;
bool late_mark;   /* a burst marked in the old log after the exchange */
bool moved;       /* staged marks were moved while the queues ran */
bool copied;      /* staged marks were copied to a log that was left */
#endif

#define ON_VISIBLE(cell) copy_old = copy_old || cell == DATA

#include "tso.pml"

/* Within a step: a burst looks at its view. */
inline touch(view)
{
#ifndef LOSS_ONLY
	log_in_use_mapped = view == STAGING || mapped[view - LOG(0)];
	assert(log_in_use_mapped);
#endif
#ifdef REACH
	late_mark = late_mark || (view != mem[VIEW] && view != STAGING);
#endif
	skip
}

proctype queue(byte q)
{
	byte view, found;

end:	do
	:: d_step {
		!closed && sb_used[q] + 2 <= DEPTH ->
		in_burst[q] = true;
		store(q, SECTION(q), 1);
		if
		:: q == watched -> store(q, DATA, 0)
		:: else
		fi
	   };
		d_step { true -> load(q, VIEW, view) };
		d_step { SB_EMPTY(q) -> load(q, view, found); touch(view) };
		if
		:: !found -> d_step { SB_EMPTY(q) -> mem[view] = 1; touch(view) }
		:: else
		fi;
		d_step {
			ROOM(q) ->
			view = 0;
			found = 0;
			store(q, SECTION(q), 0);
			in_burst[q] = false
		}
	od
}

/* dirtylog_epoch_sync(), after the fence of the control thread. */
inline epoch_sync()
{
#ifndef NO_MEMBARRIER
	/* Each reader's buffer is empty at some point of the call, in any order. */
	if
	:: SB_EMPTY(0) -> SB_EMPTY(1)
	:: SB_EMPTY(1) -> SB_EMPTY(0)
	fi;
#endif
#ifndef NO_WAIT
	mem[SECTION(0)] == 0;
	mem[SECTION(1)] == 0
#else
	skip
#endif
}

/* dirtylog_views_drain() */
inline drain_staging()
{
#ifndef STAGED_NOT_MOVED
	d_step {
		bits = mem[STAGING];
		/* dirtylog_view_move(), or dirtylog_view_copy() to a log that was left */
#ifdef MOVE_TO_LEFT_LOG
		mem[STAGING] = 0;
#else
		mem[STAGING] = (log_left -> bits : 0);
#endif
#ifdef REACH
		moved = moved || (bits && !closed);
		copied = copied || (bits && log_left)
#endif
	};
	d_step { mem[LOG(latest)] = mem[LOG(latest)] | bits; bits = 0 }
#else
	skip
#endif
}

inline set_log()
{
	d_step {
		latest = 1 - latest;
		log_left = false;
		mapped[latest] = true;
		mem[VIEW] = LOG(latest)
	};
	epoch_sync();
	drain_staging();
	mapped[1 - latest] = false
}

/* Both queues. */
inline close()
{
	closed = true;
	!in_burst[0] && SB_EMPTY(0) && !in_burst[1] && SB_EMPTY(1);
	drain_staging()
}

/* The vhost event thread. */
active proctype control()
{
	byte bits;

end:	do
	:: message == SET_LOG_BASE ->
#ifdef FALLBACK
		mem[VIEW] = STAGING;
		epoch_sync();
		d_step { mapped[latest] = false; message = NO_MESSAGE };
		set_log()
#elif defined(ALL_AFTER_REPLY)
		message = NO_MESSAGE;
		set_log()
#else
		set_log();
		message = NO_MESSAGE
#endif
	:: message == GET_VRING_BASE ->
		close();
		message = NO_MESSAGE;
#ifdef RESTART
		/* After the reply: dirtylog_suspend_log(). */
		mem[VIEW] = STAGING;
		epoch_sync();
		d_step { mapped[latest] = false; log_left = true }
	:: message == SET_VRING_ADDR ->
		close();
		d_step { closed = false; message = NO_MESSAGE }
	:: d_step { message == SET_VRING_KICK -> closed = false; message = NO_MESSAGE }
#endif
	od
}

inline harvest(log)
{
	d_step { to_copy = mem[LOG(log)]; mem[LOG(log)] = 0 };
	if
	:: to_copy -> d_step { copy_old = false; to_copy = false }
	:: else
	fi
}

active proctype front_end()
{
	bit current;
	bool to_copy, unused;

	d_step { mem[VIEW] = LOG(0); mapped[0] = true };
	atomic {
		if
		:: watched = 0
		:: watched = 1
		fi;
		run queue(0);
		run queue(1)
	};
running:
	do
	:: harvest(current)
	:: d_step { mem[LOG(1 - current)] = 0 /* a fresh one */; message = SET_LOG_BASE };
		message == NO_MESSAGE;
		if
		:: unused -> unused = false
		:: else -> harvest(current)
		fi;
		current = 1 - current
#ifdef RESTART
	:: message = SET_VRING_ADDR;
		message == NO_MESSAGE
#endif
	:: break
	od;
	message = GET_VRING_BASE;
	message == NO_MESSAGE;
	harvest(current);
	/* What a queue might still do, in a broken variant, it does now. */
	!in_burst[0] && SB_EMPTY(0) && !in_burst[1] && SB_EMPTY(1);
	no_page_lost = !copy_old;
	assert(no_page_lost);
#ifdef REACH
	situations_missing = !(late_mark
#ifdef FALLBACK
			&& moved
#endif
#ifdef RESTART
			&& copied
#endif
			);
	assert(situations_missing);
#endif
#ifdef RESTART
	/* It starts the device again, and uses the log on, or is to bring another. */
	if
	:: unused = true
	:: unused = false
	fi;
	message = SET_VRING_KICK;
	message == NO_MESSAGE;
	goto running
#endif
}
