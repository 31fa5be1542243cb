/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "messages/files.h"

#define EVENT_FULL (UINT64_MAX - 1)

static struct {
	int fd;
	uint64_t len; /* of memory; what an event descriptor counts at first; else 0 */
	unsigned int seals;
	unsigned int flags; /* of memfd_create() or eventfd() */
	bool dirty;         /* its contents are not all zero, or its length is another */
	bool sealed;        /* for good: it must be made anew */
	bool changed;       /* its flags, or what it counts */
} files[NB_FILES];

static void
make_memory(enum files_index index)
{
	files[index].fd = memfd_create("fuzz",
			MFD_CLOEXEC | MFD_ALLOW_SEALING | files[index].flags);
	if (files[index].fd < 0 && files[index].flags != 0) {
		files[index].flags = 0;
		files[index].len = 0;
		files[index].fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	}
	FUZZ_CHECK(files[index].fd >= 0, "no memory");
	if (ftruncate(files[index].fd, (off_t)files[index].len) < 0)
		FUZZ_FAIL("no memory");
	if (files[index].seals != 0)
		fcntl(files[index].fd, F_ADD_SEALS, files[index].seals);
	files[index].dirty = false;
	files[index].sealed = false;
}

static void
init_memory(enum files_index index, uint64_t len, unsigned int flags, unsigned int seals)
{
	files[index].len = len;
	files[index].flags = flags;
	files[index].seals = seals;
	make_memory(index);
}

static bool
is_memory(uint8_t index)
{
	return index <= FILE_HUGE && index != FILE_READ_ONLY;
}

static bool
is_event(uint8_t index)
{
	return index >= FILE_CALL && index <= FILE_SEMAPHORE;
}

static void
init_event(enum files_index index, unsigned int flags, uint64_t count)
{
	files[index].fd = eventfd(0, (int)(EFD_CLOEXEC | flags));
	files[index].len = count;
	files[index].flags = flags;
	if (count != 0)
		eventfd_write(files[index].fd, count);
}

void
files_init(void)
{
	int pair[2], i;

	init_memory(FILE_LOW, FILE_LOW_LEN, 0, 0);
	init_memory(FILE_HIGH, FILE_HIGH_LEN, 0, 0);
	init_memory(FILE_LOG, FILE_LOG_LEN, 0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	init_memory(FILE_LOG_OPEN, FILE_LOG_LEN, 0, 0);
	init_memory(FILE_EMPTY, 0, 0, 0);
	init_memory(FILE_SPARSE, FILE_SPARSE_LEN, 0, 0);
	init_memory(FILE_HUGE, FILE_HUGE_LEN, MFD_HUGETLB, 0);
	files[FILE_READ_ONLY].fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	init_event(FILE_CALL, EFD_NONBLOCK, 0);
	init_event(FILE_KICK, EFD_NONBLOCK, 0);
	init_event(FILE_CALL_FULL, 0, EVENT_FULL);
	init_event(FILE_SEMAPHORE, EFD_SEMAPHORE, 1);
	FUZZ_CHECK(pipe2(pair, O_CLOEXEC) == 0, "no pipe");
	close(pair[0]);
	files[FILE_PIPE].fd = pair[1];
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "no sockets");
	close(pair[0]);
	files[FILE_SOCKET].fd = pair[1];
	files[FILE_NULL].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	files[FILE_EPOLL].fd = epoll_create1(EPOLL_CLOEXEC);
	files[FILE_FOLDER].fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files[FILE_PROC].fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < NB_FILES; i++)
		FUZZ_CHECK(files[i].fd >= 0, "no file %d", i);
}

int
files_fd(uint8_t index)
{
	return files[index % NB_FILES].fd;
}

void
files_write(enum files_index index, uint64_t offset, const void *data, size_t len)
{
	off_t end = lseek(files[index].fd, 0, SEEK_END);

	if (offset + len > (uint64_t)end)
		return;
	files[index].dirty = true;
	if (pwrite(files[index].fd, data, len, (off_t)offset) < 0)
		return; /* it is sealed */
}

void
files_change(uint8_t index, enum files_change change, uint64_t value)
{
	int flags;

	index %= NB_FILES;
	switch (change) {
	case FILES_SHORTEN:
		if (!is_memory(index))
			break;
		files[index].dirty = true;
		if (ftruncate(files[index].fd, (off_t)(value % (2 * FILE_LOW_LEN))) < 0)
			break;
		break;
	case FILES_PUNCH:
		if (is_memory(index))
			fallocate(files[index].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					(off_t)(value % FILE_LOW_LEN), (off_t)FILE_LOW_LEN);
		break;
	case FILES_SEAL:
		if (!is_memory(index) || index == FILE_LOG)
			break;
		files[index].sealed = true;
		fcntl(files[index].fd, F_ADD_SEALS,
				(unsigned int)(value &
						(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
								F_SEAL_FUTURE_WRITE)));
		break;
	case FILES_FLAGS:
		if (!is_event(index) && index != FILE_PIPE && index != FILE_SOCKET)
			break;
		files[index].changed = true;
		flags = fcntl(files[index].fd, F_GETFL);
		fcntl(files[index].fd, F_SETFL,
				value & 1 ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
		break;
	case FILES_COUNT:
		if (!is_event(index))
			break;
		files[index].changed = true;
		flags = fcntl(files[index].fd, F_GETFL);
		fcntl(files[index].fd, F_SETFL, flags | O_NONBLOCK);
		eventfd_write(files[index].fd, value & 1 ? EVENT_FULL : value);
		fcntl(files[index].fd, F_SETFL, flags);
		break;
	default:
		break;
	}
}

/* A close and an open: the same number again. */
static void
reset_event(enum files_index index)
{
	if (!files[index].changed && index >= FILE_CALL_FULL)
		return;
	close(files[index].fd);
	init_event(index, files[index].flags, files[index].len);
}

static void
reset_memory(enum files_index index)
{
	if (files[index].sealed) {
		close(files[index].fd);
		make_memory(index);
	} else if (index == FILE_LOG) {
		fallocate(files[index].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				FILE_LOG_LEN);
	} else if (files[index].dirty || index <= FILE_LOG_OPEN) {
		/* What is cut off comes back empty. */
		if (ftruncate(files[index].fd, 0) < 0 ||
				ftruncate(files[index].fd, (off_t)files[index].len) < 0)
			FUZZ_FAIL("no memory");
	}
	files[index].dirty = false;
}

void
files_reset(void)
{
	int i;

	for (i = 0; i < NB_FILES; i++) {
		if (is_memory(i))
			reset_memory(i);
		else if (is_event(i))
			reset_event(i);
		else if (files[i].changed)
			fcntl(files[i].fd, F_SETFL, fcntl(files[i].fd, F_GETFL) & ~O_NONBLOCK);
		files[i].changed = false;
	}
}
