/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef EAL_H
#define EAL_H

#include "port_bench.h"

/* The EAL with its lcores where the settings want them, and both drivers. */
int eal_start(struct port_bench *b, const char *program);
void eal_stop(void);

#endif
