/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In this file: the socket, from either side; one message with its descriptors
 * sent, its reply read, within a time limit; and the messages.
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cycles.h"
#include "vhost_user.h"

#define FLAG_VERSION 0x1u
#define FLAG_VERSION_MASK 0x3u
#define FLAG_REPLY 0x4u
#define FLAG_NEED_REPLY 0x8u

#define NO_RING (~0u)

struct header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct mem_table {
	uint32_t n;
	uint32_t padding;
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
};

struct vring_state {
	uint32_t index;
	uint32_t num;
};

const char *
vhost_user_request_name(unsigned int request)
{
	static const char *const names[] = {
		[VHOST_USER_GET_FEATURES] = "GET_FEATURES",
		[VHOST_USER_SET_FEATURES] = "SET_FEATURES",
		[VHOST_USER_SET_OWNER] = "SET_OWNER",
		[VHOST_USER_SET_MEM_TABLE] = "SET_MEM_TABLE",
		[VHOST_USER_SET_LOG_BASE] = "SET_LOG_BASE",
		[VHOST_USER_SET_VRING_NUM] = "SET_VRING_NUM",
		[VHOST_USER_SET_VRING_ADDR] = "SET_VRING_ADDR",
		[VHOST_USER_SET_VRING_BASE] = "SET_VRING_BASE",
		[VHOST_USER_GET_VRING_BASE] = "GET_VRING_BASE",
		[VHOST_USER_SET_VRING_KICK] = "SET_VRING_KICK",
		[VHOST_USER_SET_VRING_CALL] = "SET_VRING_CALL",
		[VHOST_USER_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[VHOST_USER_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[VHOST_USER_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[VHOST_USER_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	};

	if (request < sizeof(names) / sizeof(names[0]) && names[request] != NULL)
		return names[request];
	return "unknown message";
}

/*
 * Makes room for a socket at a path: removes one that nobody listens on any more, and
 * nothing else. -EEXIST: that is no socket; -EADDRINUSE: somebody may be there.
 */
static int
remove_dead_socket(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, ret = 0;

	if (lstat(addr->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	/* Not to wait for a listener that is slow to accept. */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED)
		ret = -EADDRINUSE;
	else if (unlink(addr->sun_path) != 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* Is this still the socket that was bound there? */
static bool
same_socket(const struct sockaddr_un *addr, const struct stat *bound)
{
	struct stat st;

	return lstat(addr->sun_path, &st) == 0 && st.st_dev == bound->st_dev &&
			st.st_ino == bound->st_ino;
}

/* Signals that would end the program and leave its socket behind are held meanwhile. */
static void
hold_signals(sigset_t *held, sigset_t *before)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;
	unsigned int i;

	sigemptyset(held);
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (sigaction(ends[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(held, ends[i]);
	pthread_sigmask(SIG_BLOCK, held, before);
}

static bool
signal_came(const sigset_t *held)
{
	sigset_t pending, both;

	sigpending(&pending);
	sigandset(&both, &pending, held);
	return !sigisemptyset(&both);
}

/* Waits for the first connection: the socket of it, or -errno. */
static int
wait_for_one(int listener, const sigset_t *held, uint64_t deadline)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int fd;

	while (now_ns() < deadline) {
		if (signal_came(held))
			return -EINTR;
		if (poll(&p, 1, 20) == 1) {
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			return fd < 0 ? -errno : fd;
		}
	}
	return -ETIMEDOUT;
}

/* Listens, and gives the first connection that comes before the deadline, or -errno. */
static int
accept_one(const struct sockaddr_un *addr, uint64_t deadline)
{
	sigset_t held, before;
	struct stat bound;
	int listener, fd;

	fd = remove_dead_socket(addr);
	if (fd < 0)
		return fd;
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return -errno;
	hold_signals(&held, &before);
	if (bind(listener, (const struct sockaddr *)addr, sizeof(*addr)) != 0 ||
			lstat(addr->sun_path, &bound) != 0 || listen(listener, 1) != 0) {
		fd = -errno;
	} else {
		fd = wait_for_one(listener, &held, deadline);
		if (same_socket(addr, &bound))
			unlink(addr->sun_path);
	}
	close(listener);
	/* A signal that came ends the program here. */
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return fd;
}

static int
connect_to(const struct sockaddr_un *addr, uint64_t deadline)
{
	int fd, err;

	for (;;) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
		if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
			return fd;
		err = -errno;
		close(fd);
		/* A back-end that is just starting: no socket yet, or nobody listens yet. */
		if ((err != -ENOENT && err != -ECONNREFUSED && err != -EAGAIN) ||
				now_ns() >= deadline)
			return err;
		poll(NULL, 0, 10);
	}
}

int
vhost_user_open(struct vhost_user *vu, const char *path, bool server, unsigned int timeout_ms)
{
	uint64_t deadline = now_ns() + timeout_ms * 1000000ull;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*vu = (struct vhost_user){ .fd = -1, .timeout_ms = timeout_ms };
	if (strlen(path) >= sizeof(addr.sun_path)) {
		warnx("%s: too long for a socket's name", path);
		return -ENAMETOOLONG;
	}
	strcpy(addr.sun_path, path);
	vu->fd = server ? accept_one(&addr, deadline) : connect_to(&addr, deadline);
	if (vu->fd == -EEXIST) {
		warnx("%s: there is a file that is no socket; it is left as it is", path);
		return vu->fd;
	}
	if (vu->fd == -EADDRINUSE) {
		warnx("%s: in use, as far as can be seen; the socket is left as it is", path);
		return vu->fd;
	}
	if (vu->fd < 0) {
		warnx("%s %s: %s", server ? "waiting for a back-end at" : "connecting to", path,
				strerror(-vu->fd));
		return vu->fd;
	}
	return 0;
}

void
vhost_user_close(struct vhost_user *vu)
{
	if (vu->fd >= 0)
		close(vu->fd);
	vu->fd = -1;
}

/* Prints which message failed, and how; returns err. */
static int
failed(unsigned int request, unsigned int ring, const char *what, int err)
{
	if (ring == NO_RING)
		warnx("%s: %s", vhost_user_request_name(request), what);
	else
		warnx("%s, ring %u: %s", vhost_user_request_name(request), ring, what);
	return err;
}

static int
send_message(struct vhost_user *vu, enum vhost_user_request request, unsigned int ring, bool ack,
		const void *payload, uint32_t size, const int *fds, unsigned int n_fds)
{
	struct header h = {
		.request = request,
		.flags = FLAG_VERSION | (ack && vu->reply_ack ? FLAG_NEED_REPLY : 0),
		.size = size,
	};
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)payload, size } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = size > 0 ? 2 : 1 };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * VHOST_USER_MAX_REGIONS)];
		struct cmsghdr align;
	} control;
	struct pollfd p = { .fd = vu->fd, .events = POLLOUT };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	/* A back-end that reads nothing fills the socket: do not hang in sendmsg. */
	if (poll(&p, 1, (int)vu->timeout_ms) == 0)
		return failed(request, ring, "the back-end does not read its socket", -ETIMEDOUT);
	do {
		n = sendmsg(vu->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
		return failed(request, ring, "the back-end closed the connection", -ECONNRESET);
	if (n < 0)
		return failed(request, ring, strerror(errno), -errno);
	if ((size_t)n != sizeof(h) + size)
		return failed(request, ring, "the back-end does not read its socket", -ETIMEDOUT);
	return 0;
}

/* Reads exactly size bytes before the deadline. */
static int
read_all(struct vhost_user *vu, void *buffer, size_t size, uint64_t deadline)
{
	struct pollfd p = { .fd = vu->fd, .events = POLLIN };
	uint8_t *at = buffer;
	uint64_t now;
	ssize_t n;

	while (size > 0) {
		now = now_ns();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)((deadline - now) / 1000000 + 1)) <= 0)
			continue;
		n = recv(vu->fd, at, size, MSG_DONTWAIT);
		if (n == 0)
			return -ECONNRESET;
		if (n < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			return -errno;
		}
		at += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Reads the reply to request; *size: room for its payload, then the payload's size. */
static int
read_reply(struct vhost_user *vu, enum vhost_user_request request, unsigned int ring, void *payload,
		uint32_t *size)
{
	const uint64_t began = now_ns(), deadline = began + vu->timeout_ms * 1000000ull;
	struct header h;
	char text[160];
	int ret;

	ret = read_all(vu, &h, sizeof(h), deadline);
	if (ret == 0 &&
			(h.request != request || (h.flags & FLAG_REPLY) == 0 ||
					(h.flags & FLAG_VERSION_MASK) != FLAG_VERSION)) {
		snprintf(text, sizeof(text),
				"the back-end sent no reply to it, but %s (%u), flags 0x%x, %u bytes",
				vhost_user_request_name(h.request), h.request, h.flags, h.size);
		return failed(request, ring, text, -EPROTO);
	}
	if (ret == 0 && h.size > *size) {
		snprintf(text, sizeof(text),
				"the reply has %u bytes of payload, at most %u make sense", h.size,
				*size);
		return failed(request, ring, text, -EPROTO);
	}
	if (ret == 0)
		ret = read_all(vu, payload, h.size, deadline);
	if (ret == -ETIMEDOUT) {
		snprintf(text, sizeof(text), "no reply within %u ms", vu->timeout_ms);
		return failed(request, ring, text, ret);
	}
	if (ret == -ECONNRESET)
		return failed(request, ring,
				"the back-end closed the connection instead of replying", ret);
	if (ret < 0)
		return failed(request, ring, strerror(-ret), ret);
	if (vu->answers != NULL)
		gap_add(vu->answers, now_ns() - began);
	*size = h.size;
	return 0;
}

static int
read_u64(struct vhost_user *vu, enum vhost_user_request request, unsigned int ring, uint64_t *value)
{
	uint32_t size = sizeof(*value);
	int ret;

	ret = read_reply(vu, request, ring, value, &size);
	if (ret == 0 && size != sizeof(*value))
		return failed(request, ring, "the reply is too short", -EPROTO);
	return ret;
}

/* Sends a message, and reads its acknowledgement where one was asked for. */
static int
send_and_ack(struct vhost_user *vu, enum vhost_user_request request, unsigned int ring, bool ack,
		const void *payload, uint32_t size, const int *fds, unsigned int n_fds)
{
	uint64_t status;
	int ret;

	ret = send_message(vu, request, ring, ack, payload, size, fds, n_fds);
	if (ret < 0 || !ack || !vu->reply_ack)
		return ret;
	ret = read_u64(vu, request, ring, &status);
	if (ret == 0 && status != 0)
		return failed(request, ring, "the back-end refused it", -EIO);
	return ret;
}

int
vhost_user_get_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t *value)
{
	int ret = send_message(vu, request, NO_RING, false, NULL, 0, NULL, 0);

	return ret < 0 ? ret : read_u64(vu, request, NO_RING, value);
}

int
vhost_user_set_u64(struct vhost_user *vu, enum vhost_user_request request, uint64_t value, bool ack)
{
	return send_and_ack(vu, request, NO_RING, ack, &value, sizeof(value), NULL, 0);
}

int
vhost_user_set_owner(struct vhost_user *vu)
{
	return send_and_ack(vu, VHOST_USER_SET_OWNER, NO_RING, false, NULL, 0, NULL, 0);
}

int
vhost_user_set_mem_table(struct vhost_user *vu, const struct vhost_user_region *regions,
		const int *fds, unsigned int n)
{
	struct mem_table table = { .n = n };

	memcpy(table.regions, regions, n * sizeof(*regions));
	return send_and_ack(vu, VHOST_USER_SET_MEM_TABLE, NO_RING, true, &table,
			(uint32_t)(8 + n * sizeof(*regions)), fds, n);
}

int
vhost_user_set_vring_state(struct vhost_user *vu, enum vhost_user_request request,
		unsigned int index, unsigned int value, bool ack)
{
	struct vring_state state = { .index = index, .num = value };

	return send_and_ack(vu, request, index, ack, &state, sizeof(state), NULL, 0);
}

int
vhost_user_set_vring_addr(struct vhost_user *vu, const struct vhost_user_vring_addr *addr, bool ack)
{
	return send_and_ack(vu, VHOST_USER_SET_VRING_ADDR, addr->index, ack, addr, sizeof(*addr),
			NULL, 0);
}

int
vhost_user_set_vring_fd(struct vhost_user *vu, enum vhost_user_request request, unsigned int index,
		int fd)
{
	uint64_t value = index;

	return send_and_ack(vu, request, index, false, &value, sizeof(value), &fd, 1);
}

int
vhost_user_get_vring_base(struct vhost_user *vu, unsigned int index, uint32_t *base)
{
	const enum vhost_user_request request = VHOST_USER_GET_VRING_BASE;
	struct vring_state state = { .index = index };
	uint32_t size = sizeof(state);
	int ret;

	ret = send_message(vu, request, index, false, &state, sizeof(state), NULL, 0);
	if (ret < 0)
		return ret;
	ret = read_reply(vu, request, index, &state, &size);
	if (ret < 0)
		return ret;
	if (size != sizeof(state) || state.index != index)
		return failed(request, index, "the reply is not about this ring", -EPROTO);
	*base = state.num;
	return 0;
}

int
vhost_user_set_log_base(struct vhost_user *vu, uint64_t size, uint64_t offset, int fd,
		unsigned int *reply_size)
{
	const enum vhost_user_request request = VHOST_USER_SET_LOG_BASE;
	uint64_t log[2] = { size, offset };
	uint32_t reply = sizeof(log);
	int ret;

	ret = send_message(vu, request, NO_RING, false, log, sizeof(log), &fd, 1);
	if (ret < 0)
		return ret;
	ret = read_reply(vu, request, NO_RING, log, &reply);
	if (ret < 0)
		return ret;
	*reply_size = reply;
	return 0;
}
