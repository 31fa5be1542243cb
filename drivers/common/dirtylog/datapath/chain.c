/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: chains of a split ring, and of a packed one, each with its indirect
 * tables, made a list of iov in which every piece is checked; and what is done
 * with such a list: written, marked, peeked at, read.
 */

#include <string.h>

#include <rte_common.h>
#include <rte_memcpy.h>

#include "datapath/chain.h"
#include "datapath/desc.h"
#include "datapath/packed_desc.h"

/* Bytes of a descriptor, of either kind of ring. */
#define ENTRY_LEN ((uint32_t)sizeof(struct vring_desc))

/* ---- chains of a split ring ---- */

/*
 * Append the pieces of one buffer: none if it is empty, more than one where it
 * crosses regions.
 */
static int
add_buffer(struct vnet_queue *queue, uint64_t gpa, uint32_t len, int n)
{
	while (len != 0) {
		const struct dirtylog_region *region = dirtylog_memory_find(queue->mem, gpa,
				&queue->hint);
		struct vnet_iov *iov = &queue->iov[n];

		if (region == NULL) {
			vnet_queue_fault(queue, VNET_FAULT_ADDRESS, gpa, 0);
			return -1;
		}
		if (n == VNET_MAX_IOV) {
			vnet_queue_fault(queue, VNET_FAULT_LOOP, (uint64_t)n, VNET_MAX_IOV);
			return -1;
		}
		iov->region = region;
		iov->host = dirtylog_region_host(region, gpa);
		iov->len = (uint32_t)RTE_MIN(len, region->len - (gpa - region->gpa));
		gpa += iov->len; /* wraps to 0 at worst, which is checked again */
		len -= iov->len;
		n++;
	}
	return n;
}

/* An entry of an indirect table, which can lie anywhere in guest memory; or NULL. */
static const void *
find_indirect(struct vnet_queue *queue, uint64_t table, uint32_t index)
{
	uint64_t gpa = table + index * ENTRY_LEN;
	const struct dirtylog_region *region = dirtylog_memory_find_range(queue->mem, gpa,
			ENTRY_LEN, &queue->hint);

	if (region == NULL ||
			(uintptr_t)dirtylog_region_host(region, gpa) % _Alignof(uint64_t) != 0) {
		vnet_queue_fault(queue, VNET_FAULT_INDIRECT, gpa, 0);
		return NULL;
	}
	return dirtylog_region_host(region, gpa);
}

/*
 * A descriptor that refers to an indirect table. It is the last of its chain,
 * and tables are not nested (virtio 1.1, 2.6.5.3 and 2.7.7).
 */
static bool
check_indirect(struct vnet_queue *queue, bool last, uint32_t len)
{
	if (last && len != 0 && len % ENTRY_LEN == 0)
		return true;
	vnet_queue_fault(queue, VNET_FAULT_INDIRECT, len, ENTRY_LEN);
	return false;
}

/*
 * The end of a chain whose pieces begin at `from`. One that has none is bad: a
 * packet could take any number of them without any progress.
 */
static int
end_chain(struct vnet_queue *queue, int from, int n)
{
	if (n != from)
		return n;
	vnet_queue_fault(queue, VNET_FAULT_SHORT, 0, 1);
	return -1;
}

int
vnet_chain_walk(struct vnet_queue *queue, uint16_t head, bool device_writes, int from,
		uint64_t *len)
{
	uint16_t direction = device_writes ? VRING_DESC_F_WRITE : 0;
	uint32_t limit = queue->size; /* entries of the table in use */
	uint64_t indirect = 0;        /* GPA of the indirect table in use */
	bool in_table = false;        /* there is one in use */
	uint32_t index = head, steps = 0;
	const struct vring_desc *entry;
	struct vring_desc desc;
	int n = from;

	*len = 0;
	for (;;) {
		if (index >= limit || steps++ == RTE_MIN(limit, (uint32_t)VNET_MAX_IOV)) {
			vnet_queue_fault(queue, index >= limit ? VNET_FAULT_HEAD : VNET_FAULT_LOOP,
					index, limit);
			return -1;
		}
		entry = in_table ? find_indirect(queue, indirect, index) : &queue->desc[index];
		if (entry == NULL)
			return -1;
		desc = vnet_read_desc(entry);
		queue->walked++;

		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!check_indirect(queue, !in_table && !(desc.flags & VRING_DESC_F_NEXT),
					    desc.len))
				return -1;
			in_table = true;
			indirect = desc.addr;
			limit = desc.len / ENTRY_LEN;
			index = 0;
			steps = 0;
			continue;
		}
		if ((desc.flags & VRING_DESC_F_WRITE) != direction) {
			vnet_queue_fault(queue, VNET_FAULT_DIRECTION, index, limit);
			return -1;
		}
		n = add_buffer(queue, desc.addr, desc.len, n);
		if (n < 0)
			return -1;
		*len += desc.len;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return end_chain(queue, from, n);
		index = desc.next;
	}
}

/* ---- chains of a packed ring ---- */

/* The buffers of an indirect table of a packed ring: all of its entries, in order. */
static int
add_packed_table(struct vnet_queue *queue, uint64_t table, uint32_t nb_entries, uint16_t direction,
		int n, uint64_t *len)
{
	uint32_t i;

	for (i = 0; i < nb_entries && n >= 0; i++) {
		const struct vring_packed_desc *entry = find_indirect(queue, table, i);
		union vnet_packed_tail tail;

		if (entry == NULL)
			return -1;
		/* Empty ones count too. */
		if (i == VNET_MAX_IOV) {
			vnet_queue_fault(queue, VNET_FAULT_LOOP, i, VNET_MAX_IOV);
			return -1;
		}
		tail = vnet_read_tail(entry);
		queue->walked++;
		if (tail.flags & VRING_DESC_F_INDIRECT) {
			check_indirect(queue, false, tail.len);
			return -1;
		}
		/*
		 * Of the flags only WRITE has a meaning here (virtio 1.1, 2.7.7). DPDK's
		 * virtio driver (22.11) sets it by mistake on what we have to read.
		 */
		if (direction != 0 && !(tail.flags & VRING_DESC_F_WRITE)) {
			vnet_queue_fault(queue, VNET_FAULT_DIRECTION, i, nb_entries);
			return -1;
		}
		n = add_buffer(queue, vnet_read_addr(entry), tail.len, n);
		*len += tail.len;
	}
	return n;
}

/* What a descriptor of a packed ring describes. Returns as add_buffer(). */
static int
add_packed_desc(struct vnet_queue *queue, const struct vring_packed_desc *desc,
		union vnet_packed_tail tail, bool alone, uint16_t direction, int n, uint64_t *len)
{
	uint64_t addr = vnet_read_addr(desc);

	if (tail.flags & VRING_DESC_F_INDIRECT) {
		if (!check_indirect(queue, alone, tail.len))
			return -1;
		return add_packed_table(queue, addr, tail.len / ENTRY_LEN, direction, n, len);
	}
	if ((tail.flags & VRING_DESC_F_WRITE) != direction) {
		vnet_queue_fault(queue, VNET_FAULT_DIRECTION, tail.id, queue->size);
		return -1;
	}
	*len += tail.len;
	return add_buffer(queue, addr, tail.len, n);
}

int
vnet_chain_walk_packed(struct vnet_queue *queue, uint16_t index, uint16_t limit, bool device_writes,
		int from, uint64_t *len, struct vnet_packed_buffer *buffer)
{
	uint16_t direction = device_writes ? VRING_DESC_F_WRITE : 0;
	union vnet_packed_tail tail;
	uint16_t count = 0;
	int n = from;

	*len = 0;
	do {
		const struct vring_packed_desc *desc = &queue->packed_desc[index];

		if (count == limit) {
			/* All of the ring, and it does not end: no driver makes that good. */
			vnet_queue_fault(queue, VNET_FAULT_LOOP, count, limit);
			queue->broken = true;
			buffer->nb_desc = 0;
			return -1;
		}
		tail = vnet_read_tail(desc);
		queue->walked++;
		/* What is bad is walked to its end: only there is the buffer's id. */
		if (n >= 0)
			n = add_packed_desc(queue, desc, tail,
					count == 0 && !(tail.flags & VRING_DESC_F_NEXT), direction,
					n, len);
		index = index + 1 == queue->size ? 0 : index + 1;
		count++;
	} while (tail.flags & VRING_DESC_F_NEXT);
	buffer->id = tail.id;
	buffer->nb_desc = count;
	return n < 0 ? n : end_chain(queue, from, n);
}

/* ---- tables of two descriptors ---- */

/* The two entries of a table, or NULL: it has another number, or lies in more regions. */
static const void *
find_two(struct vnet_queue *queue, uint64_t table, uint32_t len)
{
	const struct dirtylog_region *region;
	const uint8_t *host;

	if (len != 2 * ENTRY_LEN)
		return NULL;
	region = dirtylog_memory_find_range(queue->mem, table, len, &queue->hint);
	if (region == NULL)
		return NULL;
	host = dirtylog_region_host(region, table);
	return (uintptr_t)host % _Alignof(uint64_t) == 0 ? host : NULL;
}

static bool
find_header_and_data(struct vnet_queue *queue, uint64_t header, uint32_t header_len, uint64_t data,
		uint32_t len, uint32_t room, struct vnet_found *found)
{
	const struct dirtylog_region *region;

	if (header_len != queue->header_len || len == 0 || len > room)
		return false;
	region = dirtylog_memory_find_range(queue->mem, header, header_len, &queue->hint);
	if (region == NULL)
		return false;
	found->header = dirtylog_region_host(region, header);
	region = dirtylog_memory_find_range(queue->mem, data, len, &queue->hint);
	if (region == NULL)
		return false;
	found->data = dirtylog_region_host(region, data);
	found->len = len;
	rte_prefetch0(found->header);
	rte_prefetch0(found->data);
	rte_prefetch0(found->data + RTE_CACHE_LINE_SIZE);
	return true;
}

bool
vnet_chain_find_pair(struct vnet_queue *queue, uint64_t table, uint32_t len, uint32_t room,
		struct vnet_found *found)
{
	const struct vring_desc *entries = find_two(queue, table, len);
	struct vring_desc header, data;

	if (entries == NULL)
		return false;
	header = vnet_read_desc(&entries[0]);
	data = vnet_read_desc(&entries[1]);
	return header.flags == VRING_DESC_F_NEXT && header.next == 1 && data.flags == 0 &&
			find_header_and_data(queue, header.addr, header.len, data.addr, data.len,
					room, found);
}

bool
vnet_chain_find_pair_packed(struct vnet_queue *queue, uint64_t table, uint32_t len, uint32_t room,
		struct vnet_found *found)
{
	const struct vring_packed_desc *entries = find_two(queue, table, len);
	union vnet_packed_tail header, data;

	if (entries == NULL)
		return false;
	header = vnet_read_tail(&entries[0]);
	data = vnet_read_tail(&entries[1]);
	/* As add_packed_table(): WRITE may be set by mistake. */
	return ((header.flags | data.flags) & VRING_DESC_F_INDIRECT) == 0 &&
			find_header_and_data(queue, vnet_read_addr(&entries[0]), header.len,
					vnet_read_addr(&entries[1]), data.len, room, found);
}

/* ---- what is done with a list of iov ---- */

/* Find the piece that holds a byte; makes `skip` relative to it. */
static const struct vnet_iov *
seek(const struct vnet_iov *iov, uint32_t *skip)
{
	while (*skip >= iov->len)
		*skip -= (iov++)->len;
	return iov;
}

void
vnet_chain_write(struct vnet_iov_pos *pos, const void *data, uint32_t len)
{
	const uint8_t *from = data;

	while (len != 0) {
		uint32_t n;

		pos->iov = seek(pos->iov, &pos->skip);
		n = RTE_MIN(len, pos->iov->len - pos->skip);
		rte_memcpy(pos->iov->host + pos->skip, from, n);
		from += n;
		pos->skip += n;
		len -= n;
	}
}

void
vnet_chain_mark(struct vnet_queue *queue, const struct vnet_iov *iov, uint64_t len)
{
	for (; len != 0; iov++) {
		uint64_t n = RTE_MIN(len, iov->len);

		dirtylog_mark(&queue->marker, iov->region->bitmap,
				(uint64_t)(iov->host - iov->region->host), n);
		len -= n;
	}
}

void
vnet_chain_peek(const struct vnet_iov *iov, void *data, uint32_t len)
{
	uint8_t *to = data;

	while (len != 0) {
		uint32_t n = RTE_MIN(len, iov->len);

		memcpy(to, iov->host, n);
		to += n;
		len -= n;
		iov++;
	}
}

bool
vnet_chain_read(const struct vnet_iov *iov, uint32_t skip, uint32_t len, struct rte_mbuf *mbuf)
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
		iov = seek(iov, &skip);
		n = RTE_MIN(n, RTE_MIN(len, iov->len - skip));
		rte_memcpy(rte_pktmbuf_mtod_offset(tail, uint8_t *, tail->data_len),
				iov->host + skip, n);
		tail->data_len += n;
		skip += n;
		len -= n;
	}
	return true;
}
