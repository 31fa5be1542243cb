/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cycles.h"
#include "guest_cpu.h"

/* While rings keep a CPU busy, pages are moved at each such turn. */
#define TURNS_PER_STEP 8

/* A new epoch: used entries seen from now on belong to the next harvest. */
static void
enter_epoch(struct guest_cpu *c, uint64_t epoch)
{
	uint32_t poison = __atomic_load_n(&c->control->poison, __ATOMIC_RELAXED);
	unsigned int i;

	for (i = 0; i < c->n_queues; i++) {
		c->queues[i]->seen_now = c->queues[i]->seen[epoch % SEEN_SETS];
		c->queues[i]->poison_left = poison;
	}
	__atomic_store_n(&c->epoch_seen, epoch, __ATOMIC_RELEASE);
}

static unsigned int
poll_queues(struct guest_cpu *c, struct cpu_phase_stats *stats, uint64_t now, bool was_away)
{
	enum phase phase = (enum phase)(stats - c->stats);
	unsigned int i, n, all = 0;
	struct guest_queue *q;

	for (i = 0; i < c->n_queues; i++) {
		q = c->queues[i];
		if (!q->active)
			continue;
		n = guest_queue_poll(q, phase);
		if (n == 0)
			continue;
		/* A gap that this thread made itself says nothing about the back-end. */
		if (!was_away)
			gap_add(&q->stats[phase].gaps, now - q->last_work);
		q->last_work = now;
		all += n;
	}
	return all;
}

static void
run(struct guest_cpu *c)
{
	const struct guest_control *control = c->control;
	unsigned int since_step = 0, n = 0;
	uint64_t last = cycles(), now, epoch;
	struct cpu_phase_stats *stats;
	bool was_away = true;
	int command;

	for (;;) {
		command = __atomic_load_n(&control->command, __ATOMIC_ACQUIRE);
		epoch = __atomic_load_n(&control->epoch, __ATOMIC_ACQUIRE);
		if (epoch != c->epoch_seen)
			enter_epoch(c, epoch);
		if (command != c->command_seen)
			__atomic_store_n(&c->command_seen, command, __ATOMIC_RELEASE);
		if (command == GUEST_EXIT)
			return;
		if (!c->polls) {
			if (!page_mover_step(c->mover))
				page_mover_wait(c->mover);
			continue;
		}
		if (command == GUEST_PARK) {
			if (c->mover == NULL || !page_mover_step(c->mover))
				cpu_relax();
			last = cycles();
			was_away = true;
			continue;
		}

		stats = &c->stats[__atomic_load_n(&control->phase, __ATOMIC_RELAXED)];
		now = cycles();
		stats->turns++;
		stats->cycles += now - last;
		if (n > 0) {
			stats->busy_turns++;
			stats->busy_cycles += now - last;
		}
		if (now - last > c->away_limit) {
			stats->away_cycles += now - last;
			__atomic_store_n(&c->away, c->away + (now - last), __ATOMIC_RELAXED);
			gap_add(&stats->away, now - last);
			was_away = true;
		}
		last = now;
		n = poll_queues(c, stats, now, was_away);
		if (n > 0)
			was_away = false;
		if (c->mover != NULL && (n == 0 || ++since_step == TURNS_PER_STEP)) {
			since_step = 0;
			if (page_mover_step(c->mover))
				continue;
		}
		if (n == 0)
			cpu_relax();
	}
}

static void *
thread_main(void *arg)
{
	struct guest_cpu *c = arg;

	run(c);
	return NULL;
}

static int
start_one(struct guest_cpu *c)
{
	cpu_set_t set;
	int ret;

	c->stats = calloc(N_PHASES, sizeof(*c->stats));
	if (c->stats == NULL) {
		warn("statistics");
		return -ENOMEM;
	}
	ret = pthread_create(&c->thread, NULL, thread_main, c);
	if (ret != 0) {
		warnx("thread: %s", strerror(ret));
		return -ret;
	}
	c->started = true;
	if (c->cpu == NO_CPU)
		return 0;
	CPU_ZERO(&set);
	CPU_SET(c->cpu, &set);
	ret = pthread_setaffinity_np(c->thread, sizeof(set), &set);
	if (ret != 0)
		warnx("CPU %u: %s", c->cpu, strerror(ret));
	return -ret;
}

int
guest_cpus_start(struct guest_cpus *g, const struct options *o, struct guest_queue *queues,
		unsigned int n_queues, struct page_mover *mover)
{
	unsigned int polling = o->n_cpus > 0 ? o->n_cpus : 1, i;
	int ret;

	if (polling > o->queue_pairs)
		polling = o->queue_pairs;
	g->n = polling + (o->mover_cpu != NO_CPU ? 1 : 0);
	g->cpu = aligned_alloc(128, g->n * sizeof(*g->cpu));
	if (g->cpu == NULL) {
		warn("guest CPUs");
		return -ENOMEM;
	}
	memset(g->cpu, 0, g->n * sizeof(*g->cpu));
	g->control.command = GUEST_PARK;
	g->cycles_per_second = cycles_per_second();
	for (i = 0; i < g->n; i++) {
		struct guest_cpu *c = &g->cpu[i];

		c->polls = i < polling;
		c->cpu = !c->polls ? o->mover_cpu : o->n_cpus > 0 ? o->cpus[i] : NO_CPU;
		c->mover = (o->mover_cpu != NO_CPU ? !c->polls : i == 0) ? mover : NULL;
		c->control = &g->control;
		c->away_limit = g->cycles_per_second / 1000000 * AWAY_US;
		c->command_seen = -1;
		c->queues = calloc(n_queues, sizeof(*c->queues));
		if (c->queues == NULL) {
			warn("guest CPUs");
			return -ENOMEM;
		}
	}
	/* Both queues of a pair belong to one CPU. */
	for (i = 0; i < n_queues; i++) {
		struct guest_cpu *c = &g->cpu[i / 2 % polling];

		c->queues[c->n_queues++] = &queues[i];
	}
	for (i = 0; i < g->n; i++) {
		ret = start_one(&g->cpu[i]);
		if (ret < 0)
			return ret;
	}
	return 0;
}

void
guest_cpus_stop(struct guest_cpus *g)
{
	unsigned int i;

	__atomic_store_n(&g->control.command, GUEST_EXIT, __ATOMIC_RELEASE);
	for (i = 0; g->cpu != NULL && i < g->n; i++)
		if (!g->cpu[i].polls && g->cpu[i].mover != NULL)
			page_mover_wake(g->cpu[i].mover);
	for (i = 0; g->cpu != NULL && i < g->n; i++)
		if (g->cpu[i].started)
			pthread_join(g->cpu[i].thread, NULL);
}

bool
guest_cpus_agree(const struct guest_cpus *g)
{
	int command = __atomic_load_n(&g->control.command, __ATOMIC_ACQUIRE);
	uint64_t epoch = __atomic_load_n(&g->control.epoch, __ATOMIC_ACQUIRE);
	unsigned int i;

	/* A CPU that only moves pages has no part in commands, and may be asleep. */
	for (i = 0; i < g->n; i++)
		if (g->cpu[i].polls &&
				(__atomic_load_n(&g->cpu[i].command_seen,
						 __ATOMIC_ACQUIRE) != command ||
						__atomic_load_n(&g->cpu[i].epoch_seen,
								__ATOMIC_ACQUIRE) != epoch))
			return false;
	return true;
}

uint64_t
guest_cpus_away(const struct guest_cpus *g)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < g->n; i++)
		sum += __atomic_load_n(&g->cpu[i].away, __ATOMIC_RELAXED);
	return sum;
}

unsigned int
guest_cpus_polling(const struct guest_cpus *g)
{
	unsigned int i, n = 0;

	for (i = 0; i < g->n; i++)
		n += g->cpu[i].polls;
	return n;
}
