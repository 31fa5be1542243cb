/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Asking the driver of a packed ring for kicks, and the address to monitor:
 * what is written where, that it is marked, and that what is there already
 * keeps a sleeper awake.
 */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rte_power_intrinsics.h>

#include <cmocka.h>

#include "dirtylog.h"
#include "datapath/rx_wakeup.h"
#include "datapath/notify.h"
#include "frontend_log.h"
#include "rig/program.h"

#define PAGE UINT64_C(4096)
#define GPA UINT64_C(0x10000)
#define SIZE 5 /* no power of two */
#define WRAP 0x8000U
#define AVAIL 0x80U
#define USED 0x8000U

/* One page for the descriptors, one for each event area. */
struct bench {
	struct dirtylog *dl;
	struct vnet_queue *queue;
	struct vnet_rx_wakeup wakeup;
	const struct dirtylog_memory *mem;
	uint8_t *ram;
	struct frontend_log log;
};

static void
set_up(struct bench *bench, bool event_idx)
{
	struct dirtylog_region region = { .gpa = GPA, .len = 3 * PAGE };
	struct vnet_queue *queue;
	struct dirtylog_shm *shm;

	bench->ram = aligned_alloc(PAGE, 3 * PAGE);
	bench->queue = queue = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*queue));
	assert_true(bench->ram != NULL && queue != NULL);
	region.host = bench->ram;
	memset(bench->ram, 0, 3 * PAGE);
	memset(queue, 0, sizeof(*queue));
	assert_int_equal(dirtylog_create("bench", &bench->dl), 0);
	dirtylog_add_queue(bench->dl, &queue->marker);
	assert_int_equal(dirtylog_set_regions(bench->dl, &region, 1), 0);
	assert_int_equal(frontend_log_create(&bench->log, 8), 0);
	assert_int_equal(dirtylog_shm_map(bench->log.fd, 0, bench->log.len, &shm), 0);
	assert_int_equal(dirtylog_set_log(bench->dl, shm), 0);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_set_logging(bench->dl, true), 0);

	bench->mem = dirtylog_memory(bench->dl);
	assert_non_null(bench->mem);
	vnet_rx_wakeup_init(&bench->wakeup);
	assert_int_equal(vnet_rx_wakeup_open(&bench->wakeup), 0);
	queue->packed = true;
	queue->event_idx = event_idx;
	queue->size = SIZE;
	queue->mem = bench->mem;
	queue->wakeup = &bench->wakeup;
	queue->packed_desc = (void *)bench->ram;
	queue->driver_event = (void *)(bench->ram + PAGE);
	queue->device_event = (void *)(bench->ram + 2 * PAGE);
	queue->event[0].bitmap = bench->mem->regions[0].bitmap;
	queue->event[0].offset = 2 * PAGE;
	queue->next_avail = queue->next_used = WRAP;
	assert_int_equal(dirtylog_open(bench->dl, &queue->marker, GPA,
					 SIZE * sizeof(struct vring_packed_desc)),
			0);
	frontend_log_clear(&bench->log);
}

static void
tear_down(struct bench *bench)
{
	assert_true(frontend_log_canary_alive(&bench->log));
	dirtylog_remove_queue(bench->dl, &bench->queue->marker);
	dirtylog_destroy(bench->dl);
	vnet_rx_wakeup_close(&bench->wakeup);
	frontend_log_destroy(&bench->log);
	free(bench->queue);
	free(bench->ram);
}

static bool
rings(const struct bench *bench)
{
	struct pollfd wait = { .fd = bench->wakeup.epoll_fd, .events = POLLIN };

	return poll(&wait, 1, 0) == 1;
}

/* What was asked, and that the event area's page is marked, no other. */
static void
asked(struct bench *bench, bool on, uint16_t flags, uint16_t place)
{
	const struct vring_packed_desc_event *event = bench->queue->device_event;

	assert_int_equal(frontend_log_count(&bench->log), 0);
	assert_int_equal(vnet_notify_enable_kicks(bench->queue, on), 0);
	assert_int_equal(event->flags, flags);
	if (flags == VRING_PACKED_EVENT_FLAG_DESC)
		assert_int_equal(event->off_wrap, place);
	assert_true(frontend_log_is_exactly(&bench->log, GPA / PAGE + 2, 1));
	frontend_log_clear(&bench->log);
}

static void
asking_is_marked(void **state)
{
	struct bench bench;

	(void)state;
	set_up(&bench, false);
	asked(&bench, true, VRING_PACKED_EVENT_FLAG_ENABLE, 0);
	asked(&bench, false, VRING_PACKED_EVENT_FLAG_DISABLE, 0);
	tear_down(&bench);
	set_up(&bench, true);
	asked(&bench, true, VRING_PACKED_EVENT_FLAG_DESC, WRAP);
	asked(&bench, false, VRING_PACKED_EVENT_FLAG_DISABLE, 0);
	bench.queue->next_avail = bench.queue->next_used = 3;
	asked(&bench, true, VRING_PACKED_EVENT_FLAG_DESC, 3);
	tear_down(&bench);
}

/* The guest makes the descriptor at a place available, in that place's round. */
static void
offer(struct bench *bench, uint16_t place)
{
	bench->queue->packed_desc[place & ~WRAP].flags = place & WRAP ? AVAIL : USED;
}

static int
look(const struct rte_power_monitor_cond *cond)
{
	assert_int_equal(cond->size, sizeof(uint16_t));
	return cond->fn(*(const volatile uint16_t *)cond->addr, cond->opaque);
}

/* Two rounds through the ring, one buffer at a time. */
static void
what_is_there_is_seen(void **state)
{
	struct rte_power_monitor_cond cond;
	struct bench bench;
	uint16_t place = WRAP;
	unsigned int i;

	(void)state;
	set_up(&bench, true);
	for (i = 0; i < 2 * SIZE + 1; i++) {
		bench.queue->next_avail = bench.queue->next_used = place;
		assert_int_equal(vnet_notify_waiting(bench.queue), 0);
		assert_int_equal(vnet_notify_monitor(bench.queue, &cond), 0);
		assert_int_equal(look(&cond), 0);
		assert_int_equal(vnet_notify_enable_kicks(bench.queue, true), 0);
		assert_false(rings(&bench));
		offer(&bench, place);
		assert_int_equal(look(&cond), -1);
		assert_int_equal(vnet_notify_waiting(bench.queue), 1);
		assert_int_equal(vnet_notify_enable_kicks(bench.queue, true), 0);
		assert_true(rings(&bench));
		/* Used: both bits are those of the round. */
		bench.queue->packed_desc[place & ~WRAP].flags = place & WRAP ? AVAIL | USED : 0;
		if ((++place & ~WRAP) == SIZE)
			place = (place & WRAP) ^ WRAP;
	}
	/* All at once, across the end of the ring; not more than there are. */
	bench.queue->next_avail = bench.queue->next_used = place;
	for (i = 0; i < SIZE; i++) {
		offer(&bench, place);
		if ((++place & ~WRAP) == SIZE)
			place = (place & WRAP) ^ WRAP;
	}
	assert_int_equal(vnet_notify_waiting(bench.queue), SIZE);
	dirtylog_close(bench.dl, &bench.queue->marker);
	assert_int_equal(vnet_notify_waiting(bench.queue), 0);
	assert_true(vnet_notify_monitor(bench.queue, &cond) < 0);
	tear_down(&bench);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asking_is_marked),
		cmocka_unit_test(what_is_there_is_seen),
	};
	const struct program program = {
		.name = "packed_kicks",
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
