/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows on a machine with two NUMA nodes where bitmaps are and where marks go,
 * as move_pages(2) tells: staging is on the node of its region's memory, in
 * normal and in huge pages, range by range where the region is on both; a log
 * on the wrong node is moved, or, where it may not be, not used directly.
 * run_in_guest.py gives it such a machine; elsewhere all of it is skipped.
 */

#include <errno.h>
#include <linux/capability.h>
#include <linux/memfd.h>
#include <numa.h>
#include <numaif.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include <cmocka.h>

#include "bitmap.h"
#include "dirtylog.h"
#include "frontend_log.h"
#include "host_page.h"
#include "region_bitmap.h"
#include "shm.h"
#include "test_program.h"

#define MIB (UINT64_C(1) << 20)
#define HUGE_PAGE (2 * MIB)
#define GPA \
	(host_page() * 8 * DIRTYLOG_PAGE_SIZE) /* the log's part of the region is its second page */
#define SMALL (64 * MIB)
/* Its staging bitmap is 128 KiB: worth a huge page, or 32 normal ones. */
#define LARGE (4096 * MIB)
#define FILE_MAX (32 * MIB) /* of memory behind half a region */
#define LIMIT_MS 5000

/* Never drained by itself, so that what is in the log went there directly. */
#define NEVER_US 4000000000u
/* Regions are larger than this guest: hardly a page of them is there. */
#define PROMISED (UINT64_C(1) << 44)

static const struct dirtylog_options automatic = { DIRTYLOG_PLACEMENT_AUTO, NEVER_US, PROMISED },
				     automatic_soon = { DIRTYLOG_PLACEMENT_AUTO, 0, PROMISED },
				     staged = { DIRTYLOG_PLACEMENT_STAGED, NEVER_US, PROMISED },
				     direct = { DIRTYLOG_PLACEMENT_DIRECT, NEVER_US, PROMISED };

struct room {
	struct dirtylog *dl;
	struct dirtylog_marker marker;
	void *map_addr;
	size_t map_len;
	char *memory; /* in it, aligned to a huge page */
	struct frontend_log log;
};

static int
node_of_page(void *page)
{
	int status = -1;

	assert_int_equal(move_pages(0, 1, &page, NULL, &status, 0), 0);
	return status;
}

/* Each page of a range that is there, and one at least, is on a node. */
static void
assert_on_node(const void *addr, uint64_t len, int node)
{
	uintptr_t at = (uintptr_t)addr / 4096 * 4096;

	for (; at < (uintptr_t)addr + len; at += 4096)
		assert_int_equal(node_of_page((void *)at), node);
}

/* Guest memory as the front-end makes it: a file, all of it there, on a node. */
static int
guest_file(uint64_t len, bool huge, int node)
{
	int fd = memfd_create("guest", MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	unsigned long mask = 1UL << node;
	char *memory;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mbind(memory, len, MPOL_BIND, &mask, sizeof(mask) * 8, 0), 0);
	memset(memory, 1, len);
	assert_on_node(memory, len, node);
	munmap(memory, len);
	return fd;
}

/*
 * A region as a back-end sees it: mapped just now, nothing of it touched. Its
 * first half is on one node, the second on another. To be large without that
 * much memory it maps the files of its halves again and again.
 */
static void
map_guest(struct room *room, uint64_t len, bool huge, const int nodes[2])
{
	uint64_t file_len = RTE_MIN(len / 2, FILE_MAX);
	uint64_t at, half;
	char *window;

	room->map_len = len + HUGE_PAGE;
	room->map_addr = mmap(NULL, room->map_len, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(room->map_addr, MAP_FAILED);
	room->memory = (char *)RTE_ALIGN((uintptr_t)room->map_addr, HUGE_PAGE);
	for (half = 0; half < 2; half++) {
		int fd = guest_file(file_len, huge, nodes[half]);

		for (at = 0; at < len / 2; at += file_len) {
			window = room->memory + half * (len / 2) + at;
			assert_ptr_equal(mmap(window, file_len, PROT_READ | PROT_WRITE,
							 MAP_SHARED | MAP_FIXED, fd, 0),
					window);
		}
		close(fd);
	}
}

/* A log that the front-end has mapped and touched on a node. */
static void
log_on(struct frontend_log *log, uint64_t len, int node)
{
	unsigned long mask = 1UL << node;
	uint64_t i;

	assert_int_equal(set_mempolicy(MPOL_BIND, &mask, sizeof(mask) * 8), 0);
	assert_int_equal(frontend_log_create(log, len), 0);
	for (i = 0; i < log->len; i += 4096)
		log->bytes[i] = 0;
	assert_int_equal(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	assert_on_node(log->bytes, log->len, node);
}

/* The same in huge pages: the log at the start of one. */
static void
huge_log_on(struct frontend_log *log, uint64_t len, int node)
{
	unsigned long mask = 1UL << node;

	log->len = len;
	log->map_len = HUGE_PAGE;
	log->fd = memfd_create("frontend-log", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	assert_true(log->fd >= 0);
	assert_int_equal(ftruncate(log->fd, HUGE_PAGE), 0);
	assert_int_equal(set_mempolicy(MPOL_BIND, &mask, sizeof(mask) * 8), 0);
	log->bytes = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	assert_ptr_not_equal(log->bytes, MAP_FAILED);
	memset(log->bytes, 0, HUGE_PAGE);
	assert_int_equal(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	assert_int_equal(node_of_page(log->bytes), node);
}

/*
 * A device with one region, which is on the nodes, and one open queue; logging,
 * without a log. Without such nodes the test is skipped.
 */
static struct room *
room_open(const struct dirtylog_options *options, uint64_t len, bool huge, int first_node,
		int second_node)
{
	const int nodes[2] = { first_node, second_node };
	struct dirtylog_region region = { .gpa = GPA, .len = len };
	struct room *room;

	if (numa_available() < 0 || numa_num_configured_nodes() < 2)
		skip();
	room = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*room));
	assert_non_null(room);
	memset(&room->marker, 0, sizeof(room->marker));
	map_guest(room, len, huge, nodes);
	room->log.bytes = NULL;
	region.host = (uint8_t *)room->memory;
	assert_int_equal(dirtylog_create("numa", &room->dl), 0);
	assert_int_equal(dirtylog_configure(room->dl, options), 0);
	dirtylog_add_queue(room->dl, &room->marker);
	assert_int_equal(dirtylog_set_regions(room->dl, &region, 1), 0);
	assert_int_equal(dirtylog_open(room->dl, &room->marker, DIRTYLOG_NO_GPA, 0), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
	return room;
}

static void
room_close(struct room *room)
{
	dirtylog_remove_queue(room->dl, &room->marker);
	dirtylog_destroy(room->dl);
	munmap(room->map_addr, room->map_len);
	if (room->log.bytes != NULL)
		frontend_log_destroy(&room->log);
	free(room);
}

static uint64_t
log_len(uint64_t len)
{
	return (GPA + len) / DIRTYLOG_PAGE_SIZE / 8;
}

static void
give_log(struct room *room)
{
	struct dirtylog_shm *shm;

	assert_int_equal(dirtylog_shm_map(room->log.fd, 0, room->log.len, &shm), 0);
	assert_int_equal(dirtylog_set_log(room->dl, shm), 0);
	dirtylog_shm_unref(shm);
}

static const struct dirtylog_view *
view_of(struct room *room)
{
	return region_bitmap(room->dl, 0)->view;
}

static void
assert_goes_direct(struct room *room, bool yes)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(room->dl, &stats);
	assert_int_equal(stats.regions_direct, yes);
	assert_int_equal(stats.regions_staged, !yes);
}

/* A burst marks the region's first page. */
static void
mark_first_page(struct room *room)
{
	assert_true(dirtylog_burst_begin(&room->marker));
	dirtylog_mark(&room->marker, region_bitmap(room->dl, 0), 0, 1);
	dirtylog_burst_end(&room->marker);
}

static bool
first_page_is_in_log(const struct room *room)
{
	return frontend_log_test(&room->log, GPA / DIRTYLOG_PAGE_SIZE);
}

static bool
first_page_gets_into_log(const struct room *room)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned int ms;

	for (ms = 0; ms < LIMIT_MS && !first_page_is_in_log(room); ms++)
		nanosleep(&pause, NULL);
	return first_page_is_in_log(room);
}

/* Whether this thread may move pages that others have mapped too. */
static void
allow_moving(bool allowed)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	uint32_t bit = 1U << CAP_SYS_NICE;

	assert_int_equal(syscall(SYS_capget, &header, data), 0);
	data[0].effective = allowed ? data[0].effective | bit : data[0].effective & ~bit;
	assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static void
staging_is_on_the_regions_node(void **state)
{
	int node;

	(void)state;
	for (node = 0; node < 2; node++) {
		struct room *room = room_open(&staged, SMALL, false, node, node);

		assert_on_node(view_of(room)->words, dirtylog_view_shm(view_of(room))->len, node);
		room_close(room);
	}
}

static void
staging_in_a_huge_page_is_on_the_regions_node(void **state)
{
	int node;

	(void)state;
	for (node = 0; node < 2; node++) {
		struct room *room = room_open(&staged, LARGE, false, node, node);

		assert_int_equal(dirtylog_view_shm(view_of(room))->page_size, HUGE_PAGE);
		assert_on_node(view_of(room)->words, dirtylog_view_shm(view_of(room))->len, node);
		room_close(room);
	}
}

/* Guest memory in huge pages, as DPDK's guests have it. */
static void
staging_for_huge_guest_memory_is_on_its_node(void **state)
{
	int node;

	(void)state;
	for (node = 0; node < 2; node++) {
		struct room *room = room_open(&staged, SMALL, true, node, node);

		assert_on_node(view_of(room)->words, dirtylog_view_shm(view_of(room))->len, node);
		room_close(room);
	}
}

static void
staging_of_a_region_on_both_nodes_is_on_both(void **state)
{
	struct room *room = room_open(&staged, LARGE, false, 1, 0);
	uint64_t half = LARGE / DIRTYLOG_PAGE_SIZE / 8 / 2;

	(void)state;
	assert_on_node(view_of(room)->words, half, 1);
	assert_on_node((char *)view_of(room)->words + half, half, 0);
	room_close(room);
}

/* A log of the region's node is used directly, whoever we are. */
static void
log_on_the_right_node_is_used_directly(void **state)
{
	struct room *room = room_open(&automatic, SMALL, false, 1, 1);

	(void)state;
	log_on(&room->log, log_len(SMALL), 1);
	allow_moving(false);
	give_log(room);
	allow_moving(true);
	assert_goes_direct(room, true);
	mark_first_page(room);
	assert_true(first_page_is_in_log(room));
	room_close(room);
}

static void
log_on_the_wrong_node_is_moved(void **state)
{
	int node;

	(void)state;
	for (node = 0; node < 2; node++) {
		struct room *room = room_open(&automatic, SMALL, false, node, node);

		log_on(&room->log, log_len(SMALL), !node);
		give_log(room);
		assert_goes_direct(room, true);
		/* The region's part, as the front-end sees it; the rest stays. */
		assert_int_equal(node_of_page(room->log.bytes), !node);
		assert_int_equal(node_of_page(room->log.bytes + host_page()), node);
		mark_first_page(room);
		assert_true(first_page_is_in_log(room));
		room_close(room);
	}
}

static void
huge_log_on_the_wrong_node_is_moved(void **state)
{
	struct room *room = room_open(&automatic, SMALL, false, 0, 0);

	(void)state;
	huge_log_on(&room->log, log_len(SMALL), 1);
	give_log(room);
	assert_goes_direct(room, true);
	assert_int_equal(node_of_page(room->log.bytes), 0);
	mark_first_page(room);
	assert_true(first_page_is_in_log(room));
	room_close(room);
}

/* Without CAP_SYS_NICE: marks are staged, near, and in the log soon after. */
static void
log_that_may_not_be_moved_is_staged_for(void **state)
{
	struct room *room = room_open(&automatic_soon, SMALL, false, 0, 0);

	(void)state;
	log_on(&room->log, log_len(SMALL), 1);
	allow_moving(false);
	give_log(room);
	allow_moving(true);
	assert_goes_direct(room, false);
	assert_on_node(room->log.bytes, room->log.len, 1);
	assert_on_node(view_of(room)->words, dirtylog_view_shm(view_of(room))->len, 0);
	mark_first_page(room);
	assert_true(first_page_gets_into_log(room));
	room_close(room);
}

/* No place is near to all of it. */
static void
region_on_both_nodes_is_staged_for(void **state)
{
	struct room *room = room_open(&automatic_soon, LARGE, false, 0, 1);

	(void)state;
	log_on(&room->log, log_len(LARGE), 0);
	give_log(room);
	assert_goes_direct(room, false);
	assert_on_node(room->log.bytes, room->log.len, 0);
	mark_first_page(room);
	assert_true(first_page_gets_into_log(room));
	room_close(room);
}

/* Who asks for a direct log gets it where it is. */
static void
direct_moves_nothing(void **state)
{
	struct room *room = room_open(&direct, SMALL, false, 0, 0);

	(void)state;
	log_on(&room->log, log_len(SMALL), 1);
	give_log(room);
	assert_goes_direct(room, true);
	assert_on_node(room->log.bytes, room->log.len, 1);
	mark_first_page(room);
	assert_true(first_page_is_in_log(room));
	room_close(room);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(staging_is_on_the_regions_node),
		cmocka_unit_test(staging_in_a_huge_page_is_on_the_regions_node),
		cmocka_unit_test(staging_for_huge_guest_memory_is_on_its_node),
		cmocka_unit_test(staging_of_a_region_on_both_nodes_is_on_both),
		cmocka_unit_test(log_on_the_right_node_is_used_directly),
		cmocka_unit_test(log_on_the_wrong_node_is_moved),
		cmocka_unit_test(huge_log_on_the_wrong_node_is_moved),
		cmocka_unit_test(log_that_may_not_be_moved_is_staged_for),
		cmocka_unit_test(region_on_both_nodes_is_staged_for),
		cmocka_unit_test(direct_moves_nothing),
	};

	return run_test_program(argc, argv, "numa_placement", tests, NULL, NULL);
}
