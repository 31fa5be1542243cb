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

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dirtylog.h"
#include "frontend_log.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define MAX_WRITERS 8
#define MAX_PACKETS 16    /* of a burst */
#define EVENTS_PER_ROUND 40

/*
 * Memory as below and above a hole, whose ends share a word of the log, and a
 * region far up that comes and goes. In pages.
 */
#define NB_REGIONS 3
static const struct {
	uint64_t first, nb, ram; /* GPA, length, place in the RAMs */
} layout[NB_REGIONS] = {
	{ 0, 2501, 0 },
	{ 2510, 3800, 2501 },
	{ 0x100007, 1700, 2501 + 3800 },
};
#define RAM_PAGES (2501 + 3800 + 1700)

/* The first pages of region 0 hold the used indexes and no packets. */
#define INDEX_PAGE(writer) (3 + (writer)->number)
#define FIRST_PACKET_PAGE 32

enum mistake {
	NONE,
	DROP_SWAP,         /* the old log is not harvested after a swap */
	NO_FLUSH_AT_STOP,  /* the last burst's marks and the index are left out */
	MARK_BEFORE_WRITE, /* pages are marked first and written then */
	NB_MISTAKES
};

static const char * const mistakes[NB_MISTAKES] = {
	"none", "drop-swap", "no-flush-at-stop", "mark-before-write",
};

#define NB_PLACEMENTS 3
static const char * const placements[NB_PLACEMENTS] = {
	[DIRTYLOG_PLACEMENT_AUTO] = "auto",
	[DIRTYLOG_PLACEMENT_DIRECT] = "direct",
	[DIRTYLOG_PLACEMENT_STAGED] = "staged",
};

#define SKIPPED 77

struct torture;

/* A queue. */
struct writer {
	struct dirtylog_marker marker;
	struct torture *torture;
	pthread_t thread;
	unsigned int number;
	/* NO_FLUSH_AT_STOP: asked for by control, answered by the writer. */
	bool stop_wrongly, stopped_wrongly;
	/* The thread's own. */
	uint64_t random, value, bursts, packets;
};

struct torture {
	unsigned int seconds, nb_writers;
	uint64_t seed;
	enum mistake mistake;
	struct dirtylog_options options;
	struct dirtylog_stats stats;
	bool huge_logs;
	struct dirtylog *dl;
	struct writer writers[MAX_WRITERS];
	uint64_t *source, *destination;
	/* The memory table; changed while all queues are closed. */
	unsigned int nb_regions;
	struct dirtylog_bitmap *bitmaps[NB_REGIONS];
	bool quit;

	/* The lock is over the destination, and the log that is harvested. */
	pthread_mutex_t harvest_lock;
	struct frontend_log *log; /* NULL: none */
	pthread_t harvester;
	uint64_t harvests, pages_copied, stray_bits;

	/* Control's own. */
	uint64_t random;
	struct frontend_log *replaced; /* harvested to the end: stays clean */
	uint64_t swaps, migrations, cancels, restarts, tables, closes;
	uint64_t huge_swaps;
	uint64_t late_bits, dead_canaries, differences;
};

/* One packet's place. */
struct packet {
	unsigned int region;
	uint64_t offset, len; /* multiples of 8 */
};

static uint64_t
draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static uint64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* What must not fail: a machine without memory is no test result. */
static void
require(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "torture: %s failed\n", what);
	exit(2);
}

/* ---- writers ---- */

static void
draw_packet(struct writer *writer, struct packet *packet)
{
	bool wide = writer->torture->mistake == MARK_BEFORE_WRITE;
	uint64_t r = draw(&writer->random), begin, len;

	packet->region = r % writer->torture->nb_regions;
	begin = packet->region == 0 ? FIRST_PACKET_PAGE * PAGE : 0;
	len = layout[packet->region].nb * PAGE;
	packet->offset = (begin + (r >> 8) % (len - begin)) / 8 * 8;
	r = draw(&writer->random);
	/* Many small ones, some large. */
	packet->len = (60 + (r >> 8) % (wide ? 65536 : r & 1 ? 100 : 9000)) / 8 * 8;
	if (packet->len > len - packet->offset)
		packet->len = len - packet->offset;
}

static void
write_packet(struct writer *writer, const struct packet *packet)
{
	uint64_t *at = writer->torture->source +
		(layout[packet->region].ram * PAGE + packet->offset) / 8;
	uint64_t i;

	for (i = 0; i < packet->len / 8; i++)
		__atomic_store_n(&at[i], ++writer->value, __ATOMIC_RELAXED);
}

static void
mark_packet(struct writer *writer, const struct packet *packet)
{
	dirtylog_mark(&writer->marker, writer->torture->bitmaps[packet->region],
			packet->offset, packet->len);
}

/* The marks of all packets, as a run: before they are written. */
static void
mark_run(struct writer *writer, const struct packet *packets, unsigned int nb)
{
	struct dirtylog_run run = dirtylog_run_begin(&writer->marker);
	unsigned int i;

	for (i = 0; i < nb; i++) {
		const struct packet *packet = &packets[i];
		uint64_t base = (uintptr_t)writer->torture->source +
			layout[packet->region].ram * PAGE;

		if (!dirtylog_run_mark(&run, base + packet->offset, (uint32_t)packet->len))
			dirtylog_run_move(&writer->marker, &run,
					writer->torture->bitmaps[packet->region], base,
					base + packet->offset, (uint32_t)packet->len);
	}
	dirtylog_run_end(&writer->marker, &run);
}

/* A burst as a driver's. False: the queue is closed. */
static bool
burst(struct writer *writer)
{
	struct dirtylog_marker *marker = &writer->marker;
	struct packet packets[MAX_PACKETS];
	unsigned int i, nb;
	uint64_t *index = writer->torture->source + INDEX_PAGE(writer) * PAGE / 8;
	bool stop_wrongly = __atomic_load_n(&writer->stop_wrongly, __ATOMIC_ACQUIRE);

	if (stop_wrongly && __atomic_load_n(&writer->stopped_wrongly, __ATOMIC_RELAXED))
		return false;
	if (!dirtylog_burst_begin(marker))
		return false;
	nb = draw(&writer->random) % (MAX_PACKETS + 1);
	if (nb == 0 && !stop_wrongly) {
		dirtylog_burst_end(marker); /* an idle one */
		return true;
	}
	for (i = 0; i < nb; i++)
		draw_packet(writer, &packets[i]);
	if (writer->torture->mistake == MARK_BEFORE_WRITE) {
		for (i = 0; i < nb; i++)
			mark_packet(writer, &packets[i]);
		dirtylog_flush(marker);
		for (i = 0; i < nb; i++)
			write_packet(writer, &packets[i]);
	} else {
		bool as_run = draw(&writer->random) % 2 == 0;

		if (as_run)
			mark_run(writer, packets, nb);
		for (i = 0; i < nb; i++) {
			write_packet(writer, &packets[i]);
			if (!as_run)
				mark_packet(writer, &packets[i]);
		}
		if (stop_wrongly)
			marker->nb_marks = 0;
		dirtylog_flush(marker);
	}
	/* The guest's side of promise 1: it may look from here on. */
	__atomic_store_n(index, ++writer->value, __ATOMIC_RELEASE);
	dirtylog_mark_index(marker);
	if (stop_wrongly) {
		marker->index_pending = false;
		marker->index_bitmap = NULL;
		__atomic_store_n(&writer->stopped_wrongly, true, __ATOMIC_RELEASE);
	}
	dirtylog_burst_end(marker);
	writer->bursts++;
	writer->packets += nb;
	return true;
}

static void *
write_packets(void *arg)
{
	struct writer *writer = arg;

	while (!__atomic_load_n(&writer->torture->quit, __ATOMIC_ACQUIRE)) {
		if (!burst(writer))
			sched_yield();
		else if (draw(&writer->random) % 4 == 0)
			usleep(draw(&writer->random) % 200);
	}
	return NULL;
}

/* ---- the front-end's harvest ---- */

/* Holding the harvest lock. */
static void
copy_page(struct torture *torture, uint64_t page)
{
	const uint64_t *from = torture->source + page * PAGE / 8;
	uint64_t *to = torture->destination + page * PAGE / 8;
	unsigned int i;

	for (i = 0; i < PAGE / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void
copy_marked_page(struct torture *torture, uint64_t gpa_page)
{
	unsigned int i;

	for (i = 0; i < NB_REGIONS; i++) {
		if (gpa_page - layout[i].first < layout[i].nb) {
			copy_page(torture, layout[i].ram + gpa_page - layout[i].first);
			torture->pages_copied++;
			return;
		}
	}
	torture->stray_bits++;
}

/* Take all marks out of a log and copy their pages. Holding the harvest lock. */
static void
harvest(struct torture *torture, struct frontend_log *log)
{
	uint64_t *words = (uint64_t *)(void *)log->bytes;
	uint64_t i, bits;

	for (i = 0; i < log->len / 8; i++) {
		if (__atomic_load_n(&words[i], __ATOMIC_RELAXED) == 0)
			continue;
		bits = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1)
			copy_marked_page(torture, i * 64 + (uint64_t)__builtin_ctzll(bits));
	}
	/* The tail is no whole word. */
	for (i = log->len / 8 * 8; i < log->len; i++) {
		bits = __atomic_exchange_n(&log->bytes[i], 0, __ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1)
			copy_marked_page(torture, i * 8 + (uint64_t)__builtin_ctzll(bits));
	}
	torture->harvests++;
}

static void *
harvest_all_the_time(void *arg)
{
	struct torture *torture = arg;
	uint64_t random = torture->seed ^ 0x5eed;

	while (!__atomic_load_n(&torture->quit, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&torture->harvest_lock);
		if (torture->log != NULL)
			harvest(torture, torture->log);
		pthread_mutex_unlock(&torture->harvest_lock);
		usleep(draw(&random) % 3 == 0 ? 0 : draw(&random) % 1500);
	}
	return NULL;
}

/* ---- the front-end's control ---- */

static void
destroy_log(struct torture *torture, struct frontend_log *log)
{
	torture->dead_canaries += !frontend_log_canary_alive(log);
	frontend_log_destroy(log);
	free(log);
}

/* A log that the device has left for good, and that is harvested. */
static void
retire_log(struct torture *torture, struct frontend_log *log)
{
	if (torture->replaced != NULL) {
		torture->late_bits += frontend_log_count(torture->replaced);
		destroy_log(torture, torture->replaced);
	}
	torture->replaced = log;
}

/* The bytes of the log that covers the first nb regions, and some more at times. */
static uint64_t
log_len(struct torture *torture, unsigned int nb_regions)
{
	uint64_t last = layout[nb_regions - 1].first + layout[nb_regions - 1].nb - 1;

	return last / 8 + 1 + (draw(&torture->random) % 2) * (draw(&torture->random) % 5000);
}

static void
create_log(struct torture *torture, struct frontend_log *log, uint64_t len)
{
	uint64_t offset = draw(&torture->random) % 512 * 4096;

	if (torture->huge_logs && frontend_log_create_huge(log, offset, len) == 0)
		torture->huge_swaps++;
	else
		require(frontend_log_create(log, len) == 0, "a new log");
}

/* SET_LOG_BASE: a new log; when the call has returned, the last harvest of the old. */
static void
swap_log(struct torture *torture, unsigned int nb_regions)
{
	struct frontend_log *old, *new = malloc(sizeof(*new));
	struct dirtylog_shm *shm;

	require(new != NULL, "malloc");
	create_log(torture, new, log_len(torture, nb_regions));
	require(dirtylog_shm_map(new->fd, new->offset, new->len, &shm) == 0, "mapping a log");
	require(dirtylog_set_log(torture->dl, shm) == 0, "set_log");
	dirtylog_shm_unref(shm);
	torture->swaps++;

	pthread_mutex_lock(&torture->harvest_lock);
	old = torture->log;
	torture->log = new;
	if (old != NULL && torture->mistake != DROP_SWAP)
		harvest(torture, old);
	pthread_mutex_unlock(&torture->harvest_lock);
	if (torture->mistake == DROP_SWAP && old != NULL)
		destroy_log(torture, old);
	else if (old != NULL)
		retire_log(torture, old);
}

static void
pause_ms(struct torture *torture, unsigned int ms)
{
	usleep(draw(&torture->random) % (ms * 1000));
}

static void
open_queue(struct torture *torture, struct writer *writer)
{
	__atomic_store_n(&writer->stopped_wrongly, false, __ATOMIC_RELAXED);
	__atomic_store_n(&writer->stop_wrongly, false, __ATOMIC_RELEASE);
	require(dirtylog_open(torture->dl, &writer->marker,
			INDEX_PAGE(writer) * PAGE) == 0, "opening a queue");
}

static void
open_queues(struct torture *torture)
{
	unsigned int i;

	for (i = 0; i < torture->nb_writers; i++)
		open_queue(torture, &torture->writers[i]);
}

/* GET_VRING_BASE, ring by ring. */
static void
close_queues(struct torture *torture)
{
	unsigned int i, first = draw(&torture->random) % torture->nb_writers;

	for (i = 0; i < torture->nb_writers; i++)
		dirtylog_close(torture->dl,
				&torture->writers[(first + i) % torture->nb_writers].marker);
	require(dirtylog_stopped(torture->dl), "closing all queues");
}

static void
close_and_open_one(struct torture *torture)
{
	struct writer *writer = &torture->writers[draw(&torture->random) % torture->nb_writers];

	dirtylog_close(torture->dl, &writer->marker);
	if (draw(&torture->random) % 2 == 0)
		pause_ms(torture, 1);
	open_queue(torture, writer);
	torture->closes++;
}

/* The queues are closed. */
static void
set_table(struct torture *torture, unsigned int nb_regions)
{
	struct dirtylog_region regions[NB_REGIONS] = { { .gpa = 0 } };
	unsigned int i;

	for (i = 0; i < nb_regions; i++) {
		regions[i].gpa = layout[i].first * PAGE;
		regions[i].len = layout[i].nb * PAGE;
	}
	require(dirtylog_set_regions(torture->dl, regions, nb_regions) == 0,
			"set_regions");
	torture->nb_regions = nb_regions;
	for (i = 0; i < nb_regions; i++)
		torture->bitmaps[i] = dirtylog_region_bitmap(torture->dl, i);
	torture->tables++;
}

/*
 * The log's size follows memory: a larger log comes before the memory (or after
 * it: marks wait for it), a smaller one after.
 */
static void
change_table(struct torture *torture)
{
	bool grow = torture->nb_regions < NB_REGIONS;
	bool late = draw(&torture->random) % 4 == 0;

	if (grow && !late)
		swap_log(torture, NB_REGIONS);
	close_queues(torture);
	set_table(torture, grow ? NB_REGIONS : NB_REGIONS - 1);
	open_queues(torture);
	if (late)
		pause_ms(torture, 2);
	if (!grow || late)
		swap_log(torture, torture->nb_regions);
}

/* No log is harvested any more. */
static struct frontend_log *
take_log(struct torture *torture, bool last_harvest)
{
	struct frontend_log *log;

	pthread_mutex_lock(&torture->harvest_lock);
	log = torture->log;
	if (last_harvest)
		harvest(torture, log);
	torture->log = NULL;
	pthread_mutex_unlock(&torture->harvest_lock);
	return log;
}

/* The guest reboots: the device stops, its log dies, it starts, a log comes. */
static void
restart(struct torture *torture)
{
	close_queues(torture);
	require(dirtylog_suspend_log(torture->dl) == 0, "leave_log");
	destroy_log(torture, take_log(torture, true));
	open_queues(torture);
	pause_ms(torture, 2);
	switch (draw(&torture->random) % 4) {
	case 0:
		close_and_open_one(torture);
		break;
	case 1:
		/* Marks are staged; they find their place in the new table. */
		close_queues(torture);
		set_table(torture, torture->nb_regions);
		open_queues(torture);
		break;
	}
	swap_log(torture, torture->nb_regions);
	torture->restarts++;
}

/* The log is left and, later, another comes: a swap in two steps. */
static void
leave_and_swap(struct torture *torture)
{
	require(dirtylog_suspend_log(torture->dl) == 0, "leave_log");
	pause_ms(torture, 2);
	if (draw(&torture->random) % 2 == 0)
		close_and_open_one(torture);
	swap_log(torture, torture->nb_regions);
}

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
stop_writers_wrongly(struct torture *torture)
{
	unsigned int i;

	for (i = 0; i < torture->nb_writers; i++)
		__atomic_store_n(&torture->writers[i].stop_wrongly, true, __ATOMIC_RELEASE);
	for (i = 0; i < torture->nb_writers; i++)
		while (!__atomic_load_n(&torture->writers[i].stopped_wrongly, __ATOMIC_ACQUIRE))
			usleep(100);
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
		require(dirtylog_suspend_log(torture->dl) == 0, "leave_log");
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

static void
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

/* ---- the whole ---- */

static uint64_t *
map_ram(void)
{
	void *ram = mmap(NULL, RAM_PAGES * PAGE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);

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
	require(dirtylog_create("torture", &torture->dl) == 0, "device_create");
	require(dirtylog_configure(torture->dl, &torture->options) == 0,
			"device_configure");
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
				&torture->writers[i]) == 0, "pthread_create");
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
			placements[torture->options.placement], bursts, packets);
	if (torture->huge_logs)
		printf("%" PRIu64 " of the logs in huge pages\n", torture->huge_swaps);
	printf("%" PRIu64 " times published, %" PRIu64 " pages by that, %" PRIu64
			" pages marked in a log directly\n", torture->stats.drains,
			torture->stats.pages_drained, torture->stats.marks.pages_dirtied);
	printf("%" PRIu64 " migrations, %" PRIu64 " cancelled before; %" PRIu64 " logs, %" PRIu64
			" restarts, %" PRIu64 " memory tables, %" PRIu64 " queues reopened\n",
			torture->migrations, torture->cancels, torture->swaps, torture->restarts,
			torture->tables, torture->closes);
	printf("%" PRIu64 " harvests, %" PRIu64 " pages copied, %" PRIu64 " compared\n",
			torture->harvests, torture->pages_copied,
			torture->migrations * RAM_PAGES);
	printf("pages that differ: %" PRIu64 "; bits of no page: %" PRIu64
			"; bits in a replaced log: %" PRIu64 "; logs overrun: %" PRIu64 "\n",
			torture->differences, torture->stray_bits, torture->late_bits,
			torture->dead_canaries);
}

static void
usage(const char *program)
{
	fprintf(stderr, "usage: %s [--seconds N] [--seed N] [--threads 1..%d]"
			" [--placement staged|direct|auto] [--log normal|huge]"
			" [--mistake drop-swap|no-flush-at-stop|mark-before-write]\n",
			program, MAX_WRITERS);
	exit(2);
}

static void
parse(struct torture *torture, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 't' },
		{ "mistake", required_argument, NULL, 'm' },
		{ "placement", required_argument, NULL, 'p' },
		{ "log", required_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 }
	};
	unsigned int i;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			torture->seconds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'r':
			torture->seed = strtoull(optarg, NULL, 10);
			break;
		case 't':
			torture->nb_writers = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			for (i = 0; i < NB_MISTAKES; i++)
				if (strcmp(optarg, mistakes[i]) == 0)
					break;
			if (i == NB_MISTAKES)
				usage(argv[0]);
			torture->mistake = (enum mistake)i;
			break;
		case 'p':
			for (i = 0; i < NB_PLACEMENTS; i++)
				if (strcmp(optarg, placements[i]) == 0)
					break;
			if (i == NB_PLACEMENTS)
				usage(argv[0]);
			torture->options.placement = (enum dirtylog_placement)i;
			break;
		case 'l':
			if (strcmp(optarg, "huge") != 0 && strcmp(optarg, "normal") != 0)
				usage(argv[0]);
			torture->huge_logs = strcmp(optarg, "huge") == 0;
			break;
		default:
			usage(argv[0]);
		}
	}
	if (optind != argc || torture->seconds == 0 || torture->nb_writers == 0 ||
			torture->nb_writers > MAX_WRITERS || torture->seed == 0)
		usage(argv[0]);
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
	parse(&torture, argc, argv);
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
		printf("mistake \"%s\" was %s\n", mistakes[torture.mistake],
				torture.differences != 0 ? "seen, as it should" : "NOT SEEN");
		return torture.differences != 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	printf("%s\n", clean ? "OK: no page is lost" : "FAILED");
	return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}
