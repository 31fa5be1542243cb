/* SPDX-License-Identifier: BSD-3-Clause */

/* What this process has mapped. */

#ifndef MAPPINGS_H
#define MAPPINGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* How many lines of /proc/self/maps name a file. */
static inline unsigned int
mappings_of(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL)
		count += strstr(line, name) != NULL;
	fclose(maps);
	return count;
}

#endif /* MAPPINGS_H */
