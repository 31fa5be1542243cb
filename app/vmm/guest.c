/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>

#include "guest.h"

int
guest_create(struct guest *g, const struct guest_config *config)
{
	const struct guest_config *c = &g->config;
	const unsigned int n = 2 * config->queue_pairs;
	struct buffer_pool *pools;
	unsigned int i, active = 0;
	bool *sent;
	int ret;

	*g = (struct guest){ .config = *config, .n_queues = n };
	g->queues = calloc(n, sizeof(*g->queues));
	pools = calloc(n, sizeof(*pools));
	sent = calloc(n, sizeof(*sent));
	if (g->queues == NULL || pools == NULL || sent == NULL) {
		warn("a guest");
		ret = -ENOMEM;
		goto out;
	}
	for (i = 0; i < n; i++) {
		g->queues[i].kick_fd = g->queues[i].call_fd = -1;
		g->queues[i].active = c->direction == DIRECTION_BOTH ||
				(c->direction == DIRECTION_TX) == (i % 2 == 1);
		if (g->queues[i].active)
			sent[active++] = i % 2 == 1;
	}
	ret = guest_ram_create(&g->ram, &c->ram,
			buffer_pools_need(&c->buffers, active) + n * guest_queue_need(&c->ring));
	for (i = 0; ret == 0 && i < n; i++)
		ret = guest_queue_create(&g->queues[i], i, &g->ram, &c->ring, &c->buffers);
	if (ret == 0)
		ret = buffer_pools_create(pools, sent, active, &g->ram, &c->buffers);
	for (i = 0, active = 0; i < n; i++)
		if (g->queues[i].active)
			g->queues[i].pool = pools[active++];
out:
	free(pools);
	free(sent);
	return ret;
}

void
guest_fill(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->n_queues; i++)
		if (g->queues[i].active)
			guest_queue_fill(&g->queues[i]);
}

void
guest_destroy(struct guest *g)
{
	unsigned int i;

	for (i = 0; g->queues != NULL && i < g->n_queues; i++)
		guest_queue_destroy(&g->queues[i]);
	free(g->queues);
	guest_ram_destroy(&g->ram);
	*g = (struct guest){ 0 };
}

int
guest_check(const struct guest *g)
{
	unsigned int i;

	for (i = 0; i < g->n_queues; i++) {
		if (g->queues[i].broken) {
			warnx("ring %u: %s", i, g->queues[i].violation);
			return -EPROTO;
		}
	}
	return 0;
}
