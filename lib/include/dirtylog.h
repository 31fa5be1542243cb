/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The dirty log of one vhost device: where its marks go, and what must be in
 * the log when.
 *
 * The state is small: the memory regions, each with a bitmap; the front-end's
 * log, if there is one; whether LOG_ALL is negotiated; the queues' markers.
 * From it follows where a region's marks go:
 *
 *     logging off                         nowhere: the bitmap has no view
 *     logging on, a log that covers it    the log, directly; or staging on the
 *                                         region's NUMA node, moved to the log
 *                                         at a bounded delay (the placement)
 *     logging on, no such log (yet)       staging; moved to the log by the
 *                                         call that brings one
 *
 * A change never pauses a queue: the views are exchanged while bursts go on,
 * and the call returns after the last burst that went by the old state. Only
 * a changed memory table or ring address closes a queue.
 *
 * All functions are for control threads and take the device's lock; several
 * threads may call them. None may be called from inside a burst. None touches
 * librte_vhost: dirtylog_vhost.h translates its messages into these calls.
 */

#ifndef DIRTYLOG_H
#define DIRTYLOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dirtylog_bitmap.h"
#include "dirtylog_marker.h"
#include "dirtylog_memory.h"
#include "dirtylog_shm.h"

#ifdef __cplusplus
extern "C" {
#endif

/** No ring to mark: see dirtylog_open(). */
#define DIRTYLOG_NO_GPA UINT64_MAX

/** Where the marks of a region go while there is a log that covers it. */
enum dirtylog_placement {
	/**
	 * Directly to the log if its pages are, or can be moved, onto the NUMA
	 * node of the region's memory; else staged.
	 */
	DIRTYLOG_PLACEMENT_AUTO,
	/** Directly to the log, wherever it is. */
	DIRTYLOG_PLACEMENT_DIRECT,
	/** To memory on the region's node, moved to the log at a bounded delay. */
	DIRTYLOG_PLACEMENT_STAGED
};

/** What can be chosen for a device. All zero: the defaults. */
struct dirtylog_options {
	enum dirtylog_placement placement;
	/** Staged marks are in the log after this time, in microseconds; 0: 1000. */
	uint32_t drain_us;
	/**
	 * Bytes of guest memory that the front-end may name; 0: what the machine has.
	 * They need not be there, but a bitmap for them is: 1/32768 of them.
	 */
	uint64_t max_memory;
};

/** Counters of a device. Sums over its queues, and over its life. */
struct dirtylog_stats {
	struct dirtylog_marker_stats marks; /**< its queues', also of those removed */
	uint64_t swaps;                     /**< logs taken (SET_LOG_BASE) */
	uint64_t refused_logs;              /**< logs that cannot be mapped, or cover too little */
	uint64_t refused_regions;           /**< regions that exceeded `max_memory` */
	uint64_t whole_marks;       /**< times that all memory was marked: see dirtylog_open() */
	uint64_t drains;            /**< times that staged marks were moved to a log */
	uint64_t pages_drained;     /**< pages that these moves made dirty in a log */
	uint64_t truncated_logs;    /**< logs that their owner made shorter while in use */
	uint64_t truncated_regions; /**< regions that were truncated: all queues were closed */
	uint64_t regions_direct;    /**< regions whose marks go to the log now */
	uint64_t regions_staged;    /**< regions whose marks are staged now */
	/**
	 * Pages that became dirty in the log, per second, between this call and
	 * an earlier one that is at least 100 ms old: what a migration's
	 * bandwidth must exceed to converge. A page counts once per harvest.
	 */
	uint64_t dirty_pages_per_second;
	bool logging;
};

/** The log state of one vhost device. */
struct dirtylog;

/**
 * Create the log state of a device: no regions, no log, logging off.
 *
 * @param name
 *   for log lines; copied
 * @param[out] dl
 *   the log state; ends with dirtylog_destroy()
 * @return 0, -ENOMEM, -ENOTSUP (the kernel's pages are larger than 16 KiB, as
 *   some arm64 kernels' are)
 */
int dirtylog_create(const char *name, struct dirtylog **dl);

/**
 * Choose the options. Before the first dirtylog_set_regions().
 *
 * @return 0, or -EBUSY: there are regions already
 */
int dirtylog_configure(struct dirtylog *dl, const struct dirtylog_options *options);

/** Destroy it. The queues are removed already. NULL is allowed. */
void dirtylog_destroy(struct dirtylog *dl);

/**
 * Add a queue, closed, with its counters at 0.
 *
 * A marker may be removed and added again, to another dirtylog too. Its thread
 * may go on polling it meanwhile: dirtylog_burst_begin() returns false.
 *
 * @param dl
 *   that the queue belongs to
 * @param marker
 *   memory of the caller, aligned to a cache line; zeroed once by its owner,
 *   before it is added or polled for the first time
 */
void dirtylog_add_queue(struct dirtylog *dl, struct dirtylog_marker *marker);

/**
 * Close and remove a queue, to be added elsewhere. Its memory is the caller's
 * again as soon as nobody polls it.
 */
void dirtylog_remove_queue(struct dirtylog *dl, struct dirtylog_marker *marker);

/**
 * Open a queue: from now on dirtylog_burst_begin() returns true.
 *
 * @param dl
 *   that the queue belongs to
 * @param marker
 *   the queue's
 * @param ring_gpa
 *   GPA of the used ring, or of a packed ring's descriptors: what the queue writes
 *   beside the buffers, with dirtylog_mark_ring() and dirtylog_mark_index();
 *   DIRTYLOG_NO_GPA if it calls neither
 * @param ring_len
 *   bytes of it, DIRTYLOG_INDEX_LEN to DIRTYLOG_MAX_RING; what lies beyond the
 *   region is not marked
 * @return 0; -EINVAL: ring_len; -EFAULT: ring_gpa is in no region; -EBUSY: it is
 *   open; -EIO: a part of the guest's memory is lost, see dirtylog_memory_lost()
 */
int dirtylog_open(struct dirtylog *dl, struct dirtylog_marker *marker, uint64_t ring_gpa,
		uint64_t ring_len);

/**
 * Close a queue. Returns after its last burst, with all its marks made, that
 * of the index included. Closing a closed queue does nothing.
 */
void dirtylog_close(struct dirtylog *dl, struct dirtylog_marker *marker);

/**
 * Mark what a control thread has written, such as the event suppression area of
 * a packed ring that is about to be used. Does nothing while nothing is logged. What
 * lies in several regions is marked in each, as far as they follow each other.
 *
 * @return 0, or -EFAULT: no region holds the GPA
 */
int dirtylog_mark_gpa(struct dirtylog *dl, uint64_t gpa, uint64_t len);

/** Whether every queue is closed. */
bool dirtylog_stopped(struct dirtylog *dl);

/**
 * The memory table (vhost-user: SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG).
 *
 * Every queue must be closed. Marks that are staged are kept for the addresses
 * that exist in the new table too. On failure the old table stays.
 *
 * Regions whose `host` is known are guarded from now on: where the front-end
 * takes memory away, by truncating its file, bursts read zeros, and no SIGBUS ends
 * the process. See dirtylog_memory_lost() and dirtylog_forget_memory().
 *
 * @param dl
 *   whose memory it is
 * @param regions
 *   copied; `host` tells where the region is mapped, and its NUMA node; `bitmap`
 *   is ignored
 * @param nb_regions
 *   how many
 * @return
 *   0;
 *   -EBUSY: a queue is open;
 *   -E2BIG: more than DIRTYLOG_MAX_REGIONS regions;
 *   -EINVAL, -EOVERFLOW: an empty region, a region whose end overflows;
 *   -EFBIG: all in all more than the option `max_memory` allows;
 *   -ENOMEM
 */
int dirtylog_set_regions(struct dirtylog *dl, const struct dirtylog_region *regions,
		uint32_t nb_regions);

/**
 * Whether the front-end has taken memory away that bursts were using.
 *
 * Found by this call, by dirtylog_get_stats(), and by every other one that has
 * to do with memory. Whoever finds it closes all queues, which stay closed until
 * dirtylog_set_regions() brings another table, or dirtylog_reset().
 */
bool dirtylog_memory_lost(struct dirtylog *dl);

/**
 * The mappings of the guest's memory are about to end: nothing guards them any
 * more, until the next dirtylog_set_regions(). The table stays, for who holds it.
 *
 * The queues must be closed. dirtylog_reset() and dirtylog_destroy() imply it.
 *
 * @return 0, or -EBUSY: in another thread the guard is just putting memory in the
 *   place of what was taken away, and does not come to an end; the mappings must
 *   stay
 */
int dirtylog_forget_memory(struct dirtylog *dl);

/**
 * Whether the regions of a table are too large, before anything is mapped.
 *
 * @return 0, or -EFBIG as dirtylog_set_regions(), which logs and counts it too
 */
int dirtylog_check_regions(struct dirtylog *dl, const struct dirtylog_region *regions,
		uint32_t nb_regions);

/**
 * The memory table, each region with its bitmap.
 *
 * Valid until the next dirtylog_set_regions() or dirtylog_reset(). What is
 * mapped at the regions' host addresses is the caller's affair: of a connection
 * of librte_vhost's, it is there until the next `quiesce` of all virtqueues.
 *
 * @return NULL if there are no regions
 */
const struct dirtylog_memory *dirtylog_memory(struct dirtylog *dl);

/**
 * The bitmap of the region that holds a GPA, and the offset in it.
 *
 * @param dl
 *   whose memory table is searched
 * @param gpa
 *   guest physical address
 * @param[out] offset
 *   bytes from the start of the region
 * @return NULL if no region holds it
 */
struct dirtylog_bitmap *dirtylog_find(struct dirtylog *dl, uint64_t gpa, uint64_t *offset);

/**
 * A log (vhost-user: SET_LOG_BASE), in place of the one before, if any.
 *
 * When it returns 0 no mark goes to the old log any more, each earlier mark
 * is in the old log or in this one, and the old one is unmapped.
 *
 * @param dl
 *   that gets the log
 * @param shm
 *   the mapped log, from GPA 0 on; the device takes a reference of its own
 * @return
 *   0;
 *   -ERANGE: it does not cover a region; nothing has changed then;
 *   -ENOMEM
 */
int dirtylog_set_log(struct dirtylog *dl, struct dirtylog_shm *shm);

/**
 * Leave the log, if there is one: bursts mark in staging until the next
 * dirtylog_set_log(), and when it returns 0 no burst marks in the log.
 *
 * Also the right thing when the device has stopped: a front-end that starts it
 * again during a migration lets queues run before it sends a new log, and the
 * old one is dead by then. For one that sends none, what is staged is copied to
 * the log that was left when a queue closes.
 *
 * @return 0, or -ENOMEM: the log is still in use
 */
int dirtylog_suspend_log(struct dirtylog *dl);

/**
 * Logging on or off (vhost-user: SET_FEATURES with or without VHOST_F_LOG_ALL).
 *
 * On: when it returns 0 every burst marks. Off: when it returns no burst
 * marks, and the marks of before are in the log; the log is left.
 *
 * @return 0, or -ENOMEM (on only): logging is off
 */
int dirtylog_set_logging(struct dirtylog *dl, bool on);

/**
 * Forget everything but the queues, which must be closed: no regions, no log,
 * logging off. For the next connection of a front-end.
 *
 * @return 0, or -EBUSY: a queue is open
 */
int dirtylog_reset(struct dirtylog *dl);

/** Read the counters. */
void dirtylog_get_stats(struct dirtylog *dl, struct dirtylog_stats *stats);

/**
 * Read the counters of one queue.
 *
 * @param dl
 *   that the queue belongs to
 * @param index
 *   of the queue, in the order in which they were added, from 0
 * @param[out] stats
 *   the counters
 * @return 0, or -ENOENT: it has fewer queues
 */
int dirtylog_get_queue_stats(struct dirtylog *dl, uint32_t index,
		struct dirtylog_marker_stats *stats);

/** Write a readable description of the state. */
void dirtylog_dump(struct dirtylog *dl, FILE *stream);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_H */
