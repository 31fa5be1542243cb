/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One packet between an mbuf and the guest's buffers, with its virtio-net
 * header: what both kinds of rings do once they have found the buffers, and
 * what they go by.
 */

#ifndef VNET_PACKET_H
#define VNET_PACKET_H

#include <stdint.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "datapath/chain.h"
#include "datapath/offload.h"
#include "datapath/queue.h"

/* Packets whose descriptors and buffers are fetched together. */
#define VNET_CHUNK 32

/*
 * Bad chains that one burst looks at. A guest can fill a ring with chains that
 * take long to refuse, and the core has other ports to poll.
 */
#define VNET_MAX_BAD 32

/*
 * Descriptors that the slow paths of one burst look at, but for the last packet's:
 * one can be described by many that are short.
 */
#define VNET_MAX_WALKED (4 * VNET_MAX_IOV)

/* Longest packet that a guest can send: 64 KiB and a tagged Ethernet header. */
#define VNET_MAX_PACKET (UINT16_MAX + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN)

/*
 * Room in an mbuf of a receive queue's pool, at least: what a long packet takes of
 * the pool, and the time to get it, stay within bounds.
 */
#define VNET_MIN_ROOM 64

/* What became of one packet, or one buffer, on the slow way. */
enum vnet_outcome {
	VNET_DONE,    /* it went, or came */
	VNET_AGAIN,   /* bad buffers were returned: try the next ones */
	VNET_DROPPED, /* the packet fits no buffer */
	VNET_WAIT     /* not enough buffers (or mbufs) now */
};

/* Bytes of each buffer that are fetched as soon as it is found. */
#define VNET_FIRST_LINES (2 * RTE_CACHE_LINE_SIZE)

/*
 * The rest of a longer packet is fetched this many packets before it is copied. Not
 * that of a whole chunk at once, which would not fit into the innermost cache.
 */
#define VNET_FETCH_AHEAD 2

/* Whether a packet asks for more than to be copied. */
static inline bool
vnet_has_work(const struct rte_mbuf *pkt)
{
	return unlikely((pkt->ol_flags & VNET_TX_WORK) != 0);
}

/* vnet_is_simple() for packet `i` of a chunk, which has work. Fills in its offload. */
bool vnet_is_simple_work(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		struct vnet_tx_offload *offloads, uint16_t i);

/*
 * Whether vnet_write_packet() can write packet `i` of a chunk, which inserts nothing;
 * fills in the offload of a packet with work.
 */
static inline bool
vnet_is_simple(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		struct vnet_tx_offload *offloads, uint16_t i)
{
	return pkt->nb_segs == 1 &&
			(!vnet_has_work(pkt) || vnet_is_simple_work(queue, pkt, offloads, i));
}

/*
 * Where the `len` bytes at a GPA are mapped, all in one region; false if they are not
 * there. `region` is a copy of the one that is tried first, *queue->hint: a chunk has
 * it in registers.
 */
static __rte_always_inline bool
vnet_find(struct vnet_queue *queue, struct dirtylog_region *region, uint64_t gpa, uint32_t len,
		uint8_t **host)
{
	if (unlikely(gpa - region->gpa >= region->len ||
			    !dirtylog_region_holds(region, gpa, len))) {
		const struct dirtylog_region *other = dirtylog_memory_find_range(queue->mem, gpa,
				len, &queue->hint);

		if (other == NULL)
			return false;
		*region = *other;
	}
	*host = dirtylog_region_host(region, gpa);
	return true;
}

/* The counterpart of vnet_find() that has `len` of the `room` bytes marked. */
static __rte_always_inline bool
vnet_find_marked(struct vnet_queue *queue, struct dirtylog_run *run, uint64_t gpa, uint32_t room,
		uint64_t len, uint8_t **host)
{
	const struct dirtylog_region *region;

	if (likely(dirtylog_run_mark(run, gpa, room, len, host)))
		return true;
	region = dirtylog_memory_find_range(queue->mem, gpa, room, &queue->hint);
	if (unlikely(region == NULL))
		return false;
	*host = dirtylog_run_move(&queue->marker, run, region, gpa, (uint32_t)len);
	return true;
}

/* Even the smallest packet lies in two lines with its header. */
static inline void
vnet_fetch_first(const uint8_t *host)
{
	/* Not for writing, which gains nothing: a line that nobody has read comes writable. */
	rte_prefetch0(host);
	rte_prefetch0(host + RTE_CACHE_LINE_SIZE);
}

/*
 * Whether one of a chunk's lengths goes beyond the first lines, or fills them. `lens` has
 * the bits of all: compilers make vector instructions of a maximum, back and forth.
 */
static inline bool
vnet_is_long(uint64_t lens)
{
	return lens >= VNET_FIRST_LINES;
}

/* Fetch what `len` bytes have beyond the first lines. */
static inline void
vnet_fetch_rest(const uint8_t *host, uint32_t len)
{
	uint32_t at;

	for (at = VNET_FIRST_LINES; at < len; at += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(host + at);
}

/*
 * Copy a packet. `is_long` is a constant: the C library's copy has the widest
 * vectors of the machine that it runs on, which makes up for the call; in a
 * loop over short packets, that there is a call at all costs more.
 */
static __rte_always_inline void
vnet_copy(void *to, const void *from, uint32_t len, bool is_long)
{
	if (is_long)
		memcpy(to, from, len);
	else
		rte_memcpy(to, from, len);
}

/* A packet of one segment and its header, to one buffer that has the room. */
static __rte_always_inline void
vnet_write_packet(const struct vnet_queue *queue, uint8_t *host, const struct rte_mbuf *pkt,
		const struct vnet_tx_offload *offload, bool is_long)
{
	/*
	 * Not built on the stack: the load of a header that was just stored there
	 * in parts would wait until all stores before it are done.
	 */
	static const struct virtio_net_hdr_mrg_rxbuf plain = { .num_buffers = 1 };
	uint8_t *packet = host + queue->header_len;
	uint16_t i;

	vnet_copy(packet, rte_pktmbuf_mtod(pkt, const void *), pkt->data_len, is_long);
	/* Two fixed sizes: a legacy guest without mergeable buffers has no num_buffers. */
	if (likely(queue->header_len == sizeof(plain)))
		memcpy(host, &plain, sizeof(plain));
	else
		memcpy(host, &plain, sizeof(plain.hdr));
	if (likely(!vnet_has_work(pkt)))
		return;
	memcpy(host, &offload->header, sizeof(offload->header));
	for (i = 0; i < offload->nb_patches; i++)
		memcpy(packet + offload->patches[i].offset, &offload->patches[i].value,
				sizeof(offload->patches[i].value));
}

/*
 * A packet that the guest sends in one piece with its header, the `len` bytes at a GPA, of
 * which at most `room` may be data. Its first lines are fetched.
 */
static __rte_always_inline bool
vnet_find_packet(struct vnet_queue *queue, struct dirtylog_region *region, uint64_t gpa,
		uint32_t len, uint32_t room, struct vnet_found *found)
{
	uint8_t *host;

	if (unlikely(len <= queue->header_len || len - queue->header_len > room ||
			    !vnet_find(queue, region, gpa, len, &host)))
		return false;
	vnet_fetch_first(host);
	found->header = host;
	found->data = host + queue->header_len;
	found->len = len - queue->header_len;
	return true;
}

/*
 * Fresh mbufs of a receive queue's pool, or false: it has not so many. As drivers of
 * NICs do, nothing is written to an mbuf's second line: what a pool gives out has no
 * next segment, and its offload fields count by flags that are not set.
 */
static inline bool
vnet_alloc(const struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t n)
{
	const uint16_t size = rte_pktmbuf_data_room_size(queue->pool);
	const struct {
		uint16_t data_off, refcnt, nb_segs, port;
	} rearm = { RTE_MIN(size, (uint16_t)RTE_PKTMBUF_HEADROOM), 1, 1, queue->mbuf_port };
	uint16_t i;

	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, port) + sizeof(uint16_t) -
					offsetof(struct rte_mbuf, data_off) !=
			sizeof(rearm));
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, vlan_tci) + sizeof(uint16_t) -
					offsetof(struct rte_mbuf, packet_type) !=
			12);
	if (unlikely(rte_mempool_get_bulk(queue->pool, (void **)pkts, n) != 0))
		return false;
	for (i = 0; i < n; i++) {
		memcpy(&pkts[i]->rearm_data, &rearm, sizeof(rearm));
		pkts[i]->ol_flags &= RTE_MBUF_F_EXTERNAL;
		/* Type, both lengths, VLAN tag; and the hash behind them. */
		memset(&pkts[i]->rx_descriptor_fields1, 0, 16);
	}
	return true;
}

/*
 * A packet that is found, and its header, to a fresh mbuf that has
 * the room. Returns false if the header cannot be followed: the mbuf is not
 * fresh any more then.
 */
static __rte_always_inline bool
vnet_read_packet(const struct vnet_queue *queue, const struct vnet_found *found,
		struct rte_mbuf *pkt, bool is_long)
{
	vnet_copy(rte_pktmbuf_mtod(pkt, void *), found->data, found->len, is_long);
	pkt->data_len = (uint16_t)found->len;
	pkt->pkt_len = found->len;
	return !queue->offloads || likely(vnet_offload_received(queue, found->header, pkt));
}

/* Bytes of the guest's that a packet takes, its header and a tag to be inserted included. */
static inline uint64_t
vnet_packet_need(const struct vnet_queue *queue, const struct rte_mbuf *pkt)
{
	bool tagged = (pkt->ol_flags & RTE_MBUF_F_TX_VLAN) != 0;

	return (uint64_t)pkt->pkt_len + queue->header_len + tagged * sizeof(struct rte_vlan_hdr);
}

/* Remember that a packet waits for buffers, which were looked for from `at` to `end`. */
static inline void
vnet_packet_stuck(struct vnet_queue *queue, uint16_t at, uint16_t end, uint64_t need)
{
	queue->stuck = true;
	queue->stuck_at = at;
	queue->stuck_end = end;
	queue->stuck_need = need;
}

/*
 * A packet is looked at once more, since its buffers were bad. Where its checksum
 * is computed here, that is done again too: it counts as descriptors do.
 */
static inline void
vnet_packet_again(struct vnet_queue *queue, const struct rte_mbuf *pkt)
{
	if (vnet_has_work(pkt))
		queue->walked += pkt->pkt_len / RTE_CACHE_LINE_SIZE;
}

/* Any packet and its header, to queue->iov, which are `nb_buffers` buffers. */
void vnet_write_iov(struct vnet_queue *queue, const struct rte_mbuf *pkt,
		const struct vnet_tx_offload *offload, uint16_t nb_buffers);

/*
 * The packet in queue->iov, of `len` bytes with its header, to a fresh
 * mbuf, which stays fresh unless it is VNET_DONE. VNET_AGAIN: it is
 * bad, which is counted, and its buffer is to be returned.
 */
enum vnet_outcome vnet_read_iov(struct vnet_queue *queue, uint64_t len, struct rte_mbuf *pkt);

#endif /* VNET_PACKET_H */
