/* SPDX-License-Identifier: BSD-3-Clause */

/* The datapath: virtio-blk requests on a split ring, served one by one. */

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>

#include "vhost_blk.h"

/* Requests per burst: they may be large, and a control thread waits for its end. */
#define BURST 4

/* A piece of guest memory that a descriptor stands for. */
struct segment {
	uint8_t *host;
	uint32_t len;
	bool writable; /* for us */
	const struct dirtylog_region *region;
};

/* A chain of descriptors: first what we read, then what we write. */
struct chain {
	struct segment segments[MAX_SEGMENTS];
	unsigned int nb_segments;
	uint64_t readable;
	uint64_t writable;
};

/* Follow a chain. False: it is too long, or outside of guest memory. */
static bool
read_chain(struct vhost_blk *blk, uint16_t index, struct chain *chain)
{
	struct vring_desc desc;

	chain->nb_segments = 0;
	chain->readable = 0;
	chain->writable = 0;
	do {
		struct segment *segment = &chain->segments[chain->nb_segments];

		if (index >= blk->ring.size || chain->nb_segments == MAX_SEGMENTS)
			return false;
		/* Once: the guest could change it meanwhile. */
		desc = *(volatile struct vring_desc *)&blk->ring.desc[index];
		segment->region = dirtylog_memory_find_range(blk->memory, desc.addr, desc.len,
				&blk->hint);
		if (segment->region == NULL)
			return false;
		segment->host = dirtylog_region_host(segment->region, desc.addr);
		segment->len = desc.len;
		segment->writable = (desc.flags & VRING_DESC_F_WRITE) != 0;
		*(segment->writable ? &chain->writable : &chain->readable) += desc.len;
		chain->nb_segments++;
		index = desc.next;
	} while (desc.flags & VRING_DESC_F_NEXT);
	return true;
}

/* Copy bytes from `offset` on out of what we read of a chain, to `local`. */
static void
copy_in(const struct chain *chain, uint64_t offset, void *local, uint64_t len)
{
	const struct segment *segment;
	uint8_t *to = local;

	for (segment = chain->segments; len > 0; segment++) {
		uint64_t n;

		if (segment->writable)
			continue;
		if (offset >= segment->len) {
			offset -= segment->len;
			continue;
		}
		n = RTE_MIN(len, segment->len - offset);
		memcpy(to, segment->host + offset, n);
		to += n;
		len -= n;
		offset = 0;
	}
}

/* Copy `local` to the bytes from `offset` on of what we write of a chain. */
static void
copy_out(struct vhost_blk *blk, const struct chain *chain, uint64_t offset, const void *local,
		uint64_t len)
{
	const struct segment *segment;
	const uint8_t *from = local;

	for (segment = chain->segments; len > 0; segment++) {
		uint64_t n;

		if (!segment->writable)
			continue;
		if (offset >= segment->len) {
			offset -= segment->len;
			continue;
		}
		n = RTE_MIN(len, segment->len - offset);
		memcpy(segment->host + offset, from, n);
		migration_wrote(blk, segment->region, segment->host + offset, n);
		from += n;
		len -= n;
		offset = 0;
	}
}

/* Where sectors are on the disk, or NULL if they are not all there. */
static uint8_t *
sectors_at(const struct vhost_blk *blk, uint64_t sector, uint64_t len)
{
	if (len % SECTOR_SIZE != 0 || len > blk->size ||
			sector > (blk->size - len) / SECTOR_SIZE)
		return NULL;
	return blk->disk + sector * SECTOR_SIZE;
}

/* Serve one request; returns the bytes that it wrote to guest memory. */
static uint32_t
serve(struct vhost_blk *blk, uint16_t head)
{
	static const char id[VIRTIO_BLK_ID_BYTES] = "vhost_blk";
	struct virtio_blk_outhdr header;
	uint8_t status = VIRTIO_BLK_S_OK, *sectors;
	uint64_t in, out; /* bytes of data that we write and read */
	struct chain chain;

	if (!read_chain(blk, head, &chain) || chain.readable < sizeof(header) ||
			chain.writable < sizeof(status)) {
		__atomic_fetch_add(&blk->broken, 1, __ATOMIC_RELAXED);
		return 0;
	}
	copy_in(&chain, 0, &header, sizeof(header));
	in = chain.writable - sizeof(status);
	out = chain.readable - sizeof(header);
	switch (header.type) {
	case VIRTIO_BLK_T_IN:
		sectors = sectors_at(blk, header.sector, in);
		if (sectors == NULL)
			status = VIRTIO_BLK_S_IOERR;
		else
			copy_out(blk, &chain, 0, sectors, in);
		__atomic_fetch_add(&blk->reads, 1, __ATOMIC_RELAXED);
		break;
	case VIRTIO_BLK_T_OUT:
		sectors = sectors_at(blk, header.sector, out);
		if (sectors == NULL)
			status = VIRTIO_BLK_S_IOERR;
		else
			copy_in(&chain, sizeof(header), sectors, out);
		__atomic_fetch_add(&blk->writes, 1, __ATOMIC_RELAXED);
		break;
	case VIRTIO_BLK_T_FLUSH:
		break; /* what is written is on the disk */
	case VIRTIO_BLK_T_GET_ID:
		copy_out(blk, &chain, 0, id, RTE_MIN(in, sizeof(id)));
		break;
	default:
		status = VIRTIO_BLK_S_UNSUPP;
	}
	copy_out(blk, &chain, in, &status, sizeof(status));
	return (uint32_t)chain.writable;
}

unsigned int
requests_poll(struct vhost_blk *blk)
{
	struct rte_vhost_vring *ring = &blk->ring;
	unsigned int n = 0;
	uint16_t available;

	if (__atomic_load_n(&blk->held, __ATOMIC_RELAXED) || !dirtylog_burst_begin(&blk->marker))
		return 0;
	/* Acquire: the entries behind the index, and their descriptors. */
	available = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE);
	for (; n < BURST && blk->next_avail != available; n++) {
		uint16_t head = ring->avail->ring[blk->next_avail++ & (ring->size - 1)];
		struct vring_used_elem *used = &ring->used->ring[blk->next_used++ &
				(ring->size - 1)];

		used->id = head;
		used->len = serve(blk, head);
		migration_wrote(blk, blk->used_region, used, sizeof(*used));
	}
	if (n > 0) {
		dirtylog_flush(&blk->marker);
		__atomic_store_n(&ring->used->idx, blk->next_used, __ATOMIC_RELEASE);
		dirtylog_mark_index(&blk->marker);
		/* Full fence: the index is visible before the flag is looked at. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!(ring->avail->flags & VRING_AVAIL_F_NO_INTERRUPT) && ring->callfd >= 0)
			eventfd_write(ring->callfd, 1);
	}
	dirtylog_burst_end(&blk->marker);
	return n;
}
