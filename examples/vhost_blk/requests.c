/* SPDX-License-Identifier: BSD-3-Clause */

/* The datapath: virtio-blk requests on a split ring, served one by one. */

#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "vhost_blk.h"

/*
 * Requests per burst, and bytes after which no further one is begun: a control
 * thread waits for its end, and so do the other front-ends.
 */
#define BURST 4
#define BURST_LEN (1 << 20)

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

/* Follow a chain. False: it has too many pieces, or lies outside of guest memory. */
static bool
read_chain(struct front_end *fe, uint16_t index, struct chain *chain)
{
	struct vring_desc desc;

	chain->nb_segments = 0;
	chain->readable = 0;
	chain->writable = 0;
	do {
		struct segment *segment = &chain->segments[chain->nb_segments];

		if (index >= fe->ring.size || chain->nb_segments == MAX_SEGMENTS)
			return false;
		/* Once: the guest could change it meanwhile. */
		desc = *(volatile struct vring_desc *)&fe->ring.desc[index];
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return false; /* not offered */
		segment->region = dirtylog_memory_find_range(fe->memory, desc.addr, desc.len,
				&fe->hint);
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
copy_out(struct front_end *fe, const struct chain *chain, uint64_t offset, const void *local,
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
		migration_wrote(fe, segment->region, segment->host + offset, n);
		from += n;
		len -= n;
		offset = 0;
	}
}

/*
 * Where sectors are on the disk, or NULL if they are not all there, or more than a
 * request may have: the guest was told (size_max, seg_max).
 */
static uint8_t *
sectors_at(const struct vhost_blk *blk, uint64_t sector, uint64_t len)
{
	if (len > MAX_DATA_LEN || len % SECTOR_SIZE != 0 || len > blk->size ||
			sector > (blk->size - len) / SECTOR_SIZE)
		return NULL;
	return blk->disk + sector * SECTOR_SIZE;
}

/* Move the data of a request whose chain is sound. Returns its status. */
static uint8_t
transfer(struct front_end *fe, const struct chain *chain, const struct virtio_blk_outhdr *header,
		uint64_t in, uint64_t out)
{
	static const char id[VIRTIO_BLK_ID_BYTES] = "vhost_blk";
	struct vhost_blk *blk = fe->blk;
	uint8_t *sectors;

	switch (header->type) {
	case VIRTIO_BLK_T_IN:
		__atomic_fetch_add(&blk->reads, 1, __ATOMIC_RELAXED);
		sectors = sectors_at(blk, header->sector, in);
		if (sectors == NULL)
			return VIRTIO_BLK_S_IOERR;
		copy_out(fe, chain, 0, sectors, in);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_OUT:
		__atomic_fetch_add(&blk->writes, 1, __ATOMIC_RELAXED);
		sectors = sectors_at(blk, header->sector, out);
		if (sectors == NULL)
			return VIRTIO_BLK_S_IOERR;
		copy_in(chain, sizeof(*header), sectors, out);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK; /* what is written is on the disk */
	case VIRTIO_BLK_T_GET_ID:
		copy_out(fe, chain, 0, id, RTE_MIN(in, sizeof(id)));
		return VIRTIO_BLK_S_OK;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Serve one request; returns the bytes for the used ring's `len`. Adds to `moved`. */
static uint32_t
serve(struct front_end *fe, uint16_t head, uint64_t *moved)
{
	struct virtio_blk_outhdr header;
	uint64_t in, out; /* bytes of data that we write and read */
	struct chain chain;
	uint8_t status;

	if (!read_chain(fe, head, &chain) || chain.readable < sizeof(header) ||
			chain.writable < sizeof(status)) {
		__atomic_fetch_add(&fe->blk->broken, 1, __ATOMIC_RELAXED);
		return 0;
	}
	copy_in(&chain, 0, &header, sizeof(header));
	in = chain.writable - sizeof(status);
	out = chain.readable - sizeof(header);
	status = transfer(fe, &chain, &header, in, out);
	if (status == VIRTIO_BLK_S_OK)
		*moved += in + out;
	copy_out(fe, &chain, in, &status, sizeof(status));
	/* An error leaves the data as it was: none of it counts. */
	return status == VIRTIO_BLK_S_OK ? (uint32_t)RTE_MIN(chain.writable, UINT32_MAX) : 0;
}

/* More is available than the ring holds. The queue rests until it is opened anew. */
static void
give_up(struct front_end *fe, uint16_t available)
{
	fe->gave_up = true;
	__atomic_fetch_add(&fe->blk->broken, 1, __ATOMIC_RELAXED);
	complain("vid %d: the guest's index jumps from %u to %u in a ring of %u: "
		 "the queue is given up",
			fe->vid, fe->next_avail, available, fe->ring.size);
}

unsigned int
requests_poll(struct front_end *fe)
{
	struct rte_vhost_vring *ring = &fe->ring;
	uint64_t moved = 0;
	unsigned int n = 0;
	uint16_t available;

	if (__atomic_load_n(&fe->blk->held, __ATOMIC_RELAXED) || !dirtylog_burst_begin(&fe->marker))
		return 0;
	/* Acquire: the index is loaded before the entries behind it, and their descriptors. */
	available = __atomic_load_n(&ring->avail->idx, __ATOMIC_ACQUIRE);
	if ((uint16_t)(available - fe->next_avail) > ring->size && !fe->gave_up)
		give_up(fe, available);
	while (!fe->gave_up && n < BURST && moved < BURST_LEN && fe->next_avail != available) {
		/* Once: the guest could change it meanwhile. */
		uint16_t head = __atomic_load_n(
				&ring->avail->ring[fe->next_avail++ & (ring->size - 1)],
				__ATOMIC_RELAXED);
		struct vring_used_elem *used =
				&ring->used->ring[fe->next_used++ & (ring->size - 1)];

		used->id = head;
		used->len = serve(fe, head, &moved);
		if (fe->marker.logging)
			dirtylog_mark_ring(&fe->marker,
					(uint64_t)((uint8_t *)used - (uint8_t *)ring->used),
					sizeof(*used));
		n++;
	}
	if (n > 0) {
		dirtylog_flush(&fe->marker);
		/* Release: the data and the used entries are stored before the index. */
		__atomic_store_n(&ring->used->idx, fe->next_used, __ATOMIC_RELEASE);
		dirtylog_mark_index(&fe->marker, offsetof(struct vring_used, flags));
		/* Full fence: the index is stored before the guest's flag is loaded. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!(__atomic_load_n(&ring->avail->flags, __ATOMIC_RELAXED) &
				    VRING_AVAIL_F_NO_INTERRUPT))
			call_guest(&fe->call);
	}
	dirtylog_burst_end(&fe->marker);
	return n;
}
