/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Logging goes on under traffic: after the reply the front-end copies all pages, and what is
 * written later is marked. And off: what a burst wrote that logged is in the log before the
 * reply, and views go when no burst has one.
 */

#include "bitmap.h"
#include "dirtylog.h"
#include "dirtylog_pvt.h"
#include "marker.h"
#include "views.h"

#include "device.h"
#include "models.h"

enum { RIGHT, STAGED, WRONG_ORDER };

static void
prepare_on(void)
{
	device_make(1, true);
	device.dl->options.placement = weak_choice() == STAGED ?
			DIRTYLOG_PLACEMENT_STAGED :
			DIRTYLOG_PLACEMENT_DIRECT;
	dirtylog_set_log(device.dl, device.logs[0]);
	device_open(0);
}

static void
prepare_off(void)
{
	device_make(1, true);
	device_log(weak_choice() == STAGED);
	device_open(0);
}

static void
queue(void)
{
	device_burst(0, PAGE_DATA, 1, false);
	device_burst(0, PAGE_MORE, 1, true);
}

/* The gates, and views that no burst is waited for. */
static void
wrong_on(void)
{
	struct region_views *views = &device.dl->table->views[0];

	device.dl->logging = true;
	dirtylog_marker_open(device.queues[0], true);
	dirtylog_epoch_sync(&device.dl->epoch);
	dirtylog_bitmap_set_view(&views->bitmap, dirtylog_views_wanted(device.dl, views));
}

static void
control_on(void)
{
	unsigned int page;

	if (weak_choice() == WRONG_ORDER)
		wrong_on();
	else
		dirtylog_set_logging(device.dl, true);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (page = 0; page < NB_PAGES; page++)
		device.copies[page] = __atomic_load_n(&device.pages[page], __ATOMIC_RELAXED);
}

/* The views, then the gates. */
static void
wrong_off(void)
{
	device.dl->logging = false;
	dirtylog_views_drain(device.dl);
	dirtylog_bitmap_set_view(device.region->bitmap, NULL);
	dirtylog_epoch_sync(&device.dl->epoch);
	dirtylog_marker_open(device.queues[0], false);
}

static void
control_off(void)
{
	if (weak_choice() == WRONG_ORDER)
		wrong_off();
	else
		dirtylog_set_logging(device.dl, false);
	device_harvest(0);
}

static void
check_off(void)
{
	unsigned int page;

	for (page = 0; page < NB_PAGES; page++)
		weak_require(device.logged[page] != device.pages[page] ||
						device.copies[page] == device.pages[page],
				"a page that a burst logged is neither copied nor marked");
}

/* The page of the index is marked when the queue is closed. */
static void
check_on(void)
{
	dirtylog_close(device.dl, device.queues[0]);
	device_check_pages();
}

static const struct weak_variant on_variants[] = {
	{ "right", .holds = true, .switches = 4 },
	{ "right, marks are staged", .holds = true, .choice = STAGED, .switches = 3 },
	{ "no membarrier", .broken = WEAK_FENCE, .function = "weak_membarrier", .switches = 3 },
	{ "gates before views", .choice = WRONG_ORDER, .switches = 3 },
	{ .name = NULL },
};

const struct weak_model logging_on = {
	.name = "logging_on",
	.nb_threads = 2,
	.prepare = prepare_on,
	.threads = { queue, control_on },
	.check = check_on,
	.variants = on_variants,
};

static const struct weak_variant off_variants[] = {
	{ "right", .holds = true, .switches = 4 },
	{ "right, marks are staged", .holds = true, .choice = STAGED, .switches = 3 },
	{ "no membarrier", .broken = WEAK_FENCE, .function = "weak_membarrier", .switches = 3 },
	{ "views before gates", .choice = WRONG_ORDER, .switches = 3 },
	{ "the section ends relaxed", .broken = WEAK_STORE, .function = "dirtylog_reader_leave",
			.switches = 3 },
	{ .name = NULL },
};

const struct weak_model logging_off = {
	.name = "logging_off",
	.nb_threads = 2,
	.prepare = prepare_off,
	.threads = { queue, control_off },
	.check = check_off,
	.variants = off_variants,
};
