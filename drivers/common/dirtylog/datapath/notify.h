/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Notifications: when a guest wants an interrupt, and when it need not kick
 * (virtio 1.1, 2.6.7, 2.6.8 and 2.7.10).
 *
 * librte_vhost's own call function goes by the library's used index, which a
 * datapath of its own does not move; hence this, on a duplicate of the call
 * descriptor.
 */

#ifndef VNET_NOTIFY_H
#define VNET_NOTIFY_H

#include "datapath/call.h"
#include "datapath/packed_desc.h"
#include "datapath/queue.h"

/* The driver's used_event, behind the available ring. */
static inline uint16_t
vnet_used_event(const struct vnet_queue *queue)
{
	return __atomic_load_n(&queue->avail->ring[queue->size], __ATOMIC_RELAXED);
}

/*
 * Where the device puts avail_event, behind the used ring. A guest with
 * EVENT_IDX kicks when the available index passes it; we poll, so it stays.
 */
static inline uint16_t *
vnet_avail_event(const struct vnet_queue *queue)
{
	return (uint16_t *)&queue->used->ring[queue->size];
}

/* Whether the driver of a split ring wants an interrupt for the step from `old` to `now`. */
static inline bool
vnet_split_wants(const struct vnet_queue *queue, uint16_t old, uint16_t now)
{
	if (queue->event_idx)
		return !queue->signalled_valid ||
				vring_need_event(vnet_used_event(queue), now, old);
	return !(__atomic_load_n(&queue->avail->flags, __ATOMIC_RELAXED) &
			VRING_AVAIL_F_NO_INTERRUPT);
}

/*
 * The same for a packed ring (virtio 1.1, 2.7.10): its driver names a position
 * in the ring, as an index and a wrap counter.
 */
static inline bool
vnet_packed_wants(const struct vnet_queue *queue, uint16_t old, uint16_t now)
{
	const uint16_t wrap = VNET_PACKED_WRAP;
	union {
		uint32_t raw;
		struct {
			uint16_t off_wrap;
			uint16_t flags;
		};
	} event = {
		.raw = __atomic_load_n((const uint32_t *)queue->driver_event, __ATOMIC_RELAXED),
	};
	uint16_t pos;

	if (!queue->event_idx || (event.flags & 3) != VRING_PACKED_EVENT_FLAG_DESC)
		return (event.flags & 3) != VRING_PACKED_EVENT_FLAG_DISABLE;
	if (!queue->signalled_valid)
		return true;
	/* Counted from the round that `now` is in; positions of the round before lie below 0. */
	pos = event.off_wrap & (uint16_t)~wrap;
	if ((event.off_wrap & wrap) != (now & wrap))
		pos = (uint16_t)(pos - queue->size);
	if ((old & wrap) != (now & wrap))
		old = (uint16_t)((old & (uint16_t)~wrap) - queue->size);
	else
		old &= (uint16_t)~wrap;
	return vring_need_event(pos, now & (uint16_t)~wrap, old);
}

/* The position in the ring has moved from queue->signalled: interrupt the guest if it wants it. */
static inline void
vnet_notify_guest(struct vnet_queue *queue)
{
	uint16_t old = queue->signalled, now = queue->next_used;
	bool wanted;

	/*
	 * Full fence: orders the store of the used index (or the packed flags)
	 * before the load of what the driver wants. The driver stores its wish,
	 * then looks there: without the fence each could miss the other, and the
	 * guest sleeps on.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (queue->packed)
		wanted = vnet_packed_wants(queue, old, now);
	else
		wanted = vnet_split_wants(queue, old, now);
	queue->signalled = now;
	queue->signalled_valid = true;
	if (wanted) {
		int fd = __atomic_load_n(&queue->call_fd, __ATOMIC_RELAXED);

		if (fd >= 0 && vnet_call(fd))
			vnet_count(&queue->stats.notifications, 1);
	}
}

struct rte_power_monitor_cond;

/* Words of its opaque that vnet_notify_monitor() fills in. */
enum {
	VNET_MONITOR_MASK,
	VNET_MONITOR_VALUE,
	VNET_MONITOR_IDLE_IF_EQUAL, /* else: idle as long as it differs */
};

/*
 * Ask the guest for kicks, or to do without. By the queue's thread, outside of
 * a burst. What came before it was asked rings the queue's wakeup, so that
 * nobody sleeps over it. While the queue is closed nothing is asked; the
 * wakeup rings when it opens.
 * Returns 0.
 */
int vnet_notify_enable_kicks(struct vnet_queue *queue, bool on);

/*
 * Ask the guest of a queue that is about to be opened for kicks. Returns where in the
 * used ring that was written; it is not marked.
 */
uint64_t vnet_notify_ask(struct vnet_queue *queue);

/* Buffers that wait in a receive queue; 0 if it is closed. By its thread. */
uint16_t vnet_notify_waiting(struct vnet_queue *queue);

/*
 * What to watch until the guest makes a buffer available. By the queue's
 * thread. Returns 0, or -EAGAIN: the queue is closed.
 *
 * The address is the guest's memory: it must be looked at soon. As with
 * net_vhost, nothing holds up a front-end that takes the memory away meanwhile.
 */
int vnet_notify_monitor(struct vnet_queue *queue, struct rte_power_monitor_cond *cond);

#endif /* VNET_NOTIFY_H */
