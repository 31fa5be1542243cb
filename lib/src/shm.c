/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: a log, mapped from a descriptor or from what librte_vhost has
 * mapped, checked and guarded; memory of our own, in huge pages or not; and what
 * both have in common: populating it, references.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "diag.h"
#include "shm.h"
#include "truncation_guard.h"

/* The unit in which the protocol places a log, whatever the page size behind. */
#define OFFSET_ALIGN 4096

/* From this size on, own memory is worth huge pages, of 2 MiB. */
#define HUGE_FROM (64 * 1024)
#define HUGE_SHIFT 21

/* The bytes of huge pages that the whole process takes at most: others live on them too. */
#define HUGE_LIMIT (UINT64_C(256) << 20)

static uint64_t huge_taken;

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* Page size of the memory behind a file: mmap(2) wants offsets to match it. */
static uint64_t
file_page_size(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC)
		return (uint64_t)fs.f_bsize;
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Wrap a mapping; unmaps it on failure. */
static int
adopt(void *map_addr, size_t map_len, uint64_t skip, uint64_t len, uint64_t page_size,
		struct dirtylog_shm **out)
{
	struct dirtylog_shm *shm = calloc(1, sizeof(*shm));

	if (shm == NULL) {
		munmap(map_addr, map_len);
		return -ENOMEM;
	}
	shm->addr = (char *)map_addr + skip;
	shm->len = len;
	shm->page_size = page_size;
	shm->refs = 1;
	shm->map_addr = map_addr;
	shm->map_len = map_len;
	*out = shm;
	return 0;
}

/*
 * Map pages, and have none of them yet, since it is a front-end that says how
 * many there are: not in a process that locks its memory either (mlockall(2),
 * MCL_FUTURE), where a mapping is populated unless nobody can access it.
 */
static void *
map_pages(int fd, uint64_t offset, uint64_t len)
{
	void *addr = mmap(NULL, len, PROT_NONE, MAP_SHARED, fd, (off_t)offset);
	int error;

	if (addr == MAP_FAILED || mprotect(addr, len, PROT_READ | PROT_WRITE) == 0)
		return addr;
	error = errno;
	munmap(addr, len);
	errno = error;
	return MAP_FAILED;
}

static int
map_file(int fd, uint64_t offset, uint64_t len, struct dirtylog_shm **shm)
{
	uint64_t page_size = file_page_size(fd);
	uint64_t skip = offset % page_size;
	uint64_t map_len = (skip + len + page_size - 1) / page_size * page_size;
	void *addr = map_pages(fd, offset - skip, map_len);

	if (addr == MAP_FAILED)
		return -errno;
	return adopt(addr, map_len, skip, len, page_size, shm);
}

/*
 * Whether a file is memory: tmpfs, hugetlbfs, a memfd. Only these have seals; and
 * asking for them does not wait for anybody, as fstat(2) may on a network.
 */
static int
check_memory(int fd)
{
	if (fcntl(fd, F_GET_SEALS) >= 0)
		return 0;
	return errno == EINVAL ? -ENOTSUP : -errno;
}

/* Guard a new mapping against truncation; drops it on failure. */
static int
guard(struct dirtylog_shm *shm)
{
	int ret = dirtylog_truncation_guard_add(shm->map_addr, shm->map_len, shm->page_size,
			&shm->guard);

	if (ret < 0)
		dirtylog_shm_unref(shm);
	return ret;
}

int
dirtylog_shm_map(int fd, uint64_t offset, uint64_t len, struct dirtylog_shm **shm)
{
	struct stat st;
	int ret;

	if (len == 0 || offset % OFFSET_ALIGN != 0)
		return -EINVAL;
	if (offset > INT64_MAX || len > (uint64_t)INT64_MAX - offset)
		return -EOVERFLOW;
	ret = check_memory(fd);
	if (ret < 0)
		return ret;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < offset + len)
		return -ERANGE;
	ret = map_file(fd, offset, len, shm);
	/* Sealed or not: a page can also be missing where there was a hole. */
	return ret < 0 ? ret : guard(*shm);
}

bool
dirtylog_shm_truncated(const struct dirtylog_shm *shm)
{
	return dirtylog_truncation_guard_hit(shm->guard);
}

int
dirtylog_shm_duplicate(void *addr, uint64_t len, struct dirtylog_shm **shm)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	void *copy;
	int ret;

	if (len == 0 || (uintptr_t)addr % page_size != 0)
		return -EINVAL;
	/* An old size of 0 asks for a second mapping of shared pages. */
	copy = mremap(addr, 0, len, MREMAP_MAYMOVE);
	if (copy == MAP_FAILED)
		return -errno;
	ret = adopt(copy, len, 0, len, page_size, shm);
	return ret < 0 ? ret : guard(*shm);
}

static int
alloc_pages(uint64_t len, unsigned int page_shift, struct dirtylog_shm **shm)
{
	unsigned int flags = page_shift == 0 ? 0 : MFD_HUGETLB | page_shift << MFD_HUGE_SHIFT;
	int fd, ret;

	if (len > INT64_MAX)
		return -ENOMEM;
	fd = memfd_create("dirtylog", MFD_CLOEXEC | flags);
	if (fd < 0)
		return -errno;
	/* Huge pages are reserved by the mapping: if there are too few, it fails. */
	ret = ftruncate(fd, (off_t)len) < 0 ? -errno : map_file(fd, 0, len, shm);
	close(fd);
	return ret;
}

/* As alloc_pages(), or -ENOSPC: the process has as many as it may have. */
static int
alloc_huge(uint64_t len, struct dirtylog_shm **shm)
{
	uint64_t unit = UINT64_C(1) << HUGE_SHIFT;
	uint64_t size = (len + unit - 1) / unit * unit;
	int ret = -ENOSPC;

	if (len > HUGE_LIMIT)
		return ret;
	if (__atomic_add_fetch(&huge_taken, size, __ATOMIC_RELAXED) <= HUGE_LIMIT)
		ret = alloc_pages(size, HUGE_SHIFT, shm);
	if (ret < 0) {
		__atomic_sub_fetch(&huge_taken, size, __ATOMIC_RELAXED);
		return ret;
	}
	(*shm)->len = len;
	(*shm)->huge = size;
	return 0;
}

int
dirtylog_shm_alloc(uint64_t len, bool huge, struct dirtylog_shm **shm)
{
	static bool warned;
	int ret;

	if (len == 0)
		return -EINVAL;
	if (huge && len >= HUGE_FROM) {
		ret = alloc_huge(len, shm);
		if (ret == 0)
			return 0;
		if (!__atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
			DIRTYLOG_DIAG(WARNING,
					"%s huge pages for staging bitmaps:"
					" normal pages are used",
					ret == -ENOSPC ? "there are 256 MiB of" : "no free");
	}
	return alloc_pages(len, 0, shm);
}

int
dirtylog_shm_populate(struct dirtylog_shm *shm, uint64_t offset, uint64_t len)
{
	char *map = shm->map_addr;
	uint64_t skip = (uint64_t)((char *)shm->addr - map);
	uint64_t begin, end, at;

	if (len > shm->len || offset > shm->len - len)
		return -EINVAL;
	begin = (skip + offset) / shm->page_size * shm->page_size;
	end = (skip + offset + len + shm->page_size - 1) / shm->page_size * shm->page_size;
	if (madvise(map + begin, end - begin, MADV_POPULATE_WRITE) == 0)
		return 0;
	if (errno == EFAULT)
		return -ENOMEM; /* would have been a SIGBUS: no huge page left for the file */
	if (errno != EINVAL)
		return -errno;
	/* A kernel before 5.14: touch each page, changing nothing that others share. */
	for (at = begin; at < end; at += shm->page_size)
		__atomic_fetch_or((uint64_t *)(map + at), 0, __ATOMIC_RELAXED);
	return 0;
}

struct dirtylog_shm *
dirtylog_shm_ref(struct dirtylog_shm *shm)
{
	__atomic_fetch_add(&shm->refs, 1, __ATOMIC_RELAXED);
	return shm;
}

void
dirtylog_shm_unref(struct dirtylog_shm *shm)
{
	/* Acq_rel: every user's last access comes before the unmap. */
	if (shm == NULL || __atomic_sub_fetch(&shm->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (dirtylog_truncation_guard_remove(shm->guard) < 0)
		return; /* the addresses must never be used again */
	munmap(shm->map_addr, shm->map_len);
	__atomic_sub_fetch(&huge_taken, shm->huge, __ATOMIC_RELAXED);
	free(shm);
}
