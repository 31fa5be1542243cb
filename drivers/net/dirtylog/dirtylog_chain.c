/* SPDX-License-Identifier: BSD-3-Clause */

#include <rte_common.h>
#include <rte_memcpy.h>

#include "dirtylog_chain.h"

/* Append the pieces of one buffer; more than one where it crosses regions. */
static int
add_buffer(struct dirtylog_queue *queue, uint64_t gpa, uint32_t len, int n)
{
	/* Else chains of them could be walked for long without any progress. */
	if (len == 0) {
		dirtylog_queue_fault(queue, DIRTYLOG_FAULT_SHORT, 0, 1);
		return -1;
	}
	while (len != 0) {
		const struct guest_region *region = guest_mem_find(queue->mem, gpa, &queue->hint);
		struct guest_piece *piece = &queue->pieces[n];

		if (region == NULL) {
			dirtylog_queue_fault(queue, DIRTYLOG_FAULT_ADDRESS, gpa, 0);
			return -1;
		}
		if (n == DIRTYLOG_MAX_PIECES) {
			dirtylog_queue_fault(queue, DIRTYLOG_FAULT_LOOP, (uint64_t)n,
					DIRTYLOG_MAX_PIECES);
			return -1;
		}
		piece->region = region;
		piece->host = guest_region_host(region, gpa);
		piece->len = (uint32_t)RTE_MIN(len, region->len - (gpa - region->gpa));
		gpa += piece->len; /* wraps to 0 at worst, which is checked again */
		len -= piece->len;
		n++;
	}
	return n;
}

/* An entry of an indirect table, which can lie anywhere in guest memory. */
static bool
read_indirect(struct dirtylog_queue *queue, uint64_t table, uint32_t index,
		struct vring_desc *desc)
{
	uint64_t gpa = table + index * sizeof(*desc);
	const struct guest_region *region = guest_mem_find(queue->mem, gpa, &queue->hint);

	if (region == NULL || !guest_region_holds(region, gpa, sizeof(*desc)) ||
			(uintptr_t)guest_region_host(region, gpa) % _Alignof(uint64_t) != 0) {
		dirtylog_queue_fault(queue, DIRTYLOG_FAULT_INDIRECT, gpa, 0);
		return false;
	}
	*desc = dirtylog_read_desc((struct vring_desc *)guest_region_host(region, gpa));
	return true;
}

int
dirtylog_chain_walk(struct dirtylog_queue *queue, uint16_t head, bool device_writes,
		int from, uint64_t *len)
{
	uint16_t direction = device_writes ? VRING_DESC_F_WRITE : 0;
	uint32_t limit = queue->size; /* entries of the table in use */
	uint64_t indirect = 0;        /* GPA of the indirect table in use, */
	bool in_table = false;        /* if there is one */
	uint32_t index = head, steps = 0;
	struct vring_desc desc;
	int n = from;

	*len = 0;
	for (;;) {
		if (index >= limit || steps++ == RTE_MIN(limit, (uint32_t)DIRTYLOG_MAX_PIECES)) {
			dirtylog_queue_fault(queue, index >= limit ? DIRTYLOG_FAULT_HEAD :
					DIRTYLOG_FAULT_LOOP, index, limit);
			return -1;
		}
		if (!in_table)
			desc = dirtylog_read_desc(&queue->desc[index]);
		else if (!read_indirect(queue, indirect, index, &desc))
			return -1;

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* virtio 1.1, 2.6.5.3: the last of its chain, and never nested. */
			if (in_table || (desc.flags & VRING_DESC_F_NEXT) || desc.len == 0 ||
					desc.len % sizeof(desc) != 0) {
				dirtylog_queue_fault(queue, DIRTYLOG_FAULT_INDIRECT, desc.len,
						sizeof(desc));
				return -1;
			}
			in_table = true;
			indirect = desc.addr;
			limit = desc.len / sizeof(desc);
			index = 0;
			steps = 0;
			continue;
		}
		if ((desc.flags & VRING_DESC_F_WRITE) != direction) {
			dirtylog_queue_fault(queue, DIRTYLOG_FAULT_DIRECTION, index, limit);
			return -1;
		}
		n = add_buffer(queue, desc.addr, desc.len, n);
		if (n < 0)
			return -1;
		*len += desc.len;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return n;
		index = desc.next;
	}
}

/* Find the piece that holds a byte; makes `skip` relative to it. */
static const struct guest_piece *
seek(const struct guest_piece *piece, uint32_t *skip)
{
	while (*skip >= piece->len)
		*skip -= (piece++)->len;
	return piece;
}

void
dirtylog_chain_write(const struct guest_piece *piece, uint32_t skip, const void *data,
		uint32_t len)
{
	const uint8_t *from = data;

	while (len != 0) {
		uint32_t n;

		piece = seek(piece, &skip);
		n = RTE_MIN(len, piece->len - skip);
		rte_memcpy(piece->host + skip, from, n);
		from += n;
		skip += n;
		len -= n;
	}
}

void
dirtylog_chain_mark(struct dirtylog_queue *queue, const struct guest_piece *piece, uint64_t len)
{
	for (; len != 0; piece++) {
		uint64_t n = RTE_MIN(len, piece->len);

		dirtylog_mark(&queue->marker, piece->region->bitmap,
				(uint64_t)(piece->host - piece->region->host), n);
		len -= n;
	}
}

bool
dirtylog_chain_read(const struct guest_piece *piece, uint32_t skip, uint32_t len,
		struct rte_mbuf *mbuf)
{
	struct rte_mbuf *tail = mbuf;

	mbuf->pkt_len = len;
	while (len != 0) {
		uint32_t n = rte_pktmbuf_tailroom(tail);

		if (n == 0) {
			tail->next = rte_pktmbuf_alloc(mbuf->pool);
			if (tail->next == NULL)
				return false;
			tail = tail->next;
			mbuf->nb_segs++;
			continue;
		}
		piece = seek(piece, &skip);
		n = RTE_MIN(n, RTE_MIN(len, piece->len - skip));
		rte_memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t *, tail->data_len),
				piece->host + skip, n);
		tail->data_len += n;
		skip += n;
		len -= n;
	}
	return true;
}
