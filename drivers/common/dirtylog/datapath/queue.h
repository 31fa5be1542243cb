/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One virtqueue as its bursts see it.
 *
 * The control thread fills in the ring while the queue is closed (vring.c). From
 * opening to closing the queue belongs to the thread that polls it.
 */

#ifndef VNET_QUEUE_H
#define VNET_QUEUE_H

#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dirtylog_marker.h"
#include "dirtylog_memory.h"

/* Pieces that one packet's buffers can come in. */
#define VNET_MAX_IOV 1024

/* A piece of guest memory that is contiguous for the host too. */
struct vnet_iov {
	uint8_t *host;
	uint32_t len;
	const struct dirtylog_region *region;
};

/* What a guest can do wrong; counted, and logged at a bounded rate. */
enum vnet_fault {
	VNET_FAULT_AVAIL_INDEX, /* moved by more than the ring's size */
	VNET_FAULT_HEAD,        /* a descriptor index beyond the ring */
	VNET_FAULT_LOOP,        /* a chain longer than it can be */
	VNET_FAULT_ADDRESS,     /* outside of guest memory */
	VNET_FAULT_DIRECTION,   /* readable where it must be writable, or vice versa */
	VNET_FAULT_INDIRECT,    /* a table of wrong size, nested, or chained on */
	VNET_FAULT_SHORT,       /* no room for the header, or nothing behind it */
	VNET_FAULT_LONG,        /* a packet longer than any */
	VNET_FAULT_OFFLOAD,     /* a virtio-net header that cannot be followed */
	VNET_NB_FAULTS
};

/* Packets by length: 0-63, 64, 65-127, 128-255, ..., 1024-1518, more. */
#define VNET_NB_SIZE_BINS 8

/* Written by the queue's thread alone, read by the control thread: see vnet_count(). */
struct vnet_queue_stats {
	uint64_t packets;
	uint64_t bytes;
	uint64_t dropped; /* packets that no buffer of the guest can take */
	uint64_t no_mbuf;
	uint64_t notifications; /* interrupts sent to the guest */
	uint64_t broadcast;
	uint64_t multicast;                /* others than broadcast */
	uint64_t sizes[VNET_NB_SIZE_BINS]; /* on transmit also those that are dropped */
	uint64_t faults[VNET_NB_FAULTS];
};

struct vnet_rx_wakeup;

/*
 * When a fault is logged again. Of all queues of an owner together: a guest has up
 * to 256, and the lines are written by the cores that poll. No lock, so two cores
 * may write a line each at the same moment.
 */
struct vnet_fault_log {
	uint64_t next; /* TSC */
};

/* A buffer of a packed ring that is found and not returned yet. */
struct vnet_packed_buffer {
	uint16_t id;
	uint16_t nb_desc; /* descriptors of the ring that the buffer has */
	uint32_t len;     /* bytes that are written to it */
};

/* How the application wants the packets that it receives. */
struct vnet_rx_config {
	bool strip_vlan;        /* without their VLAN tag */
	bool partial_checksums; /* also with a checksum that is not complete yet */
	bool legacy_ol_flags;   /* with mbuf flags of transmit instead of receive */
};

struct vnet_queue {
	struct dirtylog_marker marker;

	/* The ring, a split or a packed one. */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *packed_desc;
	};
	union {
		struct vring_avail *avail;
		struct vring_packed_desc_event *driver_event;
	};
	union {
		struct vring_used *used;
		struct vring_packed_desc_event *device_event;
	};
	const struct dirtylog_memory *mem;
	/*
	 * A packed ring's device event area: where it is, and where the front-end
	 * says it is to be logged, if that differs (else NULL).
	 */
	struct {
		struct dirtylog_bitmap *bitmap;
		uint64_t offset;
	} event[2];
	int call_fd; /* -1: the guest wants no interrupts */
	uint16_t size;
	uint16_t mask;
	uint16_t header_len; /* of the virtio-net header, in bytes */
	bool packed;
	bool mergeable;
	bool event_idx;

	/* Offloads: offload.h. */
	bool offloads; /* received packets need a look */
	bool strip_vlan;
	bool complete_checksums; /* the application wants no partial ones */
	bool legacy_ol_flags;
	bool linear;             /* received packets are one segment */
	bool guest_checksums;    /* the guest takes packets with partial checksums */
	bool guest_ecn;          /* the guest takes long packets with congestion marks */
	uint8_t guest_gso_types; /* of long packets that the guest takes: bit n for gso_type n */
	uint8_t host_gso_types;  /* of long packets that the guest may send: bits as above */

	/*
	 * How far the thread is in the ring. In a packed ring this is an index in 15
	 * bits, above it the wrap counter, as the front-end and librte_vhost write it.
	 */
	uint16_t next_avail;
	uint16_t next_used;
	uint16_t avail_seen; /* split: the guest's index when it was last read */
	uint16_t signalled;  /* next_used when the guest was last notified */
	bool signalled_valid;
	const struct dirtylog_region *hint;
	uint64_t rarp; /* 0, or what rarp.c asks the burst for */

	/* The owner's: an ethdev queue, say. */
	const char *name;                 /* whose queue this is, for log lines */
	struct vnet_rx_wakeup *wakeup;    /* receive queues; NULL: nobody sleeps */
	struct rte_mempool *pool;         /* receive queues */
	struct rte_mempool *ext_buffers;  /* receive queues; or NULL */
	uint16_t mbuf_port;               /* rte_mbuf.port of received packets */
	uint16_t vring;                   /* index of the virtqueue in the device */
	struct vnet_fault_log *fault_log; /* NULL: faults are counted only */
	bool keep_kicks; /* the guest is to kick also when the queue is opened anew */
	struct vnet_rx_config rx_config;
	struct vnet_queue_stats stats;
	struct dirtylog_marker_stats marks_past; /* the marker's, of former connections */
	struct vnet_queue_stats stats_at_reset;
	struct dirtylog_marker_stats marks_at_reset;

	/*
	 * What keeps the slow paths from doing the same work in each poll: a guest
	 * would get it for nothing.
	 */
	/* Its guest's driver has gone wrong beyond repair; until it is opened anew. */
	bool broken;
	bool stuck;          /* the next packet waits for more buffers */
	uint16_t stuck_at;   /* index at which the packet's buffers begin */
	uint16_t stuck_end;  /* index at which the guest's buffers ended */
	uint64_t stuck_need; /* bytes that the packet wants, header and tag included */
	uint32_t walked;     /* descriptors that this burst has looked at */

	/* Slow paths' scratch. */
	struct vnet_iov iov[VNET_MAX_IOV];
	struct vnet_packed_buffer buffers[VNET_MAX_IOV];
};

/* Add to a counter that another thread may read meanwhile. */
static inline void
vnet_count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Add a marker's counters to a sum of such. */
static inline void
vnet_add_marks(struct dirtylog_marker_stats *sum, const struct dirtylog_marker_stats *marks)
{
	sum->marks += marks->marks;
	sum->words_tested += marks->words_tested;
	sum->words_written += marks->words_written;
	sum->pages_dirtied += marks->pages_dirtied;
}

/* Count what the guest did wrong and, at most once a second for all queues, say it. */
void vnet_queue_fault(struct vnet_queue *queue, enum vnet_fault fault, uint64_t value,
		uint64_t limit);

#endif /* VNET_QUEUE_H */
