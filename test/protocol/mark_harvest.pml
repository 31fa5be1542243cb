/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (a) Mark and harvest: no page is lost while two queues mark and the
 * front-end clears.
 *
 * Stands for
 *   dirtylog_marker.h       dirtylog_burst_begin() (the pending index), the
 *                           order write - dirtylog_mark() - dirtylog_flush() -
 *                           store of the used index, dirtylog_burst_end()
 *   lib/src                 dirtylog_views_close_queue(),
 *                           dirtylog_marker_mark_last_index()
 *   datapath/split.c        publish()
 *   the front-end           xchg(word, 0) per word, then the copy of the pages;
 *                           GET_VRING_BASE per queue; the last harvest
 *
 * Each queue makes any number of bursts, each busy or idle; the front-end
 * harvests any number of times. Both queues write, each its own cell, in one
 * data page, so that each relies on bits the other has set; each has an index
 * page of its own, and these are bits of one word.
 *
 * Abstracted: the cells that one of the queues writes, whichever, are watched;
 * the other queue marks only (a page is lost in a cell, so each may be looked at
 * alone). Instead of contents there is one bit: the copy is old from a store's
 * arrival in memory to the next copying. The data cell stands for buffers and
 * used entries alike: written before the fence, marked in the batch. Where a
 * closing queue meets its bursts is what burst_control.pml proves; here the gate
 * is read in one step, and the control thread continues when the burst is over
 * and its stores have left the buffer. The control thread and the front-end use
 * locked operations only.
 *
 * Plain stores between two fences: index, data; in the variants without the
 * fence more fit, and need not.
 *
 * Properties
 *   no_page_lost            after the last harvest no copy is old
 *   marked_before_publish   promise 1: when the index becomes visible, the data
 *                           page it returns is marked, or about to be copied,
 *                           or copied already; LOSS_ONLY leaves this unchecked,
 *                           to see what becomes of it
 *   situations_missing      in the variant REACH only: fails when the last
 *                           comparison is reached after each queue relied on a
 *                           bit that it found set, and a page was copied while
 *                           both ran
 *
 * @variant RIGHT                          holds
 * @variant REACH                          situations_missing
 * @variant NO_FENCE                       marked_before_publish
 * @variant NO_FENCE+LOSS_ONLY             no_page_lost
 * @variant MARK_BEFORE_WRITE+LOSS_ONLY    no_page_lost
 * @variant MARK_AFTER_PUBLISH             marked_before_publish
 * @variant PLAIN_OR                       no_page_lost
 * @variant INDEX_NEVER_MARKED             no_page_lost
 * @variant NO_INDEX_MARK_AT_STOP          no_page_lost
 * @variant NO_WAIT_AT_STOP+LOSS_ONLY      no_page_lost
 */

#define THREADS 2 /* the queues' */
#define DEPTH 3

/* Cells of memory; guest memory first. */
#define DATA 0
#define INDEX 1
#define LOG_DATA 2  /* the word with the data page's bit */
#define LOG_INDEX 3 /* the word with both index pages' bits */
#define CELLS 4

bit watched;
bool closed[2];
bool in_burst[2];
bool index_pending[2];

/* The front-end's: pages that it harvested and has not copied yet; its copies. */
bool to_copy[2];
bool copy_old[2];

bool no_page_lost = true;
bool marked_before_publish = true;
#ifdef REACH
bool situations_missing = true;
bool relied_on_bit[2]; /* a bit was found set, and no OR made */
bool live_harvest;     /* a page was copied while both queues ran */
#endif

#define ON_VISIBLE(cell) became_visible(cell)

inline became_visible(cell)
{
	if
	:: cell == DATA || cell == INDEX -> copy_old[cell] = true
	:: else
	fi;
#ifndef LOSS_ONLY
	marked_before_publish = cell != INDEX || mem[LOG_DATA] || to_copy[DATA] || !copy_old[DATA];
	assert(marked_before_publish)
#endif
}

#include "tso.pml"

#ifdef NO_FENCE
#define FENCE(q) true
#else
#define FENCE(q) SB_EMPTY(q)
#endif

/*
 * One (word, mask) pair of dirtylog_flush(). The fence is before the first: the
 * buffer is still empty at the second.
 */
inline test_and_set(q, wanted, word, mask)
{
	if
	:: wanted ->
		d_step {
			FENCE(q) -> load(q, word, found);
			wanted = false;
#ifdef REACH
			relied_on_bit[q] = relied_on_bit[q] || (found & (mask));
#endif
			missing = !(found & (mask));
#ifndef PLAIN_OR
			found = 0
#endif
		};
		if
		:: missing ->
#ifdef PLAIN_OR
			d_step { ROOM(q) -> store(q, word, found | (mask)) }
#else
			d_step { SB_EMPTY(q) -> mem[word] = mem[word] | (mask) }
#endif
		:: else
		fi;
		missing = false
	:: else
	fi
}

inline flush(q)
{
	test_and_set(q, batch_index, LOG_INDEX, 1 << q);
	test_and_set(q, batch_data, LOG_DATA, 1)
}

inline write(q, cell)
{
	if
	:: busy && q == watched -> d_step { ROOM(q) -> store(q, cell, 0) }
	:: else
	fi
}

proctype queue(byte q)
{
	byte found;
	bool busy, batch_index, batch_data, missing;

end:	do
	:: d_step {
		!closed[q] ->
		in_burst[q] = true;
#ifndef INDEX_NEVER_MARKED
		batch_index = index_pending[q];
		index_pending[q] = false
#endif
	   };
		if
		:: busy = true
		:: busy = false
		fi;
#ifdef MARK_BEFORE_WRITE
		batch_data = busy;
		flush(q);
		write(q, DATA);
		write(q, INDEX);
#elif defined(MARK_AFTER_PUBLISH)
		write(q, DATA);
		batch_data = busy;
		write(q, INDEX);
		flush(q);
#else
		write(q, DATA);
		batch_data = busy;
		flush(q); /* of an idle burst: in dirtylog_burst_end() */
		write(q, INDEX);
#endif
		d_step {
			index_pending[q] = busy;
			in_burst[q] = false;
			busy = false
		}
	od
}

/* GET_VRING_BASE of one queue, to its reply. */
inline stop(q)
{
	closed[q] = true;
#ifndef NO_WAIT_AT_STOP
	!in_burst[q] && SB_EMPTY(q);
#endif
#if !defined(NO_INDEX_MARK_AT_STOP) && !defined(INDEX_NEVER_MARKED)
	d_step { mem[LOG_INDEX] = mem[LOG_INDEX] | (1 << q); index_pending[q] = false }
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
		live_harvest = live_harvest || (!closed[0] && !closed[1])
#endif
	}
}

/* Word by word, then the pages in any order. */
inline harvest()
{
	d_step { to_copy[DATA] = mem[LOG_DATA]; mem[LOG_DATA] = 0 };
	d_step { to_copy[INDEX] = (mem[LOG_INDEX] >> watched) & 1; mem[LOG_INDEX] = 0 };
	do
	:: copy_page(DATA)
	:: copy_page(INDEX)
	:: else -> break
	od
}

/* The front-end and, while it waits for a reply, the control thread. */
active proctype front_end()
{
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
	no_page_lost = !copy_old[DATA] && !copy_old[INDEX];
	assert(no_page_lost);
#ifdef REACH
	situations_missing = !(relied_on_bit[0] && relied_on_bit[1] && live_harvest);
	assert(situations_missing)
#endif
}
