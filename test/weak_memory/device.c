/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "marker.h"
#include "shm.h"
#include "views.h"

#include "device.h"

struct device device;

void
device_make(unsigned int nb_queues, bool membarrier)
{
	struct memory_table *table = malloc(sizeof(*table) + sizeof(table->views[0]));
	unsigned int i;

	memset(&device, 0, sizeof(device));
	device.no_membarrier = !membarrier;
	device.pages = malloc(NB_PAGES * sizeof(device.pages[0]));
	device.logged = malloc(NB_PAGES * sizeof(device.logged[0]));
	device.copies = malloc(NB_PAGES * sizeof(device.copies[0]));
	device.region = malloc(sizeof(*device.region));
	device.region->len = DIRTYLOG_WORD_SPAN; /* a run stays at a whole word */
	device.region->bitmap = &table->views[0].bitmap;
	table->nb_regions = 1;
	table->views[0].region = device.region;
	device.dl = malloc(sizeof(*device.dl));
	device.dl->table = table;
	dirtylog_epoch_init(&device.dl->epoch);
	for (i = 0; i < 2; i++)
		dirtylog_shm_alloc(sizeof(uint64_t), false, &device.logs[i]);
	for (i = 0; i < nb_queues; i++) {
		device.queues[i] = malloc(sizeof(*device.queues[i]));
		dirtylog_add_queue(device.dl, device.queues[i]);
	}
}

void
device_log(bool staged)
{
	device.dl->options.placement = staged ? DIRTYLOG_PLACEMENT_STAGED :
						DIRTYLOG_PLACEMENT_DIRECT;
	dirtylog_set_log(device.dl, device.logs[0]);
	dirtylog_set_logging(device.dl, true);
}

void
device_open(unsigned int queue)
{
	struct dirtylog_marker *marker = device.queues[queue];

	dirtylog_marker_set_ring(marker, device.region->bitmap, PAGE_RING * DIRTYLOG_PAGE_SIZE,
			2 * DIRTYLOG_PAGE_SIZE);
	device.dl->was_open = true;
	dirtylog_marker_open(marker, device.dl->logging);
}

void
device_make_for(struct dirtylog_marker *marker)
{
	device_make(0, true);
	device_log(false);
	device.queues[0] = marker;
	dirtylog_add_queue(device.dl, marker);
	device_open(0);
}

static void
write_page(const struct dirtylog_marker *marker, unsigned int page, uint64_t content)
{
	__atomic_store_n(&device.pages[page], content, __ATOMIC_RELAXED);
	if (marker->logging)
		device.logged[page] = content;
}

bool
device_burst(unsigned int queue, unsigned int page, uint64_t content, bool shows)
{
	struct dirtylog_marker *marker = device.queues[queue];

	if (!dirtylog_burst_begin(marker))
		return false;
	write_page(marker, page, content);
	if (marker->logging)
		dirtylog_mark(marker, device.region->bitmap, page * DIRTYLOG_PAGE_SIZE, 1);
	if (shows) {
		dirtylog_flush(marker);
		__atomic_store_n(&device.pages[PAGE_INDEX], content, __ATOMIC_RELEASE);
		dirtylog_mark_index(marker, INDEX_OFFSET);
	}
	dirtylog_burst_end(marker);
	return true;
}

bool
device_run(unsigned int queue, unsigned int page, uint64_t content)
{
	struct dirtylog_marker *marker = device.queues[queue];
	uint64_t gpa = page * DIRTYLOG_PAGE_SIZE;
	struct dirtylog_run run;
	uint8_t *host;

	if (!dirtylog_burst_begin(marker))
		return false;
	if (marker->logging) {
		run = dirtylog_run_begin(marker);
		if (!dirtylog_run_mark(&run, gpa, 1, 1, &host))
			dirtylog_run_move(marker, &run, device.region, gpa, 1);
		dirtylog_run_end(marker, &run, 1);
	}
	write_page(marker, page, content);
	dirtylog_burst_end(marker);
	return true;
}

uint64_t *
device_log_word(unsigned int log)
{
	return device.logs[log]->addr;
}

void
device_harvest(unsigned int log)
{
	uint64_t bits = __atomic_exchange_n(device_log_word(log), 0, __ATOMIC_SEQ_CST);
	unsigned int page;

	/*
	 * Full fence: orders the exchange before the loads of the pages. Not ours, but the
	 * front-end's part: see doc/programmers-guide.md.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (page = 0; page < NB_PAGES; page++)
		if ((bits >> page & 1) != 0)
			device.copies[page] = __atomic_load_n(&device.pages[page],
					__ATOMIC_RELAXED);
}

void
device_check_shown(void)
{
	const uint64_t marks = UINT64_C(1) << PAGE_RING | UINT64_C(1) << PAGE_DATA;

	weak_require(__atomic_load_n(&device.pages[PAGE_DATA], __ATOMIC_RELAXED) == 1,
			"the guest sees an old page");
	weak_require((__atomic_load_n(device_log_word(0), __ATOMIC_RELAXED) & marks) == marks,
			"the guest has the buffer, and its page is not marked");
}

void
device_check_copies(void)
{
	unsigned int page;

	for (page = 0; page < NB_PAGES; page++)
		weak_require(device.copies[page] == device.pages[page],
				"a page is lost: its last content is neither copied nor marked");
}

void
device_check_pages(void)
{
	dirtylog_views_drain(device.dl);
	device_harvest(0);
	device_harvest(1);
	device_check_copies();
}
