/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a back-end that died left behind.
 *
 * It may have been killed in a burst: after it wrote buffers, before it marked
 * them. The guest has not got them back and never reads what is in them, but
 * the pages are changed all the same, and a migration that runs would deliver
 * them as they were. They are among the buffers that are available now.
 */

#ifndef DIRTYLOG_PREDECESSOR_H
#define DIRTYLOG_PREDECESSOR_H

#include "dirtylog_device.h"
#include "dirtylog_queue.h"

/*
 * Mark the available buffers of a split ring that the device writes to. The
 * queue is started and not open yet; logging is on.
 */
void dirtylog_predecessor_mark(struct dirtylog_queue *queue, struct dirtylog_device *device);

#endif /* DIRTYLOG_PREDECESSOR_H */
