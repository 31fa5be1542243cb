/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>

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
	fprintf(stream, "port %u: %s %s, %u queue pairs, log placement %s\n", port->port_id,
			port->client ? "connects to" : "listens on", port->iface,
			port->nb_queue_pairs, eth_dirtylog_placement_names[port->log_options.placement]);
	fprintf(stream, "  postcopy %s, tso %s, linear buffers %s, external buffers %s,"
			" legacy offload flags %s\n", on_off(port->postcopy), on_off(port->tso),
			on_off(port->linear_buffers), on_off(port->ext_buffers),
			on_off(port->legacy_ol_flags));
}

static void
dump_connection(const struct eth_dirtylog_port *port, FILE *stream)
{
	if (port->vid < 0) {
		fprintf(stream, "  no front-end; ethdev %s\n",
				port->started ? "started" : "stopped");
		return;
	}
	fprintf(stream, "  front-end connected, vid %d, its device %s; ethdev %s\n", port->vid,
			port->attached ? "runs" : "does not run",
			port->started ? "started" : "stopped");
	fprintf(stream, "  features 0x%" PRIx64 ", %u regions of guest memory\n",
			port->features, port->mem == NULL ? 0 : port->mem->nb_regions);
}

static void
dump_vring(const struct eth_dirtylog_port *port, unsigned int index, FILE *stream)
{
	const struct vnet_vring *vring = &port->vrings[index];

	if (vring->queue == NULL && !vring->ready)
		return;
	fprintf(stream, "  virtqueue %u (%s_q%u): %s", index, index % 2 == 0 ? "tx" : "rx",
			index / 2, vring->open ? "open" : vring->queue == NULL ?
			"closed, no ethdev queue" : vring->ready ? "closed" :
			"closed, not ready in the front-end");
	if (vring->ready)
		fprintf(stream, ", size %u", vring->ring.size);
	if (!vring->open)
		fprintf(stream, ", next available %u, used %u", vring->next_avail,
				vring->next_used);
	fprintf(stream, ", interrupts %s\n", vring->call_fd < 0 ? "impossible" : "possible");
}

void
eth_dirtylog_dump(struct eth_dirtylog_port *port, FILE *stream)
{
	unsigned int i;

	pthread_mutex_lock(&port->lock);
	dump_settings(port, stream);
	dump_connection(port, stream);
	for (i = 0; i < 2U * port->nb_queue_pairs; i++)
		dump_vring(port, i, stream);
	dirtylog_dump(port->dl, stream);
	pthread_mutex_unlock(&port->lock);
}
