/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One packet between an mbuf and the guest's buffers, with its virtio-net
 * header: what both kinds of rings do once they have found the buffers, and
 * what they go by.
 */

#ifndef DIRTYLOG_PACKET_H
#define DIRTYLOG_PACKET_H

#include <stdint.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "dirtylog_offload.h"
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

/* Whether a packet asks for more than to be copied. */
static inline bool
dirtylog_has_work(const struct rte_mbuf *pkt)
{
	return unlikely((pkt->ol_flags & DIRTYLOG_TX_WORK) != 0);
}

/*
 * Whether dirtylog_write_packet() can write it, which inserts nothing; fills
 * in `offload` of a packet with work.
 */
static inline bool
dirtylog_is_plain(const struct dirtylog_queue *queue, const struct rte_mbuf *pkt,
		struct dirtylog_tx_offload *offload)
{
	return pkt->nb_segs == 1 && (!dirtylog_has_work(pkt) ||
			(dirtylog_offload_transmit(queue, pkt, offload) && offload->tag_len == 0));
}

/* A packet of one segment and its header, to one buffer that has the room. */
static inline void
dirtylog_write_packet(const struct dirtylog_queue *queue, uint8_t *host,
		const struct rte_mbuf *pkt, const struct dirtylog_tx_offload *offload)
{
	struct virtio_net_hdr_mrg_rxbuf header = { .num_buffers = 1 };
	uint8_t *packet = host + queue->header_len;
	uint16_t i;

	rte_memcpy(packet, rte_pktmbuf_mtod(pkt, const void *), pkt->data_len);
	if (dirtylog_has_work(pkt)) {
		header.hdr = offload->header;
		for (i = 0; i < offload->nb_patches; i++)
			memcpy(packet + offload->patches[i].offset, &offload->patches[i].value,
					sizeof(offload->patches[i].value));
	}
	/* Two fixed sizes: a legacy guest without mergeable buffers has no num_buffers. */
	if (likely(queue->header_len == sizeof(header)))
		memcpy(host, &header, sizeof(header));
	else
		memcpy(host, &header, sizeof(header.hdr));
}

/* Any packet and its header, to queue->pieces, which are `nb_buffers` buffers. */
void dirtylog_write_pieces(struct dirtylog_queue *queue, const struct rte_mbuf *pkt,
		const struct dirtylog_tx_offload *offload, uint16_t nb_buffers);

/*
 * The packet in queue->pieces, of `len` bytes with its header, to a fresh
 * mbuf, which stays fresh unless it is DIRTYLOG_DONE. DIRTYLOG_AGAIN: it is
 * bad, which is counted, and its buffer is to be returned.
 */
enum dirtylog_outcome dirtylog_read_pieces(struct dirtylog_queue *queue, uint64_t len,
		struct rte_mbuf *pkt);

#endif /* DIRTYLOG_PACKET_H */
