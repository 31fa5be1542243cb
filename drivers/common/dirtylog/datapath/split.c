/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A split ring has an index for each direction: what is available up to the
 * guest's, what is used up to ours. A burst writes used entries, marks them, and
 * stores its index: before that the guest looks at none of them.
 *
 * In this file: the ring (checked; what is available; entries returned, marked
 * and published); to the guest, and from the guest, each with chunks of simple
 * packets, then any packet, then the burst that tries the one before the other.
 */

#include <errno.h>

#include <rte_common.h>

#include "datapath/chain.h"
#include "datapath/desc.h"
#include "datapath/notify.h"
#include "datapath/packet.h"
#include "datapath/split.h"

#define F_SHAPE (VRING_DESC_F_WRITE | VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT)

/* ---- the ring ---- */

static bool
is_memory(const struct vnet_queue *queue, const void *host, uint64_t len)
{
	return dirtylog_memory_find_host(queue->mem, host, len) != NULL;
}

int
vnet_split_start(struct vnet_queue *queue)
{
	uint64_t size = queue->size;
	uint64_t event = queue->event_idx ? sizeof(uint16_t) : 0;

	if (size == 0 || (size & (size - 1)) != 0 || (uintptr_t)queue->desc % 16 != 0 ||
			(uintptr_t)queue->avail % 2 != 0 || (uintptr_t)queue->used % 4 != 0)
		return -EINVAL;
	if (!is_memory(queue, queue->desc, size * sizeof(struct vring_desc)) ||
			!is_memory(queue, queue->avail,
					sizeof(struct vring_avail) + size * sizeof(uint16_t) +
							event) ||
			!is_memory(queue, queue->used,
					sizeof(struct vring_used) +
							size * sizeof(struct vring_used_elem) +
							event))
		return -EFAULT;

	queue->mask = (uint16_t)(size - 1);
	queue->hint = &queue->mem->regions[0];
	queue->signalled_valid = false;
	queue->broken = false;
	queue->stuck = false;
	queue->avail_seen = queue->next_avail;
	/*
	 * Beside the index; its page is marked with the index. With EVENT_IDX they have to be
	 * 0: the event tells the guest instead.
	 */
	__atomic_store_n(&queue->used->flags, queue->event_idx ? 0 : VRING_USED_F_NO_NOTIFY,
			__ATOMIC_RELAXED);
	return 0;
}

/*
 * Buffers that the guest has made available and we have not taken yet: all that
 * are known if these are as many as wanted, else all that there are. The guest
 * writes the line of the index, so each read can cost a miss. What was read once
 * stays true: a guest takes no buffer back from a ring that is open.
 */
static inline uint16_t
available(struct vnet_queue *queue, uint16_t wanted)
{
	uint16_t n = (uint16_t)(queue->avail_seen - queue->next_avail);
	uint16_t index;

	if (n >= wanted)
		return n;
	/*
	 * Acquire: orders the load of the index before the loads of the entries
	 * and descriptors it covers, in this burst or a later one; else a stale
	 * entry could be taken.
	 */
	index = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);
	n = (uint16_t)(index - queue->next_avail);
	if (unlikely(n > queue->size)) {
		vnet_queue_fault(queue, VNET_FAULT_AVAIL_INDEX, n, queue->size);
		return 0;
	}
	queue->avail_seen = index;
	return n;
}

static inline uint16_t
avail_head(const struct vnet_queue *queue, uint16_t ahead)
{
	return __atomic_load_n(
			&queue->avail->ring[(uint16_t)(queue->next_avail + ahead) & queue->mask],
			__ATOMIC_RELAXED);
}

/* Take in the next heads and fetch their descriptors, up to one beyond the ring. */
static inline uint16_t
fetch_heads(const struct vnet_queue *queue, uint16_t *heads, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		heads[i] = avail_head(queue, i);
		if (unlikely(heads[i] >= queue->size))
			break;
		rte_prefetch0(&queue->desc[heads[i]]);
	}
	return i;
}

/* Fill in a used entry, which the guest does not see before the index moves. */
static inline void
put_used(struct vnet_queue *queue, uint16_t ahead, uint16_t head, uint32_t len)
{
	struct vring_used_elem *used =
			&queue->used->ring[(uint16_t)(queue->next_used + ahead) & queue->mask];

	used->id = head;
	used->len = len;
}

/*
 * Fetch the lines of the next burst's used entries, as many as this one's, for
 * writing. The guest has read them since they were written; without this the
 * stores to each line wait for it in turn, and all stores behind them too. Only
 * whole lines: one that this burst shares with the next, the guest reads now.
 */
static inline void
fetch_used(const struct vnet_queue *queue, uint16_t n)
{
	const uint16_t in_line = RTE_CACHE_LINE_SIZE / sizeof(struct vring_used_elem);
	uint16_t i;

	for (i = 0; i + in_line <= n; i += in_line)
		__builtin_prefetch(
				&queue->used->ring[(uint16_t)(queue->next_used + i) & queue->mask],
				1);
}

/* Mark `n` used entries from the one with index `first` on. */
static inline void
mark_used(struct vnet_queue *queue, uint16_t first, uint16_t n)
{
	const uint64_t ring = sizeof(struct vring_used), entry = sizeof(struct vring_used_elem);
	uint16_t start = first & queue->mask;
	uint16_t straight = RTE_MIN(n, (uint16_t)(queue->size - start));

	dirtylog_mark_ring(&queue->marker, ring + start * entry, straight * entry);
	if (unlikely(straight != n))
		dirtylog_mark_ring(&queue->marker, ring, (uint64_t)(n - straight) * entry);
}

/* Show the guest the used entries since `first`. */
static void
publish(struct vnet_queue *queue, uint16_t first)
{
	uint16_t n = (uint16_t)(queue->next_used - first);

	if (n == 0)
		return;
	if (queue->marker.logging) {
		mark_used(queue, first, n);
		dirtylog_flush(&queue->marker);
	}
	/*
	 * Release: orders the stores of buffers, used entries and marks before the
	 * store of the index. A guest that saw the index first would read old
	 * data; a page it dirties next might have lost our mark.
	 */
	__atomic_store_n(&queue->used->idx, queue->next_used, __ATOMIC_RELEASE);
	fetch_used(queue, n);
	dirtylog_mark_index(&queue->marker, offsetof(struct vring_used, flags));
	vnet_notify_guest(queue);
}

/*
 * How many packets the next chunk looks at after one that went whole. After one that did
 * not it is one: packets that are not simple come in series, and each ends a chunk, whose
 * other heads and descriptors were fetched for nothing.
 */
static inline uint16_t
wider(uint16_t span)
{
	return RTE_MIN((uint16_t)(2 * span), (uint16_t)VNET_CHUNK);
}

/* ---- to the guest ---- */

/* Write the packets of a chunk, all found to fit; returns their bytes. Compiled twice. */
static __rte_always_inline uint64_t
write_chunk(struct vnet_queue *queue, uint8_t *const *hosts, const uint16_t *heads,
		struct rte_mbuf *const *pkts, const struct vnet_tx_offload *offloads, uint16_t n,
		bool are_long)
{
	uint64_t bytes = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		uint32_t len = pkts[i]->data_len;

		if (are_long && i + VNET_FETCH_AHEAD < n)
			vnet_fetch_rest(hosts[i + VNET_FETCH_AHEAD],
					pkts[i + VNET_FETCH_AHEAD]->data_len);
		vnet_write_packet(queue, hosts[i], pkts[i], &offloads[i], are_long);
		put_used(queue, i, heads[i], len + queue->header_len);
		bytes += len;
	}
	return bytes;
}

/* The packets of a chunk, and what each goes to. */
struct transmit_chunk {
	uint8_t *hosts[VNET_CHUNK];
	uint16_t heads[VNET_CHUNK];
	struct vnet_tx_offload offloads[VNET_CHUNK]; /* of packets with work */
	bool is_long;                                /* one of them is */
};

/*
 * Find the buffers for packets of a chunk, which are fetched, and marked if `marked`.
 * Stops at the first one that is not as transmit_chunk() wants it; returns how many
 * there are. Compiled twice.
 */
static __rte_always_inline uint16_t
find_buffers(struct vnet_queue *queue, struct transmit_chunk *chunk, struct rte_mbuf *const *pkts,
		uint16_t n, bool marked)
{
	struct dirtylog_region region = *queue->hint;
	struct dirtylog_run run;
	const uint64_t header_len = queue->header_len;
	uint64_t lens = 0;
	unsigned int i;

	if (marked)
		run = dirtylog_run_begin(&queue->marker);
	for (i = 0; i < n; i++) {
		struct vring_desc desc = vnet_read_desc(&queue->desc[chunk->heads[i]]);
		uint64_t len = pkts[i]->data_len + header_len;
		uint8_t *host;
		bool found;

		lens |= len;
		if (unlikely((desc.flags & F_SHAPE) != VRING_DESC_F_WRITE || desc.len < len ||
				    !vnet_is_simple(queue, pkts[i], chunk->offloads, i)))
			break;
		found = marked ? vnet_find_marked(queue, &run, desc.addr, desc.len, len, &host) :
				 vnet_find(queue, &region, desc.addr, desc.len, &host);
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
 * what nearly every packet is. Stops at the first one that is not; returns how
 * many went.
 */
static inline uint16_t
transmit_chunk(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct transmit_chunk chunk;
	uint64_t bytes;

	n = fetch_heads(queue, chunk.heads, n);
	if (queue->marker.logging)
		n = find_buffers(queue, &chunk, pkts, n, true);
	else
		n = find_buffers(queue, &chunk, pkts, n, false);
	if (chunk.is_long)
		bytes = write_chunk(queue, chunk.hosts, chunk.heads, pkts, chunk.offloads, n, true);
	else
		bytes = write_chunk(queue, chunk.hosts, chunk.heads, pkts, chunk.offloads, n,
				false);
	queue->next_avail += n;
	queue->next_used += n;
	vnet_count(&queue->stats.packets, n);
	vnet_count(&queue->stats.bytes, bytes);
	return n;
}

/*
 * Give buffers back that cannot be used: `n` heads that are in the used ring
 * already, and the one after them, whose chain is bad.
 */
static void
return_bad(struct vnet_queue *queue, uint16_t n, uint16_t bad_head)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		put_used(queue, i, avail_head(queue, i), 0);
	put_used(queue, n++, bad_head, 0);
	queue->next_avail += n;
	queue->next_used += n;
}

/*
 * Whether a head is a descriptor. If not, it names no buffer that could be
 * returned: passing it by would leave the used ring one entry behind for good,
 * which in-order guests and the next back-end do not expect. The ring is given up.
 */
static bool
check_head(struct vnet_queue *queue, uint16_t head)
{
	if (head < queue->size)
		return true;
	vnet_queue_fault(queue, VNET_FAULT_HEAD, head, queue->size);
	queue->broken = true;
	return false;
}

/*
 * Consume nothing. The used entries that were filled in already are not shown,
 * but they are changed guest memory: marked like any other.
 */
static enum vnet_outcome
give_up(struct vnet_queue *queue, uint16_t n, enum vnet_outcome outcome)
{
	if (queue->marker.logging && n != 0)
		mark_used(queue, queue->next_used, n);
	return outcome;
}

/* Whether a packet that is no longer waits for buffers, and there are no more. */
static bool
still_stuck(struct vnet_queue *queue, uint64_t need)
{
	uint16_t n = (uint16_t)(queue->stuck_end - queue->stuck_at);

	return queue->stuck && queue->stuck_at == queue->next_avail && need >= queue->stuck_need &&
			available(queue, n + 1) <= n;
}

/*
 * A packet in any shape into buffers in any shape. Not inlined: its needs would
 * spill what the chunks have in registers.
 */
static __rte_noinline enum vnet_outcome
transmit_any(struct vnet_queue *queue, const struct rte_mbuf *pkt)
{
	struct vnet_tx_offload offload = { .nb_patches = 0 };
	uint64_t need = vnet_packet_need(queue, pkt), room = 0, len;
	uint16_t n;
	int nb_iov = 0;

	/* Before a checksum is computed for it, perhaps. */
	if (queue->broken || still_stuck(queue, need))
		return VNET_WAIT;
	if (vnet_has_work(pkt) && !vnet_offload_transmit(queue, pkt, &offload))
		return VNET_DROPPED;
	for (n = 0; room < need; n++) {
		uint16_t head;

		/* There may be more than were known when the burst began. */
		if (available(queue, n + 1) <= n) {
			vnet_packet_stuck(queue, queue->next_avail,
					(uint16_t)(queue->next_avail + n), need);
			return give_up(queue, n, n == queue->size ? VNET_DROPPED : VNET_WAIT);
		}
		if (n == 1 && !queue->mergeable)
			return give_up(queue, n, VNET_DROPPED);
		head = avail_head(queue, n);
		if (!check_head(queue, head))
			return give_up(queue, n, VNET_WAIT);
		nb_iov = vnet_chain_walk(queue, head, true, nb_iov, &len);
		if (nb_iov >= 0 && n == 0 && len < queue->header_len) {
			vnet_queue_fault(queue, VNET_FAULT_SHORT, len, queue->header_len);
			nb_iov = -1;
		}
		if (nb_iov < 0) {
			return_bad(queue, n, head);
			vnet_packet_again(queue, pkt);
			return VNET_AGAIN;
		}
		put_used(queue, n, head, (uint32_t)RTE_MIN(len, need - room));
		room += len;
	}

	vnet_write_iov(queue, pkt, &offload, n);
	if (queue->marker.logging)
		vnet_chain_mark(queue, queue->iov, need);
	queue->next_avail += n;
	queue->next_used += n;
	vnet_count(&queue->stats.packets, 1);
	vnet_count(&queue->stats.bytes, pkt->pkt_len + offload.tag_len);
	return VNET_DONE;
}

uint16_t
vnet_split_transmit(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t first = queue->next_used, nb_avail = available(queue, nb_pkts);
	uint16_t span = VNET_CHUNK, done = 0, bad = 0;

	queue->walked = 0;
	while (done < nb_pkts && nb_avail != 0) {
		uint16_t n = RTE_MIN(RTE_MIN((uint16_t)(nb_pkts - done), nb_avail), span);
		uint16_t went = transmit_chunk(queue, &pkts[done], n);
		enum vnet_outcome outcome;

		done += went;
		nb_avail -= went;
		if (likely(went == n)) {
			span = wider(span);
			continue;
		}
		span = 1;
		outcome = transmit_any(queue, pkts[done]);
		if (outcome == VNET_WAIT || (outcome == VNET_AGAIN && ++bad == VNET_MAX_BAD))
			break;
		if (outcome == VNET_DROPPED)
			vnet_count(&queue->stats.dropped, 1);
		if (outcome != VNET_AGAIN)
			done++;
		if (queue->walked > VNET_MAX_WALKED)
			break;
		/* It may have taken more buffers than one, of those for the packets after it. */
		nb_avail = available(queue, nb_pkts - done);
	}
	publish(queue, first);
	return done;
}

/* ---- from the guest ---- */

/*
 * The counterpart: read the packets of a chunk, up to one that cannot be
 * followed; returns how many came. Compiled twice.
 */
static __rte_always_inline uint16_t
read_chunk(struct vnet_queue *queue, const struct vnet_found *found, const uint16_t *heads,
		struct rte_mbuf **pkts, uint16_t n, bool are_long)
{
	uint64_t bytes = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (are_long && i + VNET_FETCH_AHEAD < n)
			vnet_fetch_rest(found[i + VNET_FETCH_AHEAD].data,
					found[i + VNET_FETCH_AHEAD].len);
		/* A bad one is left for receive_any(), which counts it. */
		if (unlikely(!vnet_read_packet(queue, &found[i], pkts[i], are_long))) {
			rte_pktmbuf_reset(pkts[i]);
			pkts[i]->port = queue->mbuf_port;
			break;
		}
		put_used(queue, i, heads[i], 0);
		bytes += found[i].len;
	}
	vnet_count(&queue->stats.bytes, bytes);
	return i;
}

/* A packet in one piece with its header, or apart from it in an indirect table. */
static __rte_always_inline bool
find_packet(struct vnet_queue *queue, struct dirtylog_region *region, const struct vring_desc *desc,
		uint32_t room, struct vnet_found *found)
{
	if (unlikely((desc->flags & F_SHAPE) != 0))
		return (desc->flags & F_SHAPE) == VRING_DESC_F_INDIRECT &&
				vnet_chain_find_pair(queue, desc->addr, desc->len, room, found);
	return vnet_find_packet(queue, region, desc->addr, desc->len, room, found);
}

/* The counterpart of transmit_chunk(); the mbufs are fresh. */
static __rte_always_inline uint16_t
receive_chunk(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct dirtylog_region region = *queue->hint;
	struct vnet_found found[VNET_CHUNK];
	uint16_t heads[VNET_CHUNK];
	uint32_t lens = 0;
	uint16_t i;

	n = fetch_heads(queue, heads, n);
	for (i = 0; i < n; i++) {
		struct vring_desc desc = vnet_read_desc(&queue->desc[heads[i]]);

		if (unlikely(!find_packet(queue, &region, &desc, rte_pktmbuf_tailroom(pkts[i]),
				    &found[i])))
			break;
		lens |= found[i].len + queue->header_len;
	}
	if (vnet_is_long(lens))
		n = read_chunk(queue, found, heads, pkts, i, true);
	else
		n = read_chunk(queue, found, heads, pkts, i, false);
	queue->next_avail += n;
	queue->next_used += n;
	vnet_count(&queue->stats.packets, n);
	return n;
}

/* One packet in any shape; the mbuf is fresh, and so it stays unless VNET_DONE. */
static enum vnet_outcome
receive_any(struct vnet_queue *queue, struct rte_mbuf *pkt)
{
	uint16_t head = avail_head(queue, 0);
	enum vnet_outcome outcome = VNET_AGAIN;
	uint64_t len;

	if (queue->broken || !check_head(queue, head))
		return VNET_WAIT;
	if (vnet_chain_walk(queue, head, false, 0, &len) >= 0)
		outcome = vnet_read_iov(queue, len, pkt);
	if (outcome == VNET_WAIT)
		vnet_count(&queue->stats.no_mbuf, 1);
	if (outcome == VNET_AGAIN)
		return_bad(queue, 0, head);
	if (outcome != VNET_DONE)
		return outcome;
	put_used(queue, 0, head, 0);
	queue->next_avail++;
	queue->next_used++;
	return VNET_DONE;
}

/*
 * Fetch the buffers of the next burst, which are available already: they come
 * while the caller is busy with this one's packets. What is read here is read
 * again, and checked, when its turn comes.
 */
static inline void
fetch_ahead(struct vnet_queue *queue, uint16_t n)
{
	struct dirtylog_region region = *queue->hint;
	uint16_t i;

	for (i = 0; i < n; i++) {
		uint16_t head = avail_head(queue, i);
		struct vring_desc desc;
		uint8_t *host;

		if (unlikely(head >= queue->size))
			return;
		desc = vnet_read_desc(&queue->desc[head]);
		if (likely(vnet_find(queue, &region, desc.addr, desc.len, &host)))
			vnet_fetch_first(host);
	}
}

uint16_t
vnet_split_receive(struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t first = queue->next_used, nb_avail = available(queue, nb_pkts);
	uint16_t end, span = VNET_CHUNK, fresh = 0, done = 0, bad = 0;

	end = (uint16_t)(queue->next_avail + nb_avail);
	queue->walked = 0;
	/* pkts[done] to pkts[done + fresh - 1] are allocated and empty. */
	while (done < nb_pkts && nb_avail != 0) {
		uint16_t n = RTE_MIN(RTE_MIN((uint16_t)(nb_pkts - done), nb_avail),
				(uint16_t)VNET_CHUNK);
		uint16_t came;

		if (fresh == 0) {
			if (unlikely(!vnet_alloc(queue, &pkts[done], n))) {
				vnet_count(&queue->stats.no_mbuf, n);
				break;
			}
			fresh = n;
		}
		n = RTE_MIN(RTE_MIN(n, fresh), span);
		came = receive_chunk(queue, &pkts[done], n);
		done += came;
		fresh -= came;
		if (likely(came == n)) {
			span = wider(span);
		} else {
			enum vnet_outcome outcome = receive_any(queue, pkts[done]);

			span = 1;
			if (outcome == VNET_WAIT ||
					(outcome == VNET_AGAIN && ++bad == VNET_MAX_BAD))
				break;
			if (outcome == VNET_DONE) {
				done++;
				fresh--;
			}
			if (queue->walked > VNET_MAX_WALKED)
				break;
		}
		nb_avail = (uint16_t)(end - queue->next_avail);
	}
	fetch_ahead(queue, RTE_MIN(nb_avail, done));
	publish(queue, first);
	if (fresh != 0)
		rte_pktmbuf_free_bulk(&pkts[done], fresh);
	return done;
}
