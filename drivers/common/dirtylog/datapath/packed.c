/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A packed ring is one array that both sides write. What a used descriptor
 * shows is its flags; so a burst stores all it returns but the first one's,
 * marks, and stores those: before them the guest looks at none that follow.
 *
 * Every buffer is returned by the burst that takes it, in the ring's order
 * (which is also what VIRTIO_F_IN_ORDER asks for): one position in the ring is
 * enough.
 *
 * In this file: the ring (checked; where a burst is in it; descriptors returned,
 * marked and published); to the guest, and from the guest, each with chunks of
 * simple packets, then any packet, then the burst that tries the one before the
 * other.
 */

#include <errno.h>

#include <rte_common.h>

#include "datapath/chain.h"
#include "datapath/notify.h"
#include "datapath/packed.h"
#include "datapath/packed_desc.h"
#include "datapath/packet.h"

#define F_SHAPE (VRING_DESC_F_WRITE | VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)

#define MAX_SIZE 32768 /* virtio 1.1, 2.7 */

/* ---- the ring ---- */

/*
 * A burst takes each descriptor once at most: the first one's flags are not
 * shown yet, and would be read again.
 */
struct burst {
	struct vnet_packed_pos next;
	uint16_t first;              /* index of the burst's first descriptor */
	bool holds;                  /* the first descriptor is used, and not shown yet */
	union vnet_packed_tail held; /* is stored to the first descriptor, after all others */
};

int
vnet_packed_start(struct vnet_queue *queue)
{
	uint16_t index = queue->next_used & (uint16_t)~VNET_PACKED_WRAP;

	if (queue->size == 0 || queue->size > MAX_SIZE || index >= queue->size ||
			queue->next_avail != queue->next_used ||
			(uintptr_t)queue->packed_desc % 16 != 0 ||
			(uintptr_t)queue->driver_event % 4 != 0 ||
			(uintptr_t)queue->device_event % 4 != 0)
		return -EINVAL;
	if (dirtylog_memory_find_host(queue->mem, queue->packed_desc,
			    queue->size * sizeof(struct vring_packed_desc)) == NULL ||
			dirtylog_memory_find_host(queue->mem, queue->driver_event,
					sizeof(*queue->driver_event)) == NULL ||
			dirtylog_memory_find_host(queue->mem, queue->device_event,
					sizeof(*queue->device_event)) == NULL)
		return -EFAULT;

	queue->hint = &queue->mem->regions[0];
	queue->signalled_valid = false;
	queue->broken = false;
	queue->stuck = false;
	__atomic_store_n(&queue->device_event->flags, VRING_PACKED_EVENT_FLAG_DISABLE,
			__ATOMIC_RELAXED);
	return 0;
}

/* A position in the ring, as queue->next_used has it. */
static inline uint16_t
packed_index(const struct vnet_packed_pos *pos)
{
	return (uint16_t)(pos->index | (pos->wrap ? VNET_PACKED_WRAP : 0));
}

static inline void
begin(const struct vnet_queue *queue, struct burst *burst)
{
	vnet_packed_pos_now(queue, &burst->next);
	burst->first = burst->next.index;
	burst->holds = false;
}

static inline uint16_t
used_flags(bool wrap, uint32_t len)
{
	return (wrap ? VNET_PACKED_OWNER : 0) | (len != 0 ? VRING_DESC_F_WRITE : 0);
}

/* Return the buffer that the burst is at; nothing is shown while the first one is held. */
static inline void
put_used(struct vnet_queue *queue, struct burst *burst, uint16_t index, union vnet_packed_tail tail)
{
	if (unlikely(!burst->holds)) {
		burst->held = tail;
		burst->holds = true;
	} else {
		__atomic_store_n((uint64_t *)&queue->packed_desc[index] + 1, tail.raw,
				__ATOMIC_RELAXED);
	}
}

static void
return_buffer(struct vnet_queue *queue, struct burst *burst,
		const struct vnet_packed_buffer *buffer, uint32_t len)
{
	union vnet_packed_tail tail = {
		.len = len,
		.id = buffer->id,
		.flags = used_flags(burst->next.wrap, len),
	};

	put_used(queue, burst, burst->next.index, tail);
	vnet_packed_pos_advance(queue, &burst->next, buffer->nb_desc);
}

/* Mark the descriptors that the burst has passed; not all of them are written. */
static inline void
mark_ring(struct vnet_queue *queue, const struct burst *burst)
{
	const uint64_t desc_len = sizeof(struct vring_packed_desc);
	uint16_t n = (uint16_t)(queue->size - burst->next.left);
	uint16_t straight = RTE_MIN(n, (uint16_t)(queue->size - burst->first));

	dirtylog_mark_ring(&queue->marker, burst->first * desc_len, straight * desc_len);
	if (unlikely(straight != n))
		dirtylog_mark_ring(&queue->marker, 0, (uint64_t)(n - straight) * desc_len);
}

/* Show the guest what the burst returns. */
static void
publish(struct vnet_queue *queue, const struct burst *burst)
{
	if (!burst->holds)
		return;
	if (queue->marker.logging) {
		mark_ring(queue, burst);
		dirtylog_flush(&queue->marker);
	}
	/*
	 * Release: orders the stores of buffers, used descriptors and marks before
	 * the store of the flags. A guest that saw them first would read old data;
	 * a page it dirties next might have lost our mark.
	 */
	__atomic_store_n((uint64_t *)&queue->packed_desc[burst->first] + 1, burst->held.raw,
			__ATOMIC_RELEASE);
	dirtylog_mark_index(&queue->marker, burst->first * sizeof(struct vring_packed_desc));
	queue->next_used = packed_index(&burst->next);
	queue->next_avail = queue->next_used;
	vnet_notify_guest(queue);
}

/* Descriptors that a chunk looks at: none beyond the end, where the wrap counter changes. */
static inline uint16_t
chunk_limit(const struct vnet_queue *queue, const struct vnet_packed_pos *pos, uint16_t n)
{
	return RTE_MIN(RTE_MIN(n, (uint16_t)VNET_CHUNK),
			RTE_MIN(pos->left, (uint16_t)(queue->size - pos->index)));
}

/*
 * Fetch the lines of descriptors for writing that were read as available. Not
 * of any that may not be yet: the guest is about to write those.
 */
static inline void
fetch_used(const struct vring_packed_desc *descs, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i += RTE_CACHE_LINE_SIZE / sizeof(*descs))
		__builtin_prefetch(&descs[i], 1);
}

static inline void
put_chunk(struct vnet_queue *queue, struct burst *burst, const union vnet_packed_tail *tails,
		uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		put_used(queue, burst, burst->next.index + i, tails[i]);
	vnet_packed_pos_advance(queue, &burst->next, n);
}

/* ---- to the guest ---- */

/*
 * Write the packets of a chunk, all found to fit, and make their descriptors
 * used; returns the bytes. Compiled twice.
 */
static __rte_always_inline uint64_t
write_chunk(const struct vnet_queue *queue, uint8_t *const *hosts, union vnet_packed_tail *tails,
		struct rte_mbuf *const *pkts, const struct vnet_tx_offload *offloads, uint16_t n,
		bool wrap, bool are_long)
{
	uint64_t bytes = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		uint32_t len = pkts[i]->data_len;

		if (are_long && i + VNET_FETCH_AHEAD < n)
			vnet_fetch_rest(hosts[i + VNET_FETCH_AHEAD],
					pkts[i + VNET_FETCH_AHEAD]->data_len);
		vnet_write_packet(queue, hosts[i], pkts[i], &offloads[i], are_long);
		bytes += len;
		len += queue->header_len;
		tails[i].len = len;
		tails[i].flags = used_flags(wrap, len);
	}
	return bytes;
}

/* The packets of a chunk, and what each goes to. */
struct transmit_chunk {
	uint8_t *hosts[VNET_CHUNK];
	union vnet_packed_tail tails[VNET_CHUNK];
	struct vnet_tx_offload offloads[VNET_CHUNK]; /* of packets with work */
	bool is_long;                                /* one of them is */
};

/*
 * Find the buffers for packets of a chunk, which are fetched, and marked if `marked`.
 * Stops at the first one that is not as transmit_chunk() wants it, and where nothing is
 * available; returns how many there are. Compiled twice.
 */
static __rte_always_inline uint16_t
find_buffers(struct vnet_queue *queue, struct transmit_chunk *chunk,
		const struct vring_packed_desc *descs, bool wrap, struct rte_mbuf *const *pkts,
		uint16_t n, bool marked)
{
	const uint16_t wanted = vnet_packed_available(wrap) | VRING_DESC_F_WRITE;
	struct dirtylog_region region = *queue->hint;
	struct dirtylog_run run;
	const uint64_t header_len = queue->header_len;
	uint64_t lens = 0;
	unsigned int i;

	if (marked)
		run = dirtylog_run_begin(&queue->marker);
	for (i = 0; i < n; i++) {
		union vnet_packed_tail tail = vnet_read_tail(&descs[i]);
		uint64_t len = pkts[i]->data_len + header_len;
		uint64_t gpa = vnet_read_addr(&descs[i]);
		uint8_t *host;
		bool found;

		chunk->tails[i] = tail;
		lens |= len;
		if (unlikely((tail.flags & (VNET_PACKED_OWNER | F_SHAPE)) != wanted ||
				    tail.len < len ||
				    !vnet_is_simple(queue, pkts[i], chunk->offloads, i)))
			break;
		found = marked ? vnet_find_marked(queue, &run, gpa, tail.len, len, &host) :
				 vnet_find(queue, &region, gpa, tail.len, &host);
		if (unlikely(!found))
			break;
		vnet_fetch_first(host);
		chunk->hosts[i] = host;
	}
	if (marked)
		dirtylog_run_end(&queue->marker, &run, i);
	chunk->is_long = vnet_is_long(lens);
	return (uint16_t)i;
}

/*
 * Packets of one segment into buffers of one descriptor inside one region:
 * what nearly every packet is. Stops at the first one that is not, and where
 * nothing is available; returns how many went.
 */
static __rte_always_inline uint16_t
transmit_chunk(struct vnet_queue *queue, struct burst *burst, struct rte_mbuf **pkts, uint16_t n)
{
	const struct vring_packed_desc *descs = &queue->packed_desc[burst->next.index];
	const bool wrap = burst->next.wrap;
	struct transmit_chunk chunk;
	uint64_t bytes;

	n = chunk_limit(queue, &burst->next, n);
	if (queue->marker.logging)
		n = find_buffers(queue, &chunk, descs, wrap, pkts, n, true);
	else
		n = find_buffers(queue, &chunk, descs, wrap, pkts, n, false);
	fetch_used(descs, n);
	if (chunk.is_long)
		bytes = write_chunk(queue, chunk.hosts, chunk.tails, pkts, chunk.offloads, n, wrap,
				true);
	else
		bytes = write_chunk(queue, chunk.hosts, chunk.tails, pkts, chunk.offloads, n, wrap,
				false);
	put_chunk(queue, burst, chunk.tails, n);
	vnet_count(&queue->stats.packets, n);
	vnet_count(&queue->stats.bytes, bytes);
	return n;
}

/* Give buffers back unused: `n` of queue->buffers, and the bad one after them. */
static void
return_bad(struct vnet_queue *queue, struct burst *burst, uint16_t n,
		const struct vnet_packed_buffer *bad)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		return_buffer(queue, burst, &queue->buffers[i], 0);
	return_buffer(queue, burst, bad, 0);
}

/* Whether a packet that is no longer waits for buffers, and there are no more. */
static bool
still_stuck(const struct vnet_queue *queue, const struct burst *burst, uint64_t need)
{
	const struct vnet_packed_pos end = {
		.index = queue->stuck_end & (uint16_t)~VNET_PACKED_WRAP,
		.wrap = (queue->stuck_end & VNET_PACKED_WRAP) != 0,
		.left = 1,
	};

	return queue->stuck && queue->stuck_at == packed_index(&burst->next) &&
			need >= queue->stuck_need && !vnet_packed_pos_is_available(queue, &end);
}

/* A packet in any shape into buffers in any shape. */
static enum vnet_outcome
transmit_any(struct vnet_queue *queue, struct burst *burst, const struct rte_mbuf *pkt)
{
	struct vnet_tx_offload offload = { .nb_patches = 0 };
	uint64_t need = vnet_packet_need(queue, pkt), room = 0, len;
	struct vnet_packed_pos ahead =
			burst->next; /* nothing is written before it is known to fit */
	struct vnet_packed_buffer buffer;
	uint16_t i, n;
	int nb_iov = 0;

	/* Before a checksum is computed for it, perhaps. */
	if (queue->broken || still_stuck(queue, burst, need))
		return VNET_WAIT;
	if (vnet_has_work(pkt) && !vnet_offload_transmit(queue, pkt, &offload))
		return VNET_DROPPED;
	for (n = 0; room < need; n++) {
		if (n == 1 && !queue->mergeable)
			return VNET_DROPPED;
		if (!vnet_packed_pos_is_available(queue, &ahead)) {
			if (ahead.left == 0 && burst->next.left == queue->size)
				return VNET_DROPPED;
			if (ahead.left != 0)
				vnet_packet_stuck(queue, packed_index(&burst->next),
						packed_index(&ahead), need);
			return VNET_WAIT;
		}
		nb_iov = vnet_chain_walk_packed(queue, ahead.index, ahead.left, true, nb_iov, &len,
				&buffer);
		if (buffer.nb_desc == 0)
			return VNET_WAIT; /* where it ends only the guest can tell */
		if (nb_iov >= 0 && n == 0 && len < queue->header_len) {
			vnet_queue_fault(queue, VNET_FAULT_SHORT, len, queue->header_len);
			nb_iov = -1;
		}
		if (nb_iov < 0) {
			return_bad(queue, burst, n, &buffer);
			vnet_packet_again(queue, pkt);
			return VNET_AGAIN;
		}
		buffer.len = (uint32_t)RTE_MIN(len, need - room);
		queue->buffers[n] = buffer; /* each has a piece at least: there is room */
		vnet_packed_pos_advance(queue, &ahead, buffer.nb_desc);
		room += len;
	}

	vnet_write_iov(queue, pkt, &offload, n);
	if (queue->marker.logging)
		vnet_chain_mark(queue, queue->iov, need);
	for (i = 0; i < n; i++)
		return_buffer(queue, burst, &queue->buffers[i], queue->buffers[i].len);
	vnet_count(&queue->stats.packets, 1);
	vnet_count(&queue->stats.bytes, pkt->pkt_len + offload.tag_len);
	return VNET_DONE;
}

uint16_t
vnet_packed_transmit(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct burst burst;
	uint16_t done = 0, bad = 0;

	begin(queue, &burst);
	queue->walked = 0;
	while (done < nb_pkts) {
		uint16_t went = transmit_chunk(queue, &burst, &pkts[done],
				(uint16_t)(nb_pkts - done));
		enum vnet_outcome outcome;

		done += went;
		if (went != 0)
			continue;
		if (!vnet_packed_pos_is_available(queue, &burst.next))
			break;
		outcome = transmit_any(queue, &burst, pkts[done]);
		if (outcome == VNET_WAIT || (outcome == VNET_AGAIN && ++bad == VNET_MAX_BAD))
			break;
		if (outcome == VNET_DROPPED)
			vnet_count(&queue->stats.dropped, 1);
		if (outcome != VNET_AGAIN)
			done++;
		if (queue->walked > VNET_MAX_WALKED)
			break;
	}
	publish(queue, &burst);
	return done;
}

/* ---- from the guest ---- */

/* Bytes that a fresh mbuf of the queue's pool takes. */
static inline uint32_t
mbuf_room(const struct vnet_queue *queue)
{
	uint16_t size = rte_pktmbuf_data_room_size(queue->pool);

	return size - RTE_MIN(size, (uint16_t)RTE_PKTMBUF_HEADROOM);
}

/*
 * The counterpart: read the packets of a chunk, up to one that cannot be
 * followed; returns how many came. Compiled twice.
 */
static __rte_always_inline uint16_t
read_chunk(struct vnet_queue *queue, const struct vnet_found *found, union vnet_packed_tail *tails,
		struct rte_mbuf **pkts, uint16_t n, bool wrap, bool are_long)
{
	uint64_t bytes = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (are_long && i + VNET_FETCH_AHEAD < n)
			vnet_fetch_rest(found[i + VNET_FETCH_AHEAD].data,
					found[i + VNET_FETCH_AHEAD].len);
		/* A bad one is left for receive_any(), which counts it. */
		if (unlikely(!vnet_read_packet(queue, &found[i], pkts[i], are_long))) {
			rte_pktmbuf_free_bulk(&pkts[i], n - i);
			break;
		}
		tails[i].len = 0;
		tails[i].flags = used_flags(wrap, 0);
		bytes += found[i].len;
	}
	vnet_count(&queue->stats.bytes, bytes);
	return i;
}

/*
 * A packet in one piece with its header, or apart from it in an indirect table; `owner`
 * is what tells that the descriptor is available.
 */
static __rte_always_inline bool
find_packet(struct vnet_queue *queue, struct dirtylog_region *region, uint64_t gpa,
		union vnet_packed_tail tail, uint16_t owner, uint32_t room,
		struct vnet_found *found)
{
	uint16_t flags = tail.flags & (VNET_PACKED_OWNER | F_SHAPE);

	if (unlikely(flags != owner))
		return flags == (owner | VRING_DESC_F_INDIRECT) &&
				vnet_chain_find_pair_packed(queue, gpa, tail.len, room, found);
	return vnet_find_packet(queue, region, gpa, tail.len, room, found);
}

/*
 * The counterpart of transmit_chunk(). Allocates the mbufs; returns how many
 * packets came, or -1: there are no mbufs.
 */
static __rte_always_inline int
receive_chunk(struct vnet_queue *queue, struct burst *burst, struct rte_mbuf **pkts, uint16_t n,
		uint32_t room)
{
	const struct vring_packed_desc *descs = &queue->packed_desc[burst->next.index];
	const uint16_t owner = vnet_packed_available(burst->next.wrap);
	struct dirtylog_region region = *queue->hint;
	union vnet_packed_tail tails[VNET_CHUNK];
	struct vnet_found found[VNET_CHUNK];
	uint32_t lens = 0;
	uint16_t i;

	n = chunk_limit(queue, &burst->next, n);
	for (i = 0; i < n; i++) {
		tails[i] = vnet_read_tail(&descs[i]);
		if (unlikely(!find_packet(queue, &region, vnet_read_addr(&descs[i]), tails[i],
				    owner, room, &found[i])))
			break;
		lens |= found[i].len + queue->header_len;
	}
	n = i;
	if (n == 0)
		return 0;
	fetch_used(descs, n);
	if (unlikely(!vnet_alloc(queue, pkts, n))) {
		vnet_count(&queue->stats.no_mbuf, n);
		return -1;
	}
	if (vnet_is_long(lens))
		n = read_chunk(queue, found, tails, pkts, n, burst->next.wrap, true);
	else
		n = read_chunk(queue, found, tails, pkts, n, burst->next.wrap, false);
	put_chunk(queue, burst, tails, n);
	vnet_count(&queue->stats.packets, n);
	return n;
}

/* One packet in any shape. */
static enum vnet_outcome
receive_any(struct vnet_queue *queue, struct burst *burst, struct rte_mbuf **pkt)
{
	enum vnet_outcome outcome = VNET_AGAIN;
	struct vnet_packed_buffer buffer;
	uint64_t len;
	int nb_iov;

	if (queue->broken)
		return VNET_WAIT;
	nb_iov = vnet_chain_walk_packed(queue, burst->next.index, burst->next.left, false, 0, &len,
			&buffer);
	if (buffer.nb_desc == 0)
		return VNET_WAIT; /* where it ends only the guest can tell */
	if (nb_iov >= 0) {
		*pkt = rte_pktmbuf_alloc(queue->pool);
		outcome = *pkt == NULL ? VNET_WAIT : vnet_read_iov(queue, len, *pkt);
		if (outcome == VNET_WAIT)
			vnet_count(&queue->stats.no_mbuf, 1);
		if (outcome != VNET_DONE)
			rte_pktmbuf_free(*pkt);
	}
	if (outcome == VNET_AGAIN)
		return_bad(queue, burst, 0, &buffer);
	if (outcome == VNET_DONE)
		return_buffer(queue, burst, &buffer, 0);
	return outcome;
}

uint16_t
vnet_packed_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct burst burst;
	uint32_t room = mbuf_room(queue);
	uint16_t done = 0, bad = 0;

	begin(queue, &burst);
	queue->walked = 0;
	while (done < nb_pkts) {
		int came = receive_chunk(queue, &burst, &pkts[done], (uint16_t)(nb_pkts - done),
				room);
		enum vnet_outcome outcome;

		if (came < 0)
			break;
		done += (uint16_t)came;
		if (came != 0)
			continue;
		if (!vnet_packed_pos_is_available(queue, &burst.next))
			break;
		outcome = receive_any(queue, &burst, &pkts[done]);
		if (outcome == VNET_WAIT || (outcome == VNET_AGAIN && ++bad == VNET_MAX_BAD))
			break;
		if (outcome == VNET_DONE)
			done++;
		if (queue->walked > VNET_MAX_WALKED)
			break;
	}
	publish(queue, &burst);
	return done;
}
