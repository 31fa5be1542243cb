/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "rig/eal.h"
#include "rig/event_thread.h"
#include "rig/port_rig.h"
#include "rig/program.h"

#define KINDS "split|packed"

bool rig_packed;

static void
wrong_ring(const char *program)
{
	fprintf(stderr, "%s: its tests run with both kinds of rings: --ring=" KINDS "\n", program);
	exit(2);
}

/* Where there is no choice nothing is to be said. */
static bool
wants_packed(const struct program *program, const char *ring, const char *argv0)
{
	if (program->split.nb == 0 || program->packed.nb == 0)
		return program->packed.nb != 0;
	if (ring == NULL || (strcmp(ring, "split") != 0 && strcmp(ring, "packed") != 0))
		wrong_ring(argv0);
	return strcmp(ring, "packed") == 0;
}

int
program_run(const struct program *program, int argc, char **argv)
{
	bool has_choice = program->split.nb != 0 && program->packed.nb != 0;
	struct test_options options = test_options_parse(argc, argv, has_choice ? KINDS : NULL);
	struct program_tests tests;
	struct CMUnitTest *selected;
	char name[64];
	int ret;

	rig_packed = wants_packed(program, options.ring, argv[0]);
	tests = rig_packed ? program->packed : program->split;
	selected = select_tests(&options, tests.tests, &tests.nb);
	snprintf(name, sizeof(name), "%s%s", program->name,
			!has_choice                ? "" :
					rig_packed ? "/packed" :
						     "/split");
	eal_start(program->name);
	event_thread_start(port_rig_folder());
	ret = _cmocka_run_group_tests(name, selected, tests.nb, program->group_setup,
			program->group_teardown);
	event_thread_stop();
	eal_stop();
	port_rig_remove_folder();
	free(selected);
	return ret;
}
