/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * The front-end's log, mapped from the file descriptor that
 * VHOST_USER_SET_LOG_BASE carries, for dirtylog_set_log().
 *
 * A mapping is reference counted and unmapped with its last user.
 */

#ifndef DIRTYLOG_SHM_H
#define DIRTYLOG_SHM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A mapped log. */
struct dirtylog_shm;

/**
 * Map a log that a front-end handed over (vhost-user: VHOST_USER_SET_LOG_BASE).
 *
 * Huge page files (hugetlb memfd or hugetlbfs) work. The descriptor stays the
 * caller's, who can close it afterwards. Pages are not populated yet, since a
 * front-end could name a file of any size.
 *
 * Its owner may truncate the file later, or take pages out of it that cannot be
 * had again. Then the marks that fall into the lost part go nowhere, the process
 * goes on, and the counters tell (`truncated_logs`).
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
 *   -ENOTSUP: the file is not in memory, and a burst that marks there could wait
 *   for a disk or a network, or for ever;
 *   -ENOMEM;
 *   another negative errno of fstat(2) or mmap(2), e.g. -EBADF or -EACCES.
 */
int dirtylog_shm_map(int fd, uint64_t offset, uint64_t len, struct dirtylog_shm **shm);

/** Drop a reference; the last one unmaps. Any thread; NULL is allowed. */
void dirtylog_shm_unref(struct dirtylog_shm *shm);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_SHM_H */
