/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a front-end which truncates its log, while queues mark in it,
 * harms nobody but itself: the process and the other devices' logs go on, the
 * device says so, once. With normal and with huge pages, staged and direct.
 */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_log.h>

#include "dirtylog.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "test_program.h"
#include "truncated_file.h"

#define PAGE DIRTYLOG_PAGE_SIZE

/* A device with one region and one queue, whose thread marks all the time. */
struct port {
	struct dirtylog *dl;
	struct dirtylog_marker marker;
	struct dirtylog_bitmap *bitmap;
	pthread_t thread;
	uint64_t nb_pages;
	uint64_t rounds;
	bool quit;
};

static void *
mark_all_the_time(void *arg)
{
	struct port *port = arg;
	uint64_t page = 0;

	while (!__atomic_load_n(&port->quit, __ATOMIC_ACQUIRE)) {
		dirtylog_burst_begin(&port->marker);
		dirtylog_mark(&port->marker, port->bitmap, page * PAGE, 32 * PAGE);
		dirtylog_burst_end(&port->marker);
		page = (page + 32) % port->nb_pages;
		if (page == 0) {
			__atomic_store_n(&port->rounds, port->rounds + 1, __ATOMIC_RELEASE);
			sched_yield();
		}
	}
	return NULL;
}

/* Wait until a thread has marked everything once more. */
static void
another_round(struct port *port)
{
	uint64_t rounds = __atomic_load_n(&port->rounds, __ATOMIC_ACQUIRE);
	unsigned int ms;

	for (ms = 0; __atomic_load_n(&port->rounds, __ATOMIC_ACQUIRE) < rounds + 2; ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
}

static struct port *
port_open(const char *name, uint64_t nb_pages, enum dirtylog_placement placement)
{
	const struct dirtylog_options options = { .placement = placement };
	const struct dirtylog_region region = { .len = nb_pages * PAGE };
	struct port *port = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*port));

	assert_non_null(port);
	memset(port, 0, sizeof(*port));
	port->nb_pages = nb_pages;
	assert_int_equal(dirtylog_create(name, &port->dl), 0);
	assert_int_equal(dirtylog_configure(port->dl, &options), 0);
	dirtylog_add_queue(port->dl, &port->marker);
	assert_int_equal(dirtylog_set_regions(port->dl, &region, 1), 0);
	port->bitmap = region_bitmap(port->dl, 0);
	assert_int_equal(dirtylog_set_logging(port->dl, true), 0);
	assert_int_equal(dirtylog_open(port->dl, &port->marker, DIRTYLOG_NO_GPA, 0), 0);
	assert_int_equal(pthread_create(&port->thread, NULL, mark_all_the_time, port), 0);
	return port;
}

static void
port_close(struct port *port)
{
	__atomic_store_n(&port->quit, true, __ATOMIC_RELEASE);
	pthread_join(port->thread, NULL);
	dirtylog_remove_queue(port->dl, &port->marker);
	dirtylog_destroy(port->dl);
	free(port);
}

static void
port_set_log(struct port *port, int fd, uint64_t offset)
{
	struct dirtylog_shm *shm;

	assert_int_equal(dirtylog_shm_map(fd, offset, port->nb_pages / 8, &shm), 0);
	assert_int_equal(dirtylog_set_log(port->dl, shm), 0);
	dirtylog_shm_unref(shm);
}

static uint64_t
truncated_logs(struct port *port)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(port->dl, &stats);
	return stats.truncated_logs;
}

static unsigned int
lines_with(const char *text, const char *what)
{
	unsigned int count = 0;

	for (; text != NULL && (text = strstr(text, what)) != NULL; text++)
		count++;
	return count;
}

static void
truncate_under_ports(enum dirtylog_placement placement, int fd, uint64_t offset)
{
	const uint64_t nb_pages = 8 * 4096 * 4; /* a log of four pages */
	struct port *bad, *good;
	struct frontend_log log, next;
	FILE *lines;
	char *text = NULL;
	size_t text_len;
	unsigned int ms;

	guard_in_force();
	lines = open_memstream(&text, &text_len);
	assert_non_null(lines);
	rte_openlog_stream(lines);
	assert_int_equal(frontend_log_create(&log, nb_pages / 8), 0);
	assert_int_equal(frontend_log_create(&next, nb_pages / 8), 0);
	bad = port_open("bad", nb_pages, placement);
	good = port_open("good", nb_pages, placement);
	port_set_log(bad, fd, offset);
	port_set_log(good, log.fd, 0);
	another_round(bad);
	assert_int_equal(truncated_logs(bad), 0);

	assert_int_equal(ftruncate(fd, 0), 0);
	another_round(bad);
	another_round(bad);
	for (ms = 0; truncated_logs(bad) == 0; ms++) {
		/* Staged: by the next drain but one. */
		assert_true(ms < 20000);
		usleep(1000);
	}
	assert_int_equal(truncated_logs(bad), 1);
	another_round(bad);
	assert_int_equal(truncated_logs(bad), 1);
	fflush(lines);
	assert_int_equal(lines_with(text, "bad: the front-end has truncated its log"), 1);
	assert_int_equal(lines_with(text, "truncated"), 1);

	/* The other one: all its pages come again after a harvest. */
	frontend_log_clear(&log);
	another_round(good);
	for (ms = 0; frontend_log_count(&log) < nb_pages && ms < 20000; ms++)
		usleep(1000);
	assert_int_equal(frontend_log_count(&log), nb_pages);
	assert_int_equal(truncated_logs(good), 0);

	/* The bad one gets another log, and all is well. */
	port_set_log(bad, next.fd, 0);
	another_round(bad);
	for (ms = 0; frontend_log_count(&next) < nb_pages && ms < 20000; ms++)
		usleep(1000);
	assert_int_equal(frontend_log_count(&next), nb_pages);
	assert_int_equal(truncated_logs(bad), 1);
	port_close(bad);
	port_close(good);
	assert_true(frontend_log_canary_alive(&log));
	frontend_log_destroy(&log);
	frontend_log_destroy(&next);
	fflush(lines);
	assert_int_equal(lines_with(text, "truncated"), 1);
	rte_openlog_stream(NULL);
	fclose(lines);
	free(text);
	close(fd);
}

static void
truncated_under_ports(void **state)
{
	(void)state;
	truncate_under_ports(DIRTYLOG_PLACEMENT_DIRECT, unsealed_file(5 * 4096), 4096);
	truncate_under_ports(DIRTYLOG_PLACEMENT_STAGED, unsealed_file(5 * 4096), 4096);
}

static void
truncated_huge_under_ports(void **state)
{
	int fd = huge_file(2 * HUGE);

	(void)state;
	if (fd < 0) {
		print_message("no two free huge pages of 2 MiB on this machine\n");
		skip();
	}
	/* The log lies over the edge of two huge pages. */
	truncate_under_ports(DIRTYLOG_PLACEMENT_DIRECT, fd, HUGE - 8192);
	fd = huge_file(2 * HUGE);
	assert_true(fd >= 0);
	truncate_under_ports(DIRTYLOG_PLACEMENT_STAGED, fd, HUGE - 8192);
}

/* Nobody asked while it was in use: still counted, when the next one comes. */
static void
told_at_the_swap(void **state)
{
	const uint64_t nb_pages = 4096 * 8;
	int fd = unsealed_file(4096);
	struct port *port = port_open("late", nb_pages, DIRTYLOG_PLACEMENT_DIRECT);
	struct dirtylog_stats stats;
	struct frontend_log log;

	(void)state;
	guard_in_force();
	assert_int_equal(frontend_log_create(&log, nb_pages / 8), 0);
	port_set_log(port, fd, 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	another_round(port);
	port_set_log(port, log.fd, 0);
	dirtylog_get_stats(port->dl, &stats);
	assert_int_equal(stats.truncated_logs, 1);
	assert_int_equal(stats.swaps, 2);
	port_close(port);
	frontend_log_destroy(&log);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truncated_under_ports),
		cmocka_unit_test(truncated_huge_under_ports),
		cmocka_unit_test(told_at_the_swap),
	};

	return run_test_program(argc, argv, "truncated_logs", tests, NULL, NULL);
}
