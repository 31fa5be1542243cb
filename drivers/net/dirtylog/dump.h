/* SPDX-License-Identifier: BSD-3-Clause */

/* A port's state in words, for people. */

#ifndef ETH_DIRTYLOG_DUMP_H
#define ETH_DIRTYLOG_DUMP_H

#include <stdio.h>

#include "port.h"

void eth_dirtylog_dump(struct eth_dirtylog_port *port, FILE *stream);

#endif /* ETH_DIRTYLOG_DUMP_H */
