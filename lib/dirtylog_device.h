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
 *     logging on, a log that covers it    the log, directly
 *     logging on, no such log (yet)       staging; moved into the log by the
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

#ifndef DIRTYLOG_DEVICE_H
#define DIRTYLOG_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dirtylog_bitmap.h"
#include "dirtylog_marker.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Memory regions of a device at most. */
#define DIRTYLOG_MAX_REGIONS 512

/** No index page to mark: see dirtylog_device_open(). */
#define DIRTYLOG_NO_GPA UINT64_MAX

/** A guest memory region. */
struct dirtylog_region {
	uint64_t gpa; /**< guest physical address of its first byte */
	uint64_t len; /**< bytes */
};

/** The log state of one vhost device. */
struct dirtylog_device;

/**
 * Create the log state of a device: no regions, no log, logging off.
 *
 * @param name
 *   for log lines; copied
 * @return 0, -ENOMEM
 */
int dirtylog_device_create(const char *name, struct dirtylog_device **device);

/** Destroy it. The queues are removed already. NULL is allowed. */
void dirtylog_device_destroy(struct dirtylog_device *device);

/**
 * Add a queue, closed.
 *
 * @param marker
 *   memory of the caller, aligned to a cache line; initialised here
 */
void dirtylog_device_add_queue(struct dirtylog_device *device, struct dirtylog_marker *marker);

/** Close and remove a queue; its memory is the caller's again. */
void dirtylog_device_remove_queue(struct dirtylog_device *device,
		struct dirtylog_marker *marker);

/**
 * Open a queue: from now on dirtylog_burst_begin() returns true.
 *
 * @param index_gpa
 *   GPA of the used index (split ring) or of the device event suppression area
 *   (packed ring), which the queue writes last; DIRTYLOG_NO_GPA if it never
 *   calls dirtylog_mark_index()
 * @return 0; -EFAULT: index_gpa is in no region; -EBUSY: it is open
 */
int dirtylog_device_open(struct dirtylog_device *device, struct dirtylog_marker *marker,
		uint64_t index_gpa);

/**
 * Close a queue. Returns after its last burst, with all its marks made, that
 * of the index included. Closing a closed queue does nothing.
 */
void dirtylog_device_close(struct dirtylog_device *device, struct dirtylog_marker *marker);

/**
 * Wait until each burst that runs now is over, for a change of the caller's own
 * that bursts read.
 */
void dirtylog_device_wait(struct dirtylog_device *device);

/** Whether every queue is closed. */
bool dirtylog_device_stopped(struct dirtylog_device *device);

/**
 * The memory table (vhost-user: SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG).
 *
 * Every queue must be closed. Marks that are staged are kept for the addresses
 * that exist in the new table too. On failure the old table stays.
 *
 * @return
 *   0;
 *   -EBUSY: a queue is open;
 *   -E2BIG: more than DIRTYLOG_MAX_REGIONS regions;
 *   -EINVAL, -EOVERFLOW: an empty region, a region whose end overflows;
 *   -ENOMEM
 */
int dirtylog_device_set_regions(struct dirtylog_device *device,
		const struct dirtylog_region *regions, uint32_t nb_regions);

/**
 * The bitmap of region `index` of the present table, for dirtylog_mark().
 *
 * Valid until the next dirtylog_device_set_regions(), or as long as the caller
 * keeps a reference. NULL if there is no such region.
 */
struct dirtylog_bitmap *dirtylog_device_bitmap(struct dirtylog_device *device, uint32_t index);

/**
 * The bitmap of the region that holds a GPA, and the offset in it.
 *
 * @param[out] offset
 *   bytes from the start of the region
 * @return NULL if no region holds it
 */
struct dirtylog_bitmap *dirtylog_device_find(struct dirtylog_device *device, uint64_t gpa,
		uint64_t *offset);

/**
 * A log (vhost-user: SET_LOG_BASE), in place of the one before, if any.
 *
 * When it returns 0 no mark goes to the old log any more, each earlier mark
 * is in the old log or in this one, and the old one is unmapped.
 *
 * @param shm
 *   the mapped log, from GPA 0 on; the device takes a reference of its own
 * @return
 *   0;
 *   -ERANGE: it does not cover a region; nothing has changed then;
 *   -ENOMEM
 */
int dirtylog_device_set_log(struct dirtylog_device *device, struct dirtylog_shm *shm);

/**
 * Leave the log, if there is one: bursts mark in staging until the next
 * dirtylog_device_set_log(), and when it returns 0 no burst marks in the log.
 *
 * Also the right thing when the device has stopped: a front-end that starts it
 * again during a migration lets queues run before it sends a new log, and the
 * old one is dead by then. For one that sends none, what is staged is copied to
 * the log that was left when a queue closes.
 *
 * @return 0, or -ENOMEM: the log is still in use
 */
int dirtylog_device_leave_log(struct dirtylog_device *device);

/**
 * Logging on or off (vhost-user: SET_FEATURES with or without VHOST_F_LOG_ALL).
 *
 * On: when it returns 0 every burst marks. Off: when it returns no burst
 * marks, and the marks of before are in the log; the log is left.
 *
 * @return 0, or -ENOMEM (on only): logging is off
 */
int dirtylog_device_set_logging(struct dirtylog_device *device, bool on);

/**
 * Forget everything but the queues, which must be closed: no regions, no log,
 * logging off. For the next connection of a front-end.
 *
 * @return 0, or -EBUSY: a queue is open
 */
int dirtylog_device_reset(struct dirtylog_device *device);

/** Write a readable description of the state. */
void dirtylog_device_dump(struct dirtylog_device *device, FILE *stream);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_DEVICE_H */
