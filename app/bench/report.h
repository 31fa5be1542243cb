/* SPDX-License-Identifier: BSD-3-Clause */
/* The results for people (table), programs (JSON) and eyes (pictures). */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "options.h"
#include "results.h"

/* All that the options ask for. */
int report(const struct options *o, const struct results *r);

void report_table(FILE *f, const struct options *o, const struct results *r);
void report_json(FILE *f, const struct options *o, const struct results *r);
/* Data files, gnuplot script and pictures in a folder. */
int report_pictures(const char *dir, const struct options *o, const struct results *r);

#endif
