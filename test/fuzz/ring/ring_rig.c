/* SPDX-License-Identifier: BSD-3-Clause */

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>

#include <rte_power_intrinsics.h>

#include "datapath/call.h"
#include "datapath/diag.h"
#include "datapath/ext_buffers.h"
#include "datapath/notify.h"
#include "datapath/packed_desc.h"
#include "datapath/rarp.h"
#include "datapath/rx_wakeup.h"
#include "dirtylog.h"
#include "fail.h"
#include "ring/mbufs.h"
#include "ring/ram.h"
#include "ring/ring_rig.h"
#include "rxtx.h"
#include "shm.h"
#include "vring.h"

#define LOG_CANARY 0xa5

/*
 * What a burst may do: loads, stores and copied lines of 16 bytes. For each
 * packet, and each bad chain that is looked at instead of one (32 of them): a
 * chain that is as long as can be, walked once to find that it will not do and
 * once to use it, and the longest packet, copied and summed.
 */
#define WORK_PER_PACKET UINT64_C(24000)
#define BAD_CHAINS 32

/* Reads of guest memory in a burst that finds nothing to do: of each packet the descriptor. */
#define IDLE_READS 16
#define IDLE_READS_PER_PACKET 4

/* What the owner of the datapath brings along. */
int vnet_logtype;
const char vnet_log_name[] = "fuzz";

enum log_state {
	LOG_NONE,    /* logging is off */
	LOG_AWAITED, /* it is on, and no log has come */
	LOG_IN_USE,
	LOG_LEFT /* it has been left, and no other has come */
};

/* A device with a queue: one that logs to begin with, and one that does not. */
struct rig_device {
	struct vnet_device device;
	struct vnet_vring vring;
	bool logs;
};

static struct rig_device devices[2];
static struct rte_mempool *pools[RIG_NB_POOLS], *to_send[2], *ext_buffers;
static struct vnet_rx_wakeup wakeup;
static int call_fd;
static struct dirtylog_shm *logs[2];

/* Of the present input. */
static struct rig_device *rig;
static struct rig_config config;
static enum log_state log_state;
static unsigned int log_index; /* of the log in use, or left */
static bool log_changed, log_given;

static uint64_t *
log_words(unsigned int index)
{
	return logs[index]->addr;
}

static void
init_log(unsigned int index)
{
	int fd = memfd_create("log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	FUZZ_CHECK(fd >= 0 && ftruncate(fd, RAM_PAGE) == 0 &&
					fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
					dirtylog_shm_map(fd, 0, RAM_LOG_LEN, &logs[index]) == 0,
			"no log");
	memset(log_words(index), LOG_CANARY, RAM_PAGE);
	memset(log_words(index), 0, RAM_LOG_LEN);
	close(fd);
}

static void
init_device(struct rig_device *dev, bool does_log)
{
	const struct dirtylog_options options = { .placement = DIRTYLOG_PLACEMENT_DIRECT };
	struct vnet_queue *queue = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*queue));
	struct dirtylog_region regions[RAM_NB_REGIONS];
	unsigned int i;

	FUZZ_CHECK(dirtylog_create("fuzz", &dev->device.dl) == 0 && queue != NULL, "no device");
	dirtylog_configure(dev->device.dl, &options);
	for (i = 0; i < RAM_NB_REGIONS; i++)
		regions[i] = (struct dirtylog_region){ .gpa = ram.regions[i].gpa,
			.len = ram.regions[i].len,
			.host = ram.regions[i].host };
	FUZZ_CHECK(dirtylog_set_regions(dev->device.dl, regions, RAM_NB_REGIONS) == 0,
			"no regions");
	memset(queue, 0, sizeof(*queue));
	dirtylog_add_queue(dev->device.dl, &queue->marker);
	vnet_vring_init(&dev->vring);
	dev->vring.queue = queue;
	dev->device.memory = dirtylog_memory(dev->device.dl);
	dev->device.name = "fuzz";
	dev->device.runs = true;
	dev->logs = does_log;
}

static void
begin_logging(void)
{
	FUZZ_CHECK(dirtylog_set_log(rig->device.dl, logs[0]) == 0 &&
					dirtylog_set_logging(rig->device.dl, true) == 0,
			"no logging");
	memset(log_words(0), 0, RAM_LOG_LEN);
}

void
rig_init(void)
{
	ram_init();
	init_log(0);
	init_log(1);
	init_device(&devices[0], true);
	init_device(&devices[1], false);
	rig = &devices[0];
	begin_logging();
	pools[RIG_POOL_SMALL] = mbufs_create("small", 512, 64);
	pools[RIG_POOL_MIDDLE] = mbufs_create("middle", 256, 300);
	pools[RIG_POOL_LARGE] = mbufs_create("large", 128, 2048);
	to_send[0] = mbufs_create("to send", 256, 512);
	to_send[1] = mbufs_create("small to send", 512, 64);
	ext_buffers = vnet_ext_buffers_create("ext buffers", SOCKET_ID_ANY);
	vnet_rx_wakeup_init(&wakeup);
	call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	FUZZ_CHECK(vnet_call_init() == 0 && ext_buffers != NULL &&
					vnet_rx_wakeup_open(&wakeup) == 0 && call_fd >= 0,
			"no set-up");
}

static bool
has(unsigned int feature)
{
	return config.features >> feature & 1;
}

/* The parts of the ring that the device may read and write. */
static struct watch_ring
ring_areas(void)
{
	const struct vnet_queue *queue = rig->vring.queue;
	size_t size = queue->size;
	struct watch_ring ring = { .packed = queue->packed };

	ring.read[0] = (struct watch_area){ queue->desc, size * 16 };
	if (queue->packed) {
		uint16_t place = queue->next_used & (uint16_t)~VNET_PACKED_WRAP;

		ring.read[1] = (struct watch_area){ queue->driver_event, 4 };
		ring.read[2] = (struct watch_area){ queue->device_event, 4 };
		ring.written[0] = ring.read[0];
		ring.written[1] = ring.read[2];
		ring.shows = (const uint64_t *)&queue->packed_desc[place] + 1;
	} else {
		size_t event = queue->event_idx ? 2 : 0;

		ring.read[1] = (struct watch_area){ queue->avail, 4 + 2 * size + event };
		ring.read[2] = (struct watch_area){ queue->used, 4 + 8 * size + event };
		ring.written[0] = ring.read[2];
		ring.shows = &queue->used->idx;
	}
	return ring;
}

/* What librte_vhost would know of the virtqueue, and what the owner of the queue says. */
static void
set_up(void)
{
	struct vnet_queue *queue = rig->vring.queue;

	rig->vring.ring.desc = ram_host(config.desc, 1);
	rig->vring.ring.avail = ram_host(config.avail, 1);
	rig->vring.ring.used = ram_host(config.used, 1);
	rig->vring.ring.size = config.size;
	rig->vring.next_avail = config.start;
	rig->vring.next_used = config.start;
	rig->vring.call_fd = call_fd;
	rig->vring.can_call = true;
	rig->vring.was_open = true; /* nobody was there before */
	rig->device.features = config.features;
	queue->linear = config.linear;
	queue->rx_config.strip_vlan = config.strip_vlan;
	queue->rx_config.partial_checksums = config.partial_checksums;
	queue->rx_config.legacy_ol_flags = config.legacy_ol_flags;
	queue->name = "fuzz";
	queue->wakeup = config.to_guest ? NULL : &wakeup;
	queue->pool = pools[config.pool];
	queue->ext_buffers = config.ext_buffers ? ext_buffers : NULL;
	queue->mbuf_port = RIG_PORT;
	queue->vring = config.to_guest ? 0 : 1;
	queue->fault_log = NULL; /* lines take time, and say nothing here */
	rig->vring.ready = rig->vring.ring.desc != NULL && rig->vring.ring.avail != NULL &&
			rig->vring.ring.used != NULL;
}

static bool
open_queue(void)
{
	/* What a start may touch, whatever of the queue's is old. */
	const struct watch_ring everything = {
		.packed = has(VIRTIO_F_RING_PACKED),
		.read[0] = { ram.start, ram.len },
		.written[0] = { ram.start, ram.len },
	};

	watch_begin(&everything);
	vnet_vring_open(&rig->vring, &rig->device, rig->vring.queue->vring);
	watch_end(false);
	/* What the start wrote to a split ring is marked with the index. */
	if (!rig->vring.queue->packed)
		watch.with_index = watch.stored;
	return rig->vring.open;
}

bool
rig_open(const struct rig_config *its_config)
{
	struct vnet_queue *queue;
	uint8_t *from, *to;

	config = *its_config;
	rig = &devices[config.logging ? 0 : 1];
	log_state = rig->logs ? LOG_IN_USE : LOG_NONE;
	log_index = 0;
	log_changed = false;
	log_given = false;
	watch.logging = rig->logs;
	watch.log = rig->logs ? log_words(0) : NULL;
	watch.dirty = 0;
	watch.later = 0;
	watch.with_index = 0;
	queue = rig->vring.queue;
	from = (uint8_t *)queue + offsetof(struct vnet_queue, desc);
	to = (uint8_t *)queue + offsetof(struct vnet_queue, iov);
	memset(from, 0, (size_t)(to - from));
	set_up();
	return open_queue();
}

static void
close_queue(void)
{
	if (!rig->vring.open)
		return;
	vnet_vring_close(&rig->vring, &rig->device);
	watch.later = 0;
	watch.with_index = 0;
	if (log_state == LOG_IN_USE || log_state == LOG_LEFT)
		watch_check_marked(log_words(log_index), 0, "closed");
}

bool
rig_reopen(void)
{
	close_queue();
	return open_queue();
}

/* No bit but those of guest memory may be set, by anybody. */
static void
check_log(unsigned int index)
{
	static const uint8_t outside[] = { 0x00, 0x00, 0x00, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x80 };
	const uint8_t *bytes = (const uint8_t *)log_words(index);
	unsigned int i;

	_Static_assert(sizeof(outside) == RAM_LOG_LEN, "the regions have changed");
	for (i = 0; i < RAM_LOG_LEN; i++)
		FUZZ_CHECK((bytes[i] & outside[i]) == 0,
				"byte %u of the log has bits of what is no memory", i);
	for (; i < RTE_ALIGN_CEIL(RAM_LOG_LEN, 8) + 8; i++)
		FUZZ_CHECK(bytes[i] == LOG_CANARY, "a byte behind the log has changed");
}

void
rig_finish(void)
{
	unsigned int i;

	close_queue();
	for (i = 0; i < 2; i++) {
		check_log(i);
		memset(log_words(i), 0, RAM_LOG_LEN);
	}
	/* Off forgets the log and all that is staged. */
	if (log_changed) {
		dirtylog_set_logging(rig->device.dl, true);
		dirtylog_set_logging(rig->device.dl, false);
		memset(log_words(0), 0, RAM_LOG_LEN);
		memset(log_words(1), 0, RAM_LOG_LEN);
	}
	if (log_changed && rig->logs)
		begin_logging();
	for (i = 0; i < RIG_NB_POOLS; i++)
		mbufs_check(pools[i]);
	for (i = 0; i < 2; i++)
		mbufs_check(to_send[i]);
	if (config.ext_buffers)
		FUZZ_CHECK(rte_mempool_full(ext_buffers), "external buffers are lost");
}

struct rig_state
rig_state(void)
{
	const struct vnet_queue *queue = rig->vring.queue;
	struct rig_state state = {
		.next_avail = queue->next_avail,
		.next_used = queue->next_used,
		.header_len = queue->header_len,
		.packets = queue->stats.packets,
		.dropped = queue->stats.dropped,
		.no_mbuf = queue->stats.no_mbuf,
	};
	unsigned int i;

	for (i = 0; i < VNET_NB_FAULTS; i++)
		state.faults += queue->stats.faults[i];
	return state;
}

static uint16_t
burst(struct rte_mbuf **pkts, uint16_t n)
{
	struct watch_ring areas = ring_areas();
	uint16_t done;

	watch_begin(&areas);
	if (config.to_guest)
		done = eth_dirtylog_tx(rig->vring.queue, pkts, n);
	else
		done = eth_dirtylog_rx(rig->vring.queue, pkts, n);
	watch_end(true);
	FUZZ_CHECK(done <= n, "%u packets of %u", done, n);
	FUZZ_CHECK(watch.work <= WORK_PER_PACKET * (n + BAD_CHAINS),
			"a burst of %u packets takes %lu loads and stores", n,
			(unsigned long)watch.work);
	return done;
}

/* A burst that came to nothing, and not for want of mbufs, takes no time when it is repeated. */
static void
burst_again(struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t done = burst(pkts, n);

	FUZZ_CHECK(done == 0, "what did not go at first goes without any change");
	FUZZ_CHECK(watch.nb_reads <= IDLE_READS + IDLE_READS_PER_PACKET * n,
			"a burst of %u packets that comes to nothing again reads %u times", n,
			watch.nb_reads);
}

uint16_t
rig_burst(struct rte_mbuf **pkts, uint16_t n)
{
	struct rig_state from = rig_state(), to;
	uint16_t done = burst(pkts, n);
	uint64_t work = watch.work;

	to = rig_state();
	if (done == 0 && !watch.changed && from.next_used == to.next_used &&
			from.next_avail == to.next_avail && from.no_mbuf == to.no_mbuf)
		burst_again(pkts, n);
	watch.work += work;
	return done;
}

void
rig_enable_kicks(bool on)
{
	struct watch_ring areas = ring_areas();

	areas.shows = NULL;
	watch_begin(&areas);
	vnet_notify_enable_kicks(rig->vring.queue, on);
	watch_end(true);
}

void
rig_look(void)
{
	struct rte_power_monitor_cond cond;
	struct watch_ring areas = ring_areas();
	uint64_t n;

	areas.shows = NULL;
	watch_begin(&areas);
	n = (uint64_t)vnet_notify_waiting(rig->vring.queue);
	if (vnet_notify_monitor(rig->vring.queue, &cond) == 0)
		FUZZ_CHECK(ram_region_of((uintptr_t)cond.addr) != NULL, "no memory to watch");
	watch_end(true);
	FUZZ_CHECK(n <= config.size, "%lu wait in a ring of %u", (unsigned long)n, config.size);
}

void
rig_rarp(uint64_t mac)
{
	vnet_rarp_request(rig->vring.queue, mac);
}

/* SET_LOG_BASE: what was marked before is in the old log, or in the new one. */
static void
swap_log(void)
{
	unsigned int next = 1 - log_index;

	FUZZ_CHECK(dirtylog_set_log(rig->device.dl, logs[next]) == 0, "the log is refused");
	watch_harvest(log_words(log_index));
	log_index = next;
	log_given = true;
	if (log_state == LOG_NONE)
		return;
	log_state = LOG_IN_USE;
	watch.log = log_words(next);
	watch_check_marked(watch.log, watch.later | watch.with_index, "after a swap");
}

static void
log_off(void)
{
	dirtylog_set_logging(rig->device.dl, false);
	if (log_state == LOG_IN_USE || log_state == LOG_LEFT)
		watch_check_marked(log_words(log_index), 0, "logging is off");
	log_state = LOG_NONE;
	log_given = false;
	watch.logging = false;
	watch.log = NULL;
	watch.dirty = 0;
	watch.later = 0;
	watch_harvest(log_words(log_index));
}

void
rig_log(enum rig_log what)
{
	log_changed |= what != RIG_LOG_HARVEST;
	switch (what) {
	case RIG_LOG_OFF:
		if (log_state != LOG_NONE)
			log_off();
		break;
	case RIG_LOG_ON:
		if (log_state != LOG_NONE)
			break;
		FUZZ_CHECK(dirtylog_set_logging(rig->device.dl, true) == 0, "no logging");
		log_state = log_given ? LOG_IN_USE : LOG_AWAITED;
		watch.logging = true;
		watch.log = log_given ? log_words(log_index) : NULL;
		break;
	case RIG_LOG_SWAP:
		swap_log();
		break;
	case RIG_LOG_LEAVE:
		if (log_state != LOG_IN_USE)
			break;
		FUZZ_CHECK(dirtylog_suspend_log(rig->device.dl) == 0, "the log is not left");
		log_state = LOG_LEFT;
		watch.log = NULL;
		break;
	case RIG_LOG_HARVEST:
		watch_harvest(log_words(log_index));
		break;
	default:
		break;
	}
}

struct rte_mbuf *
rig_alloc(bool small)
{
	return rte_pktmbuf_alloc(to_send[small]);
}
