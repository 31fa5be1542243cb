/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An application of librte_vhost's API, as others write it: it registers a socket and
 * ends. The log says whose datapath the packets would take.
 */

#include <errno.h>
#include <stdio.h>

#include <rte_eal.h>
#include <rte_vhost.h>

static int
new_device(int vid)
{
	(void)vid;
	return 0;
}

static void
destroy_device(int vid)
{
	(void)vid;
}

static const struct rte_vhost_device_ops ops = {
	.new_device = new_device,
	.destroy_device = destroy_device,
};

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), ret = 1;
	struct rte_mbuf *none[1];
	const char *path;

	if (used < 0 || used + 1 >= argc)
		return 1;
	path = argv[used + 1];
	if (rte_vhost_driver_register(path, 0) < 0) {
		fprintf(stderr, "%s: not registered\n", path);
		return 1;
	}
	if (rte_vhost_driver_callback_register(path, &ops) < 0 || rte_vhost_driver_start(path) < 0)
		fprintf(stderr, "%s: not started\n", path);
	else if (rte_vhost_enqueue_burst(0, 0, none, 0) != 0)
		fprintf(stderr, "%s: packets to nobody\n", path);
	else
		ret = 0;
	rte_vhost_driver_unregister(path);
	rte_eal_cleanup();
	return ret;
}
