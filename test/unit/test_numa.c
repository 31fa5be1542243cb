/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what becomes of marks on a machine with two NUMA nodes, which this
 * test plays: the functions of libnuma are its own (linked with --wrap). Guest
 * memory is addresses that it knows the node of; all else that is mapped, such
 * as a log, is on node 0 until it is moved. test/numa shows the same with a real
 * kernel.
 */

#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dirtylog.h"
#include "frontend_log.h"
#include "host_page.h"
#include "numa_node.h"
#include "shm.h"
#include "test_program.h"

#define PAGE host_page()
#define LOG_PAGE_SPAN (PAGE * 8 * DIRTYLOG_PAGE_SIZE) /* of guest memory, for one page of log */
#define NB_RANGES 3
#define NB_MOVED 64
#define NB_PREFERRED 64

/* The machine. */
static struct {
	bool silent;  /* move_pages(2) is not allowed at all */
	bool movable; /* with CAP_SYS_NICE */
	struct {
		uintptr_t addr;
		uint64_t len;
		int node;
	} guest[NB_RANGES];
	/* Pages that were moved, in order. */
	unsigned int nb_moved;
	struct {
		uintptr_t addr;
		int node;
	} moved[NB_MOVED];
	/* Calls of mbind(2). */
	unsigned int nb_preferred;
	struct {
		uintptr_t addr;
		uint64_t len;
		int mode;
		unsigned long nodes;
	} preferred[NB_PREFERRED];
	unsigned int questions;
} machine;

int __wrap_numa_available(void);
int __wrap_numa_num_configured_nodes(void);
long __wrap_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status,
		int flags);
long __wrap_mbind(void *addr, unsigned long len, int mode, const unsigned long *mask,
		unsigned long maxnode, unsigned int flags);

int
__wrap_numa_available(void)
{
	return 0;
}

int
__wrap_numa_num_configured_nodes(void)
{
	return 2;
}

static int
node_of(uintptr_t page)
{
	unsigned char resident;
	unsigned int i;

	for (i = 0; i < NB_RANGES; i++)
		if (page - machine.guest[i].addr < machine.guest[i].len)
			return machine.guest[i].node;
	for (i = 0; i < machine.nb_moved; i++)
		if (machine.moved[i].addr == page)
			return machine.moved[i].node;
	return mincore((void *)page, PAGE, &resident) < 0 ? -EFAULT : 0;
}

long
__wrap_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status,
		int flags)
{
	unsigned long i;

	assert_int_equal(pid, 0);
	machine.questions++;
	if (machine.silent) {
		errno = ENOSYS;
		return -1;
	}
	if (nodes != NULL && (flags & MPOL_MF_MOVE_ALL) != 0 && !machine.movable) {
		errno = EPERM;
		return -1;
	}
	for (i = 0; i < count; i++) {
		uintptr_t page = (uintptr_t)pages[i];

		assert_int_equal(page % PAGE, 0);
		status[i] = node_of(page);
		if (nodes == NULL || status[i] < 0 || status[i] == nodes[i])
			continue;
		assert_true(machine.nb_moved < NB_MOVED);
		machine.moved[machine.nb_moved].addr = page;
		machine.moved[machine.nb_moved].node = nodes[i];
		machine.nb_moved++;
		status[i] = nodes[i];
	}
	return 0;
}

long
__wrap_mbind(void *addr, unsigned long len, int mode, const unsigned long *mask,
		unsigned long maxnode, unsigned int flags)
{
	(void)maxnode;
	(void)flags;
	assert_true(machine.nb_preferred < NB_PREFERRED);
	machine.preferred[machine.nb_preferred].addr = (uintptr_t)addr;
	machine.preferred[machine.nb_preferred].len = len;
	machine.preferred[machine.nb_preferred].mode = mode;
	machine.preferred[machine.nb_preferred].nodes = mask[0];
	machine.nb_preferred++;
	return 0;
}

/* ---- the test's side ---- */

/* Guest memory at an address that nothing is mapped at. */
static void *
guest_memory(unsigned int range, uint64_t at, uint64_t len, int node)
{
	machine.guest[range].addr = UINT64_C(0x200000000000) + at;
	machine.guest[range].len = len;
	machine.guest[range].node = node;
	return (void *)machine.guest[range].addr;
}

struct room {
	struct dirtylog *dl;
	struct frontend_log log;
	struct dirtylog_shm *shm;
};

/* A device that logs, with one region and a log that just covers it. */
static void
room_open(struct room *room, enum dirtylog_placement placement, uint64_t gpa, uint64_t len,
		void *host)
{
	const struct dirtylog_options options = { .placement = placement };
	const struct dirtylog_region region = { .gpa = gpa, .len = len, .host = host };

	assert_int_equal(dirtylog_create("unit", &room->dl), 0);
	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, &region, 1), 0);
	assert_int_equal(frontend_log_create(&room->log,
					 (gpa + len - 1) / DIRTYLOG_PAGE_SIZE / 8 + 1),
			0);
	assert_int_equal(dirtylog_shm_map(room->log.fd, 0, room->log.len, &room->shm), 0);
	assert_int_equal(dirtylog_set_log(room->dl, room->shm), 0);
	assert_int_equal(dirtylog_set_logging(room->dl, true), 0);
}

static bool
is_direct(struct room *room)
{
	struct dirtylog_stats stats;

	dirtylog_get_stats(room->dl, &stats);
	assert_int_equal(stats.regions_direct + stats.regions_staged, 1);
	return stats.regions_direct == 1;
}

static void
room_close(struct room *room)
{
	dirtylog_destroy(room->dl);
	dirtylog_shm_unref(room->shm);
	frontend_log_destroy(&room->log);
	memset(&machine, 0, sizeof(machine));
}

/* Where it should be already. */
static void
log_on_the_node(void **state)
{
	void *host = guest_memory(0, 0, 2 * LOG_PAGE_SPAN, 0);
	struct room room;

	(void)state;
	/* Exactly two pages of log: there is none behind. */
	room_open(&room, DIRTYLOG_PLACEMENT_AUTO, 0, 2 * LOG_PAGE_SPAN, host);
	assert_true(is_direct(&room));
	assert_int_equal(machine.nb_moved, 0);
	assert_int_equal(machine.nb_preferred, 0);
	room_close(&room);
}

static void
log_is_moved(void **state)
{
	void *host = guest_memory(0, 0, 2 * LOG_PAGE_SPAN, 1);
	struct room room;

	(void)state;
	machine.movable = true;
	/* The third and fourth page of the log are the region's, the others not. */
	room_open(&room, DIRTYLOG_PLACEMENT_AUTO, 2 * LOG_PAGE_SPAN, 2 * LOG_PAGE_SPAN, host);
	assert_true(is_direct(&room));
	assert_int_equal(machine.nb_moved, 2);
	assert_int_equal(machine.moved[0].addr, (uintptr_t)room.shm->addr + 2 * PAGE);
	assert_int_equal(machine.moved[0].node, 1);
	assert_int_equal(machine.moved[1].addr, (uintptr_t)room.shm->addr + 3 * PAGE);
	/* There now: the same log again moves nothing. */
	assert_int_equal(dirtylog_set_log(room.dl, room.shm), 0);
	room_close(&room);
}

/* Without the right to: staged, next to the region. */
static void
log_cannot_be_moved(void **state)
{
	void *host = guest_memory(0, 0, LOG_PAGE_SPAN, 1);
	struct room room;
	unsigned int i;

	(void)state;
	room_open(&room, DIRTYLOG_PLACEMENT_AUTO, 0, LOG_PAGE_SPAN, host);
	assert_false(is_direct(&room));
	assert_int_equal(machine.nb_moved, 0);
	assert_true(machine.nb_preferred > 0);
	for (i = 0; i < machine.nb_preferred; i++) {
		assert_int_equal(machine.preferred[i].mode, MPOL_PREFERRED);
		assert_int_equal(machine.preferred[i].nodes, 1 << 1);
	}
	room_close(&room);
}

/* Page range by page range, also where a region begins within one. */
static void
region_on_two_nodes(void **state)
{
	const uint64_t gpas[] = { 0, LOG_PAGE_SPAN, 5 * PAGE };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(gpas) / sizeof(gpas[0]); i++) {
		/* The first log page's worth on node 1, the rest on node 0. */
		uint64_t skipped = gpas[i] % DIRTYLOG_WORD_SPAN;
		void *host = guest_memory(0, 0, LOG_PAGE_SPAN - skipped, 1);
		struct room room;

		guest_memory(1, LOG_PAGE_SPAN - skipped, 2 * LOG_PAGE_SPAN, 0);
		machine.movable = true;
		room_open(&room, DIRTYLOG_PLACEMENT_AUTO, gpas[i], 3 * LOG_PAGE_SPAN - skipped,
				host);
		assert_false(is_direct(&room));
		assert_int_equal(machine.nb_moved, 0);
		assert_int_equal(machine.nb_preferred, 3);
		assert_int_equal(machine.preferred[0].nodes, 1 << 1);
		assert_int_equal(machine.preferred[1].nodes, 1 << 0);
		assert_int_equal(machine.preferred[2].nodes, 1 << 0);
		assert_int_equal(machine.preferred[1].addr, machine.preferred[0].addr + PAGE);
		assert_int_equal(machine.preferred[2].addr, machine.preferred[1].addr + PAGE);
		assert_int_equal(machine.preferred[0].len, PAGE);
		room_close(&room);
	}
}

/* Who says where does not get another answer. */
static void
told_where(void **state)
{
	void *host = guest_memory(0, 0, LOG_PAGE_SPAN, 1);
	struct room room;

	(void)state;
	machine.movable = true;
	room_open(&room, DIRTYLOG_PLACEMENT_DIRECT, 0, LOG_PAGE_SPAN, host);
	assert_true(is_direct(&room));
	assert_int_equal(machine.questions, 0);
	room_close(&room);
	host = guest_memory(0, 0, LOG_PAGE_SPAN, 0);
	room_open(&room, DIRTYLOG_PLACEMENT_STAGED, 0, LOG_PAGE_SPAN, host);
	assert_false(is_direct(&room));
	assert_int_equal(machine.nb_moved, 0);
	assert_int_equal(machine.preferred[0].nodes, 1 << 0);
	room_close(&room);
}

/* Nobody knows: it works, direct. */
static void
nobody_knows(void **state)
{
	struct room room;

	(void)state;
	room_open(&room, DIRTYLOG_PLACEMENT_AUTO, 0, LOG_PAGE_SPAN, NULL);
	assert_true(is_direct(&room));
	room_close(&room);
	machine.silent = true;
	room_open(&room, DIRTYLOG_PLACEMENT_AUTO, 0, LOG_PAGE_SPAN,
			guest_memory(0, 0, LOG_PAGE_SPAN, 1));
	assert_true(is_direct(&room));
	room_close(&room);
	machine.silent = true;
	room_open(&room, DIRTYLOG_PLACEMENT_STAGED, 0, LOG_PAGE_SPAN,
			guest_memory(0, 0, LOG_PAGE_SPAN, 1));
	assert_false(is_direct(&room));
	room_close(&room);
}

/* The questions themselves: most pages win, absent ones do not count. */
static void
nodes_of_ranges(void **state)
{
	char *host = guest_memory(0, 0, 64 * PAGE, 1);

	(void)state;
	guest_memory(1, 64 * PAGE, 64 * PAGE, 0);
	assert_true(dirtylog_numa_present());
	assert_int_equal(dirtylog_numa_node_of(host, 1), 1);
	assert_int_equal(dirtylog_numa_node_of(host, 64 * PAGE), 1);
	assert_int_equal(dirtylog_numa_node_of(host + 64 * PAGE - 1, 1), 1);
	assert_int_equal(dirtylog_numa_node_of(host + 64 * PAGE, 1), 0);
	assert_int_equal(dirtylog_numa_node_of(host + 60 * PAGE, 64 * PAGE), 0);
	assert_int_equal(dirtylog_numa_node_of(host + 4 * PAGE, 64 * PAGE), 1);
	assert_int_equal(dirtylog_numa_node_of(NULL, 64 * PAGE), DIRTYLOG_NODE_UNKNOWN);
	/* Nothing there. */
	assert_int_equal(dirtylog_numa_node_of(host + 1000 * PAGE, 64 * PAGE),
			DIRTYLOG_NODE_UNKNOWN);
	assert_false(dirtylog_numa_spans_nodes(host, 64 * PAGE));
	assert_true(dirtylog_numa_spans_nodes(host, 65 * PAGE));
	assert_true(dirtylog_numa_spans_nodes(host, 128 * PAGE));
	assert_false(dirtylog_numa_spans_nodes(host + 64 * PAGE, 1000 * PAGE));
	assert_false(dirtylog_numa_spans_nodes(NULL, PAGE));
	memset(&machine, 0, sizeof(machine));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_on_the_node),
		cmocka_unit_test(log_is_moved),
		cmocka_unit_test(log_cannot_be_moved),
		cmocka_unit_test(region_on_two_nodes),
		cmocka_unit_test(told_where),
		cmocka_unit_test(nobody_knows),
		cmocka_unit_test(nodes_of_ranges),
	};

	return run_test_program(argc, argv, "numa", tests, NULL, NULL);
}
