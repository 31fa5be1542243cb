/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows that a truncated mapping harms nobody, and what that costs: a signal or
 * two and a mapping, however long the log is and however the application locks its
 * memory; that a mapping does not end under a handler. Other users of SIGBUS are
 * test_sigbus.c's, devices test_truncated_logs.c's.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "frontend_log.h"
#include "host_page.h"
#include "mappings.h"
#include "shm.h"
#include "test_program.h"
#include "truncated_file.h"
#include "truncation_guard.h"

#define MANY 5000 /* more than there can be vhost devices */

static uint8_t *
bytes_of(struct dirtylog_shm *shm)
{
	return shm->addr;
}

/* ---- a mapping ---- */

/* Truncate a log of two pages of some size in its middle, then wholly. */
static void
truncate_mapping(int fd, uint64_t page_size, const char *name)
{
	struct dirtylog_shm *shm, *other;
	int other_fd = unsealed_file(4096);
	uint8_t first;

	guard_in_force();
	assert_int_equal(dirtylog_shm_map(fd, 4096, 2 * page_size - 4096, &shm), 0);
	assert_int_equal(dirtylog_shm_map(other_fd, 0, 4096, &other), 0);
	assert_int_equal(shm->page_size, page_size);
	assert_non_null(shm->guard);
	assert_int_equal(dirtylog_shm_populate(shm, 0, shm->len), 0);
	assert_int_equal(dirtylog_shm_populate(other, 0, other->len), 0);
	bytes_of(shm)[page_size - 4096] = 1;
	assert_false(dirtylog_shm_truncated(shm));

	/* The second page goes. What is written there goes nowhere. */
	errno = 77;
	assert_int_equal(ftruncate(fd, (off_t)page_size), 0);
	assert_false(dirtylog_shm_truncated(shm));
	bytes_of(shm)[page_size - 4096 + 5] = 3;
	assert_int_equal(errno, 77);
	assert_true(dirtylog_shm_truncated(shm));
	assert_int_equal(bytes_of(shm)[page_size - 4096], 0);
	assert_int_equal(bytes_of(shm)[page_size - 4096 + 5], 3);
	/* What is left of the log still is the log. */
	if (page_size > 4096) {
		uint8_t *front_end = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
				0);

		assert_ptr_not_equal(front_end, MAP_FAILED);
		bytes_of(shm)[0] = 9;
		first = front_end[4096];
		munmap(front_end, page_size);
		assert_int_equal(first, 9);
	}
	/* All of it. Reading, too. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(bytes_of(shm)[0], 0);
	bytes_of(shm)[shm->len - 1] = 1;

	assert_false(dirtylog_shm_truncated(other));
	bytes_of(other)[1] = 7;
	assert_int_equal(pread(other_fd, &first, 1, 1), 1);
	assert_int_equal(first, 7);
	/* Unmapped as a whole, what was put in its place too. */
	dirtylog_shm_unref(shm);
	assert_int_equal(mappings_of(name), 0);
	dirtylog_shm_unref(other);
	close(other_fd);
	close(fd);
	/* The next one begins anew. */
	fd = unsealed_file(4096);
	assert_int_equal(dirtylog_shm_map(fd, 0, 4096, &shm), 0);
	assert_false(dirtylog_shm_truncated(shm));
	dirtylog_shm_unref(shm);
	close(fd);
}

static void
truncated_mapping(void **state)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)(2 * host_page())), 0);
	truncate_mapping(fd, host_page(), "memfd:cut");
}

static void
truncated_huge_mapping(void **state)
{
	int fd = huge_file(2 * HUGE);

	(void)state;
	if (fd < 0) {
		print_message("no two free huge pages of 2 MiB on this machine\n");
		skip();
	}
	truncate_mapping(fd, HUGE, "memfd:huge");
}

/* One that librte_vhost has mapped: nobody knows its seals. */
static void
truncated_duplicate(void **state)
{
	int fd = unsealed_file(2 * 4096);
	struct dirtylog_shm *shm;
	void *first;

	(void)state;
	guard_in_force();
	first = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(first, MAP_FAILED);
	assert_int_equal(dirtylog_shm_duplicate(first, 2 * 4096 - 100, &shm), 0);
	munmap(first, 2 * 4096);
	assert_int_equal(ftruncate(fd, 0), 0);
	bytes_of(shm)[5000] = 1;
	assert_true(dirtylog_shm_truncated(shm));
	dirtylog_shm_unref(shm);
	close(fd);
}

static void
who_is_guarded(void **state)
{
	struct frontend_log log;
	struct dirtylog_shm *shm;

	(void)state;
	guard_in_force();
	/* A sealed log, too: of huge pages it may have holes. */
	assert_int_equal(frontend_log_create(&log, 4096), 0);
	assert_int_equal(dirtylog_shm_map(log.fd, 0, log.len, &shm), 0);
	assert_non_null(shm->guard);
	assert_false(dirtylog_shm_truncated(shm));
	dirtylog_shm_unref(shm);
	frontend_log_destroy(&log);
	/* Not our own memory. */
	assert_int_equal(dirtylog_shm_alloc(4096, false, &shm), 0);
	assert_null(shm->guard);
	assert_false(dirtylog_shm_truncated(shm));
	dirtylog_shm_unref(shm);
}

static void
guards_come_back(void **state)
{
	static struct dirtylog_shm *shms[MANY];
	int fd = unsealed_file(3 * 4096);
	unsigned int round, i;

	(void)state;
	guard_in_force();
	for (round = 0; round < 2; round++) {
		for (i = 0; i < MANY; i++)
			assert_int_equal(dirtylog_shm_map(fd, 4096 * (i % 3), 4096, &shms[i]), 0);
		assert_int_equal(ftruncate(fd, 0), 0);
		for (i = 0; i < MANY - 1; i += MANY / 3) {
			bytes_of(shms[i])[0] = 1;
			assert_true(dirtylog_shm_truncated(shms[i]));
			assert_false(dirtylog_shm_truncated(shms[i + 1]));
		}
		assert_int_equal(ftruncate(fd, 3 * 4096), 0);
		/* Some in the order in which they came, others not. */
		for (i = 0; i < MANY; i += 2)
			dirtylog_shm_unref(shms[i]);
		for (i = MANY - 1; i < MANY; i -= 2)
			dirtylog_shm_unref(shms[i]);
		assert_int_equal(mappings_of("memfd:unsealed"), 0);
	}
	close(fd);
}

/* ---- what it costs ---- */

/* Counts the signals that the guard gets. */
static struct sigaction counted;
static volatile sig_atomic_t nb_faults;

static void
count_fault(int signal, siginfo_t *info, void *context)
{
	nb_faults++;
	counted.sa_sigaction(signal, info, context);
}

static void
count_faults(void)
{
	struct sigaction action = { .sa_sigaction = count_fault, .sa_flags = SA_SIGINFO };

	guard_in_force();
	nb_faults = 0;
	assert_int_equal(sigaction(SIGBUS, &action, &counted), 0);
}

static unsigned int
all_mappings(void)
{
	return mappings_of("-");
}

/* A page of a permutation: all of them, in an order that jumps about. */
static uint64_t
nth_page(uint64_t n, uint64_t nb_pages, int order)
{
	if (order == 0)
		return n;
	return order == 1 ? nb_pages - 1 - n : n * 77773 % nb_pages;
}

/* 140,000 pages are more than a process may have mappings. Touched in any order. */
static void
few_signals(void **state)
{
	const uint64_t nb_pages = 140000;
	struct dirtylog_shm *shm;
	unsigned int before;
	uint64_t n;
	int order, fd;

	(void)state;
	for (order = 0; order < 3; order++) {
		fd = unsealed_file(nb_pages * 4096);
		assert_int_equal(dirtylog_shm_map(fd, 0, nb_pages * 4096, &shm), 0);
		count_faults();
		before = all_mappings();
		assert_int_equal(ftruncate(fd, 0), 0);
		for (n = 0; n < nb_pages; n++) {
			uint8_t *at = bytes_of(shm) + nth_page(n, nb_pages, order) * 4096;

			/* Reads and writes; what was written stays. */
			if (n % 2 != 0)
				assert_int_equal(*at, 0);
			else if (n % 1000 == 0)
				*at = 1;
		}
		assert_true(nb_faults >= 1 && nb_faults <= (order == 0 ? 1 : 2));
		assert_true(all_mappings() <= before + 1);
		assert_true(dirtylog_shm_truncated(shm));
		dirtylog_shm_unref(shm);
		assert_true(all_mappings() < before);
		close(fd);
	}
}

static uint64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long long size, resident = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
	fclose(file);
	return resident * host_page();
}

/* In a child: a log of 1 GiB is truncated in a process that locks what it maps from now on. */
static int
locked_process(void)
{
	const uint64_t len = UINT64_C(1) << 30;
	int fd = memfd_create("log", MFD_CLOEXEC);
	struct dirtylog_shm *shm;
	uint64_t before;

	alarm(20);
	if (ftruncate(fd, (off_t)len) < 0 || dirtylog_shm_map(fd, 0, len, &shm) < 0)
		return 1;
	if (mlockall(MCL_FUTURE) < 0)
		return 77;
	before = resident_bytes();
	if (ftruncate(fd, 0) < 0)
		return 1;
	bytes_of(shm)[5] = 1;
	bytes_of(shm)[len - 1] = 1;
	return dirtylog_shm_truncated(shm) && resident_bytes() < before + (16 << 20) ? 0 : 2;
}

static void
no_memory_before_it_is_used(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	guard_in_force();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(locked_process());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("this process may not lock memory\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- the end of a mapping ---- */

/* A handler is held up where it puts memory in place. */
static struct {
	bool hold;
	bool held;
} handler;

void *__real_mremap(void *addr, size_t old_len, size_t len, int flags, ...);
void *__wrap_mremap(void *addr, size_t old_len, size_t len, int flags, ...);

void *
__wrap_mremap(void *addr, size_t old_len, size_t len, int flags, ...)
{
	va_list args;
	void *to;

	va_start(args, flags);
	to = (flags & MREMAP_FIXED) != 0 ? va_arg(args, void *) : NULL;
	va_end(args);
	if (to != NULL && __atomic_load_n(&handler.hold, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&handler.held, true, __ATOMIC_RELEASE);
		while (__atomic_load_n(&handler.hold, __ATOMIC_ACQUIRE))
			usleep(100);
	}
	return __real_mremap(addr, old_len, len, flags, to);
}

static void *
touch(void *addr)
{
	*(volatile uint8_t *)addr = 1;
	return NULL;
}

struct removal {
	struct dirtylog_guard *guard;
	int result;
	bool done;
};

static void *
remove_guard(void *arg)
{
	struct removal *removal = arg;

	removal->result = dirtylog_truncation_guard_remove(removal->guard);
	__atomic_store_n(&removal->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static struct dirtylog_guard *given_up; /* lost on purpose: not a leak */

static void
removal_under_a_handler(bool handler_ends)
{
	int fd = unsealed_file(4096);
	void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct dirtylog_guard *other;
	struct removal removal = { .result = 1 };
	pthread_t toucher, remover;
	unsigned int ms;

	guard_in_force();
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(dirtylog_truncation_guard_add(map, 4096, 0, &removal.guard), 0);
	assert_int_equal(dirtylog_truncation_guard_add(&removal, 1, 0, &other), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	handler.held = false;
	__atomic_store_n(&handler.hold, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&toucher, NULL, touch, map), 0);
	for (ms = 0; !__atomic_load_n(&handler.held, __ATOMIC_ACQUIRE); ms++) {
		assert_true(ms < 20000);
		usleep(1000);
	}
	assert_int_equal(pthread_create(&remover, NULL, remove_guard, &removal), 0);
	if (handler_ends) {
		usleep(50000);
		assert_false(__atomic_load_n(&removal.done, __ATOMIC_ACQUIRE));
		__atomic_store_n(&handler.hold, false, __ATOMIC_RELEASE);
	}
	pthread_join(remover, NULL);
	assert_int_equal(removal.result, handler_ends ? 0 : -EBUSY);
	given_up = handler_ends ? NULL : removal.guard;
	__atomic_store_n(&handler.hold, false, __ATOMIC_RELEASE);
	pthread_join(toucher, NULL);
	/* That one ended at last: nothing is in the way of others. */
	assert_int_equal(dirtylog_truncation_guard_remove(other), 0);
	assert_true(handler_ends == (given_up == NULL));
	assert_int_equal(*(uint8_t *)map, 1);
	munmap(map, 4096);
	close(fd);
}

static void
a_mapping_does_not_end_under_a_handler(void **state)
{
	(void)state;
	removal_under_a_handler(true);
	/* A thread that does not run: not waited for for ever. */
	removal_under_a_handler(false);
}

/*
 * Faults in some mappings, while others come and go at addresses that are used
 * again at once: nobody's memory is replaced but theirs.
 */
static void *
fault_all_the_time(void *arg)
{
	const bool *quit = arg;

	while (!__atomic_load_n(quit, __ATOMIC_ACQUIRE)) {
		int fd = memfd_create("cut", MFD_CLOEXEC);
		struct dirtylog_shm *shm;

		if (fd < 0 || ftruncate(fd, 3 * 4096) < 0 ||
				dirtylog_shm_map(fd, 0, 3 * 4096, &shm) < 0 || ftruncate(fd, 0) < 0)
			abort();
		bytes_of(shm)[4096] = 1;
		bytes_of(shm)[0] = 1;
		dirtylog_shm_unref(shm);
		close(fd);
	}
	return NULL;
}

static void
memory_of_others_is_left_alone(void **state)
{
	bool quit = false;
	pthread_t threads[2];
	unsigned int i, round;

	(void)state;
	guard_in_force();
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fault_all_the_time, &quit), 0);
	for (round = 0; round < 3000; round++) {
		uint8_t *canary = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_ptr_not_equal(canary, MAP_FAILED);
		memset(canary, 0xa5, 3 * 4096);
		sched_yield();
		for (i = 0; i < 3 * 4096; i += 512)
			assert_int_equal(canary[i], 0xa5);
		munmap(canary, 3 * 4096);
	}
	__atomic_store_n(&quit, true, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_guarded),
		cmocka_unit_test(truncated_mapping),
		cmocka_unit_test(truncated_huge_mapping),
		cmocka_unit_test(truncated_duplicate),
		cmocka_unit_test(guards_come_back),
		cmocka_unit_test(few_signals),
		cmocka_unit_test(no_memory_before_it_is_used),
		cmocka_unit_test(a_mapping_does_not_end_under_a_handler),
		cmocka_unit_test(memory_of_others_is_left_alone),
	};

	return run_test_program(argc, argv, "truncation_guard", tests, NULL, NULL);
}
