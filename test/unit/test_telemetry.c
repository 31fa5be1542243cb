/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what an operator gets from DPDK's telemetry: /dirtylog/list and
 * /dirtylog/info,VID, asked for over the socket of an EAL that runs, in a
 * folder of the test's own. The connections are played: librte_vhost knows of
 * none (linked with --wrap).
 */

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cmocka.h>

#include <rte_eal.h>

#include "dirtylog_vhost.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "test_program.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define PAGES 6400

int __wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const *const ops, void *ctx);

int
__wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const *const ops, void *ctx)
{
	(void)vid;
	(void)ops;
	(void)ctx;
	return 0;
}

int __wrap_rte_vhost_get_ifname(int vid, char *buf, size_t len);

int
__wrap_rte_vhost_get_ifname(int vid, char *buf, size_t len)
{
	return snprintf(buf, len, "/run/%d", vid) < (int)len ? 0 : -1;
}

static const struct dirtylog_vhost_ops no_ops;

/* The operator's end of the socket. */
static int client = -1;

static void
answer_to(const char *question, char *answer, size_t len)
{
	ssize_t got;

	assert_int_equal(send(client, question, strlen(question), 0), strlen(question));
	got = recv(client, answer, len - 1, 0);
	assert_true(got > 0);
	answer[got] = '\0';
}

static void
answer_is(const char *question, const char *expected)
{
	char answer[4096];

	answer_to(question, answer, sizeof(answer));
	assert_string_equal(answer, expected);
}

/* What stands behind a name in the answer. */
static uint64_t
value_in(const char *answer, const char *name)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = strstr(answer, quoted);
	if (at == NULL)
		fail_msg("no %s in %s", quoted, answer);
	return strtoull(at + strlen(quoted), NULL, 10);
}

static void
nobody_attached(void **state)
{
	(void)state;
	answer_is("/dirtylog/list", "{\"/dirtylog/list\":{}}");
	answer_is("/dirtylog/info,0", "{\"/dirtylog/info\":null}");
}

static void
help(void **state)
{
	char answer[4096];

	(void)state;
	answer_to("/", answer, sizeof(answer));
	assert_non_null(strstr(answer, "\"/dirtylog/list\""));
	assert_non_null(strstr(answer, "\"/dirtylog/info\""));
	answer_to("/help,/dirtylog/info", answer, sizeof(answer));
	assert_non_null(strstr(answer, "vid"));
}

/* An entry of the list; no driver has this library in it. */
#define ENTRY(vid) "\"" #vid "\":{\"socket\":\"/run/" #vid "\",\"door\":\"libdirtylog\"}"

static void
connections(void **state)
{
	static const int vids[] = { 7, 0, DIRTYLOG_MAX_VIDS - 1 };
	struct dirtylog_vhost *vhosts[3];
	struct dirtylog *dl;
	struct dirtylog_stats stats;
	unsigned int i;

	(void)state;
	assert_int_equal(dirtylog_create("unit", &dl), 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(dirtylog_vhost_attach(vids[i], dl, &no_ops, NULL, &vhosts[i]), 0);
	answer_is("/dirtylog/list",
			"{\"/dirtylog/list\":{" ENTRY(0) "," ENTRY(7) "," ENTRY(1023) "}}");
	answer_is("/dirtylog/list,7", "{\"/dirtylog/list\":{" ENTRY(7) "," ENTRY(1023) "}}");
	answer_is("/dirtylog/list,8", "{\"/dirtylog/list\":{" ENTRY(1023) "}}");
	answer_is("/dirtylog/list,1024", "{\"/dirtylog/list\":{}}");
	assert_int_equal(dirtylog_vhost_get_stats(7, &stats), 0);
	dirtylog_vhost_detach(vhosts[0]);
	answer_is("/dirtylog/list", "{\"/dirtylog/list\":{" ENTRY(0) "," ENTRY(1023) "}}");
	answer_is("/dirtylog/info,7", "{\"/dirtylog/info\":null}");
	assert_int_equal(dirtylog_vhost_get_stats(7, &stats), -ENODEV);
	assert_int_equal(dirtylog_vhost_get_stats(-1, &stats), -ENODEV);
	assert_int_equal(dirtylog_vhost_get_stats(DIRTYLOG_MAX_VIDS, &stats), -ENODEV);
	dirtylog_vhost_detach(vhosts[1]);
	dirtylog_vhost_detach(vhosts[2]);
	dirtylog_destroy(dl);
}

static void
bad_parameters(void **state)
{
	static const char *const questions[] = {
		"/dirtylog/info",
		"/dirtylog/info,",
		"/dirtylog/info,x",
		"/dirtylog/info,7x",
		"/dirtylog/info,-1",
		"/dirtylog/info,1024",
		"/dirtylog/info,99999999999999999999",
		"/dirtylog/info,-99999999999999999999",
		"/dirtylog/info,7,7",
	};
	struct dirtylog_vhost *vhost;
	struct dirtylog *dl;
	unsigned int i;

	(void)state;
	assert_int_equal(dirtylog_create("unit", &dl), 0);
	assert_int_equal(dirtylog_vhost_attach(7, dl, &no_ops, NULL, &vhost), 0);
	for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		answer_is(questions[i], "{\"/dirtylog/info\":null}");
	dirtylog_vhost_detach(vhost);
	dirtylog_destroy(dl);
}

static void
counters(void **state)
{
	const struct dirtylog_options options = {
		.placement = DIRTYLOG_PLACEMENT_STAGED,
		.drain_us = 4000000000u,
	};
	const struct dirtylog_region region = { .len = PAGES * PAGE };
	struct dirtylog_marker *marker = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*marker));
	struct dirtylog_vhost *vhost;
	struct dirtylog *dl;
	struct frontend_log log;
	struct dirtylog_shm *shm;
	char answer[4096];
	unsigned int i;

	(void)state;
	assert_non_null(marker);
	memset(marker, 0, sizeof(*marker));
	assert_int_equal(dirtylog_create("unit", &dl), 0);
	assert_int_equal(dirtylog_configure(dl, &options), 0);
	assert_int_equal(dirtylog_vhost_attach(3, dl, &no_ops, NULL, &vhost), 0);
	dirtylog_add_queue(dl, marker);
	assert_int_equal(dirtylog_set_regions(dl, &region, 1), 0);
	answer_to("/dirtylog/info,3", answer, sizeof(answer));
	assert_int_equal(value_in(answer, "logging"), 0);
	assert_int_equal(value_in(answer, "marks"), 0);

	assert_int_equal(frontend_log_create(&log, PAGES / 8), 0);
	assert_int_equal(dirtylog_shm_map(log.fd, 0, PAGES / 8 - 1, &shm), 0);
	assert_int_equal(dirtylog_set_log(dl, shm), -ERANGE);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_shm_map(log.fd, 0, PAGES / 8, &shm), 0);
	assert_int_equal(dirtylog_set_log(dl, shm), 0);
	assert_int_equal(dirtylog_set_logging(dl, true), 0);
	assert_int_equal(dirtylog_open(dl, marker, DIRTYLOG_NO_GPA, 0), 0);
	for (i = 0; i < 2; i++) {
		dirtylog_burst_begin(marker);
		dirtylog_mark(marker, region_bitmap(dl, 0), 0, 5 * PAGE);
		dirtylog_mark(marker, region_bitmap(dl, 0), 9 * PAGE, 1);
		dirtylog_mark(marker, region_bitmap(dl, 0), 640 * PAGE, 1);
		dirtylog_burst_end(marker);
	}
	dirtylog_close(dl, marker);
	usleep(120 * 1000); /* a rate has a window */
	answer_to("/dirtylog/info,3", answer, sizeof(answer));
	assert_int_equal(strncmp(answer, "{\"/dirtylog/info\":{", 19), 0);
	assert_int_equal(value_in(answer, "logging"), 1);
	assert_int_equal(value_in(answer, "marks"), 6);
	assert_int_equal(value_in(answer, "words_tested"), 4);
	assert_int_equal(value_in(answer, "words_written"), 2);
	assert_int_equal(value_in(answer, "pages_dirtied"), 0);
	assert_int_equal(value_in(answer, "pages_drained"), 7);
	assert_int_equal(value_in(answer, "drains"), 1);
	assert_int_equal(value_in(answer, "swaps"), 1);
	assert_int_equal(value_in(answer, "refused_logs"), 1);
	assert_int_equal(value_in(answer, "truncated_logs"), 0);
	assert_int_equal(value_in(answer, "truncated_regions"), 0);
	assert_int_equal(value_in(answer, "refused_regions"), 0);
	assert_int_equal(value_in(answer, "regions_direct"), 0);
	assert_int_equal(value_in(answer, "regions_staged"), 1);
	assert_true(value_in(answer, "dirty_pages_per_second") > 0);
	assert_true(value_in(answer, "dirty_pages_per_second") <= 70);

	/* The only queue's are the device's; there is no other, and no other form. */
	answer_to("/dirtylog/queue,3,0", answer, sizeof(answer));
	assert_int_equal(value_in(answer, "marks"), 6);
	assert_int_equal(value_in(answer, "words_tested"), 4);
	assert_int_equal(value_in(answer, "words_written"), 2);
	assert_int_equal(value_in(answer, "pages_dirtied"), 0);
	answer_is("/dirtylog/queue,3,1", "{\"/dirtylog/queue\":null}");
	answer_is("/dirtylog/queue,3", "{\"/dirtylog/queue\":null}");
	answer_is("/dirtylog/queue,3,0,0", "{\"/dirtylog/queue\":null}");
	answer_is("/dirtylog/queue,4,0", "{\"/dirtylog/queue\":null}");

	dirtylog_vhost_detach(vhost);
	dirtylog_remove_queue(dl, marker);
	dirtylog_destroy(dl);
	dirtylog_shm_unref(shm);
	frontend_log_destroy(&log);
	free(marker);
}

/* Connections come and go while somebody asks. */
static void *
come_and_go(void *arg)
{
	struct dirtylog *dl;
	struct dirtylog_vhost *vhost;
	bool *quit = arg;

	while (!__atomic_load_n(quit, __ATOMIC_ACQUIRE)) {
		if (dirtylog_create("passing", &dl) < 0)
			continue;
		if (dirtylog_vhost_attach(5, dl, &no_ops, NULL, &vhost) == 0) {
			sched_yield();
			dirtylog_vhost_detach(vhost);
		}
		dirtylog_destroy(dl);
	}
	return NULL;
}

static void
asked_while_connections_change(void **state)
{
	char answer[4096];
	pthread_t thread;
	bool quit = false;
	unsigned int i;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, come_and_go, &quit), 0);
	for (i = 0; i < 2000; i++) {
		answer_to("/dirtylog/list", answer, sizeof(answer));
		assert_true(strcmp(answer, "{\"/dirtylog/list\":{}}") == 0 ||
				strcmp(answer, "{\"/dirtylog/list\":{" ENTRY(5) "}}") == 0);
		answer_to("/dirtylog/info,5", answer, sizeof(answer));
		if (strcmp(answer, "{\"/dirtylog/info\":null}") != 0)
			assert_int_equal(value_in(answer, "marks"), 0);
	}
	__atomic_store_n(&quit, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

/* ---- EAL ---- */

static char folder[] = "/tmp/dirtylog-telemetry-XXXXXX";

static int
eal_start(void **state)
{
	struct timeval limit = { .tv_sec = 10 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char cpu[16], banner[1024];
	char *argv[] = {
		(char *)(uintptr_t) "test_telemetry",
		(char *)(uintptr_t) "--no-huge",
		(char *)(uintptr_t) "-m",
		(char *)(uintptr_t) "64",
		(char *)(uintptr_t) "--no-pci",
		(char *)(uintptr_t) "--file-prefix=unit",
		(char *)(uintptr_t) "--log-level=lib.eal:warning",
		(char *)(uintptr_t) "-l",
		cpu,
		NULL,
	};

	(void)state;
	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	if (mkdtemp(folder) == NULL)
		return -1;
	/* Where the EAL puts its socket. */
	setenv("RUNTIME_DIRECTORY", folder, 1);
	if (rte_eal_init(9, argv) < 0)
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/dpdk_telemetry.v2",
			rte_eal_get_runtime_dir());
	client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (client < 0 || setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
			connect(client, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return recv(client, banner, sizeof(banner), 0) > 0 ? 0 : -1;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int
eal_stop(void **state)
{
	(void)state;
	close(client);
	rte_eal_cleanup();
	return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_attached),
		cmocka_unit_test(help),
		cmocka_unit_test(connections),
		cmocka_unit_test(bad_parameters),
		cmocka_unit_test(counters),
		cmocka_unit_test(asked_while_connections_change),
	};

	return run_test_program(argc, argv, "telemetry", tests, eal_start, eal_stop);
}
