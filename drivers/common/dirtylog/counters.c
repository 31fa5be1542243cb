/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "counters.h"

#define QUEUE(field) offsetof(struct vnet_queue_counters, queue.field)
#define MARKS(field) offsetof(struct vnet_queue_counters, marks.field)

const struct vnet_counter vnet_queue_counters[VNET_NB_QUEUE_COUNTERS] = {
	{ "good_packets", QUEUE(packets) },
	{ "good_bytes", QUEUE(bytes) },
	{ "multicast_packets", QUEUE(multicast) },
	{ "broadcast_packets", QUEUE(broadcast) },
	{ "undersize_packets", QUEUE(sizes[0]) },
	{ "size_64_packets", QUEUE(sizes[1]) },
	{ "size_65_127_packets", QUEUE(sizes[2]) },
	{ "size_128_255_packets", QUEUE(sizes[3]) },
	{ "size_256_511_packets", QUEUE(sizes[4]) },
	{ "size_512_1023_packets", QUEUE(sizes[5]) },
	{ "size_1024_1518_packets", QUEUE(sizes[6]) },
	{ "size_1519_max_packets", QUEUE(sizes[7]) },
	{ "guest_notifications", QUEUE(notifications) },
	{ "dropped_packets", QUEUE(dropped) },
	{ "mbuf_errors", QUEUE(no_mbuf) },
	{ "guest_faults", offsetof(struct vnet_queue_counters, faults) },
	{ "log_marks", MARKS(marks) },
	{ "log_words_tested", MARKS(words_tested) },
	{ "log_words_written", MARKS(words_written) },
	{ "log_pages_dirtied", MARKS(pages_dirtied) },
};

/* Words that another thread counts in, less what they were at the reset. */
static void
read_words(void *to, const void *from, const void *at_reset, size_t len)
{
	const uint64_t *now = from, *then = at_reset;
	uint64_t *words = to;
	size_t i;

	for (i = 0; i < len / sizeof(uint64_t); i++)
		words[i] = __atomic_load_n(&now[i], __ATOMIC_RELAXED) - then[i];
}

void
vnet_counters_read(const struct vnet_queue *queue, struct vnet_queue_counters *counters)
{
	unsigned int i;

	memset(counters, 0, sizeof(*counters));
	if (queue == NULL)
		return;
	read_words(&counters->queue, &queue->stats, &queue->stats_at_reset,
			sizeof(counters->queue));
	read_words(&counters->marks, &queue->marker.stats, &queue->marks_at_reset,
			sizeof(counters->marks));
	vnet_add_marks(&counters->marks, &queue->marks_past);
	for (i = 0; i < VNET_NB_FAULTS; i++)
		counters->faults += counters->queue.faults[i];
}

void
vnet_counters_reset(struct vnet_queue *queue)
{
	static const struct vnet_queue_counters zero;

	if (queue == NULL)
		return;
	read_words(&queue->stats_at_reset, &queue->stats, &zero.queue, sizeof(zero.queue));
	read_words(&queue->marks_at_reset, &queue->marker.stats, &zero.marks, sizeof(zero.marks));
	memset(&queue->marks_past, 0, sizeof(queue->marks_past));
}
