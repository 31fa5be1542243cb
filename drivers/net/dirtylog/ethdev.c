/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ethdev. In this file: what the port tells it (link, queue states); its
 * operations: the device's, the queues', and what can be asked; what dirtylog_eth.h
 * offers; and the vdev driver that makes it and takes it away.
 */

#include <errno.h>
#include <stdio.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_vhost.h>

#include "rxtx.h"
#include "devargs.h"
#include "compat.h"
#include "datapath/diag.h"
#include "dirtylog_eth.h"
#include "datapath/ext_buffers.h"
#include "datapath/notify.h"
#include "datapath/packet.h"
#include "port.h"
#include "dump.h"
#include "rx_intr.h"
#include "stats.h"
#include "stock.h"

const char vnet_log_name[] = "net_dirtylog";

/* For the library's telemetry. */
extern const char dirtylog_door[];
const char dirtylog_door[] = "net_dirtylog";

RTE_LOG_REGISTER(vnet_logtype, pmd.net.dirtylog, INFO)

/* Guest RX is what the ethdev transmits to, guest TX what it receives from. */
#define VRING_OF_TX(queue) ((uint16_t)(2 * (queue)))
#define VRING_OF_RX(queue) ((uint16_t)(2 * (queue) + 1))

static struct eth_dirtylog_port *
port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* The MTU that the front-end has told its guest; configuring sets it back. */
static void
follow_mtu(struct rte_eth_dev *dev)
{
	uint16_t mtu = eth_dirtylog_port_mtu(port_of(dev));

	if (mtu != 0)
		dev->data->mtu = mtu;
}

/* Applications poll, and take mbufs, on the port's node: the one of its guest. */
static void
follow_numa_node(struct rte_eth_dev *dev)
{
	int vid = eth_dirtylog_port_vid(port_of(dev));
	int node = vid < 0 ? -1 : rte_vhost_get_numa_node(vid);

	if (node >= 0)
		dev->data->numa_node = node;
}

/* ---- what the port tells ---- */

static void
on_link(void *ctx, bool up)
{
	struct rte_eth_dev *dev = ctx;
	struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_10G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};

	if (up) {
		follow_mtu(dev);
		follow_numa_node(dev);
	}
	if (rte_eth_linkstatus_set(dev, &link) == 0)
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
}

static void
on_queue_state(void *ctx)
{
	rte_eth_dev_callback_process(ctx, RTE_ETH_EVENT_QUEUE_STATE, NULL);
}

static const struct eth_dirtylog_port_events port_events = {
	.link = on_link,
	.queue_state = on_queue_state,
};

/* ---- the device ---- */

/* What the application has configured, and may change while the port runs. */
static void
set_rx_config(struct rte_eth_dev *dev)
{
	uint64_t offloads = dev->data->dev_conf.rxmode.offloads;
	const struct vnet_rx_config config = {
		.strip_vlan = (offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0,
		.partial_checksums =
				(offloads &
						(RTE_ETH_RX_OFFLOAD_TCP_CKSUM |
								RTE_ETH_RX_OFFLOAD_UDP_CKSUM)) != 0,
		.legacy_ol_flags = port_of(dev)->legacy_ol_flags,
	};

	eth_dirtylog_port_set_rx_config(port_of(dev), &config);
}

static int
dev_configure(struct rte_eth_dev *dev)
{
	set_rx_config(dev);
	return eth_dirtylog_port_register(port_of(dev));
}

/* ethdev has changed the configuration already. */
static int
vlan_offload_set(struct rte_eth_dev *dev, int mask __rte_unused)
{
	set_rx_config(dev);
	return 0;
}

static void
set_queue_states(struct rte_eth_dev *dev, uint8_t state)
{
	uint16_t i;

	for (i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = state;
	for (i = 0; i < dev->data->nb_tx_queues; i++)
		dev->data->tx_queue_state[i] = state;
}

static int
dev_start(struct rte_eth_dev *dev)
{
	int ret = eth_dirtylog_rx_intr_start(dev);

	if (ret < 0)
		return ret;
	follow_mtu(dev);
	eth_dirtylog_port_set_started(port_of(dev), true);
	set_queue_states(dev, RTE_ETH_QUEUE_STATE_STARTED);
	return 0;
}

static int
dev_stop(struct rte_eth_dev *dev)
{
	dev->data->dev_started = 0;
	eth_dirtylog_port_set_started(port_of(dev), false);
	set_queue_states(dev, RTE_ETH_QUEUE_STATE_STOPPED);
	return 0;
}

/* ---- queues ---- */

static void
queue_release(struct rte_eth_dev *dev, struct vnet_queue *queue)
{
	if (queue == NULL)
		return;
	eth_dirtylog_port_set_queue(port_of(dev), queue->vring, NULL);
	vnet_ext_buffers_release(queue->ext_buffers);
	rte_free(queue);
}

static void
rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	queue_release(dev, dev->data->rx_queues[id]);
	dev->data->rx_queues[id] = NULL;
}

static void
tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	queue_release(dev, dev->data->tx_queues[id]);
	dev->data->tx_queues[id] = NULL;
}

static struct vnet_queue *
queue_create(struct rte_eth_dev *dev, uint16_t vring, unsigned int socket, struct rte_mempool *pool)
{
	struct vnet_queue *queue = rte_zmalloc_socket("dirtylog queue",
			port_of(dev)->iommu ? sizeof(struct eth_dirtylog_stock_queue) :
					      sizeof(*queue),
			RTE_CACHE_LINE_SIZE, (int)socket);

	if (queue == NULL) {
		VNET_DIAG(ERR, "%s: no memory for virtqueue %u", port_of(dev)->name, vring);
		return NULL;
	}
	queue->name = port_of(dev)->name;
	queue->fault_log = &port_of(dev)->fault_log;
	queue->mbuf_port = dev->data->port_id;
	queue->linear = port_of(dev)->linear_buffers;
	queue->vring = vring;
	queue->pool = pool;
	queue->call_fd = -1;
	if (port_of(dev)->iommu)
		eth_dirtylog_stock_init(queue);
	eth_dirtylog_port_set_queue(port_of(dev), vring, queue);
	return queue;
}

/* All queues start and stop with the port. */
static bool
may_start(const struct rte_eth_dev *dev, const char *direction, uint16_t id, bool deferred)
{
	if (deferred)
		VNET_DIAG(ERR, "%s: %s queue %u: deferred start is not supported",
				port_of(dev)->name, direction, id);
	return !deferred;
}

/* librte_vhost's own datapath has external buffers of its own. */
static bool
makes_ext_buffers(const struct eth_dirtylog_port *port)
{
	return port->ext_buffers && !port->iommu;
}

static int
rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc __rte_unused,
		unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	struct vnet_queue *queue;
	char name[RTE_MEMPOOL_NAMESIZE];

	if (!may_start(dev, "receive", id, conf->rx_deferred_start))
		return -ENOTSUP;
	/* Such an mbuf keeps its own external buffer, and would keep ours too. */
	if (makes_ext_buffers(port_of(dev)) &&
			(rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF)) {
		VNET_DIAG(ERR,
				"%s: ext-buffer=1 does not go with a pool of pinned external"
				" buffers",
				port_of(dev)->name);
		return -EINVAL;
	}
	queue = queue_create(dev, VRING_OF_RX(id), socket, pool);
	dev->data->rx_queues[id] = queue;
	if (queue == NULL)
		return -ENOMEM;
	if (!makes_ext_buffers(port_of(dev)))
		return 0;
	snprintf(name, sizeof(name), "dirtylog_%u_%u", dev->data->port_id, id);
	queue->ext_buffers = vnet_ext_buffers_create(name, (int)socket);
	return queue->ext_buffers == NULL ? -ENOMEM : 0;
}

static int
tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc __rte_unused,
		unsigned int socket, const struct rte_eth_txconf *conf)
{
	if (!may_start(dev, "transmit", id, conf->tx_deferred_start))
		return -ENOTSUP;
	dev->data->tx_queues[id] = queue_create(dev, VRING_OF_TX(id), socket, NULL);
	return dev->data->tx_queues[id] == NULL ? -ENOMEM : 0;
}

/* ---- the end ---- */

static int
dev_close(struct rte_eth_dev *dev)
{
	uint16_t i;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	dev_stop(dev);
	eth_dirtylog_rx_intr_remove(dev);
	eth_dirtylog_port_fini(port_of(dev));
	for (i = 0; i < dev->data->nb_rx_queues; i++) {
		struct vnet_queue *queue = dev->data->rx_queues[i];

		if (queue != NULL)
			vnet_ext_buffers_release(queue->ext_buffers);
		rte_free(queue);
		dev->data->rx_queues[i] = NULL;
	}
	for (i = 0; i < dev->data->nb_tx_queues; i++) {
		rte_free(dev->data->tx_queues[i]);
		dev->data->tx_queues[i] = NULL;
	}
	rte_free(dev->data->mac_addrs);
	dev->data->mac_addrs = NULL;
	return 0;
}

/* ---- what can be asked ---- */

static int
dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	const struct eth_dirtylog_port *port = port_of(dev);

	info->max_mac_addrs = 1;
	info->max_rx_pktlen = VNET_MAX_PACKET;
	info->min_mtu = RTE_ETHER_MIN_MTU; /* what virtio allows */
	info->max_mtu = UINT16_MAX;
	info->max_rx_queues = port->nb_queue_pairs;
	info->max_tx_queues = port->nb_queue_pairs;
	info->min_rx_bufsize = VNET_MIN_ROOM;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
			RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
	if (!port->linear_buffers)
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_SCATTER;
	/* An application must not mix its own flags with those that packets come with. */
	if (!port->legacy_ol_flags) {
		info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
				RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
		/* librte_vhost does not look whether the guest takes long packets. */
		if (!port->iommu)
			info->tx_offload_capa |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM |
					RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_UDP_TSO;
		info->rx_offload_capa |= RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
				RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	}
	return 0;
}

/* The guest's ring has so many; 0 before it comes. */
static uint16_t
nb_desc_of(const struct vnet_queue *queue)
{
	return __atomic_load_n(&queue->size, __ATOMIC_RELAXED);
}

static void
rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info)
{
	const struct vnet_queue *queue = dev->data->rx_queues[id];

	info->mp = queue->pool;
	info->scattered_rx = !queue->linear;
	info->nb_desc = nb_desc_of(queue);
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

static void
txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	info->nb_desc = nb_desc_of(dev->data->tx_queues[id]);
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

static int
burst_mode(const struct vnet_queue *queue, struct rte_eth_burst_mode *mode)
{
	snprintf(mode->info, sizeof(mode->info), "%s",
			nb_desc_of(queue) == 0 ? "No guest yet" :
					__atomic_load_n(&queue->packed, __ATOMIC_RELAXED) ?
						 "Packed ring" :
						 "Split ring");
	return 0;
}

static int
rx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	return burst_mode(dev->data->rx_queues[id], mode);
}

static int
tx_burst_mode_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_burst_mode *mode)
{
	return burst_mode(dev->data->tx_queues[id], mode);
}

/* Any packet passes, whatever its length: there is nothing to set. */
static int
mtu_set(struct rte_eth_dev *dev __rte_unused, uint16_t mtu __rte_unused)
{
	return 0;
}

/* Packets that went belong to nobody any more: they were copied. */
static int
tx_done_cleanup(void *queue __rte_unused, uint32_t n __rte_unused)
{
	return 0;
}

/* The link follows the front-end, which on_link() has stored. */
static int
link_update(struct rte_eth_dev *dev __rte_unused, int wait __rte_unused)
{
	return 0;
}

static int
priv_dump(struct rte_eth_dev *dev, FILE *file)
{
	eth_dirtylog_dump(port_of(dev), file);
	return 0;
}

static eth_dirtylog_rx_count_t
rx_queue_count(void *queue)
{
	return (eth_dirtylog_rx_count_t)vnet_notify_waiting(queue);
}

static eth_dirtylog_rx_count_t
stock_rx_queue_count(void *queue)
{
	return (eth_dirtylog_rx_count_t)eth_dirtylog_stock_waiting(queue);
}

/* A queue that librte_vhost serves is as one that is closed: there is nothing to watch. */
static int
get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond)
{
	return vnet_notify_monitor(queue, cond);
}

ETH_DIRTYLOG_STATS_GET(stats_get, eth_dirtylog_stats_get)

static const struct eth_dev_ops ops = {
	.dev_configure = dev_configure,
	.dev_start = dev_start,
	.dev_stop = dev_stop,
	.dev_close = dev_close,
	.dev_infos_get = dev_infos_get,
	.vlan_offload_set = vlan_offload_set,
	.rx_queue_setup = rx_queue_setup,
	.tx_queue_setup = tx_queue_setup,
	.rx_queue_release = rx_queue_release,
	.tx_queue_release = tx_queue_release,
	.rx_queue_intr_enable = eth_dirtylog_rx_intr_enable,
	.rx_queue_intr_disable = eth_dirtylog_rx_intr_disable,
	.get_monitor_addr = get_monitor_addr,
	.rxq_info_get = rxq_info_get,
	.txq_info_get = txq_info_get,
	.rx_burst_mode_get = rx_burst_mode_get,
	.tx_burst_mode_get = tx_burst_mode_get,
	.tx_done_cleanup = tx_done_cleanup,
	.mtu_set = mtu_set,
	.link_update = link_update,
	.stats_get = stats_get,
	.stats_reset = eth_dirtylog_stats_reset,
	.xstats_get = eth_dirtylog_xstats_get,
	.xstats_get_names = eth_dirtylog_xstats_get_names,
	.xstats_reset = eth_dirtylog_stats_reset,
	.eth_dev_priv_dump = priv_dump,
};

/* ---- dirtylog_eth.h ---- */

/* The port behind an ethdev port, or NULL: it is another driver's, or none. */
static struct eth_dirtylog_port *
find_port(uint16_t port_id)
{
	if (!rte_eth_dev_is_valid_port(port_id) || rte_eth_devices[port_id].dev_ops != &ops)
		return NULL;
	return port_of(&rte_eth_devices[port_id]);
}

int
dirtylog_eth_get_queue_event(uint16_t port_id, struct dirtylog_eth_queue_event *event)
{
	struct eth_dirtylog_port *port = find_port(port_id);
	uint16_t vring;

	if (port == NULL)
		return -ENODEV;
	if (!eth_dirtylog_port_next_change(port, &vring, &event->enable))
		return -ENOENT;
	event->queue_id = vring / 2;
	event->rx = vring == VRING_OF_RX(vring / 2);
	return 0;
}

int
dirtylog_eth_get_vid(uint16_t port_id)
{
	struct eth_dirtylog_port *port = find_port(port_id);

	return port == NULL ? -ENODEV : eth_dirtylog_port_vid(port);
}

/* ---- the vdev driver ---- */

/* A locally administered address that tells ports apart. */
static int
make_mac_addr(struct rte_eth_dev *dev)
{
	static const struct rte_ether_addr base = { { 0x56, 0x48, 0x4f, 0x53, 0x54, 0x00 } };

	dev->data->mac_addrs = rte_malloc(NULL, sizeof(base), 0);
	if (dev->data->mac_addrs == NULL)
		return -ENOMEM;
	*dev->data->mac_addrs = base;
	dev->data->mac_addrs->addr_bytes[5] = (uint8_t)dev->data->port_id;
	return 0;
}

static void
set_bursts(struct rte_eth_dev *dev)
{
	if (port_of(dev)->iommu) {
		dev->rx_pkt_burst = eth_dirtylog_stock_rx;
		dev->tx_pkt_burst = eth_dirtylog_stock_tx;
		dev->rx_queue_count = stock_rx_queue_count;
		return;
	}
	dev->rx_pkt_burst = eth_dirtylog_rx;
	dev->tx_pkt_burst = eth_dirtylog_tx;
	dev->tx_pkt_prepare = eth_dirtylog_tx_prepare;
	dev->rx_queue_count = rx_queue_count;
}

static int
probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct rte_eth_dev *dev;
	struct eth_dirtylog_port *port;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY) {
		VNET_DIAG(ERR, "%s: secondary processes are not supported", name);
		return -ENOTSUP;
	}
	if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = (int)rte_socket_id();
	dev = rte_eth_vdev_allocate(vdev, sizeof(struct eth_dirtylog_port));
	if (dev == NULL) {
		VNET_DIAG(ERR, "%s: no ethdev port left, or no memory", name);
		return -ENOMEM;
	}
	port = port_of(dev);
	port->port_id = dev->data->port_id;
	ret = eth_dirtylog_devargs_parse(port, name, rte_vdev_device_args(vdev));
	if (ret < 0)
		goto release;
	ret = make_mac_addr(dev);
	if (ret < 0)
		goto release;
	eth_dirtylog_port_init(port, &port_events, dev);
	dev->data->dev_flags = RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	dev->data->promiscuous = 1;
	dev->data->all_multicast = 1;
	dev->dev_ops = &ops;
	set_bursts(dev);
	on_link(dev, false);
	rte_eth_dev_probing_finish(dev);
	return 0;
release:
	rte_eth_dev_release_port(dev);
	return ret;
}

static int
detach(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL)
		return 0;
	dev_close(dev);
	rte_eth_dev_release_port(dev);
	return 0;
}

static struct rte_vdev_driver driver = {
	.probe = probe,
	.remove = detach,
};

RTE_PMD_REGISTER_VDEV(net_dirtylog, driver);
