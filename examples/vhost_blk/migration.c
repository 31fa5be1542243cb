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

/* Once for each place, not for each connection: see dirtylog_reset(). */
int
migration_init(struct front_end *fe)
{
	int ret = dirtylog_create("vhost_blk", &fe->log);

	if (ret == 0)
		dirtylog_add_queue(fe->log, &fe->marker);
	return ret;
}

/* Nobody polls the marker any more. */
void
migration_fini(struct front_end *fe)
{
	if (fe->log == NULL)
		return;
	dirtylog_remove_queue(fe->log, &fe->marker);
	dirtylog_destroy(fe->log);
	fe->log = NULL;
}

int
migration_attach(struct front_end *fe, int vid)
{
	return dirtylog_vhost_attach(vid, fe->log, &ops, fe, &fe->messages);
}

/* Inside a burst: guest memory was written, in one region. */
void
migration_wrote(struct front_end *fe, const struct dirtylog_region *region, const void *host,
		uint64_t len)
{
	dirtylog_mark(&fe->marker, region->bitmap, (uint64_t)((const uint8_t *)host - region->host),
			len);
}
