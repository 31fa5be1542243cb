/* SPDX-License-Identifier: BSD-3-Clause */

/* Results as a table for people, and as JSON. */

#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "measure.h"

struct report {
	const struct settings *settings;
	double tsc_hz;
	uint32_t nb_cpus;
	uint32_t nb_results;
	const struct result *results;
};

void report_table(const struct report *report, FILE *stream);
void report_json(const struct report *report, FILE *stream);

#endif
