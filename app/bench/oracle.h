/* SPDX-License-Identifier: BSD-3-Clause */
/* Compares all guest memory with what arrived at the destination. */
#ifndef ORACLE_H
#define ORACLE_H

#include "guest_queue.h"
#include "guest_ram.h"
#include "results.h"

int oracle_compare(const struct guest_ram *ram, const struct guest_queue *queues,
		unsigned int n_queues, struct results *r);

#endif
