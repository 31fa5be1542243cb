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
	queue = malloc(sizeof(*queue));
	device_make_for(&queue->marker);
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
	if (!used(0, __ATOMIC_ACQUIRE))
		return;
	weak_require(used(1, __ATOMIC_RELAXED), "the guest sees an old descriptor");
	device_check_shown();
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
