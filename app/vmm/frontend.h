/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device as the VMM drives it: each function is a step that takes one or more
 * vhost-user messages, in the order in which QEMU sends them.
 */
#ifndef FRONTEND_H
#define FRONTEND_H

#include "dirty_log.h"
#include "guest.h"
#include "vhost_user.h"

enum log_reply { REPLY_ANY, REPLY_EMPTY, REPLY_16 };

struct frontend_config {
	const char *socket;
	bool server;              /* listens on it; else connects to it */
	unsigned int timeout_ms;  /* limit of every wait for the back-end */
	bool migrates;            /* a back-end without a dirty log is of no use */
	enum log_reply log_reply; /* payload demanded in the reply to SET_LOG_BASE */
};

struct frontend {
	struct frontend_config config;
	struct vhost_user vu;
	struct guest *guest;
	unsigned int regions_sent;  /* in the memory table of the back-end */
	uint64_t offered, features; /* features without LOG_ALL */
	uint64_t protocol_offered, protocol_features;
	unsigned int log_reply_bytes; /* payload of the last reply to SET_LOG_BASE */
};

/* Connects and negotiates: the guest's rings say which features. */
int frontend_connect(struct frontend *f, struct guest *guest, const struct frontend_config *config);
/* What the back-end offered, as far as it was asked, lets a guest migrate. */
bool frontend_can_log(const struct frontend *f);
void frontend_disconnect(struct frontend *f);

/* Memory table, rings, and enable. */
int frontend_start(struct frontend *f);
/*
 * The same on a new connection, with rings that have been used: bases says where each
 * stands. With a log, the guest migrates: the order is QEMU's, the log comes last.
 */
int frontend_restart(struct frontend *f, const uint32_t *bases, const struct dirty_log *log);
int frontend_enable(struct frontend *f, bool enable);
/* GET_VRING_BASE for each ring. */
int frontend_stop(struct frontend *f);

int frontend_set_log(struct frontend *f, const struct dirty_log *log);
/* LOG_ALL and the flag in the ring addresses; off is not acknowledged, as in QEMU. */
int frontend_logging(struct frontend *f, bool on);
int frontend_set_regions(struct frontend *f, unsigned int n);

#endif
