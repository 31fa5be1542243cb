/* SPDX-License-Identifier: BSD-3-Clause */

/* Device arguments: what they are called, what they may be, where they go. */

#ifndef DIRTYLOG_DEVARGS_H
#define DIRTYLOG_DEVARGS_H

#include "port.h"

/*
 * Fill in what the arguments of device `name` choose; the port is all zero
 * before.
 * Returns 0, or -EINVAL or -ENOTSUP, and then a log line says why.
 */
int dirtylog_devargs_parse(struct dirtylog_port *port, const char *name, const char *args);

/* What log-placement= takes, by enum dirtylog_placement. */
extern const char *const dirtylog_placement_names[];

#endif /* DIRTYLOG_DEVARGS_H */
