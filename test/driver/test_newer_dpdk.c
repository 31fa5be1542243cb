/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A DPDK that the library does not know, see other_dpdk.c: where its messages have
 * their descriptors is found before the first port is served, or is not.
 */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_vhost.h>

#include <cmocka.h>

#include "dirtylog_vhost.h"
#include "other_dpdk.h"
#include "rig/event_thread.h"
#include "rig/program.h"
#include "vhost_msg.h"

static size_t
wanted(void)
{
	const char *text = getenv("DIRTYLOG_TEST_FDS_AT");

	assert_non_null(text);
	return strcmp(text, "here") == 0 ? OTHER_DPDK_REAL_AT : strtoul(text, NULL, 10);
}

/* Entries of a folder whose names begin so. */
static unsigned int
count_entries(const char *path, const char *beginning)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	unsigned int n = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL)
		n += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
	closedir(folder);
	return n;
}

static void
place_is_found(void **state)
{
	char name[128], folder[64];
	unsigned int fds;

	(void)state;
	snprintf(folder, sizeof(folder), "dirtylog-%d-", (int)getpid());
	/* What librte_vhost has of its own, and for the rig's connection, is there then. */
	event_thread_wake();
	fds = count_entries("/proc/self/fd", "");
	assert_int_equal(dirtylog_message_fds_at(), 0);
	dirtylog_vhost_init();
	assert_int_equal(dirtylog_message_fds_at(), wanted());
	/* Nothing is left of it: no descriptor, no socket, no connection. */
	assert_int_equal(count_entries("/proc/self/fd", ""), fds);
	assert_int_equal(count_entries("/tmp", folder), 0);
	assert_true(rte_vhost_get_ifname(1, name, sizeof(name)) < 0);
	dirtylog_vhost_init();
	assert_int_equal(dirtylog_message_fds_at(), wanted());
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(place_is_found),
	};
	const struct program program = {
		.name = "newer_dpdk",
		.split = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
