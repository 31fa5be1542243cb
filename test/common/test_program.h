/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The command line of every cmocka program, and running what it asks for:
 *
 *     --only PATTERN   the tests whose whole name matches; * ? [] as in a shell
 *     --list           the names of the tests, and nothing is run
 *
 * A pattern that no test matches is an error: cmocka's own filter would run
 * nothing and call it a success.
 */

#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

#include <fnmatch.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct test_options {
	const char *only; /* NULL: all */
	bool list;
	const char *ring; /* of programs that take --ring; NULL: not given */
};

/* Ends the program if its command line is wrong. `ring` says what --ring takes, or is NULL. */
static inline struct test_options
test_options_parse(int argc, char **argv, const char *ring)
{
	static const struct option options[] = { { "only", required_argument, NULL, 'o' },
		{ "list", no_argument, NULL, 'l' }, { "ring", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 } };
	struct test_options parsed = { .only = NULL };
	bool wrong = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'o')
			parsed.only = optarg;
		else if (option == 'l')
			parsed.list = true;
		else if (option == 'r' && ring != NULL)
			parsed.ring = optarg;
		else
			wrong = true;
	}
	if (wrong || optind != argc) {
		fprintf(stderr, "usage: %s%s%s [--only PATTERN] [--list]\n", argv[0],
				ring != NULL ? " --ring=" : "", ring != NULL ? ring : "");
		exit(2);
	}
	return parsed;
}

/*
 * The wanted ones of `*nb` tests, whose number goes to `*nb`; to be freed. Ends
 * the program if there are none, or if it is only to list them.
 */
static inline struct CMUnitTest *
select_tests(const struct test_options *options, const struct CMUnitTest *tests, size_t *nb)
{
	struct CMUnitTest *selected = calloc(*nb, sizeof(tests[0]));
	size_t i, n = 0;

	if (selected == NULL)
		abort();
	for (i = 0; i < *nb; i++)
		if (options->only == NULL || fnmatch(options->only, tests[i].name, 0) == 0)
			selected[n++] = tests[i];
	if (n == 0) {
		fprintf(stderr, "no test matches '%s'; --list shows all\n", options->only);
		exit(2);
	}
	if (options->list) {
		for (i = 0; i < n; i++)
			printf("%s\n", selected[i].name);
		exit(0);
	}
	*nb = n;
	return selected;
}

static inline int
run_test_program_of(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
		size_t nb, CMFixtureFunction group_setup, CMFixtureFunction group_teardown)
{
	struct test_options options = test_options_parse(argc, argv, NULL);
	struct CMUnitTest *selected = select_tests(&options, tests, &nb);
	int ret = _cmocka_run_group_tests(name, selected, nb, group_setup, group_teardown);

	free(selected);
	return ret;
}

/* main()'s last line: the tests are an array, the fixtures may be NULL. Returns the exit status. */
#define run_test_program(argc, argv, name, tests, group_setup, group_teardown) \
	run_test_program_of(argc, argv, name, tests, sizeof(tests) / sizeof((tests)[0]), \
			group_setup, group_teardown)

#endif /* TEST_PROGRAM_H */
