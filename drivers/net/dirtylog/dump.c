/* SPDX-License-Identifier: BSD-3-Clause */

#include <rte_common.h>

#include "devargs.h"
#include "dump.h"

static const char *
on_off(bool on)
{
	return on ? "on" : "off";
}

static void
dump_settings(const struct eth_dirtylog_port *port, FILE *stream)
{
	fprintf(stream, "%s: %s %s, %u queue pairs, log placement %s; ethdev %s\n", port->name,
			port->client ? "connects to" : "listens on", port->iface,
			port->nb_queue_pairs,
			eth_dirtylog_placement_names[port->log_options.placement],
			port->started ? "started" : "stopped");
	if (port->iommu)
		fprintf(stream, "  vIOMMU on: packets take librte_vhost's own datapath\n");
	fprintf(stream,
			"  postcopy %s, tso %s, linear buffers %s, external buffers %s,"
			" legacy offload flags %s\n",
			on_off(port->postcopy), on_off(port->tso), on_off(port->linear_buffers),
			on_off(port->ext_buffers), on_off(port->legacy_ol_flags));
}

static void
dump_idle(const struct eth_dirtylog_port *port, FILE *stream)
{
	unsigned int i;

	fprintf(stream, "  no front-end\n");
	for (i = 0; i < 2U * port->nb_queue_pairs; i++)
		if (port->queues[i] != NULL)
			fprintf(stream,
					"  virtqueue %u (%s_q%u): closed, not ready in the"
					" front-end\n",
					i, i % 2 == 0 ? "tx" : "rx", i / 2);
}

void
eth_dirtylog_dump(struct eth_dirtylog_port *port, FILE *stream)
{
	struct eth_dirtylog_link *link;

	pthread_mutex_lock(&port->lock);
	dump_settings(port, stream);
	if (TAILQ_EMPTY(&port->links))
		dump_idle(port, stream);
	TAILQ_FOREACH(link, &port->links, next) {
		if (link != port->current)
			fprintf(stream, "  another has taken over from the next one\n");
		if (link->connection != NULL)
			vnet_connection_dump(link->connection, stream);
		else
			fprintf(stream, "  front-end connected, vid %d, its device %s\n", link->vid,
					link->runs ? "runs" : "does not run");
	}
	pthread_mutex_unlock(&port->lock);
}
