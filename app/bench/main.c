/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "buffer_pool.h"
#include "cycles.h"
#include "frontend.h"
#include "guest_cpu.h"
#include "guest_queue.h"
#include "guest_ram.h"
#include "mark_check.h"
#include "migration.h"
#include "monitor.h"
#include "options.h"
#include "page_mover.h"
#include "report.h"

enum { EXIT_LOST = 1, EXIT_USAGE = 2, EXIT_BACK_END = 3, EXIT_MACHINE = 4,
       EXIT_UNSUPPORTED = 5 };

/* All that a run consists of; it lives as long as the process. */
struct bench {
	struct options o;
	struct guest_ram ram;
	struct frontend frontend;
	struct guest_queue *queues;
	unsigned int n_queues;
	struct page_mover mover;
	struct mark_check check;
	struct guest_cpus cpus;
	struct monitor monitor;
	struct migration migration;
	struct results results;
};

/* Guest memory with buffers and rings in it. */
static int
create_guest(struct bench *b)
{
	const struct options *o = &b->o;
	struct buffer_pool *pools;
	bool *sent;
	unsigned int i, n = 0;
	int ret;

	b->n_queues = 2 * o->queue_pairs;
	b->queues = calloc(b->n_queues, sizeof(*b->queues));
	pools = calloc(b->n_queues, sizeof(*pools));
	sent = calloc(b->n_queues, sizeof(*sent));
	if (b->queues == NULL || pools == NULL || sent == NULL) {
		warn("queues");
		ret = -ENOMEM;
		goto out;
	}
	for (i = 0; i < b->n_queues; i++) {
		b->queues[i].active = o->direction == DIRECTION_BOTH ||
			(o->direction == DIRECTION_TX) == (i % 2 == 1);
		if (b->queues[i].active)
			sent[n++] = i % 2 == 1;
	}
	ret = guest_ram_create(&b->ram, o, buffer_pools_need(o, n) + b->n_queues * guest_queue_need(o));
	for (i = 0; ret == 0 && i < b->n_queues; i++)
		ret = guest_queue_create(&b->queues[i], i, &b->ram, o);
	if (ret == 0)
		ret = buffer_pools_create(pools, sent, n, &b->ram, o);
	if (ret == 0)
		ret = page_mover_create(&b->mover, &b->ram);
	if (ret == 0)
		ret = mark_check_create(&b->check, b->queues, b->n_queues, b->mover.words);
	if (ret < 0)
		goto out;
	for (i = 0, n = 0; i < b->n_queues; i++) {
		b->queues[i].guest_wrote = b->mover.guest_wrote;
		if (b->queues[i].active)
			b->queues[i].pool = pools[n++];
		if (b->queues[i].active)
			guest_queue_fill(&b->queues[i]);
	}
out:
	free(pools);
	free(sent);
	return ret;
}

static int
baseline(struct bench *b)
{
	monitor_phase(&b->monitor, PHASE_BASELINE, "baseline, no migration");
	return monitor_wait(&b->monitor, now_ns() + b->o.baseline_ms * 1000000ull, -1);
}

static int
measure(struct bench *b)
{
	const struct options *o = &b->o;
	struct monitor *m = &b->monitor;
	int ret;

	monitor_start(m);
	monitor_phase(m, PHASE_WARMUP, "first packets");
	ret = monitor_command(m, GUEST_RUN, 0);
	if (ret == 0)
		ret = monitor_first_packets(m);
	if (ret == 0)
		ret = monitor_wait(m, now_ns() + o->warmup_ms * 1000000ull, -1);
	if (ret < 0)
		return ret;
	ret = baseline(b);
	if (ret < 0)
		return ret;
	if (!o->migrate) {
		monitor_phase(m, PHASE_STOP, "stop of the rings");
		ret = monitor_command(m, GUEST_PARK, 0);
		return ret < 0 ? ret : frontend_stop(&b->frontend);
	}
	for (;;) {
		m->interval_ms = o->intervals[m->attempt % o->n_intervals];
		ret = migration_run(&b->migration);
		if (ret < 0)
			return ret;
		if (m->attempt == o->cancels)
			return migration_complete(&b->migration);
		ret = migration_cancel(&b->migration);
		/* Again, so that each cancelled migration lies between two of them. */
		if (ret == 0)
			ret = baseline(b);
		if (ret < 0)
			return ret;
	}
}

static int
run(struct bench *b)
{
	int ret;

	ret = create_guest(b);
	if (ret < 0)
		return ret;
	b->frontend.ram = &b->ram;
	b->frontend.queues = b->queues;
	b->frontend.n_queues = b->n_queues;
	ret = frontend_connect(&b->frontend, &b->o);
	if (ret == 0)
		ret = frontend_start(&b->frontend);
	if (ret < 0)
		return ret;
	b->results.features = b->frontend.features;
	b->results.protocol_features = b->frontend.protocol_features;
	b->results.ram_mib = b->ram.size >> 20;

	b->monitor = (struct monitor) {
		.frontend = &b->frontend, .cpus = &b->cpus, .results = &b->results,
		.step = "start", .progress = !b->o.quiet && isatty(STDERR_FILENO),
	};
	b->migration = (struct migration) {
		.o = &b->o, .frontend = &b->frontend, .cpus = &b->cpus, .mover = &b->mover,
		.check = &b->check, .monitor = &b->monitor, .results = &b->results,
	};
	ret = guest_cpus_start(&b->cpus, &b->o, b->queues, b->n_queues, &b->mover);
	if (ret == 0) {
		ret = measure(b);
		monitor_finish(&b->monitor);
	}
	guest_cpus_stop(&b->cpus);
	return ret;
}

static int
exit_status(int ret)
{
	switch (ret) {
	case 0:
		return EXIT_SUCCESS;
	case -EINVAL:
		return EXIT_USAGE;
	case -ENOMEM:
	case -EBUSY:
		return EXIT_MACHINE;
	case -ENOTSUP:
		return EXIT_UNSUPPORTED;
	default:
		return EXIT_BACK_END;
	}
}

int
main(int argc, char **argv)
{
	static struct bench b;
	int ret;

	ret = options_parse(&b.o, argc, argv);
	if (ret != 0)
		return ret > 0 ? EXIT_SUCCESS : EXIT_USAGE;
	ret = run(&b);
	frontend_disconnect(&b.frontend);
	if (ret < 0)
		return exit_status(ret);
	ret = report(&b.o, &b.results);
	if (ret < 0)
		return EXIT_MACHINE;
	return results_pages_lost(&b.results) ? EXIT_LOST : EXIT_SUCCESS;
}
