/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "messages/vmm.h"

#define HEADER_LEN 12U
#define FLAGS_REPLY 4U

int
vmm_connect(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return sock;
	close(sock);
	return -1;
}

static void
send_bytes(int sock, const struct vmm_message *message, size_t limit)
{
	uint32_t header[3] = { message->request, message->flags, message->len };
	size_t len = message->len <= VMM_MAX_PAYLOAD ? message->len : 0;
	uint8_t bytes[HEADER_LEN + VMM_MAX_PAYLOAD];
	union {
		char bytes[CMSG_SPACE(VMM_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = HEADER_LEN + len };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	memcpy(bytes, header, HEADER_LEN);
	memcpy(bytes + HEADER_LEN, message->payload, len);
	if (part.iov_len > limit)
		part.iov_len = limit;
	if (message->nb_fds != 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(message->nb_fds * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(message->nb_fds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), message->fds, message->nb_fds * sizeof(int));
	}
	sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
vmm_send(int sock, const struct vmm_message *message)
{
	send_bytes(sock, message, SIZE_MAX);
}

void
vmm_send_part(int sock, const struct vmm_message *message, size_t len)
{
	if (len != 0)
		send_bytes(sock, message, len);
}

void
vmm_drain(int sock)
{
	uint8_t bytes[4096];

	while (recv(sock, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

bool
vmm_is_read(int sock)
{
	int unread = 0;

	/* If it is closed at the other end, all that was unread is gone. */
	return ioctl(sock, SIOCOUTQ, &unread) < 0 || unread == 0;
}

/*
 * Slices of the time limit. A program that is stopped for a while, and all its
 * threads with it, has lost one of them when it goes on.
 */
#define SLICE_MS 100

long
vmm_ask(int sock, long limit_ms)
{
	const struct vmm_message ask = { .request = VMM_GET_FEATURES, .flags = VMM_VERSION };
	struct pollfd wait = { .fd = sock, .events = POLLIN };
	uint8_t reply[HEADER_LEN + sizeof(uint64_t)];
	long waited = 0;
	int ready;

	vmm_send(sock, &ask);
	/* libFuzzer's own alarm interrupts it. */
	while ((ready = poll(&wait, 1, SLICE_MS)) <= 0) {
		if (ready < 0 && errno == EINTR)
			continue;
		waited += SLICE_MS;
		if (waited >= limit_ms)
			return -1;
	}
	if (recv(sock, reply, sizeof(reply), MSG_DONTWAIT) != sizeof(reply))
		return -1;
	return waited;
}
