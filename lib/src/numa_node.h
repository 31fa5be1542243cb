/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * On which NUMA node memory is, and getting it where it should be. Private.
 *
 * Nothing here fails a migration: where there is one node only, or the kernel
 * does not tell, the answers are "unknown" and "cannot".
 */

#ifndef DIRTYLOG_NUMA_NODE_H
#define DIRTYLOG_NUMA_NODE_H

#include <stdbool.h>
#include <stdint.h>

#define DIRTYLOG_NODE_UNKNOWN (-1)

/* Whether there is more than one node: else nothing here matters. */
bool dirtylog_numa_present(void);

/*
 * The node that holds most of the pages, of a sample, of a range that is
 * mapped; pages that are not there yet do not count.
 */
int dirtylog_numa_node_of(const void *addr, uint64_t len);

/* Whether pages of a range, of a sample, are on different nodes. */
bool dirtylog_numa_spans_nodes(const void *addr, uint64_t len);

/* Have pages of a range that are not there yet come from a node if it has any. */
void dirtylog_numa_prefer(void *addr, uint64_t len, int node);

/*
 * See to it that all pages of a populated range are on a node: move those that
 * are not. False: some are elsewhere and cannot be moved (moving shared pages
 * needs CAP_SYS_NICE).
 */
bool dirtylog_numa_gather(void *addr, uint64_t len, uint64_t page_size, int node);

#endif /* DIRTYLOG_NUMA_NODE_H */
