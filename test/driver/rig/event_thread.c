/* SPDX-License-Identifier: BSD-3-Clause */

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_vhost.h>

#include "rig/event_thread.h"

#define GET_PROTOCOL_FEATURES 15U
#define FLAGS_VERSION 1U

static struct {
	char path[64];
	int sock;
} wakes = { .sock = -1 };

void
event_thread_start(const char *folder)
{
	static const struct rte_vhost_device_ops no_ops;
	const struct timeval limit = { .tv_sec = 5 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(wakes.path, sizeof(wakes.path), "%s/wakes", folder);
	assert_int_equal(rte_vhost_driver_register(wakes.path, 0), 0);
	assert_int_equal(rte_vhost_driver_callback_register(wakes.path, &no_ops), 0);
	assert_int_equal(rte_vhost_driver_start(wakes.path), 0);
	strncpy(addr.sun_path, wakes.path, sizeof(addr.sun_path) - 1);
	wakes.sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(wakes.sock >= 0);
	setsockopt(wakes.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(connect(wakes.sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

void
event_thread_wake(void)
{
	const uint32_t request[3] = { GET_PROTOCOL_FEATURES, FLAGS_VERSION, 0 };
	char reply[20];

	if (wakes.sock < 0)
		return;
	assert_int_equal(send(wakes.sock, request, sizeof(request), MSG_NOSIGNAL), sizeof(request));
	assert_int_equal(recv(wakes.sock, reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
}

void
event_thread_stop(void)
{
	close(wakes.sock);
	wakes.sock = -1;
	rte_vhost_driver_unregister(wakes.path);
}
