/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * main() of the driver's test programs: the command line (test_program.h), the
 * kind of rings that the tests run with, the EAL.
 *
 * A program whose tests run with both kinds takes --ring=split or --ring=packed.
 */

#ifndef PROGRAM_H
#define PROGRAM_H

#include "test_program.h"

/* The kind of rings that this program's tests run with: its argument. */
extern bool rig_packed;

struct program_tests {
	const struct CMUnitTest *tests;
	size_t nb;
};

/* Of an array. */
#define PROGRAM_TESTS(array) \
	{ \
		(array), sizeof(array) / sizeof((array)[0]) \
	}

struct program {
	const char *name;            /* of the file, without "test_" */
	struct program_tests split;  /* none: it does not run with split rings */
	struct program_tests packed; /* the same of packed rings */
	CMFixtureFunction group_setup;
	CMFixtureFunction group_teardown;
};

/* Returns the exit status. */
int program_run(const struct program *program, int argc, char **argv);

#endif /* PROGRAM_H */
