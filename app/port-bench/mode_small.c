/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode "small": packets per second in bursts of few packets. */
#include "bursts.h"
#include "cycles.h"
#include "guest_thread.h"
#include "rig.h"
#include "worker.h"

#define SIZE 64u
#define WARM_UP_MS 1 /* after the guest turned to the other port */

struct small {
	struct port_bench *b;
	struct rig rigs[NB_DRIVERS];
	struct guest_thread guest;
	struct guest_work work[NB_DRIVERS];
	struct turns turns;
	unsigned int burst;
	bool tx;
};

static int
make_bursts(struct small *s, const struct rig *r, uint64_t cycles, struct turn *turn)
{
	*turn = (struct turn){ .who = r->driver };
	if (s->tx)
		return bursts_receive(r->port, 0, s->burst, cycles, turn);
	return bursts_send(r->port, 0, s->b->pool, SIZE, s->burst, cycles, turn);
}

static int
take_turn(struct small *s, unsigned int who, struct turn *turn)
{
	const uint64_t began = now_ns();
	const struct rig *r = &s->rigs[who];
	unsigned int repeated = 0;
	int ret;

	do {
		ret = guest_thread_turn_to(&s->guest, &s->work[who]);
		if (ret == 0)
			ret = make_bursts(s, r, WARM_UP_MS * s->b->cycles_per_ms, turn);
		if (ret == 0)
			ret = make_bursts(s, r, s->turns.cycles, turn);
		if (ret == 0)
			ret = turns_check(turn, r->driver, began, &repeated);
	} while (ret > 0);
	return ret;
}

static int
all_turns(void *arg)
{
	struct small *s = arg;
	struct turns *t = &s->turns;
	int ret = 0;

	for (t->n = 0; ret == 0 && t->n < t->blocks * t->per_block; t->n++)
		ret = take_turn(s, turns_whose(t->n), &t->turn[t->n]);
	return ret < 0 ? ret : guest_thread_turn_to(&s->guest, NULL);
}

static int
one_setting(struct small *s, bool packed, bool log, bool tx, unsigned int burst, const char *comma)
{
	struct port_bench *b = s->b;
	unsigned int i;
	int ret;

	s->tx = tx;
	s->burst = burst;
	for (i = 0; i < NB_DRIVERS; i++)
		s->work[i] = (struct guest_work){
			.queue = &s->rigs[i].guest.queues[tx],
			.harvest = &s->rigs[i].harvest,
		};
	ret = worker_run(LCORE_BURSTS, all_turns, s);
	if (ret < 0)
		return ret;
	fprintf(b->out, "%s\n    {\"ring\": \"%s\", \"direction\": \"%s\", \"burst\": %u, \"log\": %s, ",
			comma, ring_name(packed), direction_name(tx), burst, json_bool(log));
	turns_print(&s->turns, b);
	fprintf(b->out, "}");
	return 0;
}

int
mode_small(struct port_bench *b)
{
	static const unsigned int bursts[] = { 1, 2, 3, 4, 32 }, quick[] = { 1, 4, 32 };
	const unsigned int *wanted = b->settings.quick ? quick : bursts;
	const unsigned int n = b->settings.quick ? RTE_DIM(quick) : RTE_DIM(bursts);
	static struct small s;
	unsigned int way, i;
	const char *comma = "";
	int packed, ret, closed;

	s.b = b;
	turns_plan(&s.turns, b, 2 * 2 * 2 * n, 4);
	fprintf(b->out, "  \"small\": [");
	ret = guest_thread_start(&s.guest, b->settings.cpus[0], false);
	for (packed = 0; ret == 0 && packed < 2; packed++) {
		const struct guest_config config = guest_config(b, packed, DIRECTION_BOTH,
				FEW_BUFFERS, SIZE);

		ret = rigs_open(s.rigs, b, &config);
		for (way = 0; ret == 0 && way < 4; way++) {
			if (way % 2 == 0)
				ret = rigs_logging(s.rigs, b, way >= 2);
			for (i = 0; ret == 0 && i < n; i++, comma = ",")
				ret = one_setting(&s, packed, way >= 2, way % 2, wanted[i], comma);
		}
		closed = rigs_close(s.rigs, &s.guest);
		if (ret == 0)
			ret = closed;
	}
	guest_thread_stop(&s.guest);
	fprintf(b->out, "],\n");
	return ret;
}
