/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig/event_thread.h"
#include "rig/frontend.h"

#define FLAGS_VERSION 1U
#define FLAGS_REPLY 4U
#define FLAGS_NEED_REPLY 8U
#define PROTOCOL_FEATURES (1U << 0 | 1U << 1 | 1U << 3) /* MQ, LOG_SHMFD, REPLY_ACK */
#define NO_FD 0x100U
#define TIME_LIMIT_MS 5000
#define MAX_FDS 8

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t len;
};

void
frontend_create(struct frontend *frontend, uint64_t features, uint16_t ring_size,
		unsigned int nb_rings, uint16_t start)
{
	unsigned int i;

	memset(frontend, 0, sizeof(*frontend));
	frontend->sock = -1;
	frontend->features = features | FRONTEND_F_PROTOCOL;
	frontend->ring_size = ring_size;
	frontend->nb_rings = nb_rings;
	ram_add(&frontend->ram, FRONTEND_LOW, FRONTEND_LOW_LEN);
	ram_add(&frontend->ram, FRONTEND_HIGH, FRONTEND_HIGH_LEN);
	assert_true(nb_rings * ring_footprint(ring_size) <= FRONTEND_HIGH_LEN);
	for (i = 0; i < nb_rings; i++) {
		ring_init(&frontend->rings[i], &frontend->ram,
				FRONTEND_HIGH + i * ring_footprint(ring_size), ring_size, start,
				features & FRONTEND_F_PACKED ? frontend->slots[i] : NULL);
		frontend->call[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		frontend->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(frontend->call[i] >= 0 && frontend->kick[i] >= 0);
	}
}

void
frontend_destroy(struct frontend *frontend)
{
	unsigned int i;

	frontend_disconnect(frontend);
	for (i = 0; i < frontend->nb_rings; i++) {
		close(frontend->call[i]);
		close(frontend->kick[i]);
	}
	ram_destroy(&frontend->ram);
}

bool
frontend_connect(struct frontend *frontend, const char *path)
{
	const struct timeval limit = { .tv_sec = TIME_LIMIT_MS / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	unsigned int tries;

	frontend_disconnect(frontend);
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	for (tries = 0; tries < TIME_LIMIT_MS; tries++) {
		frontend->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(frontend->sock >= 0);
		setsockopt(frontend->sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(frontend->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		if (connect(frontend->sock, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
			event_thread_wake();
			return true;
		}
		frontend_disconnect(frontend);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return false;
}

void
frontend_disconnect(struct frontend *frontend)
{
	if (frontend->sock >= 0)
		close(frontend->sock);
	frontend->sock = -1;
}

bool
frontend_send(struct frontend *frontend, uint32_t request, bool need_reply, const void *payload,
		uint32_t len, const int *fds, unsigned int nb_fds)
{
	struct header header = { request, FLAGS_VERSION | (need_reply ? FLAGS_NEED_REPLY : 0),
		len };
	union {
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec parts[2] = {
		{ &header, sizeof(header) },
		{ (void *)(uintptr_t)payload, len },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = len != 0 ? 2 : 1 };
	struct cmsghdr *cmsg;

	if (nb_fds != 0) {
		assert_true(nb_fds <= MAX_FDS);
		memset(&control, 0, sizeof(control));
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(nb_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nb_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nb_fds * sizeof(int));
	}
	return sendmsg(frontend->sock, &message, MSG_NOSIGNAL) == (ssize_t)(sizeof(header) + len);
}

int
frontend_reply(struct frontend *frontend, uint32_t request, void *payload, size_t room)
{
	struct header header;

	if (recv(frontend->sock, &header, sizeof(header), MSG_WAITALL) != sizeof(header))
		return -1;
	if (header.request != request || header.len > room)
		return -1;
	assert_int_equal(header.flags & ~FLAGS_NEED_REPLY, FLAGS_VERSION | FLAGS_REPLY);
	if (header.len != 0 &&
			recv(frontend->sock, payload, header.len, MSG_WAITALL) !=
					(ssize_t)header.len)
		return -1;
	return (int)header.len;
}

enum frontend_answer
frontend_ask(struct frontend *frontend, uint32_t request, const void *payload, uint32_t len,
		const int *fds, unsigned int nb_fds)
{
	uint64_t answer;

	if (!frontend_send(frontend, request, true, payload, len, fds, nb_fds))
		return ANSWER_CLOSED;
	if (frontend_reply(frontend, request, &answer, sizeof(answer)) != sizeof(answer))
		return ANSWER_CLOSED;
	return answer == 0 ? ANSWER_OK : ANSWER_REFUSED;
}

enum frontend_answer
frontend_set_features(struct frontend *frontend, uint64_t features)
{
	return frontend_ask(frontend, REQ_SET_FEATURES, &features, sizeof(features), NULL, 0);
}

/* Wait for a number; 0 if there is none. */
static uint64_t
ask_number(struct frontend *frontend, uint32_t request)
{
	uint64_t number;

	if (!frontend_send(frontend, request, false, NULL, 0, NULL, 0) ||
			frontend_reply(frontend, request, &number, sizeof(number)) !=
					sizeof(number))
		return 0;
	return number;
}

bool
frontend_settle(struct frontend *frontend)
{
	return ask_number(frontend, REQ_GET_FEATURES) != 0;
}

enum frontend_answer
frontend_hello(struct frontend *frontend)
{
	uint64_t protocol;

	if (!frontend_send(frontend, REQ_SET_OWNER, false, NULL, 0, NULL, 0))
		return ANSWER_CLOSED;
	frontend->offered = ask_number(frontend, REQ_GET_FEATURES);
	if (frontend->offered == 0)
		return ANSWER_CLOSED;
	protocol = ask_number(frontend, REQ_GET_PROTOCOL_FEATURES) & PROTOCOL_FEATURES;
	if (protocol != PROTOCOL_FEATURES ||
			!frontend_send(frontend, REQ_SET_PROTOCOL_FEATURES, false, &protocol,
					sizeof(protocol), NULL, 0))
		return ANSWER_CLOSED;
	return frontend_set_features(frontend, frontend->features);
}

enum frontend_answer
frontend_set_regions(struct frontend *frontend, const struct frontend_region *regions,
		const int *fds, unsigned int n)
{
	struct {
		uint32_t n;
		uint32_t padding;
		struct frontend_region regions[MAX_FDS];
	} table = { .n = n };

	memcpy(table.regions, regions, n * sizeof(regions[0]));
	return frontend_ask(frontend, REQ_SET_MEM_TABLE, &table,
			(uint32_t)(8 + n * sizeof(regions[0])), fds, n);
}

enum frontend_answer
frontend_set_memory(struct frontend *frontend)
{
	struct frontend_region regions[RAM_MAX_REGIONS];
	int fds[RAM_MAX_REGIONS];
	unsigned int i;

	for (i = 0; i < frontend->ram.nb_regions; i++) {
		const struct ram_region *region = &frontend->ram.regions[i];

		regions[i] = (struct frontend_region){
			.gpa = region->gpa, .len = region->len, .user = FRONTEND_USER(region->gpa)
		};
		fds[i] = region->fd;
	}
	return frontend_set_regions(frontend, regions, fds, i);
}

static enum frontend_answer
set_state(struct frontend *frontend, uint32_t request, unsigned int ring, uint32_t value)
{
	struct vhost_vring_state state = { .index = ring, .num = value };

	return frontend_ask(frontend, request, &state, sizeof(state), NULL, 0);
}

enum frontend_answer
frontend_set_num(struct frontend *frontend, unsigned int ring, uint32_t size)
{
	return set_state(frontend, REQ_SET_VRING_NUM, ring, size);
}

enum frontend_answer
frontend_set_base(struct frontend *frontend, unsigned int ring, uint32_t base)
{
	return set_state(frontend, REQ_SET_VRING_BASE, ring, base);
}

enum frontend_answer
frontend_enable(struct frontend *frontend, unsigned int ring, bool on)
{
	return set_state(frontend, REQ_SET_VRING_ENABLE, ring, on);
}

void
frontend_fill_addr(struct frontend *frontend, unsigned int ring, struct vhost_vring_addr *addr)
{
	const struct ring_writer *writer = &frontend->rings[ring];

	memset(addr, 0, sizeof(*addr));
	addr->index = ring;
	addr->flags = frontend->features & FRONTEND_F_LOG_ALL ? 1U << VHOST_VRING_F_LOG : 0;
	addr->desc_user_addr = FRONTEND_USER(writer->desc);
	addr->avail_user_addr = FRONTEND_USER(writer->avail);
	addr->used_user_addr = FRONTEND_USER(writer->used);
	addr->log_guest_addr = writer->used;
}

enum frontend_answer
frontend_set_addr(struct frontend *frontend, unsigned int ring)
{
	struct vhost_vring_addr addr;

	frontend_fill_addr(frontend, ring, &addr);
	return frontend_ask(frontend, REQ_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
}

static enum frontend_answer
set_file(struct frontend *frontend, uint32_t request, unsigned int ring, int fd)
{
	uint64_t value = ring | (fd < 0 ? NO_FD : 0);

	return frontend_ask(frontend, request, &value, sizeof(value), &fd, fd < 0 ? 0 : 1);
}

enum frontend_answer
frontend_set_call(struct frontend *frontend, unsigned int ring, int fd)
{
	return set_file(frontend, REQ_SET_VRING_CALL, ring, fd);
}

enum frontend_answer
frontend_set_kick(struct frontend *frontend, unsigned int ring, int fd)
{
	return set_file(frontend, REQ_SET_VRING_KICK, ring, fd);
}

enum frontend_answer
frontend_start_ring(struct frontend *frontend, unsigned int ring)
{
	enum frontend_answer answer;

	answer = frontend_set_num(frontend, ring, frontend->ring_size);
	if (answer == ANSWER_OK)
		answer = frontend_set_base(frontend, ring, frontend->rings[ring].next_used);
	if (answer == ANSWER_OK)
		answer = frontend_set_addr(frontend, ring);
	if (answer == ANSWER_OK)
		answer = frontend_set_call(frontend, ring, frontend->call[ring]);
	if (answer == ANSWER_OK)
		answer = frontend_set_kick(frontend, ring, frontend->kick[ring]);
	if (answer == ANSWER_OK)
		answer = frontend_enable(frontend, ring, true);
	return answer;
}

enum frontend_answer
frontend_start(struct frontend *frontend)
{
	enum frontend_answer answer = frontend_hello(frontend);
	unsigned int i;

	if (answer == ANSWER_OK)
		answer = frontend_set_memory(frontend);
	for (i = 0; i < frontend->nb_rings && answer == ANSWER_OK; i++)
		answer = frontend_start_ring(frontend, i);
	return answer;
}

int
frontend_stop_ring(struct frontend *frontend, unsigned int ring)
{
	struct vhost_vring_state state = { .index = ring };

	if (!frontend_send(frontend, REQ_GET_VRING_BASE, false, &state, sizeof(state), NULL, 0) ||
			frontend_reply(frontend, REQ_GET_VRING_BASE, &state, sizeof(state)) !=
					sizeof(state))
		return -1;
	assert_int_equal(state.index, ring);
	return (int)state.num;
}

bool
frontend_fds_are_found(void)
{
	const char *at = getenv("DIRTYLOG_TEST_FDS_AT");

	return at == NULL || strcmp(at, "nowhere") != 0;
}

enum frontend_answer
frontend_set_log(struct frontend *frontend, int fd, uint64_t len, uint64_t offset)
{
	uint64_t payload[2] = { len, offset }, reply[2];
	int ret;

	/* With an acknowledgement asked for too, so that a refusal is an answer. */
	if (!frontend_send(frontend, REQ_SET_LOG_BASE, true, payload, sizeof(payload), &fd,
			    fd < 0 ? 0 : 1))
		return ANSWER_CLOSED;
	ret = frontend_reply(frontend, REQ_SET_LOG_BASE, reply, sizeof(reply));
	/* librte_vhost replies, and then the library takes the log over, or refuses it. */
	if (ret == 0 && !frontend_fds_are_found())
		return frontend_settle(frontend) ? ANSWER_OK : ANSWER_CLOSED;
	if (ret == sizeof(reply) && frontend_fds_are_found()) {
		assert_memory_equal(reply, payload, sizeof(reply));
		return ANSWER_OK;
	}
	return ret == sizeof(reply[0]) && reply[0] == 1 ? ANSWER_REFUSED : ANSWER_CLOSED;
}

uint64_t
frontend_log_len(void)
{
	return (FRONTEND_HIGH + FRONTEND_HIGH_LEN - 1) / RAM_PAGE / 8 + 1;
}
