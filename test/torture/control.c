/* SPDX-License-Identifier: BSD-3-Clause */

/* The front-end's messages: the log, the queues, the memory table. */

#include "region_bitmap.h"
#include "torture.h"

void
destroy_log(struct torture *torture, struct frontend_log *log)
{
	torture->dead_canaries += !frontend_log_canary_alive(log);
	frontend_log_destroy(log);
	free(log);
}

/* A log that the device has left for good, and that is harvested. */
void
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
void
swap_log(struct torture *torture, unsigned int nb_regions)
{
	struct frontend_log *old, *new = malloc(sizeof(*new));
	struct dirtylog_shm *shm;

	require(new != NULL, "malloc");
	create_log(torture, new, log_len(torture, nb_regions));
	require(dirtylog_shm_map(new->fd, new->offset, new->len, &shm) == 0, "mapping a log");
	require(dirtylog_set_log(torture->dl, shm) == 0, "bringing a log");
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

void
pause_ms(struct torture *torture, unsigned int ms)
{
	usleep(draw(&torture->random) % (ms * 1000));
}

static void
open_queue(struct torture *torture, struct writer *writer)
{
	__atomic_store_n(&writer->stopped_wrongly, false, __ATOMIC_RELAXED);
	__atomic_store_n(&writer->stop_wrongly, false, __ATOMIC_RELEASE);
	require(dirtylog_open(torture->dl, &writer->marker, RING_PAGE(writer) * PAGE,
				RING_PAGES * PAGE) == 0,
			"opening a queue");
}

void
open_queues(struct torture *torture)
{
	unsigned int i;

	for (i = 0; i < torture->nb_writers; i++)
		open_queue(torture, &torture->writers[i]);
}

/* GET_VRING_BASE, ring by ring. */
void
close_queues(struct torture *torture)
{
	unsigned int i, first = draw(&torture->random) % torture->nb_writers;

	for (i = 0; i < torture->nb_writers; i++)
		dirtylog_close(torture->dl,
				&torture->writers[(first + i) % torture->nb_writers].marker);
	require(dirtylog_stopped(torture->dl), "closing all queues");
}

void
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
void
set_table(struct torture *torture, unsigned int nb_regions)
{
	struct dirtylog_region regions[NB_REGIONS] = { { .gpa = 0 } };
	unsigned int i;

	for (i = 0; i < nb_regions; i++) {
		regions[i].gpa = layout[i].first * PAGE;
		regions[i].len = layout[i].nb * PAGE;
	}
	require(dirtylog_set_regions(torture->dl, regions, nb_regions) == 0,
			"setting the memory table");
	torture->nb_regions = nb_regions;
	for (i = 0; i < nb_regions; i++)
		torture->bitmaps[i] = region_bitmap(torture->dl, i);
	torture->tables++;
}

/*
 * The log's size follows memory: a larger log comes before the memory (or after
 * it: marks wait for it), a smaller one after.
 */
void
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
struct frontend_log *
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
void
restart(struct torture *torture)
{
	close_queues(torture);
	require(dirtylog_suspend_log(torture->dl) == 0, "suspending a log");
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
void
leave_and_swap(struct torture *torture)
{
	require(dirtylog_suspend_log(torture->dl) == 0, "suspending a log");
	pause_ms(torture, 2);
	if (draw(&torture->random) % 2 == 0)
		close_and_open_one(torture);
	swap_log(torture, torture->nb_regions);
}
