/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode "memcpy": packets between mbufs and the guest's buffers, beside only copying
 * between such mbufs and such buffers: what memory allows.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "bursts.h"
#include "cycles.h"
#include "guest_thread.h"
#include "rig.h"
#include "worker.h"

#define WARM_UP_MS 1
#define PER_BLOCK 8u

enum { COPY = NB_DRIVERS, COPY_PREFETCHED };

struct copies {
	struct port_bench *b;
	struct rig rigs[NB_DRIVERS];
	struct guest copied; /* a guest without a port: buffers to copy into or from */
	struct guest_thread guest;
	struct guest_work work[NB_DRIVERS];
	struct turns turns;
	unsigned int size;
	bool tx;
	uint32_t at; /* the next of those buffers */
};

/* The next burst's buffers. */
static void
next_buffers(struct copies *c, uint8_t **buffers)
{
	const struct guest_queue *q = &c->copied.queues[c->tx];
	unsigned int i;

	for (i = 0; i < BURST; i++) {
		buffers[i] = q->ram->source +
				guest_ram_offset(q->ram, BUFFER_GPA(q->pool.fifo[c->at])) +
				NET_HEADER_LEN;
		if (++c->at == q->pool.size)
			c->at = 0;
	}
}

static void
prefetch(const struct copies *c, uint8_t *const *buffers)
{
	unsigned int i, k;

	for (i = 0; i < BURST; i++) {
		for (k = 0; k < c->size; k += RTE_CACHE_LINE_SIZE) {
			if (c->tx)
				__builtin_prefetch(buffers[i] + k, 0);
			else
				__builtin_prefetch(buffers[i] + k, 1);
		}
	}
}

static int
copy_only(struct copies *c, bool prefetched, uint64_t cycles, struct turn *turn)
{
	const uint64_t start = rte_rdtsc();
	struct rte_mbuf *mbufs[BURST];
	uint8_t *buffers[BURST], *data;
	unsigned int i;

	*turn = (struct turn){ .who = prefetched ? "copy, prefetched" : "copy" };
	do {
		if (bursts_alloc(c->b->pool, mbufs, BURST, c->size) < 0)
			return -ENOMEM;
		next_buffers(c, buffers);
		if (prefetched)
			prefetch(c, buffers);
		for (i = 0; i < BURST; i++) {
			data = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
			if (c->tx)
				memcpy(data, buffers[i], c->size);
			else
				memcpy(buffers[i], data, c->size);
		}
		rte_pktmbuf_free_bulk(mbufs, BURST);
		turn->packets += BURST;
		turn->calls++;
		turn->cycles = rte_rdtsc() - start;
	} while (turn->cycles < cycles);
	return 0;
}

static int
move_packets(struct copies *c, unsigned int who, uint64_t cycles, struct turn *turn)
{
	const struct rig *r = &c->rigs[who % NB_DRIVERS];

	if (who >= COPY)
		return copy_only(c, who == COPY_PREFETCHED, cycles, turn);
	*turn = (struct turn){ .who = r->driver };
	if (c->tx)
		return bursts_receive(r->port, 0, BURST, cycles, turn);
	return bursts_send(r->port, 0, c->b->pool, c->size, BURST, cycles, turn);
}

/* Where a port is moved, its guest polls; else nobody's does. */
static int
move_beside_guest(struct copies *c, unsigned int who, uint64_t cycles, struct turn *turn)
{
	int ret = guest_thread_turn_to(&c->guest, who < NB_DRIVERS ? &c->work[who] : NULL);

	return ret < 0 ? ret : move_packets(c, who, cycles, turn);
}

/* Of this thread. */
static uint64_t
page_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) == 0 ?
			(uint64_t)(usage.ru_minflt + usage.ru_majflt) :
			0;
}

static int
take_turn(struct copies *c, unsigned int who, struct turn *turn)
{
	const uint64_t began = now_ns();
	unsigned int repeated = 0;
	uint64_t faults;
	int ret;

	do {
		ret = move_beside_guest(c, who, WARM_UP_MS * c->b->cycles_per_ms, turn);
		faults = page_faults();
		if (ret == 0)
			ret = move_packets(c, who, c->turns.cycles, turn);
		turn->faults = page_faults() - faults;
		if (ret == 0)
			ret = turns_check(turn, turn->who, began, &repeated);
	} while (ret > 0);
	return ret;
}

/* See turns_touch(). */
static int
touch_buffers(struct copies *c, unsigned int who)
{
	const uint64_t began = now_ns();
	uint64_t packets = 0;
	struct turn turn;
	int ret;

	do {
		ret = move_beside_guest(c, who, WARM_UP_MS * c->b->cycles_per_ms, &turn);
		packets += ret == 0 ? turn.packets : 0;
	} while (ret == 0 && turns_touch(packets, c->copied.config.buffers.n, began));
	return ret;
}

static int
all_turns(void *arg)
{
	static const unsigned int order[PER_BLOCK] = {
		COPY,
		COPY_PREFETCHED,
		0,
		1,
		1,
		0,
		COPY_PREFETCHED,
		COPY,
	};
	struct copies *c = arg;
	struct turns *t = &c->turns;
	unsigned int i;
	int ret = 0;

	for (i = 0; ret == 0 && i <= COPY; i++)
		ret = touch_buffers(c, i);
	for (t->n = 0; ret == 0 && t->n < t->blocks * t->per_block; t->n++)
		ret = take_turn(c, order[t->n % PER_BLOCK], &t->turn[t->n]);
	return ret < 0 ? ret : guest_thread_turn_to(&c->guest, NULL);
}

static int
one_setting(struct copies *c, const struct guest_config *config, unsigned int size,
		const char *comma)
{
	unsigned int i;
	int ret;

	c->size = size;
	c->tx = config->direction == DIRECTION_TX;
	c->at = 0;
	for (i = 0; i < NB_DRIVERS; i++)
		c->work[i] = (struct guest_work){ .queue = &c->rigs[i].guest.queues[c->tx] };
	ret = worker_run(LCORE_BURSTS, all_turns, c);
	if (ret < 0)
		return ret;
	fprintf(c->b->out,
			"%s\n    {\"ring\": \"%s\", \"direction\": \"%s\", \"size\": %u, \"buffers\": %u, ",
			comma, ring_name(config->ring.packed), direction_name(c->tx), size,
			config->buffers.n);
	turns_print(&c->turns, c->b);
	fprintf(c->b->out, "}");
	return 0;
}

int
mode_memcpy(struct port_bench *b)
{
	static const unsigned int sizes[] = { 64, 512, 1518 }, quick[] = { 64, 1518 };
	const unsigned int *wanted = b->settings.quick ? quick : sizes;
	const unsigned int n = b->settings.quick ? RTE_DIM(quick) : RTE_DIM(sizes);
	const unsigned int settings = n * 2 * 2 * 2;
	static struct copies c;
	unsigned int i;
	int ret, closed;

	c.b = b;
	turns_plan(&c.turns, b, settings, PER_BLOCK);
	fprintf(b->out, "  \"memcpy\": [");
	ret = guest_thread_start(&c.guest, b->settings.cpus[0], false);
	for (i = 0; ret == 0 && i < settings; i++) {
		const unsigned int way = i / n, buffers = way / 2 % 2 ? MANY_BUFFERS : FEW_BUFFERS;
		const enum direction direction = way % 2 ? DIRECTION_TX : DIRECTION_RX;
		const struct guest_config config = guest_config(b, way / 4, direction, buffers,
				wanted[i % n]);

		ret = guest_create(&c.copied, &config);
		if (ret == 0) {
			ret = rigs_open(c.rigs, b, &config);
			if (ret == 0)
				ret = one_setting(&c, &config, wanted[i % n], i == 0 ? "" : ",");
			closed = rigs_close(c.rigs, &c.guest);
			if (ret == 0)
				ret = closed;
		}
		guest_destroy(&c.copied);
	}
	guest_thread_stop(&c.guest);
	fprintf(b->out, "],\n");
	return ret;
}
