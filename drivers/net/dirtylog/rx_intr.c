/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <string.h>

#include <ethdev_driver.h>
#include <rte_interrupts.h>

#include "datapath/diag.h"
#include "datapath/notify.h"
#include "port.h"
#include "rx_intr.h"
#include "stock.h"

/* Doorbells for the first `n` receive queues, and for no other. */
static int
open_wakeups(struct eth_dirtylog_port *port, uint16_t n)
{
	uint16_t i;
	int ret = 0;

	pthread_mutex_lock(&port->lock);
	pthread_mutex_lock(&port->stock.lock);
	for (i = 0; i < port->nb_queue_pairs; i++) {
		struct vnet_rx_wakeup *wakeup = &port->wakeups[i];

		if (i >= n || ret < 0)
			vnet_rx_wakeup_close(wakeup);
		else
			ret = vnet_rx_wakeup_open(wakeup);
	}
	pthread_mutex_unlock(&port->stock.lock);
	pthread_mutex_unlock(&port->lock);
	return ret;
}

static int
fill_handle(struct rte_eth_dev *dev, uint16_t n)
{
	const struct eth_dirtylog_port *port = dev->data->dev_private;
	struct rte_intr_handle *handle = dev->intr_handle;
	uint16_t i;

	/* The EAL need not read what it woke up for: an epoll instance cannot be. */
	if (rte_intr_type_set(handle, RTE_INTR_HANDLE_VDEV) != 0 ||
			rte_intr_efd_counter_size_set(handle, 0) != 0 ||
			rte_intr_vec_list_alloc(handle, NULL, n) != 0 ||
			rte_intr_nb_efd_set(handle, n) != 0 ||
			rte_intr_max_intr_set(handle, n + 1) != 0)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (rte_intr_vec_list_index_set(handle, i, RTE_INTR_VEC_RXTX_OFFSET + i) != 0 ||
				rte_intr_efds_index_set(handle, i, port->wakeups[i].epoll_fd) != 0)
			return -ENOMEM;
	return 0;
}

void
eth_dirtylog_rx_intr_remove(struct rte_eth_dev *dev)
{
	if (dev->intr_handle != NULL) {
		/* Who still sleeps on them must not find freed memory. */
		rte_intr_free_epoll_fd(dev->intr_handle);
		rte_intr_vec_list_free(dev->intr_handle);
		rte_intr_instance_free(dev->intr_handle);
		dev->intr_handle = NULL;
	}
	open_wakeups(dev->data->dev_private, 0);
}

int
eth_dirtylog_rx_intr_start(struct rte_eth_dev *dev)
{
	uint16_t n = dev->data->dev_conf.intr_conf.rxq ? dev->data->nb_rx_queues : 0;
	int ret;

	if (dev->intr_handle != NULL && rte_intr_nb_efd_get(dev->intr_handle) == n)
		return 0;
	eth_dirtylog_rx_intr_remove(dev);
	if (n == 0)
		return 0;
	ret = open_wakeups(dev->data->dev_private, n);
	if (ret < 0)
		goto failed;
	dev->intr_handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	ret = dev->intr_handle == NULL ? -ENOMEM : fill_handle(dev, n);
	if (ret == 0)
		return 0;
failed:
	VNET_DIAG(ERR, "port %u: no receive interrupts: %s", dev->data->port_id, strerror(-ret));
	eth_dirtylog_rx_intr_remove(dev);
	return ret;
}

static int
enable_kicks(struct rte_eth_dev *dev, uint16_t queue, bool on)
{
	const struct eth_dirtylog_port *port = dev->data->dev_private;

	if (dev->intr_handle == NULL)
		return -ENOTSUP;
	return port->iommu ? eth_dirtylog_stock_enable_kicks(dev->data->rx_queues[queue], on) :
			     vnet_notify_enable_kicks(dev->data->rx_queues[queue], on);
}

int
eth_dirtylog_rx_intr_enable(struct rte_eth_dev *dev, uint16_t queue)
{
	return enable_kicks(dev, queue, true);
}

int
eth_dirtylog_rx_intr_disable(struct rte_eth_dev *dev, uint16_t queue)
{
	return enable_kicks(dev, queue, false);
}
