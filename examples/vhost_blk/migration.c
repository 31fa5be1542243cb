/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Live migration. With the calls of dirtylog_* in requests_poll() and in
 * backend.c, where the queue is opened and closed, this is all there is to it.
 */

#include "vhost_blk.h"

static const struct dirtylog_vhost_ops ops = {
	.quiesce = backend_quiesce,
	.resume = backend_resume,
	.message = backend_message,
};

int
migration_init(struct vhost_blk *blk)
{
	int ret = dirtylog_create("vhost_blk", &blk->log);

	if (ret == 0)
		dirtylog_add_queue(blk->log, &blk->marker);
	return ret;
}

int
migration_attach(struct vhost_blk *blk, int vid)
{
	return dirtylog_vhost_attach(vid, blk->log, &ops, blk, &blk->messages);
}

/* Inside a burst: guest memory was written, in one region. */
void
migration_wrote(struct vhost_blk *blk, const struct dirtylog_region *region, const void *host,
		uint64_t len)
{
	dirtylog_mark(&blk->marker, region->bitmap,
			(uint64_t)((const uint8_t *)host - region->host), len);
}
