/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A packed ring's publish(), the datapath's own: a guest that sees the first descriptor used
 * sees the second one so too, with the buffers, and the pages are marked.
 */

#include "../../drivers/common/dirtylog/datapath/packed.c"

#include "dirtylog.h"
#include "device.h"
#include "models.h"

#define SIZE 2 /* descriptors */

static struct vnet_queue *queue;

/* The ring's page is PAGE_RING; the marker is the queue's own. */
static void
prepare(void)
{
	device_make(0, true);
	device_log(false);
	queue = malloc(sizeof(*queue));
	device.queues[0] = &queue->marker;
	dirtylog_add_queue(device.dl, &queue->marker);
	device_open(0);
	queue->size = SIZE;
	queue->packed = true;
	queue->call_fd = -1;
	queue->next_avail = queue->next_used = VNET_PACKED_WRAP;
	queue->packed_desc = malloc(SIZE * sizeof(queue->packed_desc[0]));
	queue->driver_event = malloc(sizeof(*queue->driver_event));
}

/* Two buffers, of which the first one is shown last. */
static void
packed_burst(void)
{
	struct vnet_packed_buffer buffer = { .nb_desc = 1 };
	struct burst burst;

	if (!dirtylog_burst_begin(&queue->marker))
		return;
	begin(queue, &burst);
	__atomic_store_n(&device.pages[PAGE_DATA], 1, __ATOMIC_RELAXED);
	dirtylog_mark(&queue->marker, device.region->bitmap, PAGE_DATA * DIRTYLOG_PAGE_SIZE, 1);
	return_buffer(queue, &burst, &buffer, 64);
	buffer.id = 1;
	return_buffer(queue, &burst, &buffer, 64);
	publish(queue, &burst);
	dirtylog_burst_end(&queue->marker);
}

static bool
used(unsigned int index, int order)
{
	union vnet_packed_tail tail = {
		.raw = __atomic_load_n((uint64_t *)&queue->packed_desc[index] + 1, order),
	};

	return (tail.flags & VNET_PACKED_OWNER) != 0;
}

static void
guest(void)
{
	const uint64_t marks = UINT64_C(1) << PAGE_RING | UINT64_C(1) << PAGE_DATA;

	if (!used(0, __ATOMIC_ACQUIRE))
		return;
	weak_require(used(1, __ATOMIC_RELAXED), "the guest sees an old descriptor");
	weak_require(__atomic_load_n(&device.pages[PAGE_DATA], __ATOMIC_RELAXED) == 1,
			"the guest sees an old page");
	weak_require((__atomic_load_n(device_log_word(0), __ATOMIC_RELAXED) & marks) == marks,
			"the guest has the buffer, and its page is not marked");
}

static const struct weak_variant variants[] = {
	{ "right", .holds = true },
	{ "the flags are stored relaxed", .broken = WEAK_STORE, .function = "publish" },
	{ .name = NULL },
};

const struct weak_model publish_packed = {
	.name = "publish_packed",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { packed_burst, guest },
	.variants = variants,
};
