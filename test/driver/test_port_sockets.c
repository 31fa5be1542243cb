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
#include <rte_vhost.h>

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

/* A front-end that listens at a path gets its connection of a port, and sets everything up. */
static void
accept_port(struct frontend *frontend, int listener)
{
	struct timeval limit = { .tv_sec = 10 };

	frontend_create(frontend, MODERN, 256, 2, 0);
	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	frontend->sock = accept(listener, NULL, NULL);
	assert_true(frontend->sock >= 0);
	setsockopt(frontend->sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	assert_int_equal(frontend_start(frontend), ANSWER_OK);
}

/*
 * A second port with a path that a port here has, in any mode and any words, is
 * refused; the first one and its guest do not notice, not even when the second
 * one is closed.
 */
static void
path_of_a_port_here(void **state)
{
	static const char *const words[] = { "%s/0", "%s/./0", "%s/../%s/0", "%s//0", "%s/link/0",
		"%s/other" };
	char path[64], link[64], other[64], args[160], spelled[128];
	const char *folder = port_rig_folder();
	static struct frontend frontend;
	unsigned int first, i;
	struct port_rig port;

	(void)state;
	snprintf(path, sizeof(path), "%s/0", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	assert_int_equal(symlink(folder, link), 0);
	assert_int_equal(symlink(path, other), 0);
	for (first = 0; first < 2; first++) {
		int fd = first == 1 ? listen_at(path) : -1;

		port_create(&port, 0, 1, first == 1 ? ",client=1" : "");
		if (first == 1) {
			accept_port(&frontend, fd);
		} else {
			frontend_create(&frontend, MODERN, 256, 2, 0);
			assert_true(frontend_connect(&frontend, path));
			assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		}
		for (i = 0; i < 2 * RTE_DIM(words); i++) {
			snprintf(spelled, sizeof(spelled), words[i / 2], folder,
					strrchr(folder, '/') + 1);
			snprintf(args, sizeof(args), "iface=%s,client=%u", spelled, i % 2);
			assert_int_equal(configure_in_vain("net_dirtylog8", args), -EADDRINUSE);
			assert_true(port_exchange(&port, &frontend, 0, i, 40));
			assert_true(frontend_settle(&frontend));
			assert_int_equal(access(path, F_OK), 0);
		}
		frontend_destroy(&frontend);
		assert_true(port_wait_link(&port, false));
		port_destroy(&port);
		if (first == 1) {
			close(fd);
			unlink(path);
		}
	}
	/* Whose port is gone, his path is free. */
	port_create(&port, 0, 1, "");
	port_destroy(&port);
	unlink(link);
	unlink(other);
}

/* The same of a path that another driver of this process has given librte_vhost. */
static void
path_of_another_driver(void **state)
{
	char path[64], args[128];
	unsigned int first, second;
	uint64_t features, after;

	(void)state;
	snprintf(path, sizeof(path), "%s/8", port_rig_folder());
	for (first = 0; first < 2; first++) {
		assert_int_equal(rte_vhost_driver_register(path,
						 first == 1 ? RTE_VHOST_USER_CLIENT : 0),
				0);
		assert_int_equal(rte_vhost_driver_get_features(path, &features), 0);
		for (second = 0; second < 2; second++) {
			snprintf(args, sizeof(args), "iface=%s,client=%u", path, second);
			assert_int_equal(configure_in_vain("net_dirtylog8", args), -EADDRINUSE);
			assert_int_equal(rte_vhost_driver_get_features(path, &after), 0);
			assert_int_equal(after, features);
		}
		assert_int_equal(rte_vhost_driver_unregister(path), 0);
	}
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
		fd = listen_at(path);
		accept_port(&frontend, fd);
		close(fd);
		unlink(path);
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
		cmocka_unit_test(path_of_a_port_here),
		cmocka_unit_test(path_of_another_driver),
		cmocka_unit_test(client_mode),
	};
	const struct program program = {
		.name = "port_sockets",
		.split = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
