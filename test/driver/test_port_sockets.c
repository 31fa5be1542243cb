/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A port's socket, in this process: left over by somebody, in use by somebody,
 * and the port as its client.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

static int
listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
stale_socket_is_no_error(void **state)
{
	struct pair *pair;
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/0", port_rig_folder());
	fd = listen_at(path);
	close(fd);
	pair = pair_create(0, MODERN, 1, 0);
	assert_true(pair_exchange(pair, 0));
	pair_destroy(pair);
	assert_int_equal(access(path, F_OK), -1);
}

/* Configuring a port whose socket somebody else has fails, and he does not notice. */
static int
configure_in_vain(const char *name, const char *args)
{
	const struct rte_eth_conf conf = { .rxmode = { .mq_mode = RTE_ETH_MQ_RX_NONE } };
	uint16_t id;
	int ret;

	assert_int_equal(rte_vdev_init(name, args), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(name, &id), 0);
	ret = rte_eth_dev_configure(id, 1, 1, &conf);
	assert_int_equal(rte_vdev_uninit(name), 0);
	return ret;
}

static void
socket_in_use_is_an_error(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	char path[64], args[128];
	int fd;

	(void)state;
	/* By a port here. */
	assert_true(pair_exchange(pair, 0));
	snprintf(args, sizeof(args), "iface=%s", pair->port.path);
	assert_int_equal(configure_in_vain("net_dirtylog8", args), -EADDRINUSE);
	assert_true(pair_exchange(pair, 1));
	assert_int_equal(access(pair->port.path, F_OK), 0);
	/* By something else. */
	snprintf(path, sizeof(path), "%s/8", port_rig_folder());
	fd = listen_at(path);
	snprintf(args, sizeof(args), "iface=%s", path);
	assert_int_equal(configure_in_vain("net_dirtylog8", args), -EADDRINUSE);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
	/* By a file that is no socket: it stays. */
	fd = creat(path, 0600);
	close(fd);
	assert_true(configure_in_vain("net_dirtylog8", args) < 0);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	pair_destroy(pair);
}

/* The port as the socket's client: it comes back whenever somebody listens. */
static void
client_mode(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	char path[64];
	unsigned int i;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/0", port_rig_folder());
	port_create(&port, 0, 1, ",client=1");
	for (i = 0; i < 3; i++) {
		struct timeval limit = { .tv_sec = 10 };

		fd = listen_at(path);
		frontend_create(&frontend, MODERN, 256, 2, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		frontend.sock = accept(fd, NULL, NULL);
		assert_true(frontend.sock >= 0);
		setsockopt(frontend.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		close(fd);
		unlink(path);
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_true(port_exchange(&port, &frontend, 0, i, 40));
		frontend_destroy(&frontend);
		assert_true(port_wait_link(&port, false));
	}
	port_destroy(&port);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_socket_is_no_error),
		cmocka_unit_test(socket_in_use_is_an_error),
		cmocka_unit_test(client_mode),
	};
	const struct program program = {
		.name = "port_sockets",
		.split = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
