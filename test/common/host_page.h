/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The kernel's page: of 4 KiB on x86, of 16 or 64 KiB on some arm64 kernels. The
 * log's page, DIRTYLOG_PAGE_SIZE, has nothing to do with it.
 */

#ifndef HOST_PAGE_H
#define HOST_PAGE_H

#include <stdint.h>
#include <unistd.h>

static inline uint64_t
host_page(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

#endif /* HOST_PAGE_H */
