/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A dirty log as the front-end holds it: a sealed memfd that it has mapped,
 * its own view of the bits, and what it checks: bytes behind the end of the
 * log, and before its begin, are a canary, and no back-end may change them.
 */

#ifndef FRONTEND_LOG_H
#define FRONTEND_LOG_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FRONTEND_LOG_CANARY 0xa5
#define FRONTEND_LOG_HUGE_PAGE (UINT64_C(2) << 20)

struct frontend_log {
	int fd;
	uint64_t offset; /* of the log in the file */
	uint64_t len;    /* bytes */
	size_t map_len;  /* len, and up to the end of the file */
	uint8_t *bytes;
};

/* Make and map the file. Sealed as QEMU's is. */
static inline int
frontend_log_create_file(struct frontend_log *log, uint64_t offset, uint64_t len,
		unsigned int flags, uint64_t page_size)
{
	uint64_t size = (offset + len + page_size - 1) / page_size * page_size;
	uint8_t *all;
	int ret;

	log->offset = offset;
	log->len = len;
	log->map_len = size - offset;
	log->bytes = NULL;
	log->fd = memfd_create("frontend-log", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (log->fd < 0)
		return -errno;
	if (ftruncate(log->fd, (off_t)size) < 0 ||
			fcntl(log->fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		goto fail;
	all = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (all == MAP_FAILED)
		goto fail;
	log->bytes = all + offset;
	memset(all, FRONTEND_LOG_CANARY, offset);
	memset(log->bytes + len, FRONTEND_LOG_CANARY, log->map_len - len);
	return 0;
fail:
	ret = -errno;
	close(log->fd);
	return ret;
}

/* A log of len bytes, all clean. Returns 0 or -errno. */
static inline int
frontend_log_create(struct frontend_log *log, uint64_t len)
{
	return frontend_log_create_file(log, 0, len, 0, 4096);
}

/*
 * The same in huge pages of 2 MiB, at an offset, which is a multiple of 4096.
 * -ENOMEM or the like where there are none.
 */
static inline int
frontend_log_create_huge(struct frontend_log *log, uint64_t offset, uint64_t len)
{
	return frontend_log_create_file(log, offset, len, MFD_HUGETLB | (21 << MAP_HUGE_SHIFT),
			FRONTEND_LOG_HUGE_PAGE);
}

static inline void
frontend_log_destroy(struct frontend_log *log)
{
	munmap(log->bytes - log->offset, log->offset + log->map_len);
	close(log->fd);
}

/* Whether a page, counted from GPA 0, is marked. */
static inline bool
frontend_log_test(const struct frontend_log *log, uint64_t page)
{
	return (__atomic_load_n(&log->bytes[page / 8], __ATOMIC_RELAXED) >> (page % 8)) & 1;
}

/* The number of marked pages. */
static inline uint64_t
frontend_log_count(const struct frontend_log *log)
{
	uint64_t i, count = 0;

	for (i = 0; i < log->len; i++)
		count += (uint64_t)__builtin_popcount(__atomic_load_n(&log->bytes[i],
				__ATOMIC_RELAXED));
	return count;
}

/* Whether pages [first, first + nb_pages) are marked, and no other. */
static inline bool
frontend_log_is_exactly(const struct frontend_log *log, uint64_t first, uint64_t nb_pages)
{
	uint64_t page;

	for (page = first; page < first + nb_pages; page++)
		if (!frontend_log_test(log, page))
			return false;
	return frontend_log_count(log) == nb_pages;
}

/* Forget all marks, as a harvest does. */
static inline void
frontend_log_clear(struct frontend_log *log)
{
	uint64_t i;

	for (i = 0; i < log->len; i++)
		__atomic_exchange_n(&log->bytes[i], 0, __ATOMIC_SEQ_CST);
}

/* Whether the bytes around it are as they were. */
static inline bool
frontend_log_canary_alive(const struct frontend_log *log)
{
	uint64_t i;

	for (i = 1; i <= log->offset; i++)
		if (*(log->bytes - i) != FRONTEND_LOG_CANARY)
			return false;
	for (i = log->len; i < log->map_len; i++)
		if (log->bytes[i] != FRONTEND_LOG_CANARY)
			return false;
	return true;
}

#endif /* FRONTEND_LOG_H */
