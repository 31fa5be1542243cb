/* SPDX-License-Identifier: BSD-3-Clause */

#include "datapath/chain.h"
#include "datapath/ext_buffers.h"
#include "datapath/packet.h"

void
dirtylog_write_pieces(struct dirtylog_queue *queue, const struct rte_mbuf *pkt,
		const struct dirtylog_tx_offload *offload, uint16_t nb_buffers)
{
	const struct virtio_net_hdr_mrg_rxbuf header = {
		.hdr = offload->header, .num_buffers = nb_buffers
	};
	const uint32_t addresses = 2 * RTE_ETHER_ADDR_LEN;
	uint32_t skip = queue->header_len;
	const struct rte_mbuf *seg;
	uint16_t i;

	dirtylog_chain_write(queue->pieces, 0, &header, skip);
	for (seg = pkt; seg != NULL; seg = seg->next) {
		const uint8_t *data = rte_pktmbuf_mtod(seg, const uint8_t *);
		uint32_t len = seg->data_len;

		if (seg == pkt && offload->tag_len != 0) {
			dirtylog_chain_write(queue->pieces, skip, data, addresses);
			skip += addresses;
			dirtylog_chain_write(queue->pieces, skip, offload->tag,
					offload->tag_len);
			skip += offload->tag_len;
			data += addresses;
			len -= addresses;
		}
		dirtylog_chain_write(queue->pieces, skip, data, len);
		skip += len;
	}
	for (i = 0; i < offload->nb_patches; i++)
		dirtylog_chain_write(queue->pieces, queue->header_len + offload->patches[i].offset,
				&offload->patches[i].value, sizeof(offload->patches[i].value));
}

enum dirtylog_outcome
dirtylog_read_pieces(struct dirtylog_queue *queue, uint64_t len, struct rte_mbuf *pkt)
{
	uint32_t longest = dirtylog_ext_buffers_longest(queue, pkt, DIRTYLOG_MAX_PACKET);
	struct virtio_net_hdr header;

	if (len <= queue->header_len || len - queue->header_len > longest) {
		dirtylog_queue_fault(queue, len <= queue->header_len ? DIRTYLOG_FAULT_SHORT :
				DIRTYLOG_FAULT_LONG, len, longest);
		return DIRTYLOG_AGAIN;
	}
	len -= queue->header_len;
	if (!dirtylog_ext_buffers_attach(queue, pkt, (uint32_t)len) ||
			!dirtylog_chain_read(queue->pieces, queue->header_len, (uint32_t)len,
				pkt)) {
		dirtylog_ext_buffers_renew(pkt);
		return DIRTYLOG_WAIT;
	}
	dirtylog_chain_peek(queue->pieces, &header, sizeof(header));
	if (queue->offloads && !dirtylog_offload_received(queue, &header, pkt)) {
		dirtylog_queue_fault(queue, DIRTYLOG_FAULT_OFFLOAD, header.gso_type,
				queue->host_gso_types);
		dirtylog_ext_buffers_renew(pkt);
		return DIRTYLOG_AGAIN;
	}
	pkt->port = queue->port_id;
	dirtylog_count(&queue->stats.packets, 1);
	dirtylog_count(&queue->stats.bytes, len);
	return DIRTYLOG_DONE;
}
