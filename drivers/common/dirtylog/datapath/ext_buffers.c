/* SPDX-License-Identifier: BSD-3-Clause */

#include <rte_errno.h>

#include "datapath/diag.h"
#include "datapath/ext_buffers.h"

/* Per queue; 16 MiB of them. */
#define NB_BUFFERS 256

struct rte_mempool *
vnet_ext_buffers_create(const char *name, int socket)
{
	struct rte_mempool *pool = rte_mempool_lookup(name);

	if (pool == NULL)
		pool = rte_mempool_create(name, NB_BUFFERS, VNET_EXT_SIZE, 0, 0, NULL, NULL, NULL,
				NULL, socket, 0);
	if (pool == NULL)
		VNET_DIAG(ERR, "%s: no memory for %u external buffers: %s", name, NB_BUFFERS,
				rte_strerror(rte_errno));
	return pool;
}

void
vnet_ext_buffers_release(struct rte_mempool *pool)
{
	if (pool != NULL && rte_mempool_full(pool))
		rte_mempool_free(pool);
}

static void
put_back(void *buffer, void *pool)
{
	rte_mempool_put(pool, buffer);
}

bool
vnet_ext_buffers_attach(struct vnet_queue *queue, struct rte_mbuf *pkt, uint32_t len)
{
	struct rte_mbuf_ext_shared_info *info;
	uint16_t size = VNET_EXT_SIZE;
	void *buffer;

	if (queue->ext_buffers == NULL || len <= rte_pktmbuf_tailroom(pkt) || len > VNET_EXT_ROOM)
		return true;
	if (rte_mempool_get(queue->ext_buffers, &buffer) != 0)
		return !queue->linear;
	info = rte_pktmbuf_ext_shinfo_init_helper(buffer, &size, put_back, queue->ext_buffers);
	rte_pktmbuf_attach_extbuf(pkt, buffer, rte_mempool_virt2iova(buffer), size, info);
	rte_pktmbuf_reset_headroom(pkt);
	return true;
}

void
vnet_ext_buffers_renew(struct rte_mbuf *pkt)
{
	const uint16_t port = pkt->port;

	rte_pktmbuf_free(pkt->next);
	if (RTE_MBUF_HAS_EXTBUF(pkt))
		rte_pktmbuf_detach(pkt);
	rte_pktmbuf_reset(pkt);
	pkt->port = port; /* set when the mbuf was made fresh: vnet_alloc() */
}
