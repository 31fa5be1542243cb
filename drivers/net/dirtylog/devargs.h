/* SPDX-License-Identifier: BSD-3-Clause */

/* Device arguments: what they are called, what they may be, where they go. */

#ifndef ETH_DIRTYLOG_DEVARGS_H
#define ETH_DIRTYLOG_DEVARGS_H

#include "port.h"

/*
 * Fill in what the arguments of device `name` choose; the port is all zero
 * before.
 * Returns 0, or -EINVAL or -ENOTSUP, and then a log line says why.
 */
int eth_dirtylog_devargs_parse(struct eth_dirtylog_port *port, const char *name, const char *args);

/* What log-placement= takes, by enum dirtylog_placement. */
extern const char *const eth_dirtylog_placement_names[];

#endif /* ETH_DIRTYLOG_DEVARGS_H */
