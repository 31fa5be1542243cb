/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * Shared memory that bitmaps lie in: the front-end's log, mapped from the
 * file descriptor that VHOST_USER_SET_LOG_BASE carries, and memory of our own.
 *
 * A mapping is reference counted and unmapped with its last user.
 */

#ifndef DIRTYLOG_SHM_H
#define DIRTYLOG_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct dirtylog_guard; /* private */

/** A mapped piece of shared memory. Read-only for users. */
struct dirtylog_shm {
	void *addr;         /**< first byte, aligned to 4096 bytes */
	uint64_t len;       /**< usable bytes from addr on */
	uint64_t page_size; /**< bytes per page of the memory behind it */
	uint32_t refs;
	void *map_addr; /**< what munmap(2) gets */
	size_t map_len;
	uint64_t huge;                /**< bytes of huge pages of our own */
	struct dirtylog_guard *guard; /**< against truncation; NULL: memory of our own */
};

/**
 * Map a log that a front-end handed over (vhost-user: VHOST_USER_SET_LOG_BASE).
 *
 * Huge page files (hugetlb memfd or hugetlbfs) work. The descriptor stays the
 * caller's, who can close it afterwards. Pages are not populated yet: a front-
 * end could name a file of any size; see dirtylog_shm_populate().
 *
 * Its owner may truncate the file later, or take pages out of it that cannot be
 * had again. Then the marks that fall into the lost part go nowhere, the process
 * goes on, and dirtylog_shm_truncated() tells.
 *
 * @param fd
 *   descriptor of a memfd, or of a file on tmpfs or hugetlbfs, readable and
 *   writable
 * @param offset
 *   first byte of the log in the file: a multiple of 4096
 * @param len
 *   bytes, not 0; need not be a multiple of anything
 * @param[out] shm
 *   the mapping, with one reference
 * @return
 *   0, or
 *   -EINVAL: len is 0 or offset no multiple of 4096;
 *   -EOVERFLOW: offset + len exceeds what a file can have;
 *   -ERANGE: the file ends before offset + len, which would be a SIGBUS later;
 *   -ENOTSUP: it is not in memory: a burst that marks there could wait for a
 *   disk or a network, or for ever;
 *   -ENOMEM;
 *   another negative errno of fstat(2) or mmap(2), e.g. -EBADF or -EACCES.
 */
int dirtylog_shm_map(int fd, uint64_t offset, uint64_t len, struct dirtylog_shm **shm);

/**
 * Adopt pages that something else has mapped shared, by a second mapping of
 * the same pages. The first mapping may go away afterwards. Guarded against
 * truncation, as by dirtylog_shm_map().
 *
 * @param addr
 *   start of the first mapping, aligned to its page size
 * @param len
 *   bytes
 * @param[out] shm
 *   the second mapping, with one reference
 * @return 0, -EINVAL (empty or unaligned, or huge pages), or a negative errno
 *   of mremap(2)
 */
int dirtylog_shm_duplicate(void *addr, uint64_t len, struct dirtylog_shm **shm);

/**
 * Fault in a range, so that no polling core does it later.
 *
 * @param shm
 *   the mapping
 * @param offset
 *   bytes from shm->addr on
 * @param len
 *   bytes
 * @return 0, -EINVAL (beyond the end), -ENOMEM (no memory, or no huge page,
 *   behind the file), or another negative errno of madvise(2)
 */
int dirtylog_shm_populate(struct dirtylog_shm *shm, uint64_t offset, uint64_t len);

/** Whether a mark met a part of the log that its owner has truncated. Any thread. */
bool dirtylog_shm_truncated(const struct dirtylog_shm *shm);

/**
 * Allocate zeroed shared memory, not populated.
 *
 * @param len
 *   bytes, not 0
 * @param huge
 *   in huge pages, if it is large enough for them and there are some, up to
 *   256 MiB in all the process; if not, in normal ones, which a warning says once
 * @param[out] shm
 *   the memory, with one reference
 * @return 0, -EINVAL (len is 0), -ENOMEM, or a negative errno of
 *   memfd_create(2), ftruncate(2) or mmap(2)
 */
int dirtylog_shm_alloc(uint64_t len, bool huge, struct dirtylog_shm **shm);

/** Take a further reference. Any thread. */
struct dirtylog_shm *dirtylog_shm_ref(struct dirtylog_shm *shm);

/** Drop a reference; the last one unmaps. Any thread; NULL is allowed. */
void dirtylog_shm_unref(struct dirtylog_shm *shm);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_SHM_H */
