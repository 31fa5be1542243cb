/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A split ring's publish(), the datapath's own: a guest that sees the used index sees the
 * buffer and the used entry, and both pages are marked.
 */

#include "../../drivers/common/dirtylog/datapath/split.c"

#include "dirtylog.h"
#include "device.h"
#include "models.h"

#define SIZE 2 /* entries */

static struct vnet_queue *queue;

/* The page of used entries is PAGE_RING; the marker is the queue's own. */
static void
prepare(void)
{
	queue = malloc(sizeof(*queue));
	device_make_for(&queue->marker);
	queue->size = SIZE;
	queue->mask = SIZE - 1;
	queue->call_fd = -1;
	queue->avail = malloc(sizeof(struct vring_avail) + SIZE * sizeof(uint16_t));
	queue->used = malloc(sizeof(struct vring_used) + SIZE * sizeof(struct vring_used_elem));
}

static void
burst(void)
{
	if (!dirtylog_burst_begin(&queue->marker))
		return;
	__atomic_store_n(&device.pages[PAGE_DATA], 1, __ATOMIC_RELAXED);
	dirtylog_mark(&queue->marker, device.region->bitmap, PAGE_DATA * DIRTYLOG_PAGE_SIZE, 1);
	put_used(queue, 0, 1, 64);
	queue->next_used++;
	publish(queue, 0);
	dirtylog_burst_end(&queue->marker);
}

static void
guest(void)
{
	if (__atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE) == 0)
		return;
	weak_require(queue->used->ring[0].id == 1, "the guest sees an old used entry");
	device_check_shown();
}

static const struct weak_variant variants[] = {
	{ "right", .holds = true },
	{ "the index is stored relaxed", .broken = WEAK_STORE, .function = "publish" },
	{ .name = NULL },
};

const struct weak_model publish_split = {
	.name = "publish_split",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { burst, guest },
	.variants = variants,
};
