/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Swap latency: a guest of 64 GiB whose front-end sends a fresh log of 2 MiB
 * with each SET_LOG_BASE, as Cloud Hypervisor does on every iteration, while a
 * queue marks without a pause. Measured is what stands between the message and
 * its reply: the library's handler, fed as librte_vhost feeds it (its
 * functions are this program's, linked with --wrap). Also what the queue
 * notices: bursts turned away, and the longest time between two.
 */

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_log.h>

#include "dirtylog_vhost.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "vhost_msg.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define GUEST (UINT64_C(64) << 30)
#define LOG_LEN (GUEST / PAGE / 8)
#define MAX_SWAPS 100000
#define VID 0
#define BURST 32

/* As librte_vhost of 22.11 lays a message out. */
struct message {
	struct librte_msg msg;
	struct librte_msg_fds fds;
};

static struct rte_vhost_user_extern_ops handlers;

int __wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const *const ops, void *ctx);
const char *__wrap_rte_version(void);

int
__wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const *const ops, void *ctx)
{
	(void)vid;
	(void)ctx;
	handlers = *ops;
	return 0;
}

const char *
__wrap_rte_version(void)
{
	return "DPDK 22.11.11";
}

static const struct dirtylog_vhost_ops no_ops;

struct queue {
	struct dirtylog_marker marker;
	struct dirtylog_bitmap *bitmap;
	pthread_t thread;
	bool quit;
	uint64_t bursts, turned_away;
	double longest_us;
};

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint64_t
draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Bursts of random pages of the whole guest: the worst for the log's caches. */
static void *
mark_without_a_pause(void *arg)
{
	struct queue *queue = arg;
	uint64_t random = 88172645463325252;
	double last = now_us(), now;
	unsigned int i;

	while (!__atomic_load_n(&queue->quit, __ATOMIC_ACQUIRE)) {
		if (!dirtylog_burst_begin(&queue->marker)) {
			queue->turned_away++;
			continue;
		}
		for (i = 0; i < BURST; i++)
			dirtylog_mark(&queue->marker, queue->bitmap,
					draw(&random) % (GUEST / PAGE) * PAGE, 1);
		dirtylog_burst_end(&queue->marker);
		queue->bursts++;
		now = now_us();
		if (now - last > queue->longest_us)
			queue->longest_us = now - last;
		last = now;
	}
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench_swap: %s failed\n", what);
	exit(EXIT_FAILURE);
}

/* One SET_LOG_BASE; the time in microseconds from the message to its reply. */
static double
swap(struct frontend_log *log)
{
	static struct message message;
	double begin;

	message = (struct message){
		.msg = { .request = VHOST_USER_SET_LOG_BASE,
				.flags = 1,
				.size = 16,
				.payload.log = { .size = log->len, .offset = log->offset } },
		.fds = { .fds = { dup(log->fd), -1, -1, -1, -1, -1, -1, -1 }, .nb_fds = 1 },
	};
	begin = now_us();
	require(handlers.pre_msg_handle(VID, &message) == RTE_VHOST_MSG_RESULT_REPLY,
			"SET_LOG_BASE");
	return now_us() - begin;
}

static void
measure(const char *name, unsigned int swaps, enum dirtylog_placement placement, bool huge,
		bool touched)
{
	const struct dirtylog_options options = {
		.placement = placement,
		.max_memory = GUEST,
	};
	const struct dirtylog_region region = { .len = GUEST };
	struct queue *queue = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*queue));
	static double latencies[MAX_SWAPS];
	struct dirtylog *dl;
	struct dirtylog_vhost *vhost;
	struct frontend_log logs[2];
	unsigned int i;

	require(queue != NULL, "malloc");
	memset(queue, 0, sizeof(*queue));
	require(dirtylog_create("bench", &dl) == 0, "creating the log state");
	require(dirtylog_configure(dl, &options) == 0, "configure");
	dirtylog_add_queue(dl, &queue->marker);
	require(dirtylog_set_regions(dl, &region, 1) == 0, "set_regions");
	require(dirtylog_vhost_attach(VID, dl, &no_ops, NULL, &vhost) == 0, "attach");
	require(dirtylog_set_logging(dl, true) == 0, "logging");
	queue->bitmap = region_bitmap(dl, 0);
	require(dirtylog_open(dl, &queue->marker, DIRTYLOG_NO_GPA, 0) == 0, "open");
	require(pthread_create(&queue->thread, NULL, mark_without_a_pause, queue) == 0, "thread");
	for (i = 0; i < swaps; i++) {
		struct frontend_log *log = &logs[i % 2];
		int ret;

		if (i >= 2)
			frontend_log_destroy(log);
		ret = huge ? frontend_log_create_huge(log, 0, LOG_LEN) :
			     frontend_log_create(log, LOG_LEN);
		if (ret < 0 && huge && i == 0) {
			printf("%-28s SKIPPED: no free huge pages\n", name);
			break;
		}
		require(ret == 0, "a log");
		/* Whether the front-end has written it, or leaves that to the first mark. */
		if (touched)
			memset(log->bytes, 0, log->len);
		latencies[i] = swap(log);
	}
	__atomic_store_n(&queue->quit, true, __ATOMIC_RELEASE);
	pthread_join(queue->thread, NULL);
	if (i == swaps) {
		qsort(latencies, swaps, sizeof(latencies[0]), compare);
		printf("%-28s median %7.1f us, p99 %7.1f us, longest %8.1f us; queue: %" PRIu64
		       " bursts, %" PRIu64 " turned away, longest pause %.0f us\n",
				name, latencies[swaps / 2], latencies[swaps * 99 / 100],
				latencies[swaps - 1], queue->bursts, queue->turned_away,
				queue->longest_us);
		frontend_log_destroy(&logs[0]);
		frontend_log_destroy(&logs[1]);
	}
	dirtylog_vhost_detach(vhost);
	dirtylog_remove_queue(dl, &queue->marker);
	dirtylog_destroy(dl);
	free(queue);
}

int
main(int argc, char **argv)
{
	unsigned long nb = argc == 2 ? strtoul(argv[1], NULL, 10) : 3000;
	unsigned int swaps = (unsigned int)nb;

	if (argc > 2 || nb < 2 || nb > MAX_SWAPS) {
		fprintf(stderr, "usage: %s [SWAPS 2..%d]\n", argv[0], MAX_SWAPS);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	rte_log_set_global_level(RTE_LOG_ERR);
	printf("SET_LOG_BASE to reply, 64 GiB guest, fresh log of 2 MiB, %u swaps each:\n", swaps);
	measure("direct, log untouched", swaps, DIRTYLOG_PLACEMENT_DIRECT, false, false);
	measure("direct, log written before", swaps, DIRTYLOG_PLACEMENT_DIRECT, false, true);
	measure("staged, log untouched", swaps, DIRTYLOG_PLACEMENT_STAGED, false, false);
	measure("staged, log written before", swaps, DIRTYLOG_PLACEMENT_STAGED, false, true);
	measure("direct, log in a huge page", swaps, DIRTYLOG_PLACEMENT_DIRECT, true, false);
	measure("staged, log in a huge page", swaps, DIRTYLOG_PLACEMENT_STAGED, true, false);
	return EXIT_SUCCESS;
}
