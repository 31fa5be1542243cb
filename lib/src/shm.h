/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shared memory that bitmaps lie in: the front-end's log, see dirtylog_shm.h,
 * and memory of our own. Private.
 */

#ifndef DIRTYLOG_SHM_PVT_H
#define DIRTYLOG_SHM_PVT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dirtylog_shm.h"

struct dirtylog_guard;

/* A mapping. Constant but for `refs`. */
struct dirtylog_shm {
	void *addr;         /* first byte, aligned to 4096 bytes */
	uint64_t len;       /* usable bytes from addr on */
	uint64_t page_size; /* bytes per page of the memory behind it */
	uint32_t refs;
	void *map_addr; /* what munmap(2) gets */
	size_t map_len;
	uint64_t huge;                /* bytes of huge pages of our own */
	struct dirtylog_guard *guard; /* against truncation; NULL: memory of our own */
};

/*
 * Adopt pages that something else has mapped shared, by a second mapping of
 * the same pages. The first mapping, which starts on a page, may go away
 * afterwards. Guarded against truncation, as by dirtylog_shm_map(). Returns 0,
 * -EINVAL (empty or unaligned, or huge pages), or a negative errno of
 * mremap(2).
 */
int dirtylog_shm_duplicate(void *addr, uint64_t len, struct dirtylog_shm **shm);

/*
 * Allocate zeroed shared memory, not populated; if `huge`, in huge pages, if it
 * is large enough for them and there are some, up to 256 MiB in all the process;
 * if not, in normal ones, which a warning says once. Returns 0, -EINVAL (`len`
 * is 0), -ENOMEM, or a negative errno of memfd_create(2), ftruncate(2) or
 * mmap(2).
 */
int dirtylog_shm_alloc(uint64_t len, bool huge, struct dirtylog_shm **shm);

/*
 * Fault in a range, `offset` bytes from shm->addr on, so that no polling core
 * does it later. Returns 0, -EINVAL (beyond the end), -ENOMEM (no memory, or no
 * huge page, behind the file), or another negative errno of madvise(2).
 */
int dirtylog_shm_populate(struct dirtylog_shm *shm, uint64_t offset, uint64_t len);

/* Whether a mark met a part of the log that its owner has truncated. Any thread. */
bool dirtylog_shm_truncated(const struct dirtylog_shm *shm);

/* Take a further reference. Any thread. */
struct dirtylog_shm *dirtylog_shm_ref(struct dirtylog_shm *shm);

#endif /* DIRTYLOG_SHM_PVT_H */
