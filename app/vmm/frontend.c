/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>

#include "frontend.h"

_Static_assert(GUEST_RAM_MAX_REGIONS <= VHOST_USER_MAX_REGIONS, "a memory table holds all regions");

static int
need(uint64_t offered, uint64_t bit, const char *name)
{
	if ((offered & bit) != 0)
		return 0;
	warnx("GET_FEATURES: the back-end does not offer %s (it offers 0x%llx)", name,
			(unsigned long long)offered);
	return -ENOTSUP;
}

static int
choose_features(struct frontend *f)
{
	const struct guest_config *c = &f->guest->config;
	uint64_t want = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES;
	int ret;

	ret = need(f->offered, VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1");
	if (ret == 0)
		ret = need(f->offered, VHOST_USER_F_PROTOCOL_FEATURES,
				"VHOST_USER_F_PROTOCOL_FEATURES");
	if (ret == 0 && c->ring.packed) {
		want |= VIRTIO_F_RING_PACKED;
		ret = need(f->offered, VIRTIO_F_RING_PACKED, "VIRTIO_F_RING_PACKED");
	}
	if (ret == 0 && c->ring.mergeable) {
		want |= VIRTIO_NET_F_MRG_RXBUF;
		ret = need(f->offered, VIRTIO_NET_F_MRG_RXBUF, "VIRTIO_NET_F_MRG_RXBUF");
	}
	if (ret == 0 && c->ring.in_order) {
		want |= VIRTIO_F_IN_ORDER;
		ret = need(f->offered, VIRTIO_F_IN_ORDER, "VIRTIO_F_IN_ORDER");
	}
	if (ret == 0 && c->ring.indirect) {
		want |= VIRTIO_RING_F_INDIRECT_DESC;
		ret = need(f->offered, VIRTIO_RING_F_INDIRECT_DESC, "VIRTIO_RING_F_INDIRECT_DESC");
	}
	if (ret == 0 && c->queue_pairs > 1) {
		want |= VIRTIO_NET_F_MQ;
		ret = need(f->offered, VIRTIO_NET_F_MQ, "VIRTIO_NET_F_MQ");
	}
	if (ret == 0 && f->config.migrates)
		ret = need(f->offered, VHOST_F_LOG_ALL, "VHOST_F_LOG_ALL");
	f->features = want;
	return ret;
}

static int
negotiate_protocol(struct frontend *f)
{
	const unsigned int queue_pairs = f->guest->config.queue_pairs;
	const uint64_t useful = VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_LOG_SHMFD |
			VHOST_USER_PROTOCOL_F_REPLY_ACK;
	uint64_t max_queues;
	int ret;

	ret = vhost_user_get_u64(&f->vu, VHOST_USER_GET_PROTOCOL_FEATURES, &f->protocol_offered);
	if (ret < 0)
		return ret;
	f->protocol_features = f->protocol_offered & useful;
	if (f->config.migrates && (f->protocol_offered & VHOST_USER_PROTOCOL_F_LOG_SHMFD) == 0) {
		warnx("GET_PROTOCOL_FEATURES: the back-end does not offer LOG_SHMFD (it offers 0x%llx): "
		      "its guests cannot migrate",
				(unsigned long long)f->protocol_offered);
		return -ENOTSUP;
	}
	ret = vhost_user_set_u64(&f->vu, VHOST_USER_SET_PROTOCOL_FEATURES, f->protocol_features,
			false);
	if (ret < 0)
		return ret;
	f->vu.reply_ack = (f->protocol_features & VHOST_USER_PROTOCOL_F_REPLY_ACK) != 0;
	if ((f->protocol_features & VHOST_USER_PROTOCOL_F_MQ) != 0) {
		ret = vhost_user_get_u64(&f->vu, VHOST_USER_GET_QUEUE_NUM, &max_queues);
		if (ret < 0)
			return ret;
	} else {
		max_queues = 1;
	}
	if (queue_pairs > max_queues) {
		warnx("GET_QUEUE_NUM: the back-end has %llu queue pairs, not %u",
				(unsigned long long)max_queues, queue_pairs);
		return -ENOTSUP;
	}
	return 0;
}

int
frontend_connect(struct frontend *f, struct guest *guest, const struct frontend_config *config)
{
	int ret;

	f->config = *config;
	f->guest = guest;
	ret = vhost_user_open(&f->vu, config->socket, config->server, config->timeout_ms);
	if (ret < 0)
		return ret;
	ret = vhost_user_get_u64(&f->vu, VHOST_USER_GET_FEATURES, &f->offered);
	if (ret == 0)
		ret = choose_features(f);
	if (ret == 0)
		ret = negotiate_protocol(f);
	if (ret == 0)
		ret = vhost_user_set_owner(&f->vu);
	return ret;
}

bool
frontend_can_log(const struct frontend *f)
{
	return (f->offered & VHOST_F_LOG_ALL) != 0 &&
			(f->protocol_offered & VHOST_USER_PROTOCOL_F_LOG_SHMFD) != 0;
}

void
frontend_disconnect(struct frontend *f)
{
	vhost_user_close(&f->vu);
}

static int
set_vring_addr(struct frontend *f, const struct guest_queue *q, bool log)
{
	uintptr_t base = (uintptr_t)f->guest->ram.source;
	struct vhost_user_vring_addr addr = {
		.index = q->index,
		.flags = log ? VHOST_VRING_F_LOG : 0,
		.desc = base + q->desc_offset,
		.avail = base + q->driver_offset,
		.used = base + q->device_offset,
		/* For packed rings too QEMU sends the device area here. */
		.log = guest_ram_gpa(&f->guest->ram, q->device_offset),
	};

	return vhost_user_set_vring_addr(&f->vu, &addr, log);
}

static int
start_ring(struct frontend *f, const struct guest_queue *q, uint32_t base, bool log)
{
	int ret;

	ret = vhost_user_set_vring_state(&f->vu, VHOST_USER_SET_VRING_NUM, q->index, q->size,
			false);
	if (ret == 0)
		ret = vhost_user_set_vring_state(&f->vu, VHOST_USER_SET_VRING_BASE, q->index, base,
				false);
	if (ret == 0)
		ret = set_vring_addr(f, q, log);
	if (ret == 0)
		ret = vhost_user_set_vring_fd(&f->vu, VHOST_USER_SET_VRING_KICK, q->index,
				q->kick_fd);
	if (ret == 0)
		ret = vhost_user_set_vring_fd(&f->vu, VHOST_USER_SET_VRING_CALL, q->index,
				q->call_fd);
	return ret;
}

int
frontend_enable(struct frontend *f, bool enable)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; ret == 0 && i < f->guest->n_queues; i++)
		ret = vhost_user_set_vring_state(&f->vu, VHOST_USER_SET_VRING_ENABLE, i, enable,
				true);
	return ret;
}

int
frontend_start(struct frontend *f)
{
	unsigned int i;
	int ret;

	ret = vhost_user_set_u64(&f->vu, VHOST_USER_SET_FEATURES, f->features, false);
	if (ret == 0)
		ret = frontend_set_regions(f, f->guest->ram.n_first);
	for (i = 0; ret == 0 && i < f->guest->n_queues; i++)
		ret = start_ring(f, &f->guest->queues[i],
				guest_queue_first_base(&f->guest->queues[i]), false);
	if (ret == 0)
		ret = frontend_enable(f, true);
	return ret;
}

int
frontend_restart(struct frontend *f, const uint32_t *bases, const struct dirty_log *log)
{
	uint64_t features = f->features | (log != NULL ? VHOST_F_LOG_ALL : 0);
	unsigned int i;
	int ret;

	ret = vhost_user_set_u64(&f->vu, VHOST_USER_SET_FEATURES, features, false);
	if (ret == 0)
		ret = frontend_enable(f, true);
	if (ret == 0)
		ret = frontend_set_regions(f, f->regions_sent);
	for (i = 0; ret == 0 && i < f->guest->n_queues; i++)
		ret = start_ring(f, &f->guest->queues[i], bases[i], log != NULL);
	if (ret == 0 && log != NULL)
		ret = frontend_set_log(f, log);
	return ret;
}

int
frontend_stop(struct frontend *f)
{
	uint32_t base, expected;
	unsigned int i;
	int ret;

	for (i = 0; i < f->guest->n_queues; i++) {
		ret = vhost_user_get_vring_base(&f->vu, i, &base);
		if (ret < 0)
			return ret;
		expected = guest_queue_expected_base(&f->guest->queues[i]);
		/* The upper half of a packed base, the used side, is optional in the reply. */
		if ((base & 0xffff) != expected) {
			warnx("GET_VRING_BASE, ring %u: the back-end stopped at 0x%x, its used entries at 0x%x",
					i, base & 0xffff, expected);
			return -EPROTO;
		}
	}
	return 0;
}

int
frontend_set_log(struct frontend *f, const struct dirty_log *log)
{
	int ret = vhost_user_set_log_base(&f->vu, log->size, log->offset, log->fd,
			&f->log_reply_bytes);

	if (ret < 0)
		return ret;
	if ((f->config.log_reply == REPLY_16 && f->log_reply_bytes != 16) ||
			(f->config.log_reply == REPLY_EMPTY && f->log_reply_bytes != 0)) {
		warnx("SET_LOG_BASE: the reply has %u bytes of payload, %s", f->log_reply_bytes,
				f->config.log_reply == REPLY_16 ?
						"16 are demanded (Cloud Hypervisor waits for them)" :
						"none is demanded");
		return -EPROTO;
	}
	return 0;
}

int
frontend_logging(struct frontend *f, bool on)
{
	uint64_t features = f->features | (on ? VHOST_F_LOG_ALL : 0), again;
	unsigned int i;
	int ret;

	ret = vhost_user_set_u64(&f->vu, VHOST_USER_SET_FEATURES, features, on);
	/* Without REPLY_ACK, QEMU asks for something else: its answer comes after the change. */
	if (ret == 0 && on && !f->vu.reply_ack)
		ret = vhost_user_get_u64(&f->vu, VHOST_USER_GET_FEATURES, &again);
	for (i = 0; ret == 0 && i < f->guest->n_queues; i++)
		ret = set_vring_addr(f, &f->guest->queues[i], on);
	if (ret == 0 && on && !f->vu.reply_ack)
		ret = vhost_user_get_u64(&f->vu, VHOST_USER_GET_FEATURES, &again);
	return ret;
}

int
frontend_set_regions(struct frontend *f, unsigned int n)
{
	const struct guest_ram *ram = &f->guest->ram;
	struct vhost_user_region regions[GUEST_RAM_MAX_REGIONS];
	int fds[GUEST_RAM_MAX_REGIONS];
	unsigned int i;
	int ret;

	for (i = 0; i < n; i++) {
		const struct ram_region *r = &ram->regions[i];

		regions[i] = (struct vhost_user_region){
			.guest_addr = r->gpa,
			.size = r->size,
			.user_addr = (uintptr_t)ram->source + r->offset,
			.mmap_offset = r->file_offset,
		};
		fds[i] = r->fd;
	}
	ret = vhost_user_set_mem_table(&f->vu, regions, fds, n);
	if (ret == 0)
		f->regions_sent = n;
	return ret;
}
