/* SPDX-License-Identifier: BSD-3-Clause */

#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_common.h>

#include "numa_node.h"

/* Pages looked at to learn where a range is. */
#define NB_SAMPLES 64
/* Of these, pages that are looked at although they may not be there. */
#define NB_TRUSTED 4
/* Pages moved per system call. */
#define NB_MOVED 512

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

bool
dirtylog_numa_present(void)
{
	return numa_available() >= 0 && numa_num_configured_nodes() > 1;
}

/*
 * Have pages in our page table: move_pages(2) knows no others, and a memory
 * table that was mapped just now has none there. What is nowhere yet is left
 * so, or it would come from the node of the CPU we run on.
 */
static void
map_pages(void *const *pages, unsigned int n, uint64_t page_size)
{
	bool there[NB_SAMPLES], any = false;
	unsigned char resident;
	unsigned int i;

	for (i = 0; i < n; i++) {
		there[i] = mincore(pages[i], page_size, &resident) == 0 && (resident & 1) != 0;
		any |= there[i];
	}
	/* Pages of hugetlb files may go unseen: if all do, take a few on trust. */
	for (i = 0; i < n && !any; i += (n + NB_TRUSTED - 1) / NB_TRUSTED)
		there[i] = true;
	/* Not by a load: the file may have been truncated. */
	for (i = 0; i < n; i++)
		if (there[i])
			madvise(pages[i], page_size, MADV_POPULATE_READ);
}

/* Ask for the nodes of pages spread over a range; returns how many answers. */
static unsigned int
sample(const void *addr, uint64_t len, int nodes[NB_SAMPLES])
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t nb_pages = RTE_MAX(len / page_size, (uint64_t)1);
	unsigned int n = (unsigned int)RTE_MIN(nb_pages, (uint64_t)NB_SAMPLES);
	int answers[NB_SAMPLES];
	void *pages[NB_SAMPLES];
	unsigned int i, known = 0;

	if (addr == NULL || !dirtylog_numa_present())
		return 0;
	/* From the first to the last. */
	for (i = 0; i < n; i++)
		pages[i] = (void *)RTE_ALIGN_FLOOR((uintptr_t)addr +
						i * (nb_pages - 1) / RTE_MAX(n - 1, 1u) * page_size,
				page_size);
	map_pages(pages, n, page_size);
	/* Without target nodes this only asks. */
	if (move_pages(0, n, pages, NULL, answers, 0) < 0)
		return 0;
	for (i = 0; i < n; i++)
		if (answers[i] >= 0 && answers[i] < NUMA_NUM_NODES)
			nodes[known++] = answers[i];
	return known;
}

int
dirtylog_numa_node_of(const void *addr, uint64_t len)
{
	int nodes[NB_SAMPLES], votes[NUMA_NUM_NODES] = { 0 };
	int best = DIRTYLOG_NODE_UNKNOWN;
	unsigned int i, n = sample(addr, len, nodes);

	for (i = 0; i < n; i++) {
		votes[nodes[i]]++;
		if (best < 0 || votes[nodes[i]] > votes[best])
			best = nodes[i];
	}
	return best;
}

bool
dirtylog_numa_spans_nodes(const void *addr, uint64_t len)
{
	int nodes[NB_SAMPLES];
	unsigned int i, n = sample(addr, len, nodes);

	for (i = 1; i < n; i++)
		if (nodes[i] != nodes[0])
			return true;
	return false;
}

void
dirtylog_numa_prefer(void *addr, uint64_t len, int node)
{
	struct bitmask *mask;

	if (node < 0 || !dirtylog_numa_present())
		return;
	mask = numa_allocate_nodemask();
	if (mask == NULL)
		return;
	numa_bitmask_setbit(mask, (unsigned int)node);
	/* Preferred, not bound: memory elsewhere is better than none. */
	mbind(addr, len, MPOL_PREFERRED, mask->maskp, mask->size + 1, 0);
	numa_bitmask_free(mask);
}

bool
dirtylog_numa_gather(void *addr, uint64_t len, uint64_t page_size, int node)
{
	uintptr_t at = RTE_ALIGN_FLOOR((uintptr_t)addr, page_size);
	uintptr_t end = (uintptr_t)addr + len;
	int targets[NB_MOVED], status[NB_MOVED];
	void *pages[NB_MOVED];
	unsigned long i, n;

	while (at < end) {
		bool all_there = true;

		for (n = 0; n < NB_MOVED && at < end; n++, at += page_size) {
			pages[n] = (void *)at;
			targets[n] = node;
		}
		if (move_pages(0, n, pages, NULL, status, 0) < 0)
			return false;
		for (i = 0; i < n; i++)
			all_there &= status[i] == node;
		if (all_there)
			continue;
		/* MOVE_ALL: the front-end has them mapped as well. */
		if (move_pages(0, n, pages, targets, status, MPOL_MF_MOVE_ALL) < 0)
			return false;
		for (i = 0; i < n; i++)
			if (status[i] != node)
				return false;
	}
	return true;
}
