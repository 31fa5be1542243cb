/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * dirtylog-core-state: what the cores behind the CPUs are like at the moment: whether
 * each is ours alone (width.h), and how far apart they are (distance.h). On a shared
 * machine both change, and no clock tells.
 */

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distance.h"
#include "pin.h"
#include "width.h"

static int
usage(void)
{
	fprintf(stderr,
			"usage: dirtylog-core-state CPU ...\n"
			"Prints a line per CPU: how many independent operations its core does in the "
			"time of one\naddition that waits for another. Then a line for each two that "
			"follow each other: how many\nnanoseconds a line of memory takes from one to the "
			"other and back.\n");
	return 2;
}

static bool
parse_cpu(const char *text, unsigned int *cpu)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end != '\0' || end == text || value >= CPU_SETSIZE) {
		fprintf(stderr, "dirtylog-core-state: \"%s\" is no CPU (0 to %d)\n", text,
				CPU_SETSIZE - 1);
		return false;
	}
	*cpu = (unsigned int)value;
	return true;
}

static int
fail(unsigned int cpu, int error)
{
	fprintf(stderr, "dirtylog-core-state: CPU %u: %s\n", cpu, strerror(error));
	return 1;
}

int
main(int argc, char **argv)
{
	unsigned int cpu, other;
	int i, error;

	if (argc < 2)
		return usage();
	for (i = 1; i < argc; i++) {
		if (!parse_cpu(argv[i], &cpu))
			return 2;
		error = pin_to(cpu);
		if (error != 0)
			return fail(cpu, error);
		printf("%u %.3f\n", cpu, core_width());
	}
	for (i = 1; i + 1 < argc; i++) {
		double distance;

		if (!parse_cpu(argv[i], &cpu) || !parse_cpu(argv[i + 1], &other))
			return 2;
		if (cpu == other)
			continue;
		distance = core_distance(cpu, other);
		if (distance < 0)
			return fail(other, (int)-distance);
		printf("%u-%u %.0f\n", cpu, other, distance);
	}
	return 0;
}
