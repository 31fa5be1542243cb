/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode "count": a fixed number of bursts in each cell, one thread being guest and port
 * in turn. Nothing is timed: what a burst takes is counted from outside, in
 * instructions, and is the same in each run (instructions.py).
 */
#include <err.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include <rte_ethdev.h>

#include "bursts.h"
#include "counted.h"
#include "cycles.h"
#include "rig.h"
#include "worker.h"

#define WARM_UP_LIMIT_NS 20000000000ull
#define WARM_UP_USES 2u /* of each buffer: after them all pages are marked that will be */
/* Random buffers lie in pages all over the guest's memory, so that neighbours share no
 * word of the log. Few, as each is to be used in the warm-up, where all is slow. */
#define SPREAD_BUFFERS 4096u
#define SPREAD_MIB 128u

/* Where buffers lie, and what they are described by. */
enum buffers {
	BUFFERS_RING,   /* one behind the other */
	BUFFERS_RANDOM, /* scattered */
	BUFFERS_TABLE,  /* as the first, each by an indirect table: its header, and the rest */
	NB_BUFFERS
};

struct cell {
	unsigned int size, burst;
	bool packed, tx, log;
	enum buffers buffers;
	uint64_t packets; /* in the bursts that are counted */
};

struct count {
	struct port_bench *b;
	struct rig rig;
	const char *comma;
};

static const char *
buffers_name(enum buffers buffers)
{
	static const char *const names[NB_BUFFERS] = { "ring", "random", "table" };

	return names[buffers];
}

static bool
wanted(const struct count *c, const struct cell *cell)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/%s/%u/%u/%s/%s", ring_name(cell->packed),
			direction_name(cell->tx), cell->size, cell->burst, cell->log ? "on" : "off",
			buffers_name(cell->buffers));
	return fnmatch(c->b->settings.cells, name, 0) == 0;
}

/* One burst, after which the guest posts as many buffers as it took. How many packets. */
static int
exchange(struct count *c, const struct cell *cell, bool counted)
{
	const uint16_t port = c->rig.port, burst = (uint16_t)cell->burst;
	struct rte_mbuf *mbufs[BURST];
	uint16_t n;

	if (cell->tx) {
		n = counted ? count_burst_rx(port, mbufs, burst) :
			      rte_eth_rx_burst(port, 0, mbufs, burst);
		if (n > 0)
			rte_pktmbuf_free_bulk(mbufs, n);
	} else {
		if (bursts_alloc(c->b->pool, mbufs, burst, cell->size) < 0)
			return -ENOMEM;
		n = counted ? count_burst_tx(port, mbufs, burst) :
			      rte_eth_tx_burst(port, 0, mbufs, burst);
		if (n < burst)
			rte_pktmbuf_free_bulk(mbufs + n, burst - n);
	}
	guest_queue_poll(&c->rig.guest.queues[cell->tx], 0);
	return n;
}

static int
warm_up(struct count *c, const struct cell *cell)
{
	const unsigned int want = WARM_UP_USES * c->rig.guest.config.buffers.n;
	uint64_t deadline = now_ns() + WARM_UP_LIMIT_NS;
	unsigned int packets = 0;
	int n;

	while (packets < want) {
		n = exchange(c, cell, false);
		if (n < 0)
			return n;
		packets += (unsigned int)n;
		if (n > 0)
			continue;
		if (now_ns() > deadline) {
			warnx("%s: %u packets in the warm-up, no more come", c->rig.driver,
					packets);
			return -EIO;
		}
		sleep_us(1000);
	}
	return 0;
}

/*
 * Answers are sent before all is done that their messages ask for. One that comes after
 * them says that it is, and the sleep that the thread which sent it has gone to sleep too.
 */
static int
settle(struct count *c)
{
	uint64_t features;
	int ret = vhost_user_get_u64(&c->rig.frontend.vu, VHOST_USER_GET_FEATURES, &features);

	sleep_us(1000);
	return ret;
}

static int
one_cell(struct count *c, struct cell *cell)
{
	struct port_bench *b = c->b;
	unsigned int i;
	int n, ret;

	ret = settle(c);
	if (ret == 0)
		ret = warm_up(c, cell);
	if (ret < 0)
		return ret;
	cell->packets = 0;
	for (i = 0; i < b->settings.bursts; i++) {
		n = exchange(c, cell, true);
		if (n < 0)
			return n;
		cell->packets += (unsigned int)n;
	}
	count_cell_end();
	fprintf(b->out,
			"%s\n    {\"driver\": \"%s\", \"ring\": \"%s\", \"direction\": \"%s\", "
			"\"size\": %u, \"burst\": %u, \"log\": %s, \"order\": \"%s\", "
			"\"bursts\": %u, \"packets\": %llu}",
			c->comma, c->rig.driver, ring_name(cell->packed), direction_name(cell->tx),
			cell->size, cell->burst, json_bool(cell->log), buffers_name(cell->buffers),
			b->settings.bursts, (unsigned long long)cell->packets);
	c->comma = ",";
	return 0;
}

/* All cells of one guest; the log is set and given up between them. */
static int
cells_of_guest(struct count *c, unsigned int driver, struct cell *cell)
{
	static const unsigned int all[] = { 32, 4, 1 }, quick[] = { 32, 1 };
	const unsigned int *bursts = c->b->settings.quick ? quick : all;
	const unsigned int n = c->b->settings.quick ? RTE_DIM(quick) : RTE_DIM(all);
	struct guest_config config = guest_config(c->b, cell->packed, DIRECTION_BOTH, FEW_BUFFERS,
			cell->size);
	bool opened = false, logging = false;
	unsigned int i;
	int ret = 0, closed;

	config.ring.indirect = config.ring.tables = cell->buffers == BUFFERS_TABLE;
	if (cell->buffers == BUFFERS_RANDOM) {
		config.buffers.n = SPREAD_BUFFERS;
		config.buffers.order = ORDER_RANDOM;
		config.buffers.spread = true;
		config.ram.mib = SPREAD_MIB;
	}
	for (i = 0; ret == 0 && i < 4 * n; i++) {
		cell->log = i / n >= 2;
		cell->tx = i / n % 2 == 1;
		cell->burst = bursts[i % n];
		if (!wanted(c, cell))
			continue;
		if (!opened) {
			opened = true;
			ret = rig_open(&c->rig, c->b, driver, &config);
		}
		if (ret == 0 && cell->log != logging) {
			logging = cell->log;
			ret = rig_logging(&c->rig, c->b, logging);
		}
		if (ret == 0)
			ret = one_cell(c, cell);
	}
	if (!opened)
		return ret;
	closed = rig_close(&c->rig);
	return ret < 0 ? ret : closed;
}

static int
cells_of_driver(struct count *c, unsigned int driver)
{
	const unsigned int sizes = c->b->settings.quick ? 1 : 2;
	unsigned int i;
	int ret = 0;

	for (i = 0; ret == 0 && i < 2 * NB_BUFFERS * sizes; i++) {
		struct cell cell = {
			.packed = i / NB_BUFFERS / sizes == 1,
			.buffers = i / sizes % NB_BUFFERS,
			.size = i % sizes == 0 ? 64 : 1518,
		};

		ret = cells_of_guest(c, driver, &cell);
	}
	return ret;
}

int
mode_count(struct port_bench *b)
{
	static struct count c;
	unsigned int i;
	int ret = 0;

	c = (struct count){ .b = b, .comma = "" };
	fprintf(b->out, "  \"count\": [");
	for (i = 0; ret == 0 && i < NB_DRIVERS; i++)
		if (b->settings.port == NULL || strcmp(b->settings.port, driver_names[i]) == 0)
			ret = cells_of_driver(&c, i);
	fprintf(b->out, "],\n");
	if (ret == 0 && c.comma[0] == '\0') {
		warnx("--cells: no cell is '%s'", b->settings.cells);
		ret = -EINVAL;
	}
	return ret;
}
