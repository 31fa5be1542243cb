/* SPDX-License-Identifier: BSD-3-Clause */

/* What this process holds, which must be the same before and after an input. */

#ifndef FUZZ_PROCESS_H
#define FUZZ_PROCESS_H

#include <stdint.h>

struct process_holds {
	long descriptors;
	long mappings;   /* that were made and not undone since the program began */
	long huge_pages; /* kB */
};

/* From now on log lines are counted, and shown only if FUZZ_LOG is set. */
void process_init(void);

struct process_holds process_holds(void);

/* Connections that librte_vhost has accepted since the program began. */
unsigned long process_accepted(void);

/* Those of the driver and the library. */
uint64_t process_log_lines(void);

/* For a finding: what was logged last, and which descriptors there are. */
void process_explain(void);

#endif /* FUZZ_PROCESS_H */
