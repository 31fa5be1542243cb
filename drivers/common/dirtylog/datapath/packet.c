/* SPDX-License-Identifier: BSD-3-Clause */

#include "datapath/chain.h"
#include "datapath/ext_buffers.h"
#include "datapath/packet.h"

bool
vnet_is_simple_work(const struct vnet_queue *queue, const struct rte_mbuf *pkt,
		struct vnet_tx_offload *offloads, uint16_t i)
{
	return vnet_offload_transmit(queue, pkt, &offloads[i]) && offloads[i].tag_len == 0;
}

void
vnet_write_iov(struct vnet_queue *queue, const struct rte_mbuf *pkt,
		const struct vnet_tx_offload *offload, uint16_t nb_buffers)
{
	const struct virtio_net_hdr_mrg_rxbuf header = { .hdr = offload->header,
		.num_buffers = nb_buffers };
	const uint32_t addresses = 2 * RTE_ETHER_ADDR_LEN;
	/* It goes along with the packet: a search from the first piece for each segment adds up. */
	struct vnet_iov_pos pos = { .iov = queue->iov };
	const struct rte_mbuf *seg;
	uint16_t i;

	vnet_chain_write(&pos, &header, queue->header_len);
	for (seg = pkt; seg != NULL; seg = seg->next) {
		const uint8_t *data = rte_pktmbuf_mtod(seg, const uint8_t *);
		uint32_t len = seg->data_len;

		if (seg == pkt && offload->tag_len != 0) {
			vnet_chain_write(&pos, data, addresses);
			vnet_chain_write(&pos, offload->tag, offload->tag_len);
			data += addresses;
			len -= addresses;
		}
		vnet_chain_write(&pos, data, len);
	}
	for (i = 0; i < offload->nb_patches; i++) {
		pos.iov = queue->iov;
		pos.skip = queue->header_len + offload->patches[i].offset;
		vnet_chain_write(&pos, &offload->patches[i].value,
				sizeof(offload->patches[i].value));
	}
}

/*
 * Bytes of the longest packet that the queue takes, given a fresh mbuf of its
 * pool. One that needs most of the pool would wait for it in vain, or take it
 * from everybody else.
 */
static uint32_t
longest_packet(const struct vnet_queue *queue, const struct rte_mbuf *pkt)
{
	const uint32_t max_mbufs = VNET_MAX_PACKET / VNET_MIN_ROOM + 1;
	uint32_t nb_mbufs = RTE_MIN(max_mbufs, pkt->pool->size / 2 + 1);
	uint64_t room = (uint64_t)nb_mbufs * rte_pktmbuf_tailroom(pkt);

	return vnet_ext_buffers_longest(queue, pkt,
			(uint32_t)RTE_MIN(room, (uint64_t)VNET_MAX_PACKET));
}

enum vnet_outcome
vnet_read_iov(struct vnet_queue *queue, uint64_t len, struct rte_mbuf *pkt)
{
	uint32_t longest = longest_packet(queue, pkt);
	struct virtio_net_hdr header;

	if (len <= queue->header_len || len - queue->header_len > longest) {
		vnet_queue_fault(queue,
				len <= queue->header_len ? VNET_FAULT_SHORT : VNET_FAULT_LONG, len,
				longest);
		return VNET_AGAIN;
	}
	len -= queue->header_len;
	if (!vnet_ext_buffers_attach(queue, pkt, (uint32_t)len) ||
			!vnet_chain_read(queue->iov, queue->header_len, (uint32_t)len, pkt)) {
		vnet_ext_buffers_renew(pkt);
		return VNET_WAIT;
	}
	vnet_chain_peek(queue->iov, &header, sizeof(header));
	if (queue->offloads && !vnet_offload_received(queue, &header, pkt)) {
		vnet_queue_fault(queue, VNET_FAULT_OFFLOAD, header.gso_type, queue->host_gso_types);
		/* It was copied for nothing, and that counts as descriptors do. */
		queue->walked += (uint32_t)len / RTE_CACHE_LINE_SIZE;
		vnet_ext_buffers_renew(pkt);
		return VNET_AGAIN;
	}
	pkt->port = queue->mbuf_port;
	vnet_count(&queue->stats.packets, 1);
	vnet_count(&queue->stats.bytes, len);
	return VNET_DONE;
}
