/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Torture: no page is lost, whatever happens to the log while queues run.
 *
 *     writers (queues)   write packets into the source RAM, mark them (before
 *                        that, as a run, or after it), flush, store their
 *                        used index, have its page marked
 *     harvester          the front-end: xchg(word, 0) of the log it has now,
 *                        copies each dirty page into the destination RAM
 *     control            the front-end's messages: swaps the log, leaves it and
 *                        brings another, stops and restarts the device, closes
 *                        single queues, adds and removes memory, cancels
 *
 * The time is cut into migrations. At the end of each one the queues are
 * closed, the log is harvested for the last time, and the RAMs are compared
 * page by page: 0 may differ.
 *
 * Checked besides: no bit is set that is a page of no region, the bytes behind
 * the end of a log stay as they were, and a log gets no bit any more after the
 * call that replaced it has returned.
 *
 * With --placement the marks take one of their ways to the log, and with --log
 * huge the logs lie in huge pages, at any offset that is a multiple of 4096;
 * where there are none free the program ends with 77: skipped.
 *
 * With --mistake the test itself does one thing wrong, which the comparison
 * must find: the program then succeeds as soon as pages differ.
 */

#include <time.h>

#include "torture.h"

#define SKIPPED 77

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t *
map_ram(void)
{
	void *ram = mmap(NULL, RAM_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);

	require(ram != MAP_FAILED, "mapping RAM");
	return ram;
}

static void
start(struct torture *torture)
{
	unsigned int i;

	torture->source = map_ram();
	torture->destination = map_ram();
	torture->random = torture->seed;
	require(pthread_mutex_init(&torture->harvest_lock, NULL) == 0, "pthread_mutex_init");
	require(dirtylog_create("torture", &torture->dl) == 0, "creating the log state");
	require(dirtylog_configure(torture->dl, &torture->options) == 0, "configuring it");
	for (i = 0; i < torture->nb_writers; i++)
		dirtylog_add_queue(torture->dl, &torture->writers[i].marker);
	set_table(torture, NB_REGIONS);
	for (i = 0; i < torture->nb_writers; i++) {
		struct writer *writer = &torture->writers[i];

		writer->torture = torture;
		writer->number = i;
		writer->random = torture->seed + 1000 * (i + 1);
		writer->value = (uint64_t)(i + 1) << 56;
	}
	open_queues(torture);
	for (i = 0; i < torture->nb_writers; i++)
		require(pthread_create(&torture->writers[i].thread, NULL, write_packets,
					&torture->writers[i]) == 0,
				"pthread_create");
	require(pthread_create(&torture->harvester, NULL, harvest_all_the_time, torture) == 0,
			"pthread_create");
}

static void
stop(struct torture *torture)
{
	unsigned int i;

	__atomic_store_n(&torture->quit, true, __ATOMIC_RELEASE);
	for (i = 0; i < torture->nb_writers; i++)
		pthread_join(torture->writers[i].thread, NULL);
	pthread_join(torture->harvester, NULL);
	retire_log(torture, NULL);
	for (i = 0; i < torture->nb_writers; i++)
		dirtylog_remove_queue(torture->dl, &torture->writers[i].marker);
	dirtylog_get_stats(torture->dl, &torture->stats);
	dirtylog_destroy(torture->dl);
	pthread_mutex_destroy(&torture->harvest_lock);
	munmap(torture->source, RAM_PAGES * PAGE);
	munmap(torture->destination, RAM_PAGES * PAGE);
}

static void
report(const struct torture *torture)
{
	uint64_t bursts = 0, packets = 0;
	unsigned int i;

	for (i = 0; i < torture->nb_writers; i++) {
		bursts += torture->writers[i].bursts;
		packets += torture->writers[i].packets;
	}
	printf("seed %" PRIu64 ", %u writers, %s: %" PRIu64 " bursts, %" PRIu64 " packets\n",
			torture->seed, torture->nb_writers,
			placement_names[torture->options.placement], bursts, packets);
	if (torture->huge_logs)
		printf("%" PRIu64 " of the logs in huge pages\n", torture->huge_swaps);
	printf("%" PRIu64 " times drained, %" PRIu64 " pages by that, %" PRIu64
	       " pages marked in a log directly\n",
			torture->stats.drains, torture->stats.pages_drained,
			torture->stats.marks.pages_dirtied);
	printf("%" PRIu64 " migrations, %" PRIu64 " cancelled before; %" PRIu64 " logs, %" PRIu64
	       " restarts, %" PRIu64 " memory tables, %" PRIu64 " queues reopened\n",
			torture->migrations, torture->cancels, torture->swaps, torture->restarts,
			torture->tables, torture->closes);
	printf("%" PRIu64 " harvests, %" PRIu64 " pages copied, %" PRIu64 " compared\n",
			torture->harvests, torture->pages_copied, torture->migrations * RAM_PAGES);
	printf("pages that differ: %" PRIu64 "; bits of no page: %" PRIu64
	       "; bits in a replaced log: %" PRIu64 "; logs overrun: %" PRIu64 "\n",
			torture->differences, torture->stray_bits, torture->late_bits,
			torture->dead_canaries);
}

static bool
huge_pages_free(void)
{
	struct frontend_log log;

	if (frontend_log_create_huge(&log, 0, 3 * FRONTEND_LOG_HUGE_PAGE) < 0)
		return false;
	frontend_log_destroy(&log);
	return true;
}

int
main(int argc, char **argv)
{
	static struct torture torture = { .seconds = 10, .nb_writers = 2 };
	uint64_t end;
	bool clean;

	torture.seed = now_ms();
	parse_options(&torture, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (torture.huge_logs && !huge_pages_free()) {
		printf("SKIPPED: no free huge pages of 2 MiB on this machine\n");
		return SKIPPED;
	}
	/* Nothing here may hang. */
	alarm(torture.seconds + 60);
	start(&torture);
	end = now_ms() + torture.seconds * UINT64_C(1000);
	while (now_ms() < end && (torture.mistake == NONE || torture.differences == 0))
		migrate(&torture);
	stop(&torture);
	report(&torture);
	clean = torture.differences == 0 && torture.stray_bits == 0 && torture.late_bits == 0 &&
			torture.dead_canaries == 0;
	if (torture.mistake != NONE) {
		printf("mistake \"%s\" was %s\n", mistake_names[torture.mistake],
				torture.differences != 0 ? "seen, as it should" : "NOT SEEN");
		return torture.differences != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	printf("%s\n", clean ? "OK: no page is lost" : "FAILED");
	return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}
