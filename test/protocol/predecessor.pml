/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * (f) Marks die with their holder: a back-end is killed, or its connection ends,
 * with marks that are staged or not made yet.
 *
 * Stands for
 *   lib/src                 dirtylog_follow_predecessor(): a connection that begins
 *                           with LOG_ALL follows one whose marks may be lost;
 *                           dirtylog_set_log(): in its first log every page is
 *                           marked; the staging of a log that is not there yet
 *   the front-end           LOG_ALL, then the first copy of all pages; a log that
 *                           outlives connections; harvests; the stop of the rings
 *                           and the last harvest
 *
 * A connection may end, and the next one begin, at any moment: before its log
 * comes, between a write and its mark, with marks in staging, twice in a row. The
 * migration begins with or without a connection, and ends with one: a front-end
 * that has lost its back-end for good asks nobody for what is staged there.
 *
 * Abstracted: memory is sequentially consistent and each step atomic, since what
 * a burst and a harvester do to each other is in the other models. Two pages, bits
 * of one word. Instead of contents there is one bit per page: the copy is old.
 *
 * Properties
 *   no_page_lost         after the last harvest no copy is old
 *   situations_missing   in the variant REACH only: fails when the end is reached
 *                        after staged marks died, and then a mark that was to be made
 *
 * @variant RIGHT                        holds
 * @variant REACH                        situations_missing
 * @variant NO_MARK_ALL                  no_page_lost
 * @variant ONLY_AFTER_A_LOG             no_page_lost
 * @variant ONCE                         no_page_lost
 */

#define ALL 3
#define ENDS 3 /* of connections */

byte log;      /* the front-end's, a bit per page */
byte staging;  /* the back-end's */
byte unmarked; /* a page that is written and not marked yet, or 0 */
byte old;      /* copies that are */
byte to_copy;
byte ends;

bool connected, open, logging, has_log;
bool migrating; /* the front-end says LOG_ALL to whoever connects */
bool copying;   /* it has begun the first copy */
bool mark_all;  /* in the first log of this connection */
#ifdef ONLY_AFTER_A_LOG
bool had_log;   /* the connection before had one */
#endif
#ifdef ONCE
bool marked_once;
#endif

bool no_page_lost = true;
#ifdef REACH
bool situations_missing = true;
bool staged_died, unmarked_died;
#endif

inline connect()
{
	connected = true;
	logging = migrating;
	mark_all = migrating;
#ifdef NO_MARK_ALL
	mark_all = false;
#endif
#ifdef ONLY_AFTER_A_LOG
	mark_all = mark_all && had_log;
	had_log = false;
#endif
#ifdef ONCE
	mark_all = mark_all && !marked_once;
	marked_once = marked_once || mark_all;
#endif
	skip
}

inline set_log()
{
	has_log = true;
#ifdef ONLY_AFTER_A_LOG
	had_log = true;
#endif
	log = log | staging | (mark_all -> ALL : 0);
	staging = 0;
	mark_all = false
}

/* Killed, or closed: what it holds is gone. */
inline die()
{
#ifdef REACH
	unmarked_died = unmarked_died || (staged_died && logging && unmarked != 0);
	staged_died = staged_died || staging != 0;
#endif
	ends++;
	staging = 0;
	unmarked = 0;
	connected = false;
	open = false;
	logging = false;
	has_log = false;
	mark_all = false
}

active proctype queue()
{
end:
	do
	:: atomic {
		open && unmarked == 0;
		if
		:: unmarked = 1
		:: unmarked = 2
		fi;
		old = old | unmarked
	   }
	:: atomic {
		unmarked != 0;
		if
		:: !logging
		:: logging -> staging = staging | unmarked
		:: logging && has_log -> log = log | unmarked
		fi;
		unmarked = 0
	   }
	:: atomic {
		has_log && staging != 0;
		log = log | staging;
		staging = 0
	   }
	od
}

active proctype front_end()
{
	do
	:: atomic { !connected; connect() }
	:: atomic { connected && logging && !has_log; set_log() }
	:: atomic { connected && !open; open = true }
	:: atomic { connected && ends < ENDS; die() }
	:: atomic { !migrating; migrating = true }
	:: atomic { migrating && connected && !logging; logging = true }
	:: atomic { migrating && !copying && (!connected || logging);
		copying = true; to_copy = ALL }
	:: atomic { copying && log != 0; to_copy = to_copy | log; log = 0 }
	:: atomic { to_copy != 0; old = old & (ALL - to_copy); to_copy = 0 }
	:: atomic { copying && open && has_log; open = false; break }
	od;
	/* GET_VRING_BASE: the burst that runs ends, and what is staged goes to the log. */
	atomic { unmarked == 0; log = log | staging; staging = 0 };
	atomic { old = old & (ALL - (to_copy | log)); no_page_lost = old == 0 };
	assert(no_page_lost);
#ifdef REACH
	situations_missing = !(staged_died && unmarked_died);
	assert(situations_missing)
#endif
}
