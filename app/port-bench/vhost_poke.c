/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_vhost.h>

#include "vhost_poke.h"

static struct sockaddr_un address = { .sun_family = AF_UNIX };

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

int
vhost_poke_create(const char *folder)
{
	static const struct rte_vhost_device_ops nothing = {
		.new_device = new_device,
		.destroy_device = destroy_device,
	};
	int ret;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/poke", folder);
	ret = rte_vhost_driver_register(address.sun_path, 0);
	if (ret == 0)
		ret = rte_vhost_driver_callback_register(address.sun_path, &nothing);
	if (ret == 0)
		ret = rte_vhost_driver_start(address.sun_path);
	if (ret != 0)
		warnx("the vhost library takes no socket at %s", address.sun_path);
	return ret;
}

void
vhost_poke(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* If that fails, the other connection just takes longer. */
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		warn("%s", address.sun_path);
	close(fd);
}

void
vhost_poke_destroy(void)
{
	if (address.sun_path[0] == '\0')
		return;
	rte_vhost_driver_unregister(address.sun_path);
	unlink(address.sun_path);
}
