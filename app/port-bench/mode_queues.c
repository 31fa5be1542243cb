/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode "queues": two queues of one port, each with a core of its own, and one
 * dirty log. Each core is the guest of its queue too, in turn, so that two cores
 * are enough; the first one also harvests. Beside it the same two cores with work that
 * they do not share: what one core does while the other has work, too, is the machine's.
 */
#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bursts.h"
#include "cycles.h"
#include "rig.h"
#include "worker.h"

#define SIZE 64u
#define START_MS 2 /* until a core's first burst: both are awake by then */
#define WARM_UP_MS 1
#define PER_BLOCK 8u
#define ITEM 64u /* bytes that the machine alone copies at once, within its first-level cache */
#define ITEMS 64u

struct core {
	struct port_bench *b;
	const struct rig *rig;
	uint16_t queue;
	struct harvest *harvest; /* of the first core */
	uint64_t start, cycles;
	uint64_t calls, empty, packets;
} __attribute__((aligned(128)));

struct queues {
	struct port_bench *b;
	struct rig rig;
	struct core cores[2];
	struct turns turns;
};

static int
run_core(void *arg)
{
	struct core *c = arg;
	struct guest_queue *guest = &c->rig->guest.queues[2 * c->queue];
	const uint64_t warm = c->start - WARM_UP_MS * c->b->cycles_per_ms,
		       end = c->start + c->cycles;
	struct rte_mbuf *mbufs[BURST];
	unsigned int have = 0;
	uint64_t now, last;
	bool counts;
	uint16_t n;

	while (rte_rdtsc() < warm)
		;
	for (last = warm; (now = rte_rdtsc()) < end; last = now) {
		counts = now >= c->start;
		if (have == 0) {
			if (bursts_alloc(c->b->pool, mbufs, BURST, SIZE) < 0)
				return -ENOMEM;
			have = BURST;
		}
		n = rte_eth_tx_burst(c->rig->port, c->queue, mbufs + BURST - have, (uint16_t)have);
		have -= n;
		guest_queue_poll(guest, 0);
		harvest_step(c->harvest, now - last);
		c->packets += counts ? n : 0u;
		c->calls += counts;
		c->empty += counts && n == 0;
	}
	rte_pktmbuf_free_bulk(mbufs + BURST - have, have);
	return 0;
}

static int
run_machine(void *arg)
{
	struct core *c = arg;
	const uint64_t end = c->start + c->cycles;
	uint8_t from[ITEMS][ITEM], to[ITEMS][ITEM];
	unsigned int i;

	memset(from, 1, sizeof(from));
	while (rte_rdtsc() < c->start)
		;
	while (rte_rdtsc() < end) {
		for (i = 0; i < ITEMS; i++)
			memcpy(to[i], from[i], ITEM);
		/* Not to be optimised away. */
		__asm__ volatile("" : : "r"(to), "r"(from) : "memory");
		c->packets += ITEMS;
		c->calls++;
	}
	return 0;
}

static int
run_cores(struct queues *q, bool machine, unsigned int n, struct turn *turn)
{
	static const unsigned int lcores[2] = { LCORE_BURSTS, LCORE_GUEST };
	static const char *const names[2][2] = { { "one", "two" },
		{ "machine one", "machine two" } };
	const uint64_t start = rte_rdtsc() + START_MS * q->b->cycles_per_ms;
	unsigned int i, started = 0;
	bool dry = false;
	int ret = 0, end;

	*turn = (struct turn){ .who = names[machine][n - 1], .cycles = q->turns.cycles };
	for (i = 0; ret == 0 && i < n; i++) {
		q->cores[i] = (struct core){
			.b = q->b,
			.rig = &q->rig,
			.queue = (uint16_t)i,
			.start = start,
			.cycles = q->turns.cycles,
			.harvest = i == 0 ? &q->rig.harvest : NULL,
		};
		ret = worker_start(lcores[i], machine ? run_machine : run_core, &q->cores[i]);
		started += ret == 0;
	}
	/* This thread has its CPU from one of them: it sleeps meanwhile. */
	sleep_us((unsigned int)((double)(START_MS * q->b->cycles_per_ms + q->turns.cycles) /
			q->b->hz * 1e6));
	for (i = 0; i < started; i++) {
		end = worker_wait(lcores[i]);
		ret = ret < 0 ? ret : end;
		turn->packets += q->cores[i].packets;
		turn->calls += q->cores[i].calls;
		turn->empty += q->cores[i].empty;
		dry |= q->cores[i].packets == 0;
	}
	/* Each of them must have moved some. */
	if (dry)
		turn->packets = 0;
	return ret;
}

static int
take_turn(struct queues *q, bool machine, unsigned int n, struct turn *turn)
{
	const char *name = machine ? "the machine" : q->rig.driver;
	const uint64_t began = now_ns();
	unsigned int repeated = 0;
	int ret;

	do {
		ret = run_cores(q, machine, n, turn);
		if (ret == 0)
			ret = turns_check(turn, name, began, &repeated);
	} while (ret > 0);
	return ret;
}

/* See turns_touch(): both queues' buffers. */
static int
touch_buffers(struct queues *q)
{
	const uint64_t began = now_ns();
	uint64_t least = 0;
	struct turn turn;
	int ret;

	do {
		ret = run_cores(q, false, 2, &turn);
		least += q->cores[0].packets < q->cores[1].packets ? q->cores[0].packets :
								     q->cores[1].packets;
	} while (ret == 0 && turns_touch(least, q->rig.guest.config.buffers.n, began));
	return ret;
}

static int
one_setting(struct queues *q, bool log, const char *comma)
{
	static const struct {
		bool machine;
		unsigned int n;
	} order[PER_BLOCK] = {
		{ true, 1 },
		{ false, 1 },
		{ false, 2 },
		{ true, 2 },
		{ true, 2 },
		{ false, 2 },
		{ false, 1 },
		{ true, 1 },
	};
	const struct guest_config *guest = &q->rig.guest.config;
	FILE *out = q->b->out;
	struct turns *t = &q->turns;
	int ret = 0;

	for (t->n = 0; ret == 0 && t->n < t->blocks * t->per_block; t->n++)
		ret = take_turn(q, order[t->n % PER_BLOCK].machine, order[t->n % PER_BLOCK].n,
				&t->turn[t->n]);
	if (ret < 0)
		return ret;
	fprintf(out, "%s\n    {\"ring\": \"%s\", \"buffers\": %u, \"log\": %s, \"driver\": \"%s\", ",
			comma, ring_name(guest->ring.packed), guest->buffers.n, json_bool(log),
			q->rig.driver);
	turns_print(t, q->b);
	fprintf(out, "}");
	return 0;
}

int
mode_queues(struct port_bench *b)
{
	const unsigned int n_buffers = b->settings.quick ? 1 : 2;
	const unsigned int n = 2 * n_buffers * NB_DRIVERS;
	static struct queues q;
	const char *comma = "";
	unsigned int i, log;
	int ret = 0, closed;

	q.b = b;
	turns_plan(&q.turns, b, 2 * n, PER_BLOCK);
	fprintf(b->out, "  \"queues\": [");
	for (i = 0; ret == 0 && i < n; i++) {
		const unsigned int buffers = i / NB_DRIVERS / 2 == 0 ? FEW_BUFFERS : MANY_BUFFERS;
		struct guest_config config = guest_config(b, i / NB_DRIVERS % 2, DIRECTION_RX,
				buffers, SIZE);

		config.queue_pairs = 2;
		ret = rig_open(&q.rig, b, i % NB_DRIVERS, &config);
		if (ret == 0)
			ret = touch_buffers(&q);
		for (log = 0; ret == 0 && log < 2; log++, comma = ",") {
			ret = rig_logging(&q.rig, b, log);
			if (ret == 0)
				ret = one_setting(&q, log, comma);
		}
		closed = rig_close(&q.rig);
		if (ret == 0)
			ret = closed;
	}
	fprintf(b->out, "],\n");
	return ret;
}
