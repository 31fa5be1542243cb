/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ethdev's bursts: what all kinds of rings have in common. Between begin
 * and end the control thread leaves the queue as it is, its kind of ring too.
 */

#ifndef DIRTYLOG_BURST_H
#define DIRTYLOG_BURST_H

#include <stdint.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "dirtylog_queue.h"

/* Packets whose descriptors and buffers are fetched together. */
#define DIRTYLOG_CHUNK 32

/*
 * Bad chains that one burst looks at. A guest can fill a ring with chains that
 * take long to refuse, and the core has other ports to poll.
 */
#define DIRTYLOG_MAX_BAD 32

/* Longest packet that a guest can send: 64 KiB and a tagged Ethernet header. */
#define DIRTYLOG_MAX_PACKET (UINT16_MAX + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)

/* What became of one packet, or one buffer, on the slow way. */
enum dirtylog_outcome {
	DIRTYLOG_DONE,    /* it went, or came */
	DIRTYLOG_AGAIN,   /* bad buffers were returned: try the next ones */
	DIRTYLOG_DROPPED, /* the packet fits no buffer */
	DIRTYLOG_WAIT     /* not enough buffers (or mbufs) now */
};

static inline struct virtio_net_hdr_mrg_rxbuf
dirtylog_make_header(uint16_t num_buffers)
{
	/* No offload is negotiated: all fields but this one are 0. */
	return (struct virtio_net_hdr_mrg_rxbuf){ .num_buffers = num_buffers };
}

static inline void
dirtylog_write_header(const struct dirtylog_queue *queue, uint8_t *host)
{
	const struct virtio_net_hdr_mrg_rxbuf header = dirtylog_make_header(1);

	/* Two fixed sizes: a legacy guest without mergeable buffers has no num_buffers. */
	if (likely(queue->header_len == sizeof(header)))
		memcpy(host, &header, sizeof(header));
	else
		memcpy(host, &header, sizeof(header.hdr));
}

/* `queue` is a struct dirtylog_queue. */
uint16_t dirtylog_receive(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);
uint16_t dirtylog_transmit(void *queue, struct rte_mbuf **pkts, uint16_t nb_pkts);

#endif /* DIRTYLOG_BURST_H */
