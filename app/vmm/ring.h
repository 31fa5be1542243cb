/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue as the guest's driver holds it, and what is done with a buffer that
 * comes back, whichever the layout of the ring. The layouts (ring_split.h,
 * ring_packed.h) stand on it, and guest_queue.h on these.
 */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer_pool.h"
#include "gap_histogram.h"
#include "guest_ram.h"

#define POLL_BATCH 256u /* used entries that one poll takes at most; two ring pages hold them */
#define SEEN_SETS 3

/* The rings in memory, little endian like every machine that this runs on. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian only");

struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct split_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[];
};

struct split_used_elem {
	uint32_t id;
	uint32_t len;
};

struct split_used {
	uint16_t flags;
	uint16_t idx;
	struct split_used_elem ring[];
};

struct packed_desc {
	uint64_t addr;
	uint64_t rest; /* len 32, id 16, flags 16: written and read at once */
};

struct packed_event {
	uint16_t off_wrap;
	uint16_t flags;
};

#define DESC_F_NEXT 1u
#define DESC_F_WRITE 2u
#define DESC_F_INDIRECT 4u
#define TABLE_DESCS 2u /* as Linux sends: the header apart */
#define TABLE_BYTES (TABLE_DESCS * 16u)
#define PACKED_F_AVAIL (1u << 7)
#define PACKED_F_USED (1u << 15)

struct ring_config {
	bool packed, in_order, mergeable;
	bool indirect;        /* negotiated, as by Linux */
	bool tables;          /* each buffer is an indirect table: its header, and the rest */
	bool may_be_empty;    /* what comes back: a back-end died, and took the packets with it */
	unsigned int size;    /* descriptors */
	unsigned int n_stats; /* sets of statistics: a poll says to which it adds */
};

struct queue_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t works;            /* polls that found used entries */
	uint64_t starved;          /* such polls that found nearly all of the ring used */
	struct gap_histogram gaps; /* cycles between two such polls */
};

struct guest_queue {
	unsigned int index;
	bool tx;     /* the guest sends */
	bool active; /* has buffers at all */
	bool packed, in_order, mergeable, may_be_empty;
	bool cycle; /* more buffers than descriptors: each post takes another one */
	uint16_t size;
	uint32_t buf_len;
	struct guest_ram *ram;
	uint64_t desc_offset, driver_offset, device_offset; /* the ring's three areas in RAM */
	uint64_t desc_bytes, driver_bytes, device_bytes;
	uint64_t device_page; /* first guest page of what the back-end writes (split: used ring) */
	uint64_t ring_page;   /* first guest page of the descriptors */
	int kick_fd, call_fd;

	struct split_desc *desc;
	struct split_avail *avail;
	struct split_used *used;
	struct packed_desc *ring;
	struct packed_event *driver_event, *device_event;
	/* An indirect table of TABLE_DESCS descriptors for each id, of the ring's kind; or NULL. */
	void *tables;
	uint64_t tables_offset, tables_bytes;

	uint64_t *slot; /* by descriptor id: the buffer that the back-end has, or 0 */
	struct buffer_pool pool;

	/* where both sides are */
	uint16_t avail_idx, used_idx; /* split: free running; packed: positions */
	bool avail_wrap, used_wrap;
	uint16_t batch_left; /* packed, in order: buffers of the last used descriptor, not taken yet */
	uint16_t merge_left; /* buffers that still belong to the packet before */

	/* pages that used entries say the back-end wrote, per epoch: they must be marked */
	uint64_t *seen[SEEN_SETS];
	uint64_t *seen_now;
	/* what the guest itself wrote: KVM would tell the migration about it */
	uint64_t *guest_wrote; /* bitmap of guest pages, shared by all queues */
	uint32_t wrote_ring;   /* the areas that the driver writes */
	uint32_t poison_left;  /* so many received buffers are to be overwritten */
	uint64_t poison_value;

	uint64_t last_work;        /* cycles */
	struct queue_stats *stats; /* n_stats of them */
	uint64_t packets, bytes;   /* all of them together; may be read at any time */

	/* The back-end broke the rules: what, and the queue is left alone from then on. */
	bool broken;
	char violation[160];
};

void ring_violation(struct guest_queue *q, const char *format, ...)
		__attribute__((format(printf, 2, 3), cold));
void ring_poison(struct guest_queue *q, uint64_t buffer);

static inline void
ring_see_page(struct guest_queue *q, uint64_t page)
{
	q->seen_now[page / 64] |= 1ull << page % 64;
}

/*
 * A received buffer, of which the back-end says that it wrote len bytes.
 * False: that cannot be.
 */
static inline bool
ring_received(struct guest_queue *q, uint64_t buffer, uint32_t len, struct queue_stats *stats)
{
	uint64_t gpa = BUFFER_GPA(buffer), page = gpa >> PAGE_SHIFT, last;
	const uint8_t *header;

	if (__builtin_expect(len > q->buf_len || len == 0, 0))
		return len == 0 && q->may_be_empty;
	last = (gpa + len - 1) >> PAGE_SHIFT;
	ring_see_page(q, page);
	for (; __builtin_expect(page < last, 0); page++)
		ring_see_page(q, page + 1);

	if (__builtin_expect(q->merge_left > 0, 0)) {
		q->merge_left--;
		stats->bytes += len;
	} else {
		if (__builtin_expect(len <= NET_HEADER_LEN, 0))
			return false;
		/* Only a full buffer can be the first of several: spares reading all headers. */
		if (__builtin_expect(q->mergeable && len == q->buf_len, 0)) {
			header = q->ram->source + guest_ram_offset(q->ram, gpa);
			q->merge_left = (uint16_t)(header[10] | header[11] << 8);
			if (q->merge_left-- == 0)
				return false;
		}
		stats->packets++;
		stats->bytes += len - NET_HEADER_LEN;
	}
	if (__builtin_expect(q->poison_left > 0, 0)) {
		q->poison_left--;
		ring_poison(q, buffer);
	}
	return true;
}

static inline void
ring_sent(uint64_t buffer, struct queue_stats *stats)
{
	stats->packets++;
	stats->bytes += BUFFER_LEN(buffer) - NET_HEADER_LEN;
}

/* The buffer to post in place of one that came back. */
static inline uint64_t
ring_next_buffer(struct guest_queue *q, uint64_t buffer)
{
	if (!q->cycle)
		return buffer;
	buffer_put(&q->pool, buffer);
	return buffer_get(&q->pool);
}

static inline void
ring_note_written(struct guest_queue *q)
{
	/*
	 * Release: the writes to the ring come before it, so that whoever sees it copies pages
	 * that have them. Always stored: a load, to spare the store, could be done before those
	 * writes are visible, find 1, and then the pages are copied without them.
	 */
	__atomic_store_n(&q->wrote_ring, 1, __ATOMIC_RELEASE);
}

void ring_kick(struct guest_queue *q);

#endif
