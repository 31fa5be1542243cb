/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_common.h>

#include "scratch.h"

/* What can be in it, the innermost first; the folder itself is the last. */
static char paths[6][128];

/* For a signal handler: nothing but system calls. */
static void
remove_all(void)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(paths); i++)
		if (paths[i][0] != '\0' && unlink(paths[i]) != 0)
			rmdir(paths[i]);
}

static void
end(int number)
{
	remove_all();
	/* Its action is the default again. */
	raise(number);
}

static void
remove_at_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	const struct sigaction action = { .sa_handler = end, .sa_flags = (int)SA_RESETHAND };
	struct sigaction before;
	unsigned int i;

	for (i = 0; i < RTE_DIM(numbers); i++) {
		/* nohup's choice, and that of a shell for what runs in the background */
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
	}
}

int
scratch_make(struct port_bench *b)
{
	const char *tmp = getenv("TMPDIR");
	unsigned int i;

	snprintf(b->folder, sizeof(b->folder), "%s/port-bench.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(b->folder) == NULL) {
		warn("%s", b->folder);
		return -errno;
	}
	for (i = 0; i < NB_DRIVERS; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", b->folder, driver_names[i]);
	snprintf(paths[i++], sizeof(paths[0]), "%s/poke", b->folder);
	/* The EAL makes these. */
	snprintf(b->file_prefix, sizeof(b->file_prefix), "port-bench-%d", (int)getpid());
	snprintf(paths[i++], sizeof(paths[0]), "%s/dpdk/%s", b->folder, b->file_prefix);
	snprintf(paths[i++], sizeof(paths[0]), "%s/dpdk", b->folder);
	snprintf(paths[i], sizeof(paths[0]), "%s", b->folder);
	setenv("RUNTIME_DIRECTORY", b->folder, 1);
	remove_at_signals();
	return 0;
}

void
scratch_remove(void)
{
	remove_all();
}
