/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <inttypes.h>

#include "cycles.h"
#include "turns.h"

#define LONGEST_MS 50.0
#define SHORTEST_MS 10.0
#define ENOUGH_BLOCKS 9.0 /* of which some will be left out */
#define REPEAT_NS 3000000000ull
#define TOUCH_NS 3000000000ull

void
turns_plan(struct turns *t, const struct port_bench *b, unsigned int settings,
		unsigned int per_block)
{
	double block_ms = 1000.0 * b->settings.seconds / settings / ENOUGH_BLOCKS;
	double turn_ms = block_ms / per_block;

	if (turn_ms > LONGEST_MS)
		turn_ms = LONGEST_MS;
	if (turn_ms < SHORTEST_MS)
		turn_ms = SHORTEST_MS;
	t->per_block = per_block;
	t->blocks = (unsigned int)(1000.0 * b->settings.seconds / settings / per_block / turn_ms);
	if (t->blocks < 2)
		t->blocks = 2;
	if (t->blocks > MAX_TURNS / per_block)
		t->blocks = MAX_TURNS / per_block;
	t->cycles = (uint64_t)(turn_ms * (double)b->cycles_per_ms);
	t->n = 0;
}

int
turns_check(struct turn *turn, const char *name, uint64_t began_ns, unsigned int *repeated)
{
	turn->repeated = *repeated;
	if (turn->packets > 0)
		return 0;
	if (now_ns() - began_ns < REPEAT_NS) {
		++*repeated;
		return 1;
	}
	warnx("%s: no packet in a turn, %u times", name, *repeated + 1);
	return -EIO;
}

bool
turns_touch(uint64_t packets, uint64_t n_buffers, uint64_t began_ns)
{
	return packets < n_buffers && now_ns() - began_ns < TOUCH_NS;
}

void
turns_print(const struct turns *t, const struct port_bench *b)
{
	unsigned int i;

	fprintf(b->out, "\"turns\": [");
	for (i = 0; i < t->n; i++) {
		const struct turn *x = &t->turn[i];

		fprintf(b->out,
				"%s\n      {\"who\": \"%s\", \"seconds\": %.9f, \"packets\": %" PRIu64
				", \"calls\": %" PRIu64 ", \"empty\": %" PRIu64
				", \"faults\": %" PRIu64 ", \"repeated\": %u}",
				i == 0 ? "" : ",", x->who, (double)x->cycles / b->hz, x->packets,
				x->calls, x->empty, x->faults, x->repeated);
	}
	fprintf(b->out, "]");
}
