/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a guest's memory is not ours. What a front-end says of its size is
 * no more than that: a device may name so much and not more, with figures in
 * the log line and a counter. And it may take it away while it is in use: then
 * bursts find zeros, the device says so, its queues are closed until there is
 * other memory, and everybody else goes on. In pages of any size; and where the
 * memory is unmapped, nothing is left that would put other memory there.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "region_bitmap.h"
#include "test_program.h"

#include <rte_log.h>

#include "dirtylog.h"
#include "frontend_log.h"
#include "host_page.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define HUGE (UINT64_C(2) << 20)

struct room {
	struct dirtylog *dl;
	FILE *lines; /* the library's log lines */
	char *text;
	size_t text_len;
};

static int
setup(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	assert_non_null(room);
	room->lines = open_memstream(&room->text, &room->text_len);
	assert_non_null(room->lines);
	rte_openlog_stream(room->lines);
	assert_int_equal(dirtylog_create("unit", &room->dl), 0);
	*state = room;
	return 0;
}

static int
teardown(void **state)
{
	struct room *room = *state;

	dirtylog_destroy(room->dl);
	rte_openlog_stream(NULL);
	fclose(room->lines);
	free(room->text);
	free(room);
	return 0;
}

/* How often a text was logged. */
static unsigned int
times_logged(struct room *room, const char *what)
{
	unsigned int count = 0;
	const char *at;

	fflush(room->lines);
	for (at = room->text; at != NULL && (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

static struct dirtylog_stats
stats_of(struct room *room)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(room->dl, &stats);
	return stats;
}

/* ---- how much ---- */

static void
no_more_than_the_machine_has(void **state)
{
	const uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct dirtylog_region regions[] = { { .gpa = 0, .len = all - PAGE },
		{ .gpa = all, .len = PAGE }, { .gpa = 2 * all, .len = PAGE } };
	struct room *room = *state;
	struct dirtylog_bitmap *bitmap;
	char figures[128];

	assert_int_equal(dirtylog_check_regions(room->dl, regions, 2), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 2), 0);
	assert_int_equal(stats_of(room).refused_regions, 0);
	bitmap = region_bitmap(room->dl, 1);

	assert_int_equal(dirtylog_check_regions(room->dl, regions, 3), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 1);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 3), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 2);
	snprintf(figures, sizeof(figures), "unit: %llu MiB of guest memory in 3 regions, but %llu",
			(unsigned long long)((all + PAGE) >> 20), (unsigned long long)(all >> 20));
	assert_int_equal(times_logged(room, figures), 2);
	/* The old table stays. */
	assert_ptr_equal(region_bitmap(room->dl, 1), bitmap);
	assert_null(region_bitmap(room->dl, 2));
}

static void
no_more_than_it_may(void **state)
{
	const struct dirtylog_options options = { .max_memory = 4 * GIB };
	struct dirtylog_region regions[DIRTYLOG_MAX_REGIONS];
	struct room *room = *state;
	unsigned int i;

	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	for (i = 0; i < DIRTYLOG_MAX_REGIONS; i++)
		regions[i] = (struct dirtylog_region){ .gpa = i * TIB, .len = GIB };
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 4), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 6), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 2);
	/* Where the regions lie does not matter, only how much they are; nor do sums overflow. */
	for (i = 0; i < DIRTYLOG_MAX_REGIONS; i++)
		regions[i] = (struct dirtylog_region){ .gpa = 0, .len = UINT64_C(1) << 60 };
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 16), -EFBIG);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 512), -EFBIG);
	assert_int_equal(stats_of(room).refused_regions, 2 + 16 + 512);
	/* What it cannot be is refused for that. */
	regions[0].gpa = UINT64_MAX;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), -EOVERFLOW);
	regions[0].len = 0;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), -EINVAL);
	assert_int_equal(stats_of(room).refused_regions, 2 + 16 + 512);
	/* The option outlives a connection. */
	assert_int_equal(dirtylog_reset(room->dl), 0);
	regions[0] = (struct dirtylog_region){ .gpa = 0, .len = 4 * GIB + 1 };
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), -EFBIG);
	regions[0].len--;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 1), 0);
}

static void
as_much_as_it_may(void **state)
{
	const struct dirtylog_options options = { .max_memory = 64 * TIB };
	struct room *room = *state;
	struct dirtylog_region regions[] = { { .gpa = 0, .len = 32 * TIB },
		{ .gpa = 40 * TIB, .len = 32 * TIB } };

	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 2), 0);
	regions[1].len++;
	assert_int_equal(dirtylog_set_regions(room->dl, regions, 2), -EFBIG);
}

/* ---- whether it stays ---- */

/* A guest's memory, and a device with a queue that uses it. */
struct guest {
	int fd;
	uint64_t len;
	uint8_t *ram;
	struct dirtylog *dl;
	struct dirtylog_marker *marker;
	pthread_t thread;
	uint64_t bursts;
	bool quit;
};

static void
guest_map(struct guest *guest, uint64_t len, unsigned int flags)
{
	guest->len = len;
	guest->fd = memfd_create("guest", MFD_CLOEXEC | flags);
	assert_true(guest->fd >= 0);
	assert_int_equal(ftruncate(guest->fd, (off_t)len), 0);
	guest->ram = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, guest->fd, 0);
	assert_ptr_not_equal(guest->ram, MAP_FAILED);
}

static void
guest_unmap(struct guest *guest)
{
	munmap(guest->ram, guest->len);
	close(guest->fd);
}

/* All of it as one region at GPA 0. */
static int
guest_set_regions(struct guest *guest)
{
	const struct dirtylog_region region = { .len = guest->len, .host = guest->ram };

	return dirtylog_set_regions(guest->dl, &region, 1);
}

static void
guest_open(struct guest *guest, const char *name, uint64_t len)
{
	memset(guest, 0, sizeof(*guest));
	guest_map(guest, len, 0);
	guest->marker = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*guest->marker));
	assert_non_null(guest->marker);
	memset(guest->marker, 0, sizeof(*guest->marker));
	assert_int_equal(dirtylog_create(name, &guest->dl), 0);
	dirtylog_add_queue(guest->dl, guest->marker);
	assert_int_equal(guest_set_regions(guest), 0);
	assert_int_equal(dirtylog_open(guest->dl, guest->marker, 0, DIRTYLOG_INDEX_LEN), 0);
}

static void
guest_close(struct guest *guest)
{
	dirtylog_remove_queue(guest->dl, guest->marker);
	dirtylog_destroy(guest->dl);
	free(guest->marker);
	guest_unmap(guest);
}

/* Write to each page. False: the queue is closed. */
static bool
burst(struct guest *guest)
{
	struct dirtylog_bitmap *bitmap = region_bitmap(guest->dl, 0);
	uint64_t at;

	if (!dirtylog_burst_begin(guest->marker))
		return false;
	for (at = 0; at < guest->len; at += PAGE) {
		*(volatile uint8_t *)(guest->ram + at) += 1;
		dirtylog_mark(guest->marker, bitmap, at, 1);
	}
	dirtylog_flush(guest->marker);
	dirtylog_burst_end(guest->marker);
	return true;
}

static struct dirtylog_stats
guest_stats(struct guest *guest)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(guest->dl, &stats);
	return stats;
}

static void
memory_is_taken_away(void **state)
{
	struct room *room = *state;
	struct guest bad, good;
	uint8_t byte;

	guest_open(&bad, "bad", 8 * PAGE);
	guest_open(&good, "good", 8 * PAGE);
	assert_true(burst(&bad) && burst(&good));
	assert_int_equal(bad.ram[5 * PAGE], 1);
	assert_false(dirtylog_memory_lost(bad.dl));

	/* A burst begins, and the half of what it uses goes. */
	assert_int_equal(ftruncate(bad.fd, 4 * PAGE), 0);
	assert_true(burst(&bad));
	assert_int_equal(bad.ram[3 * PAGE], 2);
	assert_int_equal(bad.ram[5 * PAGE], 1);
	assert_int_equal(pread(bad.fd, &byte, 1, 3 * PAGE), 1);
	assert_int_equal(byte, 2);
	assert_int_equal(times_logged(room, "bad: the front-end has truncated"), 0);
	/* Who looks closes the queue. */
	assert_int_equal(guest_stats(&bad).truncated_regions, 1);
	assert_int_equal(
			times_logged(room,
					"bad: the front-end has truncated the memory of its"
					" guest while it is in use: region 0 (GPA 0x0, 32768 bytes), 1 in all"),
			1);
	assert_false(burst(&bad));
	assert_true(dirtylog_stopped(bad.dl));
	assert_true(dirtylog_memory_lost(bad.dl));
	assert_int_equal(dirtylog_open(bad.dl, bad.marker, 0, DIRTYLOG_INDEX_LEN), -EIO);
	assert_int_equal(guest_stats(&bad).truncated_regions, 1);
	assert_int_equal(times_logged(room, "truncated"), 1);
	/* The others go on. */
	assert_true(burst(&good));
	assert_int_equal(good.ram[5 * PAGE], 2);
	assert_false(dirtylog_memory_lost(good.dl));
	assert_int_equal(guest_stats(&good).truncated_regions, 0);

	/* The same table again: nobody maps anything anew for that. */
	assert_int_equal(dirtylog_forget_memory(bad.dl), 0);
	assert_int_equal(guest_set_regions(&bad), 0);
	assert_true(dirtylog_memory_lost(bad.dl));
	assert_int_equal(dirtylog_open(bad.dl, bad.marker, 0, DIRTYLOG_INDEX_LEN), -EIO);
	/* Other memory: all is well. */
	assert_int_equal(dirtylog_forget_memory(bad.dl), 0);
	guest_unmap(&bad);
	guest_map(&bad, 9 * PAGE, 0);
	assert_int_equal(guest_set_regions(&bad), 0);
	assert_false(dirtylog_memory_lost(bad.dl));
	assert_int_equal(dirtylog_open(bad.dl, bad.marker, 0, DIRTYLOG_INDEX_LEN), 0);
	assert_true(burst(&bad));
	/* And it is guarded, too. Found by who opens a queue. */
	assert_int_equal(ftruncate(bad.fd, 0), 0);
	assert_true(burst(&bad));
	dirtylog_close(bad.dl, bad.marker);
	assert_int_equal(dirtylog_open(bad.dl, bad.marker, 0, DIRTYLOG_INDEX_LEN), -EIO);
	assert_int_equal(guest_stats(&bad).truncated_regions, 2);
	/* The next connection begins anew. */
	assert_int_equal(dirtylog_reset(bad.dl), 0);
	assert_false(dirtylog_memory_lost(bad.dl));
	assert_int_equal(dirtylog_open(bad.dl, bad.marker, DIRTYLOG_NO_GPA, 0), 0);
	guest_close(&bad);
	guest_close(&good);
}

/* Each region by itself; ends that are no ends of pages. Two are lost before anybody looks. */
static void
several_regions(void **state)
{
	const uint64_t page = host_page();
	struct room *room = *state;
	struct guest guest;
	struct dirtylog_region regions[] = {
		{ .gpa = 0, .len = 1000 },
		{ .gpa = 4 * page, .len = 2 * page },
		{ .gpa = 8 * page, .len = page },
		{ .gpa = 16 * page, .len = page },
	};
	char told[64];

	guest_open(&guest, "several", 8 * page);
	dirtylog_close(guest.dl, guest.marker);
	regions[0].host = guest.ram + 100;
	regions[1].host = guest.ram + 2 * page + 8;
	regions[2].host = guest.ram + 6 * page;
	assert_int_equal(dirtylog_set_regions(guest.dl, regions, 4), 0);
	memset(guest.ram, 7, 8 * page);
	assert_int_equal(ftruncate(guest.fd, (off_t)(3 * page)), 0);
	assert_int_equal(regions[0].host[999], 7);
	assert_int_equal(guest_stats(&guest).truncated_regions, 0);
	assert_int_equal(regions[1].host[2 * page - 1], 0);
	assert_int_equal(regions[1].host[page - 9], 7);
	regions[2].host[5] = 1;
	assert_int_equal(guest_stats(&guest).truncated_regions, 2);
	snprintf(told, sizeof(told), "region 1 (GPA 0x%" PRIx64 ", %" PRIu64 " bytes), 2 in all",
			regions[1].gpa, regions[1].len);
	assert_int_equal(times_logged(room, told), 1);
	assert_int_equal(regions[0].host[999], 7);
	guest_close(&guest);
}

static void *
poll_queue(void *arg)
{
	struct guest *guest = arg;

	while (!__atomic_load_n(&guest->quit, __ATOMIC_ACQUIRE)) {
		if (burst(guest))
			__atomic_store_n(&guest->bursts, guest->bursts + 1, __ATOMIC_RELEASE);
		sched_yield();
	}
	return NULL;
}

static void
wait_for_bursts(struct guest *guest)
{
	uint64_t bursts = __atomic_load_n(&guest->bursts, __ATOMIC_ACQUIRE);
	unsigned int ms;

	for (ms = 0; __atomic_load_n(&guest->bursts, __ATOMIC_ACQUIRE) < bursts + 3; ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
}

/* Nobody asks: who moves staged marks finds it. */
static void
found_while_it_migrates(void **state)
{
	const struct dirtylog_options staged = { .placement = DIRTYLOG_PLACEMENT_STAGED };
	struct room *room = *state;
	struct frontend_log log;
	struct dirtylog_shm *shm;
	struct guest guests[2];
	unsigned int i, ms;

	assert_int_equal(frontend_log_create(&log, 4096), 0);
	for (i = 0; i < 2; i++) {
		guest_open(&guests[i], i == 0 ? "bad" : "good", 16 * PAGE);
		dirtylog_close(guests[i].dl, guests[i].marker);
		assert_int_equal(dirtylog_reset(guests[i].dl), 0);
		assert_int_equal(dirtylog_configure(guests[i].dl, &staged), 0);
		assert_int_equal(guest_set_regions(&guests[i]), 0);
		assert_int_equal(dirtylog_set_logging(guests[i].dl, true), 0);
		assert_int_equal(dirtylog_shm_map(log.fd, 0, log.len, &shm), 0);
		assert_int_equal(dirtylog_set_log(guests[i].dl, shm), 0);
		dirtylog_shm_unref(shm);
		assert_int_equal(dirtylog_open(guests[i].dl, guests[i].marker, 0,
						 DIRTYLOG_INDEX_LEN),
				0);
		assert_int_equal(pthread_create(&guests[i].thread, NULL, poll_queue, &guests[i]),
				0);
	}
	wait_for_bursts(&guests[0]);
	assert_int_equal(ftruncate(guests[0].fd, 0), 0);
	for (ms = 0; !dirtylog_stopped(guests[0].dl); ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
	wait_for_bursts(&guests[1]);
	/* No mark is missing, of what there was to mark. */
	assert_true(frontend_log_is_exactly(&log, 0, 16));
	for (i = 0; i < 2; i++) {
		__atomic_store_n(&guests[i].quit, true, __ATOMIC_RELEASE);
		pthread_join(guests[i].thread, NULL);
		assert_int_equal(guest_stats(&guests[i]).truncated_regions, i == 0 ? 1 : 0);
		guest_close(&guests[i]);
	}
	assert_int_equal(times_logged(room, "truncated"), 1);
	frontend_log_destroy(&log);
}

/* Nobody says how large the pages are. */
static void
huge_pages(void **state)
{
	struct room *room = *state;
	struct guest guest;
	void *all;
	int fd = memfd_create("probe", MFD_CLOEXEC | MFD_HUGETLB | (21 << MAP_HUGE_SHIFT));

	if (fd >= 0 && ftruncate(fd, 4 * HUGE) == 0)
		all = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	else
		all = MAP_FAILED;
	close(fd);
	if (all == MAP_FAILED) {
		print_message("no four free huge pages of 2 MiB on this machine\n");
		skip();
	}
	munmap(all, 4 * HUGE);
	guest_open(&guest, "huge", PAGE);
	dirtylog_close(guest.dl, guest.marker);
	guest_unmap(&guest);
	guest_map(&guest, 4 * HUGE, MFD_HUGETLB | (21 << MAP_HUGE_SHIFT));
	memset(guest.ram, 7, guest.len);
	/* It ends, and begins, within a page. */
	guest.ram += 3 * PAGE;
	guest.len -= 5 * PAGE;
	assert_int_equal(guest_set_regions(&guest), 0);
	assert_int_equal(ftruncate(guest.fd, 2 * HUGE), 0);
	guest.ram[2 * HUGE + 5] = 1;
	guest.ram[guest.len - 1] = 1;
	assert_int_equal(guest.ram[2 * HUGE], 0);
	assert_int_equal(guest.ram[0], 7);
	assert_int_equal(guest_stats(&guest).truncated_regions, 1);
	assert_int_equal(times_logged(room, "huge: the front-end"), 1);
	assert_int_equal(ftruncate(guest.fd, 0), 0);
	guest.ram[0] = 1;
	guest.ram -= 3 * PAGE;
	guest.len += 5 * PAGE;
	guest_close(&guest);
}

/* In a child: memory that was unmapped faults elsewhere, and that is not our affair. */
static void
unmapped(void (*forget)(struct guest *guest))
{
	struct guest guest;
	uint8_t *at;

	alarm(20);
	guest_open(&guest, "unmapped", 4 * PAGE);
	dirtylog_close(guest.dl, guest.marker);
	forget(&guest);
	at = mmap(guest.ram, guest.len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, guest.fd,
			0);
	if (at != guest.ram || ftruncate(guest.fd, 0) < 0)
		_exit(1);
	*(volatile uint8_t *)at = 1;
	_exit(2);
}

static void
by_forgetting(struct guest *guest)
{
	if (dirtylog_forget_memory(guest->dl) < 0 || dirtylog_forget_memory(guest->dl) < 0)
		_exit(3);
}

static void
by_reset(struct guest *guest)
{
	dirtylog_reset(guest->dl);
}

static void
by_another_table(struct guest *guest)
{
	dirtylog_set_regions(guest->dl, NULL, 0);
}

static void
by_destruction(struct guest *guest)
{
	dirtylog_remove_queue(guest->dl, guest->marker);
	dirtylog_destroy(guest->dl);
}

static void
unmapped_memory_is_left_alone(void **state)
{
	static void (*const ways[])(struct guest * guest) = { by_forgetting, by_reset,
		by_another_table, by_destruction };
	unsigned int i;
	int status;
	pid_t pid;

	(void)state;
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			signal(SIGBUS, SIG_DFL);
			unmapped(ways[i]);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
	}
}

int
main(int argc, char **argv)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_ROOM(no_more_than_the_machine_has),
		IN_ROOM(no_more_than_it_may),
		IN_ROOM(as_much_as_it_may),
		IN_ROOM(memory_is_taken_away),
		IN_ROOM(several_regions),
		IN_ROOM(found_while_it_migrates),
		IN_ROOM(huge_pages),
		IN_ROOM(unmapped_memory_is_left_alone),
	};

	return run_test_program(argc, argv, "guest_memory", tests, NULL, NULL);
}
