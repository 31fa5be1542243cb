/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The machine of the models: x86-TSO.
 *
 * Each thread has a store buffer, a FIFO: a plain store goes into it and
 * reaches memory at any later time (proctype store_buffers). A plain load
 * takes the thread's own newest store to that cell, else memory. A fence
 * continues when the buffer is empty; so do locked operations (atomic OR, AND,
 * exchange), which then work on memory in one step. Loads are not reordered
 * with loads nor stores with stores: neither are they on x86.
 *
 * A model defines THREADS, CELLS and DEPTH first. DEPTH, the stores that a
 * buffer holds, has to be no less than the plain stores between two fences of
 * a thread: a full buffer delays the next store. Each model says how it counts.
 * A model that has something to check whenever a store becomes visible defines
 * ON_VISIBLE(cell).
 *
 * load() and store() are used within a d_step, a step that nothing comes
 * between. One step holds at most one access to what others write:
 *
 *     d_step { ROOM(t) -> store(t, cell, value) }
 *     d_step { SB_EMPTY(t) -> load(t, cell, result) }      fence; load
 *     d_step { SB_EMPTY(t) -> mem[cell] = ... mem[cell] }  locked operation
 */

byte mem[CELLS];

/* Thread t's buffer: entries t * DEPTH on, oldest first; unused ones are 0. */
byte sb_cell[THREADS * DEPTH];
byte sb_value[THREADS * DEPTH];
byte sb_used[THREADS];

byte sb_i; /* within a step; 0 between steps */

#define ROOM(t) (sb_used[t] < DEPTH)
#define SB_EMPTY(t) (sb_used[t] == 0)

inline store(t, cell, value)
{
	assert(ROOM(t));
	sb_cell[(t) * DEPTH + sb_used[t]] = cell;
	sb_value[(t) * DEPTH + sb_used[t]] = value;
	sb_used[t]++
}

inline load(t, cell, result)
{
	result = mem[cell];
	sb_i = sb_used[t];
	do
	:: sb_i > 0 ->
		sb_i--;
		if
		:: sb_cell[(t) * DEPTH + sb_i] == (cell) ->
			result = sb_value[(t) * DEPTH + sb_i];
			break
		:: else
		fi
	:: else -> break
	od;
	sb_i = 0
}

/* The oldest entry of a buffer reaches memory. */
inline sb_to_memory(t)
{
	cell = sb_cell[(t) * DEPTH];
	mem[cell] = sb_value[(t) * DEPTH];
	sb_used[t]--;
	sb_i = 0;
	do
	:: sb_i < sb_used[t] ->
		sb_cell[(t) * DEPTH + sb_i] = sb_cell[(t) * DEPTH + sb_i + 1];
		sb_value[(t) * DEPTH + sb_i] = sb_value[(t) * DEPTH + sb_i + 1];
		sb_i++
	:: else -> break
	od;
	sb_cell[(t) * DEPTH + sb_i] = 0;
	sb_value[(t) * DEPTH + sb_i] = 0;
	sb_i = 0;
#ifdef ON_VISIBLE
	ON_VISIBLE(cell);
#endif
	cell = 0
}

/* Whichever buffer, whenever it likes. */
active proctype store_buffers()
{
	byte cell;

end:	do
	:: d_step { !SB_EMPTY(0) -> sb_to_memory(0) }
#if THREADS > 1
	:: d_step { !SB_EMPTY(1) -> sb_to_memory(1) }
#endif
#if THREADS > 2
	:: d_step { !SB_EMPTY(2) -> sb_to_memory(2) }
#endif
	od
}
