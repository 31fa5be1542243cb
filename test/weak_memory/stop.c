/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * GET_VRING_BASE: the queue is closed under traffic, and all marks are in the log before
 * the reply, after which the front-end looks a last time. The page of the index is marked by the
 * next burst, or by the control thread where there is none.
 */

#include "dirtylog.h"

#include "device.h"
#include "models.h"

enum { DIRECT, STAGED, INDEX_WITH_ITS_BURST };

static void
prepare(void)
{
	device_make(1, true);
	device_log(weak_choice() == STAGED);
	device_open(0);
}

/* Its index's page is marked before the index is stored. */
static void
wrong_burst(uint64_t content)
{
	struct dirtylog_marker *marker = device.queues[0];

	if (!dirtylog_burst_begin(marker))
		return;
	dirtylog_mark_ring(marker, INDEX_OFFSET, DIRTYLOG_INDEX_LEN);
	dirtylog_flush(marker);
	__atomic_store_n(&device.pages[PAGE_INDEX], content, __ATOMIC_RELEASE);
	dirtylog_burst_end(marker);
}

static void
queue(void)
{
	if (weak_choice() == INDEX_WITH_ITS_BURST) {
		wrong_burst(1);
		wrong_burst(2);
	} else {
		device_burst(0, PAGE_DATA, 1, true);
		device_burst(0, PAGE_DATA, 2, true);
	}
}

static void
control(void)
{
	dirtylog_close(device.dl, device.queues[0]);
	device_harvest(0);
}

/* Without the last look, which is device_check_pages()'s. */
static void
control_alone(void)
{
	dirtylog_close(device.dl, device.queues[0]);
}

static void
front_end(void)
{
	device_harvest(0);
}

static const struct weak_variant stop_variants[] = {
	{ "right", .holds = true, .switches = 4 },
	{ "right, marks are staged", .holds = true, .choice = STAGED, .switches = 3 },
	{ "no membarrier", .broken = WEAK_FENCE, .function = "weak_membarrier", .switches = 3 },
	{ "the section ends relaxed", .broken = WEAK_STORE, .function = "dirtylog_reader_leave",
			.switches = 3 },
	{ .name = NULL },
};

const struct weak_model stop = {
	.name = "stop",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { queue, control },
	.check = device_check_copies,
	.variants = stop_variants,
};

static const struct weak_variant index_variants[] = {
	{ "right", .holds = true, .switches = 3 },
	{ "marked before it is stored", .choice = INDEX_WITH_ITS_BURST, .switches = 3 },
	{ "no fence in the flush", .broken = WEAK_FENCE, .function = "dirtylog_flush",
			.switches = 3 },
	{ .name = NULL },
};

/* The page of the index, with harvests between bursts. */
const struct weak_model ring_index = {
	.name = "ring_index",
	.nb_threads = 3,
	.prepare = prepare,
	.threads = { queue, control_alone, front_end },
	.check = device_check_pages,
	.variants = index_variants,
};
