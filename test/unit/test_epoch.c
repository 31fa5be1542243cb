/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that bursts and the control thread meet as dirtylog_epoch.h says:
 * dirtylog_epoch_sync() returns after every section that was entered before,
 * waits for nobody who is outside of one, and what it waited for can be freed.
 * With the control thread's membarrier, and with the burst's own fence.
 */

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
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

/* From now on this process may not call membarrier(2). */
static bool
forbid_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* What came after the queues and forbids the system call is noticed. In a child: it is for good. */
static void
membarrier_is_forbidden(void **state)
{
	struct dirtylog_epoch epoch;
	uint64_t before;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(dirtylog_epoch_init(&epoch), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!forbid_membarrier())
			_exit(2);
		before = now_ns();
		dirtylog_epoch_sync(&epoch);
		_exit(now_ns() - before < 1000000);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
	dirtylog_epoch_fini(&epoch);
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
		cmocka_unit_test(membarrier_is_forbidden),
	};

	return run_test_program(argc, argv, "epoch", tests, NULL, NULL);
}
