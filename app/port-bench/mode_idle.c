/* SPDX-License-Identifier: BSD-3-Clause */
/* Mode "idle": what a poll costs that finds nothing to receive, or no buffer to send into. */
#include <err.h>
#include <errno.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bursts.h"
#include "cycles.h"
#include "rig.h"
#include "worker.h"

#define SIZE 64u
#define EMPTY_POLLS 1000u /* after so many in a row the port is idle */
#define LIMIT_NS 2000000000ull

/* No guest polls: what it posted is used up once, and then nothing changes any more. */
struct idle {
	struct port_bench *b;
	struct rig rigs[NB_DRIVERS];
	struct turns turns;
	bool tx;
};

/* One burst of either kind; mbufs are whole before and after it. */
static inline int
poll_once(const struct idle *s, const struct rig *r, struct rte_mbuf **mbufs, uint16_t *moved)
{
	if (s->tx) {
		struct rte_mbuf *got[BURST];

		*moved = rte_eth_rx_burst(r->port, 0, got, BURST);
		if (*moved > 0)
			rte_pktmbuf_free_bulk(got, *moved);
		return 0;
	}
	*moved = rte_eth_tx_burst(r->port, 0, mbufs, BURST);
	return *moved > 0 ? bursts_alloc(s->b->pool, mbufs, *moved, SIZE) : 0;
}

static int
use_up(const struct idle *s, const struct rig *r, struct rte_mbuf **mbufs)
{
	uint64_t deadline = now_ns() + LIMIT_NS;
	unsigned int empty = 0;
	uint16_t moved;
	int ret;

	while (empty < EMPTY_POLLS) {
		ret = poll_once(s, r, mbufs, &moved);
		if (ret < 0)
			return ret;
		empty = moved > 0 ? 0 : empty + 1;
		if (moved > 0 && now_ns() > deadline) {
			warnx("%s: moves packets without end, and no guest is there", r->driver);
			return -EPROTO;
		}
	}
	return 0;
}

static int
take_turn(const struct idle *s, const struct rig *r, struct rte_mbuf **mbufs,
		uint64_t cycles_wanted, struct turn *turn)
{
	const uint64_t start = cycles();
	unsigned int i;
	uint16_t moved;
	int ret;

	*turn = (struct turn){ .who = r->driver };
	do {
		for (i = 0; i < 64; i++) {
			ret = poll_once(s, r, mbufs, &moved);
			if (ret < 0)
				return ret;
			turn->calls++;
			turn->packets += moved;
		}
		turn->cycles = cycles() - start;
	} while (turn->cycles < cycles_wanted);
	turn->empty = turn->calls;
	if (turn->packets == 0)
		return 0;
	warnx("%s: packets out of an idle ring", r->driver);
	return -EPROTO;
}

static int
all_turns(void *arg)
{
	struct idle *s = arg;
	struct turns *t = &s->turns;
	struct rte_mbuf *mbufs[BURST];
	unsigned int i;
	int ret;

	ret = bursts_alloc(s->b->pool, mbufs, BURST, SIZE);
	if (ret < 0)
		return ret;
	for (i = 0; ret == 0 && i < NB_DRIVERS; i++)
		ret = use_up(s, &s->rigs[i], mbufs);
	for (t->n = 0; ret == 0 && t->n < t->blocks * t->per_block; t->n++)
		ret = take_turn(s, &s->rigs[turns_whose(t->n)], mbufs, t->cycles, &t->turn[t->n]);
	rte_pktmbuf_free_bulk(mbufs, BURST);
	return ret;
}

int
mode_idle(struct port_bench *b)
{
	static struct idle s;
	const char *comma = "";
	int packed, way, ret = 0, closed;

	s.b = b;
	turns_plan(&s.turns, b, 8, 4);
	fprintf(b->out, "  \"idle\": [");
	for (packed = 0; ret == 0 && packed < 2; packed++) {
		const struct guest_config config = guest_config(b, packed, DIRECTION_BOTH,
				FEW_BUFFERS, SIZE);

		ret = rigs_open(s.rigs, b, &config);
		for (way = 0; ret == 0 && way < 4; way++, comma = ",") {
			if (way % 2 == 0)
				ret = rigs_logging(s.rigs, b, way >= 2);
			s.tx = way % 2;
			if (ret == 0)
				ret = worker_run(LCORE_BURSTS, all_turns, &s);
			if (ret < 0)
				break;
			fprintf(b->out, "%s\n    {\"ring\": \"%s\", \"poll\": \"%s\", \"log\": %s, ",
					comma, ring_name(packed), s.tx ? "rx_burst" : "tx_burst",
					json_bool(way >= 2));
			turns_print(&s.turns, b);
			fprintf(b->out, "}");
		}
		closed = rigs_close(s.rigs, NULL);
		if (ret == 0)
			ret = closed;
	}
	fprintf(b->out, "],\n");
	return ret;
}
