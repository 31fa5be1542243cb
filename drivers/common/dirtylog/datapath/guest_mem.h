/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Guest memory: from guest physical to host addresses, checked.
 *
 * The guest names every address and length; nothing is touched that was not
 * found to lie inside one region. A table is constant while a queue is open.
 */

#ifndef VNET_GUEST_MEM_H
#define VNET_GUEST_MEM_H

#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

#include "dirtylog_bitmap.h"

struct guest_region {
	uint64_t gpa;
	uint64_t len;
	uint8_t *host;
	struct dirtylog_bitmap *bitmap; /* where writes to the region are marked */
};

struct guest_mem {
	uint32_t nb_regions;
	struct guest_region regions[];
};

/* A piece of guest memory that is contiguous for the host too. */
struct vnet_iov {
	uint8_t *host;
	uint32_t len;
	const struct guest_region *region;
};

/* The region that holds a GPA; `hint` is tried first and updated. */
static inline const struct guest_region *
guest_mem_find(const struct guest_mem *mem, uint64_t gpa, const struct guest_region **hint)
{
	const struct guest_region *region = *hint;
	uint32_t i;

	/* One comparison: an address below the region wraps to a huge offset. */
	if (likely(gpa - region->gpa < region->len))
		return region;
	for (i = 0; i < mem->nb_regions; i++) {
		region = &mem->regions[i];
		if (gpa - region->gpa < region->len) {
			*hint = region;
			return region;
		}
	}
	return NULL;
}

/* Whether [gpa, gpa + len) lies in a region, gpa being in it. */
static inline bool
guest_region_holds(const struct guest_region *region, uint64_t gpa, uint32_t len)
{
	return len <= region->len - (gpa - region->gpa);
}

/* The region that holds all of [gpa, gpa + len), or NULL. */
static inline const struct guest_region *
guest_mem_find_range(const struct guest_mem *mem, uint64_t gpa, uint32_t len,
		const struct guest_region **hint)
{
	const struct guest_region *region = guest_mem_find(mem, gpa, hint);

	return likely(region != NULL && guest_region_holds(region, gpa, len)) ? region : NULL;
}

static inline uint8_t *
guest_region_host(const struct guest_region *region, uint64_t gpa)
{
	return region->host + (gpa - region->gpa);
}

/* The region that a host address is in, or NULL; for the control thread. */
const struct guest_region *guest_mem_find_host(const struct guest_mem *mem, const void *host,
		uint64_t len);

/* The GPA of a host address, which is in a region. */
uint64_t guest_mem_gpa(const struct guest_mem *mem, const void *host);

#endif /* VNET_GUEST_MEM_H */
