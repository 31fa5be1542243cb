/* SPDX-License-Identifier: BSD-3-Clause */
/* The program's folder: its sockets and the EAL's files are in it. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include "port_bench.h"

/* Makes b->folder, which a signal that ends the program takes away, too. 0, or -errno: printed. */
int scratch_make(struct port_bench *b);
void scratch_remove(void);

#endif
