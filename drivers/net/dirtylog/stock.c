/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include <rte_vhost.h>

#include "datapath/count.h"
#include "datapath/offload.h"
#include "datapath/rx_wakeup.h"
#include "stock.h"

/* librte_vhost takes no more at once. */
#define MAX_BURST 32

/* The queue of this thread's burst, for eth_dirtylog_stock_guest_notified(). */
static __thread struct vnet_queue *bursting;

static struct eth_dirtylog_stock_queue *
stock_of(struct vnet_queue *queue)
{
	return (struct eth_dirtylog_stock_queue *)queue;
}

/* ---- opening and closing ---- */

void
eth_dirtylog_stock_init(struct vnet_queue *queue)
{
	rte_spinlock_init(&stock_of(queue)->lock);
	stock_of(queue)->vid = -1;
}

void
eth_dirtylog_stock_open(struct vnet_queue *queue, int vid, const struct vnet_rx_config *rx_config)
{
	struct eth_dirtylog_stock_queue *stock = stock_of(queue);
	struct rte_vhost_vring ring = { .size = 0 };
	uint64_t features = 0;

	rte_vhost_get_vhost_vring(vid, queue->vring, &ring);
	rte_vhost_get_negotiated_features(vid, &features);
	/* The application polls, until it says that it does not. */
	rte_vhost_enable_guest_notification(vid, queue->vring, 0);
	rte_spinlock_lock(&stock->lock);
	queue->rx_config = *rx_config;
	vnet_offload_open(queue, features);
	__atomic_store_n(&queue->size, (uint16_t)ring.size, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->packed, (features >> VIRTIO_F_RING_PACKED & 1) != 0,
			__ATOMIC_RELAXED);
	stock->vid = vid;
	rte_spinlock_unlock(&stock->lock);
	/* Nobody was kicked for what came before. */
	if (queue->wakeup != NULL)
		vnet_rx_wakeup_signal(queue->wakeup);
}

void
eth_dirtylog_stock_close(struct vnet_queue *queue)
{
	struct eth_dirtylog_stock_queue *stock = stock_of(queue);

	rte_spinlock_lock(&stock->lock);
	stock->vid = -1;
	rte_spinlock_unlock(&stock->lock);
}

/*
 * Have the queue until end(), unless it is closed. It is never waited for: who has it
 * opens or closes it, and the packets can wait.
 */
static bool
begin(struct eth_dirtylog_stock_queue *stock)
{
	if (unlikely(!rte_spinlock_trylock(&stock->lock)))
		return false;
	if (unlikely(stock->vid < 0)) {
		rte_spinlock_unlock(&stock->lock);
		return false;
	}
	bursting = &stock->queue;
	return true;
}

static void
end(struct eth_dirtylog_stock_queue *stock)
{
	bursting = NULL;
	rte_spinlock_unlock(&stock->lock);
}

void
eth_dirtylog_stock_guest_notified(int vid)
{
	(void)vid;
	if (bursting != NULL)
		vnet_count(&bursting->stats.notifications, 1);
}

static void
count(struct vnet_queue_stats *stats, struct rte_mbuf **pkts, uint16_t n)
{
	uint64_t bytes = 0;
	uint16_t i;

	for (i = 0; i < n; i++)
		bytes += pkts[i]->pkt_len;
	vnet_count(&stats->packets, n);
	vnet_count(&stats->bytes, bytes);
}

/* ---- from the guest ---- */

/* The header that asks for what a packet's flags say is still to be done. */
static struct virtio_net_hdr
header_of(const struct rte_mbuf *pkt)
{
	struct virtio_net_hdr header = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };
	struct rte_net_hdr_lens lens = { .l2_len = 0 };
	uint32_t l4;

	if ((pkt->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) != RTE_MBUF_F_RX_L4_CKSUM_NONE)
		return header;
	l4 = rte_net_get_ptype(pkt, &lens, RTE_PTYPE_ALL_MASK) & RTE_PTYPE_L4_MASK;
	if (l4 != RTE_PTYPE_L4_TCP && l4 != RTE_PTYPE_L4_UDP)
		return header;
	header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	header.csum_start = (uint16_t)(lens.l2_len + lens.l3_len);
	header.csum_offset = l4 == RTE_PTYPE_L4_TCP ? offsetof(struct rte_tcp_hdr, cksum) :
						      offsetof(struct rte_udp_hdr, dgram_cksum);
	return header;
}

/* What librte_vhost leaves to be done for an application that takes no partial checksums. */
static void
finish_received(const struct vnet_queue *queue, struct rte_mbuf *pkt)
{
	struct virtio_net_hdr header = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };

	if (queue->complete_checksums)
		header = header_of(pkt);
	if (header.flags == 0 && !queue->strip_vlan)
		return;
	if (header.flags != 0)
		pkt->ol_flags &= ~(uint64_t)RTE_MBUF_F_RX_L4_CKSUM_MASK;
	vnet_offload_take(queue, header, pkt);
}

uint16_t
eth_dirtylog_stock_rx(void *ctx, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct eth_dirtylog_stock_queue *stock = ctx;
	struct vnet_queue *queue = ctx;
	uint16_t done = 0, got, wanted, i;

	if (!begin(stock))
		return 0;
	do {
		wanted = RTE_MIN((uint16_t)(nb_pkts - done), MAX_BURST);
		got = rte_vhost_dequeue_burst(stock->vid, queue->vring, queue->pool, pkts + done,
				wanted);
		done += got;
	} while (got == wanted && done < nb_pkts);
	for (i = 0; i < done; i++) {
		pkts[i]->port = queue->mbuf_port;
		finish_received(queue, pkts[i]);
	}
	end(stock);
	count(&queue->stats, pkts, done);
	vnet_count_burst(queue, pkts, done);
	return done;
}

/* ---- to the guest ---- */

/* Compute what this guest cannot be asked to. False: the packet cannot be brought to it. */
static bool
complete_checksums(const struct vnet_queue *queue, struct rte_mbuf *pkt)
{
	struct vnet_tx_offload offload;
	uint16_t i;

	if (queue->guest_checksums || (pkt->ol_flags & RTE_MBUF_F_TX_L4_MASK) == 0)
		return true;
	if (!vnet_offload_transmit(queue, pkt, &offload))
		return false;
	/* Offsets are those behind the tag, which is not there yet. */
	for (i = 0; i < offload.nb_patches; i++)
		memcpy(rte_pktmbuf_mtod_offset(pkt, uint8_t *,
				       offload.patches[i].offset - offload.tag_len),
				&offload.patches[i].value, sizeof(offload.patches[i].value));
	pkt->ol_flags &= ~(uint64_t)(RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM);
	return true;
}

/* Do what librte_vhost does not. Returns how many are ready; the next one cannot be sent. */
static uint16_t
prepare(const struct vnet_queue *queue, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	for (i = 0; i < n; i++) {
		if ((pkts[i]->ol_flags & RTE_MBUF_F_TX_L4_MASK) != 0 &&
				!complete_checksums(queue, pkts[i]))
			break;
		/* Of an mbuf that is shared there is no changing. */
		if ((pkts[i]->ol_flags & RTE_MBUF_F_TX_VLAN) != 0 && rte_vlan_insert(&pkts[i]) != 0)
			break;
	}
	return i;
}

uint16_t
eth_dirtylog_stock_tx(void *ctx, struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	struct eth_dirtylog_stock_queue *stock = ctx;
	struct vnet_queue *queue = ctx;
	uint16_t done = 0, ready, went;

	if (!begin(stock))
		return 0;
	while (done < nb_pkts) {
		ready = prepare(queue, pkts + done, RTE_MIN((uint16_t)(nb_pkts - done), MAX_BURST));
		if (ready == 0) {
			vnet_count(&queue->stats.dropped, 1);
			done++;
			continue;
		}
		went = rte_vhost_enqueue_burst(stock->vid, queue->vring, pkts + done, ready);
		count(&queue->stats, pkts + done, went);
		done += went;
		if (went < ready)
			break;
	}
	end(stock);
	vnet_count_burst(queue, pkts, done);
	rte_pktmbuf_free_bulk(pkts, done);
	return done;
}

/* ---- notifications ---- */

uint16_t
eth_dirtylog_stock_waiting(struct vnet_queue *queue)
{
	struct eth_dirtylog_stock_queue *stock = stock_of(queue);
	uint16_t n = 0;

	if (!begin(stock))
		return 0;
	/* Of a packed ring librte_vhost answers what it takes for a split one's index. */
	if (!queue->packed)
		n = (uint16_t)rte_vhost_rx_queue_count(stock->vid, queue->vring);
	end(stock);
	return n;
}

int
eth_dirtylog_stock_enable_kicks(struct vnet_queue *queue, bool on)
{
	struct eth_dirtylog_stock_queue *stock = stock_of(queue);
	bool missed;

	/* Before: what opens the queue meanwhile signals once more. */
	if (on && queue->wakeup != NULL)
		vnet_rx_wakeup_forget(queue->wakeup);
	if (!begin(stock))
		return 0;
	rte_vhost_enable_guest_notification(stock->vid, queue->vring, on);
	/*
	 * Full fence: orders librte_vhost's store of the wish before its load of the
	 * index. The driver stores that, then loads the wish.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* Of a packed ring nobody knows, so who wants to sleep looks once more. */
	missed = on && (queue->packed || rte_vhost_rx_queue_count(stock->vid, queue->vring) != 0);
	end(stock);
	if (missed && queue->wakeup != NULL)
		vnet_rx_wakeup_signal(queue->wakeup);
	return 0;
}
