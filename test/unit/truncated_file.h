/* SPDX-License-Identifier: BSD-3-Clause */

/* Files that a front-end may truncate, and the guard's signal handler under cmocka. */

#ifndef TRUNCATED_FILE_H
#define TRUNCATED_FILE_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "dirtylog_shm.h"

#define HUGE (UINT64_C(2) << 20)

static inline int
unsealed_file(uint64_t len)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

/* A log in huge pages, or -1: there are none free. */
static inline int
huge_file(uint64_t len)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | (21 << MAP_HUGE_SHIFT));
	void *all;

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)len) == 0) {
		all = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (all != MAP_FAILED) {
			munmap(all, len);
			return fd;
		}
	}
	close(fd);
	return -1;
}

/*
 * cmocka takes SIGBUS at the begin of each test, after the guard was installed
 * in an earlier one, and passes nothing on: give it back.
 */
static inline void
guard_in_force(void)
{
	static struct sigaction guard;
	struct dirtylog_shm *shm;
	int fd;

	if (guard.sa_flags == 0) {
		signal(SIGBUS, SIG_DFL);
		fd = unsealed_file(4096);
		assert_int_equal(dirtylog_shm_map(fd, 0, 4096, &shm), 0);
		dirtylog_shm_unref(shm);
		close(fd);
		assert_int_equal(sigaction(SIGBUS, NULL, &guard), 0);
		assert_int_equal(guard.sa_flags & SA_SIGINFO, SA_SIGINFO);
	}
	assert_int_equal(sigaction(SIGBUS, &guard, NULL), 0);
}

#endif /* TRUNCATED_FILE_H */
