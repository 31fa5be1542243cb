/* SPDX-License-Identifier: BSD-3-Clause */

/* A port's state in words, for people. */

#ifndef DIRTYLOG_PORT_DUMP_H
#define DIRTYLOG_PORT_DUMP_H

#include <stdio.h>

#include "port.h"

void dirtylog_port_dump(struct dirtylog_port *port, FILE *stream);

#endif /* DIRTYLOG_PORT_DUMP_H */
