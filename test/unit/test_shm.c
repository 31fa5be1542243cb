/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows which log descriptors dirtylog_shm.h maps and which it refuses, each
 * with the promised error and without a leak of mappings or descriptors:
 * sealed and huge-page memfds, offsets, lengths that overflow, files that are
 * shorter than promised, descriptors that cannot be written, files that are not
 * in memory. That no page is there before it is asked for. And that memory
 * of our own is clean, and that a mapping lives as long as its last user.
 */

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend_log.h"
#include "host_page.h"
#include "mappings.h"
#include "shm.h"
#include "test_program.h"

#define HUGE (UINT64_C(2) << 20)

/* A memfd of len bytes with one marker byte in each 4096. */
static int
numbered_file(uint64_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint64_t at;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	for (at = 0; at < len; at += 4096) {
		uint8_t number = (uint8_t)(at / 4096 + 1);

		assert_int_equal(pwrite(fd, &number, 1, (off_t)at), 1);
	}
	return fd;
}

static uint8_t
byte_at(const struct dirtylog_shm *shm, uint64_t offset)
{
	return ((const uint8_t *)shm->addr)[offset];
}

static void
sealed_memfd(void **state)
{
	struct frontend_log log;
	struct dirtylog_shm *shm;

	(void)state;
	assert_int_equal(frontend_log_create(&log, 4096 + 13), 0);
	assert_int_equal(dirtylog_shm_map(log.fd, 0, log.len, &shm), 0);
	assert_int_equal(shm->len, 4096 + 13);
	assert_int_equal(shm->page_size, host_page());
	assert_int_equal(dirtylog_shm_populate(shm, 0, shm->len), 0);
	((uint8_t *)shm->addr)[4096 + 12] = 7;
	assert_int_equal(log.bytes[4096 + 12], 7);
	dirtylog_shm_unref(shm);
	assert_true(frontend_log_canary_alive(&log));
	frontend_log_destroy(&log);
}

static void
offsets(void **state)
{
	int fd = numbered_file(4 * 4096);
	struct dirtylog_shm *shm;

	(void)state;
	assert_int_equal(dirtylog_shm_map(fd, 4096, 2 * 4096, &shm), 0);
	assert_int_equal(byte_at(shm, 0), 2);
	assert_int_equal(byte_at(shm, 4096), 3);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_shm_map(fd, 3 * 4096, 1, &shm), 0);
	assert_int_equal(byte_at(shm, 0), 4);
	assert_int_equal(shm->len, 1);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_shm_map(fd, 0, 4 * 4096, &shm), 0);
	dirtylog_shm_unref(shm);

	assert_int_equal(dirtylog_shm_map(fd, 1, 8, &shm), -EINVAL);
	assert_int_equal(dirtylog_shm_map(fd, 4095, 8, &shm), -EINVAL);
	assert_int_equal(dirtylog_shm_map(fd, 512, 8, &shm), -EINVAL);
	close(fd);
}

static void
lengths(void **state)
{
	int fd = numbered_file(2 * 4096);
	struct dirtylog_shm *shm = NULL;

	(void)state;
	assert_int_equal(dirtylog_shm_map(fd, 0, 0, &shm), -EINVAL);
	/* A file that is shorter would be a SIGBUS later. */
	assert_int_equal(dirtylog_shm_map(fd, 0, 2 * 4096 + 1, &shm), -ERANGE);
	assert_int_equal(dirtylog_shm_map(fd, 4096, 4096 + 1, &shm), -ERANGE);
	assert_int_equal(dirtylog_shm_map(fd, 2 * 4096, 1, &shm), -ERANGE);
	assert_int_equal(dirtylog_shm_map(fd, UINT64_C(1) << 40, 1, &shm), -ERANGE);
	/* Even by a few bytes of its last page. */
	assert_int_equal(ftruncate(fd, 4096 + 100), 0);
	assert_int_equal(dirtylog_shm_map(fd, 0, 4096 + 101, &shm), -ERANGE);
	assert_int_equal(dirtylog_shm_map(fd, 0, 4096 + 100, &shm), 0);
	dirtylog_shm_unref(shm);
	/* Sums that overflow, signed and unsigned. */
	assert_int_equal(dirtylog_shm_map(fd, 0, UINT64_MAX, &shm), -EOVERFLOW);
	assert_int_equal(dirtylog_shm_map(fd, 4096, UINT64_MAX - 4095, &shm), -EOVERFLOW);
	assert_int_equal(dirtylog_shm_map(fd, 4096, UINT64_MAX - 4096, &shm), -EOVERFLOW);
	assert_int_equal(dirtylog_shm_map(fd, 4096, INT64_MAX - 4095, &shm), -EOVERFLOW);
	assert_int_equal(dirtylog_shm_map(fd, UINT64_C(1) << 63, 4096, &shm), -EOVERFLOW);
	assert_int_equal(dirtylog_shm_map(fd, UINT64_MAX - 4095, 4096, &shm), -EOVERFLOW);
	assert_int_equal(dirtylog_shm_map(fd, 4096, INT64_MAX - 4096, &shm), -ERANGE);
	/* An empty file. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(dirtylog_shm_map(fd, 0, 1, &shm), -ERANGE);
	close(fd);
}

static void
descriptors(void **state)
{
	char path[64];
	struct dirtylog_shm *shm;
	int fd = numbered_file(4096), other, pair[2];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(dirtylog_shm_map(other, 0, 4096, &shm), -EACCES);
	close(other);
	other = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(other >= 0);
	assert_int_equal(dirtylog_shm_map(other, 0, 4096, &shm), -EACCES);
	close(other);
	/* Closed, negative, no file at all, a folder, a device. */
	assert_int_equal(dirtylog_shm_map(other, 0, 4096, &shm), -EBADF);
	assert_int_equal(dirtylog_shm_map(-1, 0, 4096, &shm), -EBADF);
	assert_int_equal(pipe(pair), 0);
	assert_true(dirtylog_shm_map(pair[0], 0, 4096, &shm) < 0);
	close(pair[0]);
	close(pair[1]);
	other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirtylog_shm_map(other, 0, 1, &shm) < 0);
	close(other);
	other = open("/dev/zero", O_RDWR | O_CLOEXEC);
	assert_true(dirtylog_shm_map(other, 0, 4096, &shm) < 0);
	close(other);
	/* Sealed against writing. */
	other = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(other >= 0);
	assert_int_equal(ftruncate(other, 4096), 0);
	assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_true(dirtylog_shm_map(other, 0, 4096, &shm) < 0);
	close(other);
	close(fd);
}

/* A file on a disk, or one that somebody's daemon plays, may keep a burst waiting for ever. */
static void
not_in_memory(void **state)
{
	struct dirtylog_shm *shm;
	int fd = open(".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	int in_memory;

	(void)state;
	if (fd < 0 || fcntl(fd, F_GET_SEALS) >= 0) {
		print_message("this folder is no place for a file on a disk\n");
		skip();
	}
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(dirtylog_shm_map(fd, 0, 4096, &shm), -ENOTSUP);
	close(fd);
	/* A named file on tmpfs is as good as a memfd. */
	in_memory = shm_open("/dirtylog-test-shm", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(in_memory >= 0);
	shm_unlink("/dirtylog-test-shm");
	assert_int_equal(ftruncate(in_memory, 4096), 0);
	assert_int_equal(dirtylog_shm_map(in_memory, 0, 4096, &shm), 0);
	dirtylog_shm_unref(shm);
	close(in_memory);
}

/* In a child: a process that locks its memory maps a log of 1 GiB that is a hole. */
static int
map_in_a_locked_process(void)
{
	const uint64_t len = UINT64_C(1) << 30;
	int fd = memfd_create("hole", MFD_CLOEXEC);
	struct dirtylog_shm *shm;
	struct stat st;

	alarm(20);
	if (ftruncate(fd, (off_t)len) < 0)
		return 1;
	if (mlockall(MCL_FUTURE) < 0)
		return 77;
	if (dirtylog_shm_map(fd, 0, len, &shm) < 0 || fstat(fd, &st) < 0 || st.st_blocks != 0)
		return 2;
	if (dirtylog_shm_populate(shm, 4096, 1) < 0 || fstat(fd, &st) < 0 ||
			(uint64_t)st.st_blocks != host_page() / 512)
		return 3;
	dirtylog_shm_unref(shm);
	return 0;
}

static void
no_page_before_it_is_asked_for(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(map_in_a_locked_process());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("this process may not lock memory\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
mapping_outlives_the_descriptor(void **state)
{
	int fd = memfd_create("outlive", MFD_CLOEXEC);
	struct dirtylog_shm *shm, *second;

	(void)state;
	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(dirtylog_shm_map(fd, 0, 4096, &shm), 0);
	close(fd);
	second = dirtylog_shm_ref(shm);
	assert_ptr_equal(second, shm);
	dirtylog_shm_unref(shm);
	((uint8_t *)second->addr)[4095] = 1;
	assert_int_equal(mappings_of("memfd:outlive"), 1);
	dirtylog_shm_unref(second);
	assert_int_equal(mappings_of("memfd:outlive"), 0);
	dirtylog_shm_unref(NULL);
}

static void
populate_checks_its_range(void **state)
{
	int fd = numbered_file(4 * 4096);
	struct dirtylog_shm *shm;

	(void)state;
	assert_int_equal(dirtylog_shm_map(fd, 4096, 4096 + 9, &shm), 0);
	assert_int_equal(dirtylog_shm_populate(shm, 0, 4096 + 9), 0);
	assert_int_equal(dirtylog_shm_populate(shm, 4096, 9), 0);
	assert_int_equal(dirtylog_shm_populate(shm, 4095, 2), 0);
	assert_int_equal(dirtylog_shm_populate(shm, 4096, 10), -EINVAL);
	assert_int_equal(dirtylog_shm_populate(shm, 4096 + 10, 0), -EINVAL);
	assert_int_equal(dirtylog_shm_populate(shm, UINT64_MAX, 2), -EINVAL);
	assert_int_equal(dirtylog_shm_populate(shm, 2, UINT64_MAX), -EINVAL);
	/* It changes nothing. */
	assert_int_equal(byte_at(shm, 0), 2);
	assert_int_equal(byte_at(shm, 4096), 3);

	/* The file was cut meanwhile: an error, not a SIGBUS. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_true(dirtylog_shm_populate(shm, 0, 4096) < 0);
	dirtylog_shm_unref(shm);
	close(fd);
}

static void
duplicate_shares_pages(void **state)
{
	struct frontend_log log;
	struct dirtylog_shm *shm;
	uint8_t *first;

	(void)state;
	assert_int_equal(frontend_log_create(&log, 3 * 4096 + 5), 0);
	first = mmap(NULL, log.map_len, PROT_READ | PROT_WRITE, MAP_SHARED, log.fd, 0);
	assert_ptr_not_equal(first, MAP_FAILED);
	assert_int_equal(dirtylog_shm_duplicate(first, log.len, &shm), 0);
	assert_ptr_not_equal(shm->addr, first);
	assert_int_equal(shm->len, log.len);
	/* The first mapping may go away. */
	munmap(first, log.map_len);
	assert_int_equal(dirtylog_shm_populate(shm, 0, shm->len), 0);
	((uint8_t *)shm->addr)[3 * 4096 + 4] = 9;
	assert_int_equal(log.bytes[3 * 4096 + 4], 9);
	dirtylog_shm_unref(shm);

	assert_int_equal(dirtylog_shm_duplicate(log.bytes, 0, &shm), -EINVAL);
	assert_int_equal(dirtylog_shm_duplicate(log.bytes + 8, 4096, &shm), -EINVAL);
	/* Nothing is mapped there. */
	assert_int_equal(dirtylog_shm_duplicate(first, log.len, &shm), -EFAULT);
	frontend_log_destroy(&log);
}

static void
own_memory(void **state)
{
	struct dirtylog_shm *shm;
	uint64_t i;

	(void)state;
	assert_int_equal(dirtylog_shm_alloc(3 * 4096 + 8, true, &shm), 0);
	assert_int_equal(shm->len, 3 * 4096 + 8);
	assert_int_equal(dirtylog_shm_populate(shm, 0, shm->len), 0);
	for (i = 0; i < shm->len; i++)
		assert_int_equal(byte_at(shm, i), 0);
	dirtylog_shm_unref(shm);
	assert_int_equal(dirtylog_shm_alloc(0, true, &shm), -EINVAL);
	/* More than a machine has addresses, or a file bytes, for. */
	assert_true(dirtylog_shm_alloc(UINT64_C(1) << 60, true, &shm) < 0);
	assert_true(dirtylog_shm_alloc(UINT64_MAX, true, &shm) < 0);
}

static void
huge_pages(void **state)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | (21 << MAP_HUGE_SHIFT));
	struct dirtylog_shm *shm;
	uint8_t *all;

	(void)state;
	if (fd < 0 || ftruncate(fd, 2 * HUGE) < 0) {
		print_message("no huge page files on this machine\n");
		skip();
	}
	all = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (all == MAP_FAILED) {
		close(fd);
		print_message("no two free huge pages of 2 MiB on this machine\n");
		skip();
	}
	/* The log's length and offset are multiples of nothing but 4096. */
	assert_int_equal(dirtylog_shm_map(fd, 0, 5000, &shm), 0);
	assert_int_equal(shm->page_size, HUGE);
	assert_int_equal(dirtylog_shm_populate(shm, 4096, 904), 0);
	((uint8_t *)shm->addr)[4999] = 1;
	assert_int_equal(all[4999], 1);
	dirtylog_shm_unref(shm);

	/* An offset within a huge page, a log over two of them. */
	assert_int_equal(dirtylog_shm_map(fd, HUGE - 4096, 8192, &shm), 0);
	assert_int_equal(dirtylog_shm_populate(shm, 0, 8192), 0);
	((uint8_t *)shm->addr)[0] = 2;
	((uint8_t *)shm->addr)[8191] = 3;
	assert_int_equal(all[HUGE - 4096], 2);
	assert_int_equal(all[HUGE + 4095], 3);
	dirtylog_shm_unref(shm);

	assert_int_equal(dirtylog_shm_map(fd, HUGE + 4096, HUGE, &shm), -ERANGE);
	assert_int_equal(dirtylog_shm_map(fd, HUGE + 1, 1, &shm), -EINVAL);

	/* Everything is unmapped, else the pages would stay in use. */
	munmap(all, 2 * HUGE);
	assert_int_equal(mappings_of("memfd:huge"), 0);
	close(fd);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_memfd),
		cmocka_unit_test(offsets),
		cmocka_unit_test(lengths),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(not_in_memory),
		cmocka_unit_test(no_page_before_it_is_asked_for),
		cmocka_unit_test(mapping_outlives_the_descriptor),
		cmocka_unit_test(populate_checks_its_range),
		cmocka_unit_test(duplicate_shares_pages),
		cmocka_unit_test(own_memory),
		cmocka_unit_test(huge_pages),
	};

	return run_test_program(argc, argv, "shm", tests, NULL, NULL);
}
