/* SPDX-License-Identifier: BSD-3-Clause */

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "rig/eal.h"

/* One lcore that may run wherever the program may: "0@(0,1,...)". */
static void
name_lcores(char *text, size_t len)
{
	size_t at = (size_t)snprintf(text, len, "0@(");
	cpu_set_t set;
	int cpu, n = 0;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	for (cpu = 0; cpu < CPU_SETSIZE && at + 8 < len; cpu++)
		if (CPU_ISSET(cpu, &set))
			at += (size_t)snprintf(text + at, len - at, n++ == 0 ? "%d" : ",%d", cpu);
	snprintf(text + at, len - at, ")");
}

void
eal_start(const char *program)
{
	eal_start_with(program, "64");
}

void
eal_start_with(const char *program, const char *megabytes)
{
	char name[64], prefix[64], lcores[256], memory[16];
	char *args[] = {
		name,
		"--no-huge",
		"-m",
		memory,
		"--no-pci",
		"--no-telemetry",
		"--no-shconf",
		"--lcores",
		lcores,
		"--log-level",
		"*:error",
		"--log-level",
		"pmd.net.dirtylog:info",
		"--log-level",
		"lib.dirtylog:info",
		"--file-prefix",
		prefix,
		NULL,
	};

	snprintf(name, sizeof(name), "%s", program);
	snprintf(memory, sizeof(memory), "%s", megabytes);
	name_lcores(lcores, sizeof(lcores));
	snprintf(prefix, sizeof(prefix), "dirtylog-%s-%d", program, (int)getpid());
	/* What the driver says goes to stderr at once, not into a buffer. */
	rte_openlog_stream(stderr);
	if (rte_eal_init((int)(sizeof(args) / sizeof(args[0]) - 1), args) < 0) {
		fprintf(stderr, "%s: the EAL does not start: %s\n", program,
				rte_strerror(rte_errno));
		exit(1);
	}
}

void
eal_stop(void)
{
	char folder[128];

	snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	/* Empty by now; the EAL leaves it. */
	rmdir(folder);
}
