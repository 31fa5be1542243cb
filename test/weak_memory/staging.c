/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Marks are staged; the drainer moves them to the log meanwhile. Its summary tells it where to
 * look: a word whose bit no summary bit leads to is never moved. And a page that is found
 * marked in staging must be copied with its new content when the mark arrives.
 */

#include "bitmap.h"
#include "views.h"

#include "device.h"
#include "models.h"

enum { MOVE, SET_BEFORE_CLEAR };

static void
prepare(void)
{
	device_make(1, true);
	device_log(true);
	device_open(0);
}

/* Another page's mark is there: the summary has the line. */
static void
prepare_summary(void)
{
	prepare();
	device_burst(0, PAGE_MORE, 1, false);
}

/* The page's mark is there. */
static void
prepare_mark(void)
{
	prepare();
	device_burst(0, PAGE_DATA, 1, false);
}

static void
queue(void)
{
	device_burst(0, PAGE_DATA, 2, false);
}

static void
drainer(void)
{
	uint64_t *staged = device.region->bitmap->view->words;
	uint64_t bits;

	if (weak_choice() == MOVE) {
		dirtylog_views_drain(device.dl);
		return;
	}
	bits = __atomic_load_n(staged, __ATOMIC_RELAXED);
	__atomic_fetch_or(device_log_word(0), bits, __ATOMIC_SEQ_CST);
	__atomic_fetch_and(staged, ~bits, __ATOMIC_SEQ_CST);
}

static void
front_end(void)
{
	device_harvest(0);
}

static const struct weak_variant summary_variants[] = {
	{ "right", .holds = true },
	{ "no fence in the marker", .broken = WEAK_FENCE, .function = "dirtylog_view_summarise" },
	{ "no fence in the drainer", .broken = WEAK_FENCE, .function = "transfer_named" },
	{ .name = NULL },
};

const struct weak_model staging_summary = {
	.name = "staging_summary",
	.nb_threads = 2,
	.prepare = prepare_summary,
	.threads = { queue, drainer },
	.check = device_check_pages,
	.variants = summary_variants,
};

static const struct weak_variant move_variants[] = {
	{ "right", .holds = true },
	{ "set in the log, then cleared", .choice = SET_BEFORE_CLEAR },
	{ "both relaxed", .broken = WEAK_STORE, .function = "transfer_words" },
	{ "no fence in the flush", .broken = WEAK_FENCE, .function = "dirtylog_flush" },
	{ .name = NULL },
};

const struct weak_model staging_move = {
	.name = "staging_move",
	.nb_threads = 3,
	.prepare = prepare_mark,
	.threads = { queue, drainer, front_end },
	.check = device_check_pages,
	.variants = move_variants,
};
