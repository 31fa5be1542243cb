/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: opening (what the queue is told, where its own writes to the
 * ring are marked), closing, descriptors, and what the connection calls.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_recovery.h"
#include "datapath/call.h"
#include "datapath/notify.h"
#include "datapath/offload.h"
#include "datapath/packed.h"
#include "datapath/rarp.h"
#include "datapath/rx_wakeup.h"
#include "datapath/split.h"
#include "peer_diag.h"
#include "vring.h"

#define EVENT_FD "anon_inode:[eventfd]" /* what it links to in /proc */

static bool
has(const struct vnet_device *device, unsigned int feature)
{
	return (device->features >> feature) & 1;
}

/* ---- opening ---- */

/* What the bursts go by, of a closed queue. */
static void
fill_in(const struct vnet_vring *vring, const struct vnet_device *device)
{
	struct vnet_queue *queue = vring->queue;

	queue->desc = vring->ring.desc;
	queue->avail = vring->ring.avail;
	queue->used = vring->ring.used;
	queue->size = vring->ring.size;
	queue->mem = device->memory;
	queue->packed = has(device, VIRTIO_F_RING_PACKED);
	queue->mergeable = has(device, VIRTIO_NET_F_MRG_RXBUF);
	queue->event_idx = has(device, VIRTIO_RING_F_EVENT_IDX);
	queue->header_len = queue->mergeable || has(device, VIRTIO_F_VERSION_1) ?
			sizeof(struct virtio_net_hdr_mrg_rxbuf) :
			sizeof(struct virtio_net_hdr);
	vnet_offload_open(queue, device->features);
	queue->next_avail = vring->next_avail;
	queue->next_used = vring->next_used;
	queue->call_fd = vring->can_call ? vring->call_fd : -1;
}

/* An interrupt too many is allowed; one too few, and the guest may sleep for ever. */
static void
call_once(const struct vnet_vring *vring)
{
	if (vring->open && vring->can_call)
		vnet_call(vring->call_fd);
}

/*
 * A packed ring, at `gpa`, and its event area: where that is, and where the front-end
 * says it is to be logged, `reported` (0: it does not). The area is written when the
 * queue starts, and by no burst unless kicks are asked for.
 */
static int
open_packed(struct vnet_queue *queue, struct dirtylog *dl, uint64_t gpa, uint64_t reported)
{
	uint64_t len = queue->size * sizeof(struct vring_packed_desc), event;
	int ret;

	if (dirtylog_memory_gpa(queue->mem, queue->device_event, &event) < 0)
		return -EFAULT;
	if (reported == 0)
		reported = event;
	queue->event[0].bitmap = dirtylog_find(dl, event, &queue->event[0].offset);
	queue->event[1].bitmap = dirtylog_find(dl, reported, &queue->event[1].offset);
	if (queue->event[0].bitmap == NULL || queue->event[1].bitmap == NULL)
		return -EFAULT;
	if (reported == event)
		queue->event[1].bitmap = NULL;
	ret = dirtylog_open(dl, &queue->marker, gpa, len);
	if (ret < 0)
		return ret;
	dirtylog_mark_gpa(dl, event, sizeof(*queue->device_event));
	dirtylog_mark_gpa(dl, reported, sizeof(*queue->device_event));
	return 0;
}

/*
 * Tell where a queue's own writes to the ring are marked, and let its bursts
 * begin. Returns 0 or -EFAULT: the front-end names no memory.
 *
 * `log_guest_addr` is the used ring's GPA as the front-end says it. With a
 * packed ring it is the device event area, not the descriptors, which are what
 * we write: those are found by their address here, and so is the event area.
 */
static int
open_marked(const struct vnet_vring *vring, const struct vnet_device *device)
{
	struct vnet_queue *queue = vring->queue;
	const void *ring = queue->packed ? (void *)queue->packed_desc : (void *)queue->used;
	uint64_t reported = vring->ring.log_guest_addr, gpa, asked = 0;
	uint64_t event = queue->event_idx ? sizeof(uint16_t) : 0;
	int ret;

	if (dirtylog_memory_gpa(queue->mem, ring, &gpa) < 0)
		return -EFAULT;
	if (!queue->packed && reported != 0)
		gpa = reported;
	/* Before bursts begin; a packed ring's event area is marked in any case. */
	if (queue->keep_kicks)
		asked = vnet_notify_ask(queue);
	if (queue->packed)
		return open_packed(queue, device->dl, gpa, reported);
	ret = dirtylog_open(device->dl, &queue->marker, gpa,
			sizeof(struct vring_used) + queue->size * sizeof(struct vring_used_elem) +
					event);
	if (ret == 0 && queue->keep_kicks)
		dirtylog_mark_gpa(device->dl, gpa + asked, sizeof(uint16_t));
	return ret;
}

/*
 * A packed ring goes on where a back-end left it that went without being asked.
 * Returns the descriptors that a burst of that one left unshown, to be returned.
 */
static struct vnet_packed_left
find_packed_pos(const struct vnet_device *device, struct vnet_queue *queue)
{
	struct vnet_packed_left left;

	if (vnet_recover_packed_pos(queue, queue->next_used, &left) < 0)
		VNET_PEER_DIAG(device->vid, WARNING,
				"%s virtqueue %u: the front-end does not know how far its"
				" packed ring was used, and the ring does not tell: packets will not"
				" flow until the guest's driver starts anew",
				device->name, queue->vring);
	if (left.pos == queue->next_used)
		return left;
	VNET_PEER_DIAG(device->vid, NOTICE,
			"%s virtqueue %u: goes on at 0x%x, where the packed ring was left,"
			" not at 0x%x as the front-end says",
			device->name, queue->vring, left.pos, queue->next_used);
	queue->next_avail = left.pos;
	queue->next_used = left.pos;
	return left;
}

/* The guest waits for them, and not for what this queue's bursts return behind them. */
static void
return_cut_off(const struct vnet_device *device, const struct vnet_queue *queue,
		const struct vnet_packed_left *left)
{
	uint64_t gpa;

	if (left->nb_cut == 0)
		return;
	VNET_PEER_DIAG(device->vid, NOTICE,
			"%s virtqueue %u: the back-end before this one died within a burst: its %u"
			" buffers are returned empty",
			device->name, queue->vring, left->nb_cut);
	vnet_return_cut_off(queue, left);
	if (dirtylog_memory_gpa(queue->mem, queue->packed_desc, &gpa) == 0)
		dirtylog_mark_gpa(device->dl, gpa, queue->size * sizeof(*queue->packed_desc));
}

/* Something waits for the next burst that nobody was kicked for. */
static void
have_polled(struct vnet_vring *vring)
{
	if (vring->announce)
		vnet_rarp_request(vring->queue, vring->mac);
	vring->announce = false;
	if (vring->queue->wakeup != NULL)
		vnet_rx_wakeup_signal(vring->queue->wakeup);
}

void
vnet_vring_open(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index)
{
	struct vnet_queue *queue = vring->queue;
	struct vnet_packed_left left = { .nb_cut = 0 };
	int ret;

	if (vring->open || vring->quiesced || queue == NULL || !device->runs || !vring->ready ||
			device->memory == NULL)
		return;
	fill_in(vring, device);
	ret = queue->packed ? vnet_packed_start(queue) : vnet_split_start(queue);
	if (ret < 0) {
		VNET_PEER_DIAG(device->vid, ERR, "%s virtqueue %u stays closed: %s", device->name,
				index,
				ret == -EINVAL ? "size, index or alignment of the ring" :
						 "the ring is outside of guest memory");
		return;
	}
	/* In order, a device may return a batch at one descriptor: the ring does not tell then. */
	if (queue->packed && !vring->was_open && has(device, VIRTIO_RING_F_INDIRECT_DESC) &&
			!has(device, VIRTIO_F_IN_ORDER))
		left = find_packed_pos(device, queue);
	ret = open_marked(vring, device);
	if (ret == -EIO) {
		VNET_PEER_DIAG(device->vid, ERR,
				"%s virtqueue %u stays closed: guest memory was taken away",
				device->name, index);
		return;
	}
	if (ret < 0) {
		VNET_PEER_DIAG(device->vid, ERR,
				"%s virtqueue %u stays closed: its writes to the ring are to"
				" be logged at GPA 0x%" PRIx64 ", which is no memory",
				device->name, index, vring->ring.log_guest_addr);
		return;
	}
	return_cut_off(device, queue, &left);
	vring->open = true;
	vring->was_open = true;
	have_polled(vring);
	/* Nor was the guest called, if who served the queue died before it could. */
	call_once(vring);
}

/* ---- closing ---- */

void
vnet_vring_close(struct vnet_vring *vring, const struct vnet_device *device)
{
	if (!vring->open)
		return;
	dirtylog_close(device->dl, &vring->queue->marker);
	vring->next_avail = vring->queue->next_avail;
	vring->next_used = vring->queue->next_used;
	vring->went_on = true;
	vring->open = false;
}

void
vnet_vring_hand_back(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index)
{
	vnet_vring_close(vring, device);
	/* Once: the front-end may say afterwards that it begins elsewhere. */
	if (vring->ready && vring->went_on)
		rte_vhost_set_vring_base(device->vid, index, vring->next_avail, vring->next_used);
	vring->went_on = false;
}

/* ---- descriptors ---- */

/*
 * Whether it is an eventfd. Anything else that a front-end passes would be no
 * good, and its read or write could end or hold this process.
 */
static bool
is_event_fd(int fd)
{
	char path[sizeof("/proc/self/fd/") + 10], kind[32];
	struct stat st;
	ssize_t len;

	if (fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, kind, sizeof(kind));
	/* Without /proc: it has no file type, as few kinds of files but eventfds. */
	return len < 0 || ((size_t)len == strlen(EVENT_FD) && memcmp(kind, EVENT_FD, len) == 0);
}

/*
 * A duplicate of a descriptor that a front-end has sent, in place of `old` if
 * that is one; or -1 and a log line. What bursts do with `old` meanwhile is done
 * to the one file or the other.
 */
static int
duplicate_event_fd(const struct vnet_device *device, uint16_t index, int fd, int old,
		const char *what)
{
	int own = -1;

	if (!is_event_fd(fd))
		VNET_PEER_DIAG(device->vid, ERR,
				"%s virtqueue %u: no %s: the descriptor is no eventfd",
				device->name, index, what);
	else if ((own = old < 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : dup3(fd, old, O_CLOEXEC)) < 0)
		VNET_PEER_DIAG(device->vid, ERR, "%s virtqueue %u: no %s: %s", device->name, index,
				what, strerror(errno));
	return own;
}

/*
 * Go over to a call descriptor, or (-1) to none; the queue may be open. QEMU
 * changes it whenever the guest masks or unmasks a vector, so no burst is waited
 * for. The old one, if there is no other, is kept: a burst may be at it.
 */
static void
take_call_fd(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index, int fd)
{
	int own = fd < 0 ? -1 : duplicate_event_fd(device, index, fd, vring->call_fd, "interrupts");

	vring->can_call = own >= 0;
	if (own >= 0)
		vring->call_fd = own;
	if (vring->open)
		__atomic_store_n(&vring->queue->call_fd, own, __ATOMIC_RELAXED);
	/* The last call may have gone to the old one after the front-end had looked there. */
	call_once(vring);
}

/* Have the queue's sleeper woken by kicks, if there is one. */
static void
watch_kicks(const struct vnet_vring *vring, const struct vnet_device *device, uint16_t index,
		int fd)
{
	int ret;

	if (vring->queue == NULL || vring->queue->wakeup == NULL)
		return;
	ret = vnet_rx_wakeup_set_kick(vring->queue->wakeup, fd);
	if (ret < 0)
		VNET_PEER_DIAG(device->vid, ERR, "%s virtqueue %u: no kicks: %s", device->name,
				index, strerror(-ret));
}

/* Replace our duplicate of a kick descriptor; the queue is closed. */
static void
take_kick_fd(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index, int fd)
{
	int old = vring->kick_fd;

	if (vnet_vring_is_guest_rx(index))
		return; /* nobody waits for buffers to transmit to */
	vring->kick_fd = fd < 0 ? -1 : duplicate_event_fd(device, index, fd, -1, "kicks");
	watch_kicks(vring, device, index, vring->kick_fd);
	if (old >= 0)
		close(old);
}

/* ---- what the connection calls ---- */

void
vnet_vring_init(struct vnet_vring *vring)
{
	vring->call_fd = -1;
	vring->kick_fd = -1;
}

void
vnet_vring_read(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index)
{
	/* An open queue goes by the ring that is overwritten here. */
	assert(!vring->open);
	if (rte_vhost_get_vhost_vring(device->vid, index, &vring->ring) < 0 ||
			rte_vhost_get_vring_base(device->vid, index, &vring->next_avail,
					&vring->next_used) < 0) {
		vring->ready = false;
		return;
	}
	vring->went_on = false;
	/* librte_vhost does not say that a message has taken its addresses away; this does. */
	vring->ready = vring->ring.desc != NULL && vring->ring.avail != NULL &&
			vring->ring.used != NULL;
	take_call_fd(vring, device, index, vring->ring.callfd);
	take_kick_fd(vring, device, index, vring->ring.kickfd);
}

void
vnet_vring_read_call_fd(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index)
{
	struct rte_vhost_vring ring;

	if (rte_vhost_get_vhost_vring(device->vid, index, &ring) == 0)
		take_call_fd(vring, device, index, ring.callfd);
}

/* Keep what the marker counted: it begins anew with the next connection. */
static void
keep_marks(struct vnet_queue *queue)
{
	vnet_add_marks(&queue->marks_past, &queue->marker.stats);
	memset(&queue->marker.stats, 0, sizeof(queue->marker.stats));
}

void
vnet_vring_set_queue(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index,
		struct vnet_queue *queue)
{
	if (vring->queue != NULL) {
		vnet_vring_close(vring, device);
		watch_kicks(vring, device, index, -1);
		vnet_rarp_cancel(vring->queue);
		dirtylog_remove_queue(device->dl, &vring->queue->marker);
		keep_marks(vring->queue);
	}
	vring->queue = queue;
	if (queue == NULL)
		return;
	queue->vring = index;
	dirtylog_add_queue(device->dl, &queue->marker);
	watch_kicks(vring, device, index, vring->kick_fd);
	vnet_vring_open(vring, device, index);
}

void
vnet_vring_announce(struct vnet_vring *vring, uint64_t mac)
{
	vring->announce = true;
	vring->mac = mac;
	if (vring->open)
		have_polled(vring);
}

void
vnet_vring_fini(struct vnet_vring *vring, const struct vnet_device *device, uint16_t index)
{
	vnet_vring_set_queue(vring, device, index, NULL);
	if (vring->call_fd >= 0)
		close(vring->call_fd);
	if (vring->kick_fd >= 0)
		close(vring->kick_fd);
}
