/* SPDX-License-Identifier: BSD-3-Clause */

/* One migration: the first pass, events, and the comparison at its end. */

#include "torture.h"

#define EVENTS_PER_ROUND 40

/* A migration begins: logging on, and the first pass over all of RAM. */
static void
begin(struct torture *torture)
{
	bool log_first = draw(&torture->random) % 2 == 0;
	uint64_t page;

	if (log_first)
		swap_log(torture, torture->nb_regions);
	require(dirtylog_set_logging(torture->dl, true) == 0, "logging on");
	if (!log_first) {
		pause_ms(torture, 2);
		swap_log(torture, torture->nb_regions);
	}
	for (page = 0; page < RAM_PAGES; page++) {
		pthread_mutex_lock(&torture->harvest_lock);
		copy_page(torture, page);
		pthread_mutex_unlock(&torture->harvest_lock);
	}
}

/* It is cancelled: logging off, and the log is unmapped at once. */
static void
cancel(struct torture *torture)
{
	require(dirtylog_set_logging(torture->dl, false) == 0, "logging off");
	destroy_log(torture, take_log(torture, false));
	torture->cancels++;
	pause_ms(torture, 2);
	begin(torture);
}

static void
compare(struct torture *torture)
{
	uint64_t page, differ = 0;

	pthread_mutex_lock(&torture->harvest_lock);
	for (page = 0; page < RAM_PAGES; page++)
		differ += memcmp(torture->source + page * PAGE / 8,
					  torture->destination + page * PAGE / 8, PAGE) != 0;
	pthread_mutex_unlock(&torture->harvest_lock);
	if (differ != 0)
		printf("migration %" PRIu64 ": %" PRIu64 " of %u pages differ\n",
				torture->migrations, differ, RAM_PAGES);
	torture->differences += differ;
}

/* It completes: the queues stop, the last harvest, and all must be there. */
static void
complete(struct torture *torture)
{
	struct frontend_log *log;

	if (torture->mistake == NO_FLUSH_AT_STOP)
		stop_writers_wrongly(torture);
	/* Left, and no other comes: the marks are in the one that was left. */
	else if (draw(&torture->random) % 4 == 0)
		require(dirtylog_suspend_log(torture->dl) == 0, "suspending a log");
	close_queues(torture);
	log = take_log(torture, true);
	compare(torture);
	torture->migrations++;
	require(dirtylog_set_logging(torture->dl, false) == 0, "logging off");
	/* Up to here a mark may have been repeated in it; nobody needs it. */
	frontend_log_clear(log);
	retire_log(torture, log);
	open_queues(torture);
	pause_ms(torture, 2);
}

void
migrate(struct torture *torture)
{
	unsigned int i, nb = draw(&torture->random) % EVENTS_PER_ROUND;

	begin(torture);
	for (i = 0; i < nb; i++) {
		pause_ms(torture, 4);
		switch (draw(&torture->random) % 16) {
		case 0:
			restart(torture);
			break;
		case 1:
			change_table(torture);
			break;
		case 2:
		case 3:
			leave_and_swap(torture);
			break;
		case 4:
		case 5:
			close_and_open_one(torture);
			break;
		case 6:
			if (draw(&torture->random) % 4 == 0)
				cancel(torture);
			break;
		default:
			swap_log(torture, torture->nb_regions);
			break;
		}
	}
	complete(torture);
}
