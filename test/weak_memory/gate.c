/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The control thread opens a queue, closes it, and unmaps the memory; the queue is polled
 * all the time. The epoch is by membarrier(2), or by a fence in each burst.
 */

#include "dirtylog.h"
#include "dirtylog_pvt.h"

#include "device.h"
#include "models.h"

enum { MEMBARRIER, FENCES };

static void
prepare(void)
{
	device_make(1, weak_choice() == MEMBARRIER);
	device_log(false);
}

static void
queue(void)
{
	device_burst(0, PAGE_DATA, 1, true);
	device_burst(0, PAGE_DATA, 2, false);
}

static void
control(void)
{
	device_open(0);
	dirtylog_close(device.dl, device.queues[0]);
	weak_free(device.pages, NB_PAGES * sizeof(device.pages[0]));
}

static const struct weak_variant variants[] = {
	{ "right", .holds = true },
	{ "no membarrier", .broken = WEAK_FENCE, .function = "weak_membarrier" },
	{ "the section ends relaxed", .broken = WEAK_STORE, .function = "dirtylog_reader_leave" },
	{ "the wait's loads relaxed", .broken = WEAK_LOAD, .function = "wait_for_section" },
	{ "the gate is stored relaxed", .broken = WEAK_STORE, .function = "store_gate" },
	{ "the gate is loaded relaxed", .broken = WEAK_LOAD, .function = "dirtylog_burst_begin" },
	{ .name = NULL },
};

const struct weak_model gate = {
	.name = "gate",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { queue, control },
	.variants = variants,
};

static const struct weak_variant epoch_fences_variants[] = {
	{ "right", .holds = true, .choice = FENCES, .switches = 5 },
	{ "no fence in the burst", .broken = WEAK_FENCE, .function = "dirtylog_reader_enter",
			.choice = FENCES },
	{ "no fence in the control thread", .broken = WEAK_FENCE, .function = "serialise_readers",
			.choice = FENCES },
	{ .name = NULL },
};

const struct weak_model epoch_fences = {
	.name = "epoch_fences",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { queue, control },
	.variants = epoch_fences_variants,
};
