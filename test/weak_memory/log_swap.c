/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * SET_LOG_BASE under traffic: views are replaced, and after the reply the front-end looks a
 * last time at the old log and unmaps it. From direct marks to direct ones, from direct to staged
 * ones, and by way of none: the log is left before the next one comes.
 */

#include "bitmap.h"
#include "dirtylog_pvt.h"
#include "shm.h"

#include "device.h"
#include "models.h"

enum { DIRECT, TO_STAGED, LEFT, GATE_STAYS };

static void
prepare(void)
{
	device_make(1, true);
	device_log(false);
	device_open(0);
	/* What is kept is known: the run's word. */
	device_run(0, PAGE_DATA, 1);
	if (weak_choice() == TO_STAGED)
		device.dl->options.placement = DIRTYLOG_PLACEMENT_STAGED;
}

/* The old way to mark, then the way that keeps a word. */
static void
queue(void)
{
	device_burst(0, PAGE_DATA, 2, false);
	device_run(0, PAGE_DATA, 3);
}

/* As dirtylog_set_log(), but the gate's value stays. */
static void
forget_the_gate(void)
{
	struct region_views *views = &device.dl->table->views[0];
	struct dirtylog_view *old = views->log;

	dirtylog_view_create(device.logs[1], 0, device.region->len, &views->log);
	dirtylog_bitmap_set_view(&views->bitmap, views->log);
	dirtylog_epoch_sync(&device.dl->epoch);
	dirtylog_view_free(old);
	dirtylog_shm_unref(device.dl->log);
	device.dl->log = dirtylog_shm_ref(device.logs[1]);
}

static void
control(void)
{
	if (weak_choice() == LEFT)
		dirtylog_suspend_log(device.dl);
	if (weak_choice() == GATE_STAYS)
		forget_the_gate();
	else
		dirtylog_set_log(device.dl, device.logs[1]);
	device_harvest(0);
	dirtylog_shm_unref(device.logs[0]);
}

static void
check(void)
{
	device.logs[0] = device.logs[1];
	device_check_pages();
}

static const struct weak_variant variants[] = {
	{ "right", .holds = true, .switches = 4 },
	{ "right, to staged marks", .holds = true, .choice = TO_STAGED, .switches = 3 },
	{ "right, left before", .holds = true, .choice = LEFT, .switches = 3 },
	{ "no membarrier", .broken = WEAK_FENCE, .function = "weak_membarrier", .switches = 3 },
	{ "the view is stored relaxed", .broken = WEAK_STORE,
			.function = "dirtylog_bitmap_set_view", .switches = 3 },
	{ "the view is loaded relaxed", .broken = WEAK_LOAD, .function = "dirtylog_mark",
			.switches = 3 },
	{ "the run loads it relaxed", .broken = WEAK_LOAD, .function = "dirtylog_run_move",
			.choice = LEFT, .switches = 3 },
	{ "the ring loads it relaxed", .broken = WEAK_LOAD, .function = "dirtylog_burst_follow",
			.choice = LEFT, .switches = 3 },
	{ "the gate is not changed", .choice = GATE_STAYS, .switches = 3 },
	{ "the section ends relaxed", .broken = WEAK_STORE, .function = "dirtylog_reader_leave",
			.switches = 3 },
	{ .name = NULL },
};

const struct weak_model log_swap = {
	.name = "log_swap",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { queue, control },
	.check = check,
	.variants = variants,
};
