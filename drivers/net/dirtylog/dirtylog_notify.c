/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>

#include <rte_power_intrinsics.h>

#include "dirtylog_doorbell.h"
#include "dirtylog_notify.h"

/* Inside a burst: buffers that the guest has made available. */
static uint16_t
waiting(const struct dirtylog_queue *queue)
{
	uint16_t index = __atomic_load_n(&queue->avail->idx, __ATOMIC_RELAXED);

	return RTE_MIN((uint16_t)(index - queue->next_avail), queue->size);
}

/*
 * Inside a burst: write a word of the used ring that tells the guest about
 * kicks. It is guest memory like any other: marked after the write.
 */
static void
write_used_word(struct dirtylog_queue *queue, uint16_t *word, uint16_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
	if (queue->marker.logging)
		dirtylog_mark(&queue->marker, queue->used_bitmap, queue->used_offset +
				(uint64_t)((uint8_t *)word - (uint8_t *)queue->used),
				sizeof(*word));
}

static void
enable_split_kicks(struct dirtylog_queue *queue, bool on)
{
	/* With EVENT_IDX there is no off; the event is passed once and then far away. */
	if (!queue->event_idx)
		write_used_word(queue, &queue->used->flags, on ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (on)
		write_used_word(queue, dirtylog_avail_event(queue), queue->next_avail);
}

int
dirtylog_notify_enable_kicks(struct dirtylog_queue *queue, bool on)
{
	bool missed;

	/*
	 * Before the burst: if the queue is closed now, the ring of its opening is
	 * yet to come; if it is open, what is forgotten is looked for below.
	 */
	if (on)
		dirtylog_doorbell_forget_own(queue->doorbell);
	if (!dirtylog_burst_begin(&queue->marker))
		return 0;
	if (on)
		dirtylog_doorbell_forget_kick(queue->doorbell);
	enable_split_kicks(queue, on);
	/*
	 * Full fence: orders the store of our wish before the load of the index.
	 * The driver stores the index, then loads the wish: without the fence each
	 * could miss the other's, and we would sleep on.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	missed = on && waiting(queue) != 0;
	dirtylog_burst_end(&queue->marker);
	if (missed)
		dirtylog_doorbell_ring(queue->doorbell);
	return 0;
}

dirtylog_rx_count_t
dirtylog_notify_waiting(void *opaque)
{
	struct dirtylog_queue *queue = opaque;
	dirtylog_rx_count_t n;

	if (!dirtylog_burst_begin(&queue->marker))
		return 0;
	n = (dirtylog_rx_count_t)waiting(queue);
	dirtylog_burst_end(&queue->marker);
	return n;
}

/* Words of struct rte_power_monitor_cond's opaque. */
enum {
	MONITOR_MASK,
	MONITOR_VALUE,
};

/* 0: go to sleep; -1: the guest has made something available. */
static int
monitored(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return (value & opaque[MONITOR_MASK]) == opaque[MONITOR_VALUE] ? 0 : -1;
}

int
dirtylog_notify_monitor(void *opaque, struct rte_power_monitor_cond *cond)
{
	struct dirtylog_queue *queue = opaque;

	if (!dirtylog_burst_begin(&queue->marker))
		return -EAGAIN;
	/* All 16 bits: a ring that has been filled at once has the same index in it. */
	cond->addr = &queue->avail->idx;
	cond->size = sizeof(queue->avail->idx);
	cond->opaque[MONITOR_MASK] = UINT16_MAX;
	cond->opaque[MONITOR_VALUE] = queue->next_avail;
	cond->fn = monitored;
	dirtylog_burst_end(&queue->marker);
	return 0;
}
