/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where the descriptors of a message lie. For a release of DPDK that nobody has
 * looked at librte_vhost itself is asked, before it serves anybody: it gets a
 * message with descriptors of a file of ours, on a socket that nobody else can
 * reach, and the handler looks for numbers that are that file. It takes away all
 * but one, and the reply shows whether that was librte_vhost's own list. No payload
 * can imitate this, and no front-end has had a chance to. What is found stays.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "compat.h"
#include "diag.h"
#include "dirtylog_vhost.h"
#include "vhost_msg.h"

#define REQUEST 0x6d617473 /* none of the specification's: nobody but our handler knows it */
#define VERSION 1          /* in the flags */
#define TIMEOUT_MS 5000    /* it looks for new connections each second at least */
#define MAX_DISTANCE 4096  /* of the descriptors from the beginning of the message */

/* What stands before librte_vhost, if there is something, is to leave a socket alone: stub.c. */
extern void dirtylog_vhost_leave(const char *path) __attribute__((weak));

/* The question, for callbacks that get no context. */
static struct question {
	struct stat file;          /* that each descriptor of the message is */
	struct librte_msg_fds fds; /* what was found, and is to be closed */
	size_t fds_at;             /* there; 0: not found */
	const char *why_not;
} question;

static size_t fds_at;

size_t
dirtylog_message_fds_at(void)
{
	size_t known = dirtylog_compat_message_fds_at();

	return known != 0 ? known : __atomic_load_n(&fds_at, __ATOMIC_RELAXED);
}

/* ---- librte_vhost's thread ---- */

/* Bytes from there to the end of this thread's stack; 0: it is not there. */
static size_t
rest_of_stack(const void *from)
{
	pthread_attr_t attr;
	size_t size = 0;
	void *stack;
	uintptr_t rest;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return 0;
	if (pthread_attr_getstack(&attr, &stack, &size) != 0)
		size = 0;
	pthread_attr_destroy(&attr);
	rest = (uintptr_t)stack + size - (uintptr_t)from;
	return size == 0 || rest > size ? 0 : rest;
}

static bool
is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == question.file.st_dev &&
			st.st_ino == question.file.st_ino;
}

static bool
are_ours(const struct librte_msg_fds *fds)
{
	int i;

	if (fds->nb_fds != VHOST_MSG_MAX_FDS)
		return false;
	for (i = 0; i < VHOST_MSG_MAX_FDS; i++)
		if (!is_ours(fds->fds[i]))
			return false;
	return true;
}

/* From a frame of librte_vhost's or of its callers': a sanitizer would mind. */
__attribute__((no_sanitize("address"))) static void
read_fds(struct librte_msg_fds *fds, const volatile char *from)
{
	char *to = (char *)fds;
	size_t i;

	for (i = 0; i < sizeof(*fds); i++)
		to[i] = from[i];
}

/* Returns NULL, or why they are not found. */
static const char *
find_fds(const char *msg)
{
	size_t at, end = RTE_MIN(rest_of_stack(msg), (size_t)MAX_DISTANCE);
	struct librte_msg_fds fds;

	for (at = offsetof(struct librte_msg, payload) + VHOST_MSG_PAYLOAD_ROOM;
			at + sizeof(fds) <= end; at++) {
		read_fds(&fds, msg + at);
		if (!are_ours(&fds))
			continue;
		question.fds = fds;
		question.fds_at = at;
		return NULL;
	}
	return end == 0 ? "a message is not on the stack" : "they are not behind its payload";
}

/*
 * The reply has one of them only: so librte_vhost looks there, too. What is not
 * found it has to close: it refuses what nobody has handled.
 */
static enum rte_vhost_msg_result
before_message(int vid, void *data)
{
	const int one = 1;
	struct librte_msg *msg = data;

	(void)vid;
	if (msg->request != REQUEST || msg->size != 0)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	question.why_not = find_fds(data);
	if (question.why_not != NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	memcpy((char *)data + question.fds_at + offsetof(struct librte_msg_fds, nb_fds), &one,
			sizeof(one));
	question.why_not = "librte_vhost looks elsewhere";
	return RTE_VHOST_MSG_RESULT_REPLY;
}

static int
new_connection(int vid)
{
	static const struct rte_vhost_user_extern_ops handlers = {
		.pre_msg_handle = before_message,
	};

	return rte_vhost_extern_callback_register(vid, &handlers, NULL);
}

static int
new_device(int vid)
{
	(void)vid;
	return -1;
}

static void
destroy_device(int vid)
{
	(void)vid;
}

/* ---- who asks ---- */

/* A message with room for as many descriptors as one may have. */
struct packet {
	uint32_t header[3];
	struct iovec data;
	char control[CMSG_SPACE(VHOST_MSG_MAX_FDS * sizeof(int))] __attribute__((aligned(8)));
	struct msghdr msg;
};

static void
init_packet(struct packet *packet)
{
	*packet = (struct packet){
		.header = { REQUEST, VERSION | VHOST_MSG_NEED_REPLY, 0 },
		.data = { packet->header, sizeof(packet->header) },
		.msg = {
			.msg_iov = &packet->data,
			.msg_iovlen = 1,
			.msg_control = packet->control,
			.msg_controllen = sizeof(packet->control),
		},
	};
}

/* With as many descriptors of the file. */
static bool
send_message(int socket, int file)
{
	struct cmsghdr *control;
	struct packet packet;
	size_t i;

	init_packet(&packet);
	control = CMSG_FIRSTHDR(&packet.msg);
	control->cmsg_len = CMSG_LEN(VHOST_MSG_MAX_FDS * sizeof(int));
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	for (i = 0; i < VHOST_MSG_MAX_FDS; i++)
		memcpy(CMSG_DATA(control) + i * sizeof(int), &file, sizeof(int));
	return sendmsg(socket, &packet.msg, MSG_NOSIGNAL) == (ssize_t)sizeof(packet.header);
}

/* Whether there is a reply, and it has one. */
static bool
receive_one(int socket)
{
	struct pollfd reply = { .fd = socket, .events = POLLIN };
	struct packet packet;
	struct cmsghdr *control;
	size_t i, n = 0;
	int fd;

	init_packet(&packet);
	if (poll(&reply, 1, TIMEOUT_MS) != 1 ||
			recvmsg(socket, &packet.msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
		return false;
	control = CMSG_FIRSTHDR(&packet.msg);
	if (control != NULL && control->cmsg_type == SCM_RIGHTS)
		n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	for (i = 0; i < n; i++) {
		memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(fd));
		close(fd);
	}
	return n == 1;
}

static bool
talk(const struct sockaddr_un *address, int file)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool done;

	if (fd < 0)
		return false;
	done = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 &&
			send_message(fd, file) && receive_one(fd);
	close(fd);
	return done;
}

/* What is not librte_vhost's any more. */
static void
close_fds(void)
{
	int i;

	for (i = 0; question.fds_at != 0 && i < VHOST_MSG_MAX_FDS; i++)
		if (is_ours(question.fds.fds[i]))
			close(question.fds.fds[i]);
}

/* Whether the place is found, and librte_vhost's. */
static bool
ask_at(const struct sockaddr_un *address, int file)
{
	static const struct rte_vhost_device_ops ops = {
		.new_connection = new_connection,
		.new_device = new_device,
		.destroy_device = destroy_device,
	};
	const char *path = address->sun_path;
	bool done;

	if (dirtylog_vhost_leave != NULL)
		dirtylog_vhost_leave(path);
	if (rte_vhost_driver_register(path, 0) < 0)
		return false;
	done = rte_vhost_driver_callback_register(path, &ops) == 0 &&
			rte_vhost_driver_start(path) == 0 && talk(address, file);
	/* Waits for the callbacks that run: what they found is this thread's then. */
	rte_vhost_driver_unregister(path);
	close_fds();
	return done && question.fds_at != 0;
}

/* In a folder that nobody else may enter. */
static bool
ask(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[64];
	int file = memfd_create("dirtylog", MFD_CLOEXEC);
	bool done = false;

	if (file < 0)
		return false;
	snprintf(folder, sizeof(folder), "/tmp/dirtylog-%d-XXXXXX", (int)getpid());
	if (fstat(file, &question.file) == 0 && mkdtemp(folder) != NULL) {
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
		done = ask_at(&address, file);
		unlink(address.sun_path);
		rmdir(folder);
	}
	close(file);
	return done;
}

/* What librte_vhost says of a connection that is no front-end's is left out. */
static bool
ask_quietly(void)
{
	int type = rte_log_register("lib.vhost.config");
	int level = type < 0 ? 0 : rte_log_get_level((uint32_t)type);
	bool done;

	if (level > (int)RTE_LOG_ERR)
		rte_log_set_level((uint32_t)type, RTE_LOG_ERR);
	done = ask();
	if (level > (int)RTE_LOG_ERR)
		rte_log_set_level((uint32_t)type, (uint32_t)level);
	return done;
}

void
dirtylog_vhost_init(void)
{
	/* What stands before librte_vhost calls this again for the socket here. */
	static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
	static bool asked;

	pthread_mutex_lock(&lock);
	if (!asked && dirtylog_compat_message_fds_at() == 0) {
		asked = true;
		question.why_not = "librte_vhost was not asked, or does not answer";
		if (ask_quietly())
			__atomic_store_n(&fds_at, question.fds_at, __ATOMIC_RELAXED);
		else
			DIRTYLOG_DIAG(NOTICE,
					"%s is not known here, and where descriptors of a message"
					" lie is not found (%s): it is served with less, see"
					" doc/security.md",
					rte_version(), question.why_not);
	}
	pthread_mutex_unlock(&lock);
}
