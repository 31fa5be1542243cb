/* SPDX-License-Identifier: BSD-3-Clause */
/* A vhost port of one driver, and at the other end of its socket a VMM with a guest. */
#ifndef RIG_H
#define RIG_H

#include "frontend.h"
#include "guest.h"
#include "guest_thread.h"
#include "harvest.h"
#include "port_bench.h"

struct rig {
	const char *driver;
	char name[32];
	char socket[108];
	struct guest guest;
	struct frontend frontend;
	struct dirty_log log;
	struct harvest harvest;
	uint16_t port;
	bool attached, started;
};

/* With rings filled. */
int rig_open(struct rig *r, struct port_bench *b, unsigned int driver,
		const struct guest_config *c);
/* Of what was opened, as much as there is. The port's bursts must have ended. */
int rig_close(struct rig *r);

/* A log is set or given up; nobody polls the rings meanwhile. */
int rig_logging(struct rig *r, struct port_bench *b, bool on);
int rig_new_log(const struct rig *r, struct dirty_log *log);

/* Both drivers' rigs, alike. */
int rigs_open(struct rig *rigs, struct port_bench *b, const struct guest_config *c);
/* guest: the thread that polls their rings, or NULL. */
int rigs_close(struct rig *rigs, struct guest_thread *guest);
int rigs_logging(struct rig *rigs, struct port_bench *b, bool on);

#endif
