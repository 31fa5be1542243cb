/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device as the VMM drives it: each function is a step that takes one or more
 * vhost-user messages, in the order in which QEMU sends them.
 */
#ifndef FRONTEND_H
#define FRONTEND_H

#include "dirty_log.h"
#include "guest_queue.h"
#include "guest_ram.h"
#include "options.h"
#include "vhost_user.h"

struct frontend {
	const struct options *o;
	struct vhost_user vu;
	struct guest_ram *ram;
	struct guest_queue *queues;
	unsigned int n_queues;
	unsigned int regions_sent;	/* in the memory table of the back-end */
	uint64_t offered, features;	/* features without LOG_ALL */
	uint64_t protocol_offered, protocol_features;
	unsigned int log_reply_bytes;	/* payload of the last reply to SET_LOG_BASE */
};

/* Connects and negotiates. */
int frontend_connect(struct frontend *f, const struct options *o);
void frontend_disconnect(struct frontend *f);

/* Memory table, rings, and enable. */
int frontend_start(struct frontend *f);
int frontend_enable(struct frontend *f, bool enable);
/* GET_VRING_BASE for each ring. */
int frontend_stop(struct frontend *f);

int frontend_set_log(struct frontend *f, const struct dirty_log *log);
/* LOG_ALL and the flag in the ring addresses; off is not acknowledged, as in QEMU. */
int frontend_logging(struct frontend *f, bool on);
int frontend_set_regions(struct frontend *f, unsigned int n);

#endif
