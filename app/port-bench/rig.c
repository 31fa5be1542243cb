/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include "cycles.h"
#include "vhost_poke.h"
#include "rig.h"
#include "worker.h"

#define LINK_LIMIT_NS 5000000000ull
#define FRONTEND_LIMIT_MS 5000u
#define DESCRIPTORS 512 /* the rings are the guest's; a port wants a number all the same */

const char *const driver_names[NB_DRIVERS] = { "net_vhost", "net_dirtylog" };

struct guest_config
guest_config(const struct port_bench *b, bool packed, enum direction direction,
		unsigned int buffers, unsigned int size)
{
	return (struct guest_config) {
		.queue_pairs = 1, .direction = direction,
		.ring = { .packed = packed, .size = 256, .n_stats = 1 },
		.buffers = {
			.n = buffers, .size = 2048, .packet_size = size,
			.order = buffers > FEW_BUFFERS ? ORDER_RANDOM : ORDER_SEQUENTIAL,
		},
		.ram = { .regions = 1, .hole_mib = 1024, .hugepages = b->settings.hugepages },
	};
}

static int
failed(const struct rig *r, const char *what, int ret)
{
	warnx("%s: %s: %s", r->driver, what, strerror(-ret));
	return ret;
}

static int
open_port(struct rig *r, struct port_bench *b)
{
	const uint16_t n = (uint16_t)r->guest.config.queue_pairs;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	char args[160];
	uint16_t i;
	int ret;

	snprintf(args, sizeof(args), "iface=%s,queues=%u", r->socket, n);
	ret = rte_eal_hotplug_add("vdev", r->name, args);
	if (ret < 0)
		return failed(r, args, ret);
	r->attached = true;
	ret = rte_eth_dev_get_port_by_name(r->name, &r->port);
	if (ret == 0)
		ret = rte_eth_dev_info_get(r->port, &info);
	if (ret < 0)
		return failed(r, "no port", ret);
	memset(&conf, 0, sizeof(conf));
	conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	ret = rte_eth_dev_configure(r->port, n, n, &conf);
	for (i = 0; ret == 0 && i < n; i++) {
		ret = rte_eth_rx_queue_setup(r->port, i, DESCRIPTORS, rte_socket_id(), NULL,
				b->pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(r->port, i, DESCRIPTORS, rte_socket_id(),
					NULL);
	}
	if (ret == 0)
		ret = rte_eth_dev_start(r->port);
	if (ret < 0)
		return failed(r, "start of the port", ret);
	r->started = true;
	vhost_poke();
	return 0;
}

static int
wait_for_link(const struct rig *r)
{
	uint64_t deadline = now_ns() + LINK_LIMIT_NS;
	struct rte_eth_link link;
	int ret;

	do {
		ret = rte_eth_link_get_nowait(r->port, &link);
		if (ret < 0)
			return failed(r, "link state", ret);
		if (link.link_status == RTE_ETH_LINK_UP)
			return 0;
		sleep_us(1000);
	} while (now_ns() < deadline);
	return failed(r, "the link does not come up", -ETIMEDOUT);
}

static int
connect_guest(struct rig *r)
{
	const struct frontend_config config = {
		.socket = r->socket,
		.timeout_ms = FRONTEND_LIMIT_MS,
	};
	int ret;

	ret = frontend_connect(&r->frontend, &r->guest, &config);
	if (ret < 0)
		return ret;
	if (!frontend_can_log(&r->frontend))
		return failed(r, "it offers no dirty log", -ENOTSUP);
	return frontend_start(&r->frontend);
}

int
rig_open(struct rig *r, struct port_bench *b, unsigned int driver, const struct guest_config *c)
{
	int ret;

	*r = (struct rig){ .driver = driver_names[driver], .log.fd = -1, .frontend.vu.fd = -1 };
	snprintf(r->name, sizeof(r->name), "%s0", r->driver);
	snprintf(r->socket, sizeof(r->socket), "%s/%s", b->folder, r->driver);
	ret = guest_create(&r->guest, c);
	if (ret == 0)
		ret = open_port(r, b);
	if (ret < 0)
		return ret;
	guest_fill(&r->guest);
	ret = connect_guest(r);
	return ret < 0 ? ret : wait_for_link(r);
}

int
rig_close(struct rig *r)
{
	int ret = 0;

	if (r->frontend.vu.fd >= 0 && r->started)
		ret = guest_check(&r->guest);
	if (ret == 0 && r->frontend.vu.fd >= 0 && r->started)
		ret = frontend_stop(&r->frontend);
	frontend_disconnect(&r->frontend);
	if (r->started)
		rte_eth_dev_stop(r->port);
	if (r->attached) {
		rte_eth_dev_close(r->port);
		rte_eal_hotplug_remove("vdev", r->name);
		unlink(r->socket);
	}
	dirty_log_destroy(&r->log);
	guest_destroy(&r->guest);
	*r = (struct rig){ .log.fd = -1, .frontend.vu.fd = -1 };
	return ret;
}

int
rig_new_log(const struct rig *r, struct dirty_log *log)
{
	return dirty_log_create(log, guest_ram_gpa_pages(&r->guest.ram, r->guest.ram.n_regions),
			LOG_SIZE_QEMU, false, 0);
}

int
rig_logging(struct rig *r, struct port_bench *b, bool on)
{
	uint64_t features;
	int ret;

	if (!on) {
		r->harvest.log = NULL;
		ret = frontend_logging(&r->frontend, false);
		/* An answer says that what came before it is done. */
		if (ret == 0)
			ret = vhost_user_get_u64(&r->frontend.vu, VHOST_USER_GET_FEATURES,
					&features);
		dirty_log_destroy(&r->log);
		return ret;
	}
	ret = rig_new_log(r, &r->log);
	if (ret == 0)
		ret = frontend_set_log(&r->frontend, &r->log);
	if (ret == 0)
		ret = frontend_logging(&r->frontend, true);
	r->harvest = (struct harvest){ .log = &r->log, .interval = HARVEST_MS * b->cycles_per_ms };
	return ret;
}

int
rigs_open(struct rig *rigs, struct port_bench *b, const struct guest_config *c)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < NB_DRIVERS; i++)
		rigs[i] = (struct rig){ .log.fd = -1, .frontend.vu.fd = -1 };
	for (i = 0; ret == 0 && i < NB_DRIVERS; i++)
		ret = rig_open(&rigs[i], b, i, c);
	return ret;
}

int
rigs_close(struct rig *rigs, struct guest_thread *guest)
{
	unsigned int i;
	int ret, first = 0;

	/* A mode that failed may have left it polling. */
	if (guest != NULL)
		first = guest_thread_rest(guest);
	for (i = 0; i < NB_DRIVERS; i++) {
		ret = rig_close(&rigs[i]);
		if (first == 0)
			first = ret;
	}
	return first;
}

int
rigs_logging(struct rig *rigs, struct port_bench *b, bool on)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; ret == 0 && i < NB_DRIVERS; i++)
		ret = rig_logging(&rigs[i], b, on);
	return ret;
}
