/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>

#include <rte_power_intrinsics.h>

#include "datapath/rx_wakeup.h"
#include "datapath/notify.h"

/* Inside a burst: buffers that the guest has made available; descriptors of a packed ring. */
static uint16_t
waiting(const struct vnet_queue *queue)
{
	struct vnet_packed_pos pos;
	uint16_t n;

	if (!queue->packed) {
		n = (uint16_t)(__atomic_load_n(&queue->avail->idx, __ATOMIC_RELAXED) -
				queue->next_avail);
		return RTE_MIN(n, queue->size);
	}
	vnet_packed_pos_now(queue, &pos);
	while (vnet_packed_pos_is_available(queue, &pos))
		vnet_packed_pos_advance(queue, &pos, 1);
	return (uint16_t)(queue->size - pos.left);
}

/* The word of a split ring that tells the guest about kicks, or NULL: nothing to be said. */
static uint16_t *
say_split(struct vnet_queue *queue, bool on)
{
	uint16_t *word = &queue->used->flags;
	uint16_t value = on ? 0 : VRING_USED_F_NO_NOTIFY;

	/* With EVENT_IDX there is no off; the event is passed once and then far away. */
	if (queue->event_idx && !on)
		return NULL;
	if (queue->event_idx) {
		word = vnet_avail_event(queue);
		value = queue->next_avail;
	}
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
	return word;
}

static void
say_packed(struct vnet_queue *queue, bool on)
{
	struct vring_packed_desc_event *event = queue->device_event;
	uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;

	if (on && queue->event_idx) {
		__atomic_store_n(&event->off_wrap, queue->next_avail, __ATOMIC_RELAXED);
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	} else if (on) {
		flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	}
	/* Release: orders the store of the position before that of the flag that names it. */
	__atomic_store_n(&event->flags, flags, __ATOMIC_RELEASE);
}

uint64_t
vnet_notify_ask(struct vnet_queue *queue)
{
	if (!queue->packed)
		return (uint64_t)((uint8_t *)say_split(queue, true) - (uint8_t *)queue->used);
	say_packed(queue, true);
	return 0;
}

/* Inside a burst. What is written is guest memory like any other: marked after the write. */
static void
enable_split_kicks(struct vnet_queue *queue, bool on)
{
	const uint16_t *word = say_split(queue, on);

	if (word != NULL && queue->marker.logging)
		dirtylog_mark_ring(&queue->marker,
				(uint64_t)((const uint8_t *)word - (uint8_t *)queue->used),
				sizeof(*word));
}

static void
enable_packed_kicks(struct vnet_queue *queue, bool on)
{
	unsigned int i;

	say_packed(queue, on);
	for (i = 0; i < RTE_DIM(queue->event) && queue->marker.logging; i++)
		if (queue->event[i].bitmap != NULL)
			dirtylog_mark(&queue->marker, queue->event[i].bitmap,
					queue->event[i].offset, sizeof(*queue->device_event));
}

int
vnet_notify_enable_kicks(struct vnet_queue *queue, bool on)
{
	bool missed;

	/*
	 * Before the burst: if the queue is closed now, the signal of its opening is
	 * yet to come; if it is open, what is forgotten is looked for below.
	 */
	if (on && queue->wakeup != NULL)
		vnet_rx_wakeup_forget(queue->wakeup);
	if (!dirtylog_burst_begin(&queue->marker))
		return 0;
	if (queue->packed)
		enable_packed_kicks(queue, on);
	else
		enable_split_kicks(queue, on);
	/*
	 * Full fence: orders the store of our wish before the load of the index (or
	 * the packed flags). The driver stores that, then loads the wish: without the
	 * fence each could miss the other's, and we would sleep on.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	missed = on && waiting(queue) != 0;
	dirtylog_burst_end(&queue->marker);
	if (missed && queue->wakeup != NULL)
		vnet_rx_wakeup_signal(queue->wakeup);
	return 0;
}

uint16_t
vnet_notify_waiting(struct vnet_queue *queue)
{
	uint16_t n;

	if (!dirtylog_burst_begin(&queue->marker))
		return 0;
	n = waiting(queue);
	dirtylog_burst_end(&queue->marker);
	return n;
}

/* 0: go to sleep; -1: the guest has made something available. */
static int
monitored(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	bool equal = (value & opaque[VNET_MONITOR_MASK]) == opaque[VNET_MONITOR_VALUE];

	return equal == (bool)opaque[VNET_MONITOR_IDLE_IF_EQUAL] ? 0 : -1;
}

int
vnet_notify_monitor(struct vnet_queue *queue, struct rte_power_monitor_cond *cond)
{
	if (!dirtylog_burst_begin(&queue->marker))
		return -EAGAIN;
	cond->size = sizeof(uint16_t);
	cond->fn = monitored;
	if (queue->packed) {
		struct vnet_packed_pos pos;

		vnet_packed_pos_now(queue, &pos);
		cond->addr = &queue->packed_desc[pos.index].flags;
		cond->opaque[VNET_MONITOR_MASK] = VNET_PACKED_OWNER;
		cond->opaque[VNET_MONITOR_VALUE] = vnet_packed_available(pos.wrap);
		cond->opaque[VNET_MONITOR_IDLE_IF_EQUAL] = false;
	} else {
		/* All 16 bits: those of the ring's size are the same when it is filled at once. */
		cond->addr = &queue->avail->idx;
		cond->opaque[VNET_MONITOR_MASK] = UINT16_MAX;
		cond->opaque[VNET_MONITOR_VALUE] = queue->next_avail;
		cond->opaque[VNET_MONITOR_IDLE_IF_EQUAL] = true;
	}
	dirtylog_burst_end(&queue->marker);
	return 0;
}
