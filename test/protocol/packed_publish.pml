/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (e) A packed ring's burst: what the guest sees is marked, and no page of the
 * ring is lost, although the flags that show the burst are stored last.
 *
 * Stands for
 *   datapath/packed.c       put_used(), publish(): all used descriptors but the
 *                           first one's; marks; flush; then the first one's flags
 *   dirtylog_marker.h       dirtylog_burst_begin() (the pending page),
 *                           dirtylog_flush(), dirtylog_mark_index()
 *   lib/src                 dirtylog_views_close_queue(),
 *                           dirtylog_marker_mark_last_index()
 *   the front-end           as in mark_harvest.pml
 *
 * The ring lies on two pages. A burst's first descriptor is on either of them,
 * and so are the others, which are one cell here; the next burst begins
 * anywhere. The buffers are written and marked as the other descriptors are.
 *
 * Abstracted: as in mark_harvest.pml; one queue, since the bits of one word that
 * others set too are shown to be right there.
 *
 * Plain stores between two fences: flags, others.
 *
 * Properties
 *   no_page_lost       after the last harvest no copy of a ring's page is old
 *   shown_is_marked    promise 1: when the first flags become visible, the page of
 *                      the other descriptors is marked, or about to be copied, or
 *                      copied already; LOSS_ONLY leaves this unchecked
 *   situations_missing in the variant REACH only: fails when the last comparison
 *                      is reached after a page was copied between its mark and
 *                      the store of the flags, and a bit that was set sufficed
 *
 * @variant RIGHT                          holds
 * @variant REACH                          situations_missing
 * @variant FIRST_NOT_HELD                 shown_is_marked
 * @variant NO_FENCE                       shown_is_marked
 * @variant NO_FENCE+LOSS_ONLY             no_page_lost
 * @variant NO_LATER_MARK                  no_page_lost
 * @variant LATER_MARK_OF_FIXED_PLACE      no_page_lost
 * @variant NO_MARK_AT_STOP                no_page_lost
 */

#define THREADS 1
#define DEPTH 3

/* Cells of memory; the ring's first. */
#define OTHERS(page) (page)
#define FLAGS(page) (2 + (page))
#define LOG 4 /* the word with both pages' bits */
#define CELLS 5

bool closed, in_burst, pending;
bit pending_page;

/* The front-end's. */
bool to_copy[2];
bool copy_old[2];

bool no_page_lost = true;
bool shown_is_marked = true;
#ifdef REACH
bool situations_missing = true;
bool relied_on_bit, marked, copied_between;
#endif

#define ON_VISIBLE(cell) became_visible(cell)

inline became_visible(cell)
{
#ifndef LOSS_ONLY
	/* What is stored as flags is the page of the others. */
	shown_is_marked = !(cell == FLAGS(0) || cell == FLAGS(1)) ||
			(mem[LOG] >> mem[cell]) & 1 || to_copy[mem[cell]] || !copy_old[mem[cell]];
	assert(shown_is_marked);
#endif
	/* Only then: the flags' own page is marked again. */
	if
	:: cell < LOG -> copy_old[(cell) % 2] = true
	:: else
	fi
}

#include "tso.pml"

#ifdef NO_FENCE
#define FENCE true
#else
#define FENCE SB_EMPTY(0)
#endif

inline write(cell)
{
	d_step { ROOM(0) -> store(0, cell, others) }
}

/* Both pages' bits are in one word: one pair. */
inline flush()
{
	if
	:: batch != 0 ->
		d_step {
			FENCE -> load(0, LOG, found);
			missing = batch & ~found;
#ifdef REACH
			relied_on_bit = relied_on_bit || missing == 0;
#endif
			found = 0
		};
		if
		:: missing != 0 -> d_step { SB_EMPTY(0) -> mem[LOG] = mem[LOG] | batch }
		:: else
		fi;
		d_step { batch = 0; missing = 0 }
	:: else
	fi
}

proctype queue()
{
	byte found, batch, missing;
	bit first, others;
	bool busy;

end:	do
	:: d_step {
		!closed ->
		in_burst = true;
		batch = (pending -> 1 << pending_page : 0);
		pending = false
	   };
		if
		:: busy = true
		:: busy = false
		fi;
		if
		:: busy ->
			if
			:: first = 0
			:: first = 1
			fi;
			if
			:: others = 0
			:: others = 1
			fi;
			write(OTHERS(others));
#ifdef FIRST_NOT_HELD
			write(FLAGS(first));
#endif
			batch = batch | 1 << first | 1 << others;
		:: else
		fi;
		flush(); /* of an idle burst: in dirtylog_burst_end() */
		if
		:: busy ->
#ifdef REACH
			marked = true;
#endif
#ifndef FIRST_NOT_HELD
			write(FLAGS(first));
#endif
		:: else
		fi;
		d_step {
#ifdef REACH
			marked = false;
#endif
#ifndef NO_LATER_MARK
			pending = busy;
#endif
#ifndef LATER_MARK_OF_FIXED_PLACE
			pending_page = (busy -> first : pending_page);
#endif
			in_burst = false;
			first = 0;
			others = 0;
			busy = false
		}
	od
}

/* GET_VRING_BASE, to its reply. */
inline stop()
{
	closed = true;
	!in_burst && SB_EMPTY(0);
#if !defined(NO_MARK_AT_STOP) && !defined(NO_LATER_MARK)
	d_step { mem[LOG] = mem[LOG] | 1 << pending_page; pending = false }
#endif
}

inline copy_page(page)
{
	d_step {
		to_copy[page] ->
		copy_old[page] = false;
		to_copy[page] = false
#ifdef REACH
		;
		copied_between = copied_between || marked
#endif
	}
}

inline harvest()
{
	d_step { to_copy[0] = mem[LOG] & 1; to_copy[1] = mem[LOG] >> 1; mem[LOG] = 0 };
	do
	:: copy_page(0)
	:: copy_page(1)
	:: else -> break
	od
}

active proctype front_end()
{
	run queue();
	do
	:: harvest()
	:: break
	od;
	stop();
	harvest();
	no_page_lost = !copy_old[0] && !copy_old[1];
	assert(no_page_lost);
#ifdef REACH
	situations_missing = !(relied_on_bit && copied_between);
	assert(situations_missing)
#endif
}
