/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (d) Staged marks are drained into the log while queues mark, and at a stop.
 *
 * Stands for
 *   dirtylog_marker.h       dirtylog_flush(), into staging
 *   lib/src                 dirtylog_view_move(): clear in staging, then set in the
 *                           log; dirtylog_views_drain(), at a bounded delay and in
 *                           dirtylog_views_close_queue(); the lock of the log
 *                           state, held from the first clear to the last set
 *   the front-end           xchg(word, 0), then the copy of the pages;
 *                           GET_VRING_BASE per queue; the last harvest
 *
 * Each queue makes any number of bursts, the drainer drains and the
 * front-end harvests any number of times. Two pages, bits of one word; each burst
 * writes to one of them, whichever, so that a queue relies on bits the other has
 * set, and sets a bit while the other's is drained.
 *
 * Abstracted: the cells that one of the queues writes, whichever, are watched;
 * the other queue marks only. Instead of contents there is one bit per cell: the
 * copy is old from a store's arrival in memory to the next copying. The index
 * and what is published before or after the marks: mark_harvest.pml. The gate at
 * a stop: burst_control.pml; here it is read in one step, and the control thread
 * continues when the burst is over and its stores have left the buffer. The
 * drainer and the control thread use locked operations only.
 *
 * Plain stores between two fences: one, to the page.
 *
 * Properties
 *   no_page_lost         after the last harvest no copy is old
 *   situations_missing   in the variant REACH only: fails when the last comparison
 *                        is reached after a queue relied on a bit in staging,
 *                        then a mark was made in staging between the clear and
 *                        the set, then a stop had something to drain
 *
 * @variant RIGHT                        holds
 * @variant REACH                        situations_missing
 * @variant SET_BEFORE_CLEAR             no_page_lost
 * @variant NO_DRAIN_AT_STOP             no_page_lost
 * @variant DRAIN_BEFORE_CLOSE           no_page_lost
 * @variant NO_LOCK_AT_STOP              no_page_lost
 * @variant PLAIN_CLEAR                  no_page_lost
 * @variant NO_FENCE                     no_page_lost
 */

#define THREADS 2 /* the queues' */
#define DEPTH 2

/* Cells of memory. Page p's bit in the words is 1 << p. */
#define DATA(p) (p)
#define STAGING 2
#define LOG 3
#define CELLS 4

bit watched;
bool closed[2];
bool in_burst[2];
bool locked; /* the lock of the log state */

byte to_copy;  /* harvested and not copied yet, a bit per page */
byte copy_old; /* a bit per page */

bool no_page_lost = true;
#ifdef REACH
bool situations_missing = true;
/* One after the other: fewer states than any order. */
bool relied_on_bit;
bool between;      /* the drainer has cleared and not yet set */
bool mark_between;
bool stop_drain;
#endif

#define ON_VISIBLE(cell) copy_old = (cell == STAGING -> copy_old : copy_old | (1 << cell))

#include "tso.pml"

#ifdef NO_FENCE
#define FENCE(q) true
#else
#define FENCE(q) SB_EMPTY(q)
#endif

inline begin_and_write(to)
{
	d_step {
		!closed[q] && ROOM(q) ->
		in_burst[q] = true;
		page = to;
		if
		:: q == watched -> store(q, DATA(to), 0)
		:: else
		fi
	}
}

proctype queue(byte q)
{
	byte page, found;

	do
	:: true ->
end:		if
		:: begin_and_write(0)
		:: begin_and_write(1)
		fi;
		d_step {
			FENCE(q) -> load(q, STAGING, found);
			found = found & (1 << page);
#ifdef REACH
			relied_on_bit = relied_on_bit || found
#endif
		};
		if
		:: !found ->
			d_step {
				SB_EMPTY(q) -> mem[STAGING] = mem[STAGING] | (1 << page);
#ifdef REACH
				mark_between = mark_between || between
#endif
			}
		:: else
		fi;
		d_step { page = 0; found = 0; in_burst[q] = false }
	od
}

/* dirtylog_view_move(staging, log), of one word. */
inline move()
{
	bits = mem[STAGING];
	if
	:: bits ->
#if defined(SET_BEFORE_CLEAR)
		mem[LOG] = mem[LOG] | bits;
		d_step { mem[STAGING] = mem[STAGING] & (255 - bits); bits = 0 }
#else
#if defined(PLAIN_CLEAR)
		mem[STAGING] = 0;
#else
		d_step {
			cleared = bits;
			bits = bits & mem[STAGING];
			mem[STAGING] = mem[STAGING] & (255 - cleared);
			cleared = 0
		};
#endif
#ifdef REACH
		between = relied_on_bit && !closed[0] && !closed[1];
#endif
		d_step {
			mem[LOG] = mem[LOG] | bits;
			bits = 0;
#ifdef REACH
			between = false;
			stop_drain = mark_between && closed[0] && closed[1]
#endif
		}
#endif
	:: else
	fi
}

inline lock()
{
	d_step { !locked -> locked = true }
}

/* Every millisecond, in the code; whenever it likes, here. */
active proctype drainer()
{
	byte bits, cleared;

end:	do
	:: lock();
		move();
		locked = false
	od
}

/* GET_VRING_BASE of one queue, to its reply. */
inline stop(q)
{
#ifndef NO_LOCK_AT_STOP
	lock();
#endif
#ifdef DRAIN_BEFORE_CLOSE
	move();
#endif
	closed[q] = true;
	!in_burst[q] && SB_EMPTY(q);
#if !defined(NO_DRAIN_AT_STOP) && !defined(DRAIN_BEFORE_CLOSE)
	move();
#endif
#ifndef NO_LOCK_AT_STOP
	locked = false
#else
	skip
#endif
}

inline harvest()
{
	d_step { to_copy = mem[LOG]; mem[LOG] = 0 };
	d_step { copy_old = copy_old & (255 - to_copy); to_copy = 0 }
}

/* The front-end and, while it waits for a reply, the control thread. */
active proctype front_end()
{
	byte bits, cleared;

	atomic {
		if
		:: watched = 0
		:: watched = 1
		fi;
		run queue(0);
		run queue(1)
	};
	do
	:: harvest()
	:: break
	od;
	stop(0);
	stop(1);
	harvest();
	/* What a queue might still do, in a broken variant, it does now. */
	!in_burst[0] && SB_EMPTY(0) && !in_burst[1] && SB_EMPTY(1);
	no_page_lost = copy_old == 0;
	assert(no_page_lost);
#ifdef REACH
	situations_missing = !(relied_on_bit && mark_between && stop_drain);
	assert(situations_missing)
#endif
}
