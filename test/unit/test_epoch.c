/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that bursts and the control thread meet as dirtylog_epoch.h says:
 * dirtylog_epoch_sync() returns after every section that was entered before,
 * waits for nobody who is outside of one, and what it waited for can be freed.
 * With the control thread's membarrier, and with the burst's own fence.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "epoch.h"
#include "test_program.h"

#define READERS 2
#define SWAPS 20000
#define ALIVE 0x600dU
#define DEAD 0xdeadU

struct reader_thread {
	struct dirtylog_reader reader;
	pthread_t thread;
	unsigned int **object; /* what the control thread replaces */
	bool *stop;
	bool inside; /* in a section that lasts until `may_leave` */
	bool may_leave;
	uint64_t sections;
	uint64_t dead_seen;
};

static bool
is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void
set(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

static void
nobody_is_waited_for(void **state)
{
	struct dirtylog_epoch epoch;
	struct dirtylog_reader readers[3] = { { .section = 0 } };
	unsigned int i;

	(void)state;
	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	dirtylog_epoch_sync(&epoch);
	for (i = 0; i < 3; i++)
		dirtylog_epoch_add(&epoch, &readers[i]);
	dirtylog_epoch_sync(&epoch);
	for (i = 0; i < 3; i++) {
		dirtylog_reader_enter(&readers[i]);
		dirtylog_reader_leave(&readers[i]);
	}
	dirtylog_epoch_sync(&epoch);

	/* One that was removed is not looked at any more: from the middle, both ends. */
	for (i = 0; i < 3; i++) {
		struct dirtylog_reader *reader = &readers[(i + 1) % 3];

		dirtylog_epoch_remove(&epoch, reader);
		dirtylog_reader_enter(reader);
		dirtylog_epoch_sync(&epoch);
	}
	assert_null(epoch.readers);
	/* It is waited for again, in a section or not, when it is added again. */
	dirtylog_reader_leave(&readers[0]);
	dirtylog_epoch_add(&epoch, &readers[0]);
	dirtylog_epoch_sync(&epoch);
	dirtylog_epoch_remove(&epoch, &readers[0]);
	/* Removing what is not there does nothing. */
	dirtylog_epoch_remove(&epoch, &readers[0]);
	dirtylog_epoch_fini(&epoch);
}

static void *
stay_inside(void *arg)
{
	struct reader_thread *self = arg;

	dirtylog_reader_enter(&self->reader);
	set(&self->inside);
	usleep(50 * 1000);
	set(&self->may_leave);
	dirtylog_reader_leave(&self->reader);
	return NULL;
}

static void
a_section_is_waited_for(void **state)
{
	struct dirtylog_epoch epoch;
	struct reader_thread thread = { .inside = false };

	(void)state;
	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	dirtylog_epoch_add(&epoch, &thread.reader);
	assert_int_equal(pthread_create(&thread.thread, NULL, stay_inside, &thread), 0);
	while (!is_set(&thread.inside))
		usleep(100);
	dirtylog_epoch_sync(&epoch);
	assert_true(is_set(&thread.may_leave));
	pthread_join(thread.thread, NULL);
	dirtylog_epoch_remove(&epoch, &thread.reader);
	dirtylog_epoch_fini(&epoch);
}

/* The counter of sections wraps from an odd number to 0. */
static void
sections_wrap(void **state)
{
	struct dirtylog_epoch epoch;
	struct dirtylog_reader reader = { .section = 0 };

	(void)state;
	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	dirtylog_epoch_add(&epoch, &reader);
	reader.section = UINT32_MAX - 1;
	dirtylog_reader_enter(&reader);
	dirtylog_reader_leave(&reader);
	assert_int_equal(reader.section, 0);
	dirtylog_epoch_sync(&epoch);
	dirtylog_epoch_remove(&epoch, &reader);
	dirtylog_epoch_fini(&epoch);
}

static void *
use_object(void *arg)
{
	struct reader_thread *self = arg;

	while (!is_set(self->stop)) {
		unsigned int *object, i;

		dirtylog_reader_enter(&self->reader);
		object = __atomic_load_n(self->object, __ATOMIC_ACQUIRE);
		for (i = 0; i < 16; i++)
			if (__atomic_load_n(object, __ATOMIC_RELAXED) != ALIVE)
				self->dead_seen++;
		dirtylog_reader_leave(&self->reader);
		__atomic_fetch_add(&self->sections, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* Readers that never pause: each sync ends, and nobody uses what it retired. */
static void
retired_objects_are_unused(bool own_fence)
{
	struct dirtylog_epoch epoch;
	struct reader_thread threads[READERS] = { 0 };
	unsigned int objects[2] = { ALIVE, DEAD };
	unsigned int *object = &objects[0];
	bool stop = false;
	unsigned int i;

	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	for (i = 0; i < READERS; i++) {
		threads[i].object = &object;
		threads[i].stop = &stop;
		dirtylog_epoch_add(&epoch, &threads[i].reader);
		threads[i].reader.membarrier &= !own_fence;
		assert_int_equal(pthread_create(&threads[i].thread, NULL, use_object, &threads[i]),
				0);
	}
	for (i = 0; i < READERS; i++)
		while (__atomic_load_n(&threads[i].sections, __ATOMIC_RELAXED) == 0)
			usleep(100);
	for (i = 1; i <= SWAPS; i++) {
		__atomic_store_n(&objects[i % 2], ALIVE, __ATOMIC_RELAXED);
		__atomic_store_n(&object, &objects[i % 2], __ATOMIC_RELEASE);
		dirtylog_epoch_sync(&epoch);
		__atomic_store_n(&objects[(i - 1) % 2], DEAD, __ATOMIC_RELAXED);
	}
	set(&stop);
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i].thread, NULL);
		assert_int_equal(threads[i].dead_seen, 0);
		dirtylog_epoch_remove(&epoch, &threads[i].reader);
	}
	dirtylog_epoch_fini(&epoch);
}

static void
retired_objects_are_unused_by_membarrier(void **state)
{
	(void)state;
	retired_objects_are_unused(false);
}

static void
retired_objects_are_unused_by_fence(void **state)
{
	(void)state;
	retired_objects_are_unused(true);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_is_waited_for),
		cmocka_unit_test(a_section_is_waited_for),
		cmocka_unit_test(sections_wrap),
		cmocka_unit_test(retired_objects_are_unused_by_membarrier),
		cmocka_unit_test(retired_objects_are_unused_by_fence),
	};

	return run_test_program(argc, argv, "epoch", tests, NULL, NULL);
}
