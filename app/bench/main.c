/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dirtylog-bench: VMM and guest of a vhost-user-net back-end, at the other end of its
 * socket. It measures the packet rate while the guest migrates, and compares all memory
 * afterwards. Nothing in it knows which back-end that is.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cycles.h"
#include "frontend.h"
#include "guest.h"
#include "guest_cpu.h"
#include "mark_check.h"
#include "migration.h"
#include "monitor.h"
#include "options.h"
#include "page_mover.h"
#include "report.h"

#define TOUCH_NS 3000000000ull
#define TOUCH_STEP_NS 5000000ull

enum { EXIT_LOST = 1, EXIT_USAGE = 2, EXIT_BACK_END = 3, EXIT_MACHINE = 4, EXIT_UNSUPPORTED = 5 };

/* All that a run consists of; it lives as long as the process. */
struct bench {
	struct options o;
	struct guest guest;
	struct frontend frontend;
	struct page_mover mover;
	struct mark_check check;
	struct guest_cpus cpus;
	struct monitor monitor;
	struct migration migration;
	struct results results;
};

/* The guest, its rings filled, and what watches its memory. */
static int
create_guest(struct bench *b)
{
	struct guest *g = &b->guest;
	struct guest_config config;
	unsigned int i;
	int ret;

	options_guest(&b->o, &config);
	ret = guest_create(g, &config);
	if (ret == 0)
		ret = page_mover_create(&b->mover, &g->ram);
	if (ret == 0)
		ret = mark_check_create(&b->check, g->queues, g->n_queues, b->mover.words);
	if (ret < 0)
		return ret;
	for (i = 0; i < g->n_queues; i++)
		g->queues[i].guest_wrote = b->mover.guest_wrote;
	guest_fill(g);
	return 0;
}

static int
connect_guest(struct bench *b)
{
	struct frontend_config config;
	int ret;

	options_frontend(&b->o, &config);
	ret = frontend_connect(&b->frontend, &b->guest, &config);
	if (ret == -ENOTSUP && config.migrates && !frontend_can_log(&b->frontend))
		warnx("--no-migrate measures it without a migration");
	return ret < 0 ? ret : frontend_start(&b->frontend);
}

static bool
used_all_buffers(const struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->n_queues; i++) {
		const struct guest_queue *q = &g->queues[i];

		if (q->active &&
				__atomic_load_n(&q->packets, __ATOMIC_RELAXED) <
						g->config.buffers.n)
			return false;
	}
	return true;
}

/*
 * The first packet through a page of guest memory is a page fault in the back-end, and costs
 * many times what others do: each buffer is used once before a rate counts, or for a while.
 */
static int
warm_up(struct bench *b)
{
	const uint64_t began = now_ns();
	int ret;

	monitor_phase(&b->monitor, PHASE_WARMUP, "first packets");
	ret = monitor_command(&b->monitor, GUEST_RUN, 0);
	if (ret == 0)
		ret = monitor_first_packets(&b->monitor);
	if (ret == 0)
		ret = monitor_wait(&b->monitor, now_ns() + b->o.warmup_ms * 1000000ull, -1);
	while (ret == 0 && !used_all_buffers(&b->guest) && now_ns() - began < TOUCH_NS)
		ret = monitor_wait(&b->monitor, now_ns() + TOUCH_STEP_NS, -1);
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
	ret = warm_up(b);
	if (ret == 0)
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
	ret = connect_guest(b);
	if (ret < 0)
		return ret;
	b->results.features = b->frontend.features;
	b->results.protocol_features = b->frontend.protocol_features;
	b->results.ram_mib = b->guest.ram.size >> 20;

	b->monitor = (struct monitor){
		.frontend = &b->frontend,
		.cpus = &b->cpus,
		.results = &b->results,
		.step = "start",
		.progress = !b->o.quiet && isatty(STDERR_FILENO),
	};
	b->migration = (struct migration){
		.o = &b->o,
		.frontend = &b->frontend,
		.cpus = &b->cpus,
		.mover = &b->mover,
		.check = &b->check,
		.monitor = &b->monitor,
		.results = &b->results,
	};
	ret = guest_cpus_start(&b->cpus, &b->o, b->guest.queues, b->guest.n_queues, &b->mover);
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
	case -EEXIST:
	case -EADDRINUSE:
	case -ENAMETOOLONG:
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
	static struct bench b = { .frontend.vu.fd = -1 };
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
