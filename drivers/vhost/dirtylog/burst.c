/* SPDX-License-Identifier: BSD-3-Clause */

#include <rte_power_intrinsics.h>

#include "burst.h"
#include "datapath/burst.h"
#include "datapath/diag.h"
#include "datapath/notify.h"
#include "datapath/packet.h"
#include "device.h"
#include "vring.h"

/* Whether a burst may be made of it; the first one has it served. */
static inline bool
is_served(struct door_device *device, struct door_queue *queue)
{
	if (unlikely(queue == NULL))
		return false;
	/* Acquire: orders this load before what the burst reads of the queue. */
	return likely(__atomic_load_n(&queue->served, __ATOMIC_ACQUIRE)) ||
			door_device_serve(device, queue);
}

/* The application counts its calls: librte_vhost tells it of each. */
static void
tell_notified(const struct door_device *device, const struct door_queue *queue, uint64_t before)
{
	const struct rte_vhost_device_ops *ops = device->socket->ops;

	if (unlikely(ops != NULL && ops->guest_notified != NULL &&
			    queue->queue.stats.notifications != before))
		ops->guest_notified(device->vid);
}

uint16_t
door_enqueue_burst(int vid, uint16_t vring, struct rte_mbuf **pkts, uint16_t count)
{
	struct door_device *device = door_device_of(vid);
	struct door_queue *queue;
	uint64_t notifications;
	uint16_t done;

	if (unlikely(device == NULL))
		return door_stock->enqueue_burst(vid, vring, pkts, count);
	queue = door_queue_of(device, vring);
	if (unlikely(!vnet_vring_is_guest_rx(vring) || !is_served(device, queue)))
		return 0;
	/* Several threads may send to a queue, as librte_vhost lets them. */
	rte_spinlock_lock(&queue->lock);
	notifications = queue->queue.stats.notifications;
	done = vnet_transmit(&queue->queue, pkts, count);
	tell_notified(device, queue, notifications);
	rte_spinlock_unlock(&queue->lock);
	return done;
}

/* Whether received packets may come from a pool; says once if not. */
static bool
take_pool(struct vnet_queue *queue, struct rte_mempool *pool)
{
	if (rte_pktmbuf_data_room_size(pool) < RTE_PKTMBUF_HEADROOM + VNET_MIN_ROOM) {
		if (queue->pool == NULL)
			VNET_DIAG(ERR,
					"%s virtqueue %u: the pool's mbufs have %u bytes, %u are"
					" the least: no packets are taken",
					queue->name, queue->vring, rte_pktmbuf_data_room_size(pool),
					RTE_PKTMBUF_HEADROOM + VNET_MIN_ROOM);
		return false;
	}
	queue->pool = pool;
	return true;
}

uint16_t
door_dequeue_burst(int vid, uint16_t vring, struct rte_mempool *pool, struct rte_mbuf **pkts,
		uint16_t count)
{
	struct door_device *device = door_device_of(vid);
	struct door_queue *queue;
	uint64_t notifications;
	uint16_t done = 0;

	if (unlikely(device == NULL))
		return door_stock->dequeue_burst(vid, vring, pool, pkts, count);
	queue = door_queue_of(device, vring);
	if (unlikely(vnet_vring_is_guest_rx(vring) || !is_served(device, queue)))
		return 0;
	/* Who comes second has nothing to wait for. */
	if (unlikely(!rte_spinlock_trylock(&queue->lock)))
		return 0;
	notifications = queue->queue.stats.notifications;
	if (likely(queue->queue.pool == pool) || take_pool(&queue->queue, pool))
		done = vnet_receive(&queue->queue, pkts, count);
	tell_notified(device, queue, notifications);
	rte_spinlock_unlock(&queue->lock);
	return done;
}

static uint16_t
waiting(struct door_device *device, uint16_t vring)
{
	struct door_queue *queue = door_queue_of(device, vring);
	uint16_t n;

	if (!is_served(device, queue))
		return 0;
	rte_spinlock_lock(&queue->lock);
	n = vnet_notify_waiting(&queue->queue);
	rte_spinlock_unlock(&queue->lock);
	return n;
}

uint32_t
door_rx_queue_count(int vid, uint16_t vring)
{
	struct door_device *device = door_device_of(vid);

	if (device == NULL)
		return door_stock->rx_queue_count(vid, vring);
	return vnet_vring_is_guest_rx(vring) ? 0 : waiting(device, vring);
}

uint16_t
door_avail_entries(int vid, uint16_t vring)
{
	struct door_device *device = door_device_of(vid);

	return device == NULL ? door_stock->avail_entries(vid, vring) : waiting(device, vring);
}

int
door_enable_guest_notification(int vid, uint16_t vring, int enable)
{
	struct door_device *device = door_device_of(vid);
	struct door_queue *queue;

	if (device == NULL)
		return door_stock->enable_guest_notification(vid, vring, enable);
	queue = door_queue_of(device, vring);
	if (queue == NULL)
		return -1;
	/* A queue asks for no kicks anyway when it is served first. */
	if (!enable && !__atomic_load_n(&queue->served, __ATOMIC_ACQUIRE))
		return 0;
	if (!is_served(device, queue))
		return -1;
	rte_spinlock_lock(&queue->lock);
	queue->queue.keep_kicks = enable != 0;
	vnet_notify_enable_kicks(&queue->queue, enable != 0);
	rte_spinlock_unlock(&queue->lock);
	return 0;
}

int
door_get_monitor_addr(int vid, uint16_t vring, struct rte_vhost_power_monitor_cond *cond)
{
	struct door_device *device = door_device_of(vid);
	struct rte_power_monitor_cond at;
	struct door_queue *queue;
	int ret;

	if (device == NULL)
		return door_stock->get_monitor_addr(vid, vring, cond);
	queue = door_queue_of(device, vring);
	if (!is_served(device, queue))
		return -1;
	rte_spinlock_lock(&queue->lock);
	ret = vnet_notify_monitor(&queue->queue, &at);
	rte_spinlock_unlock(&queue->lock);
	if (ret < 0)
		return -1;
	*cond = (struct rte_vhost_power_monitor_cond){
		.addr = at.addr,
		.val = at.opaque[VNET_MONITOR_VALUE],
		.mask = at.opaque[VNET_MONITOR_MASK],
		.size = at.size,
		.match = at.opaque[VNET_MONITOR_IDLE_IF_EQUAL] == 0,
	};
	return 0;
}

int
door_get_vring_base(int vid, uint16_t vring, uint16_t *last_avail, uint16_t *last_used)
{
	struct door_device *device = door_device_of(vid);
	struct door_queue *queue = device == NULL ? NULL : door_queue_of(device, vring);
	bool open = false;

	/* While it is closed librte_vhost knows. */
	if (queue != NULL && last_avail != NULL && last_used != NULL) {
		rte_spinlock_lock(&queue->lock);
		open = dirtylog_burst_begin(&queue->queue.marker);
		if (open) {
			*last_avail = queue->queue.next_avail;
			*last_used = queue->queue.next_used;
			dirtylog_burst_end(&queue->queue.marker);
		}
		rte_spinlock_unlock(&queue->lock);
	}
	return open ? 0 : door_stock->get_vring_base(vid, vring, last_avail, last_used);
}
