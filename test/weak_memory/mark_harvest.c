/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A burst writes a page and marks it; meanwhile the front-end takes the bit and copies the
 * page. The bit is set before, or it is not.
 *
 * Two queues, whose pages share a word, lose none of their bits.
 */

#include "device.h"
#include "models.h"

enum { RIGHT, NO_FENCE_OF_FRONT_END, MARK_BEFORE_DATA };

static void
prepare(void)
{
	device_make(2, true);
	device_log(false);
	device_open(0);
	device_open(1);
	*device_log_word(0) = weak_any(2) << PAGE_DATA;
}

static void
queue(void)
{
	struct dirtylog_marker *marker = device.queues[0];

	if (weak_choice() != MARK_BEFORE_DATA) {
		device_burst(0, PAGE_DATA, 1, false);
		return;
	}
	dirtylog_burst_begin(marker);
	dirtylog_mark(marker, device.region->bitmap, PAGE_DATA * DIRTYLOG_PAGE_SIZE, 1);
	dirtylog_flush(marker);
	__atomic_store_n(&device.pages[PAGE_DATA], 1, __ATOMIC_RELAXED);
	dirtylog_burst_end(marker);
}

static void
other_queue(void)
{
	device_burst(1, PAGE_MORE, 1, false);
}

static void
front_end(void)
{
	uint64_t bits;

	if (weak_choice() != NO_FENCE_OF_FRONT_END) {
		device_harvest(0);
		return;
	}
	bits = __atomic_exchange_n(device_log_word(0), 0, __ATOMIC_SEQ_CST);
	if ((bits >> PAGE_DATA & 1) != 0)
		device.copies[PAGE_DATA] = __atomic_load_n(&device.pages[PAGE_DATA],
				__ATOMIC_RELAXED);
}

static const struct weak_variant variants[] = {
	{ "right", .holds = true },
	{ "no fence in the flush", .broken = WEAK_FENCE, .function = "dirtylog_flush" },
	{ "marked before it is written", .choice = MARK_BEFORE_DATA },
	{ "the front-end has no fence", .choice = NO_FENCE_OF_FRONT_END },
	{ .name = NULL },
};

const struct weak_model mark_harvest = {
	.name = "mark_harvest",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { queue, front_end },
	.check = device_check_pages,
	.variants = variants,
};

static const struct weak_variant two_queues_variants[] = {
	{ "right", .holds = true },
	{ "a load and a store, no OR", .broken = WEAK_RMW, .function = "dirtylog_write_mark" },
	{ .name = NULL },
};

const struct weak_model two_queues = {
	.name = "two_queues",
	.nb_threads = 2,
	.prepare = prepare,
	.threads = { queue, other_queue },
	.check = device_check_pages,
	.variants = two_queues_variants,
};
