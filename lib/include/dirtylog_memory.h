/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * A guest's memory: from guest physical addresses to host addresses, checked,
 * and to the bitmaps that writes are marked in.
 *
 * The guest names every address and length. Nothing may be touched that was
 * not found to lie inside one region. A table is constant; the library hands
 * it out (dirtylog_memory(), and `resume` of dirtylog_vhost.h), and a datapath
 * looks up in it without a lock.
 */

#ifndef DIRTYLOG_MEMORY_H
#define DIRTYLOG_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Memory regions of a device at most. */
#define DIRTYLOG_MAX_REGIONS 512

struct dirtylog_bitmap;

/** A guest memory region. */
struct dirtylog_region {
	uint64_t gpa;  /**< guest physical address of its first byte */
	uint64_t len;  /**< bytes */
	uint8_t *host; /**< where it is mapped here; NULL: not known */
	/** Where writes to it are marked. dirtylog_set_regions() ignores it. */
	struct dirtylog_bitmap *bitmap;
};

/** A memory table: at least one region. */
struct dirtylog_memory {
	uint32_t nb_regions;
	struct dirtylog_region regions[];
};

/**
 * The region that holds a GPA.
 *
 * @param memory
 *   the table
 * @param gpa
 *   guest physical address
 * @param[in,out] hint
 *   a region of the table, which is tried first and updated; &regions[0] at
 *   first
 * @return NULL if no region holds it
 */
static inline const struct dirtylog_region *
dirtylog_memory_find(const struct dirtylog_memory *memory, uint64_t gpa,
		const struct dirtylog_region **hint)
{
	const struct dirtylog_region *region = *hint;
	uint32_t i;

	/* One comparison: an address below the region wraps to a huge offset. */
	if (likely(gpa - region->gpa < region->len))
		return region;
	for (i = 0; i < memory->nb_regions; i++) {
		region = &memory->regions[i];
		if (gpa - region->gpa < region->len) {
			*hint = region;
			return region;
		}
	}
	return NULL;
}

/** Whether all of [gpa, gpa + len) lies in a region, gpa being in it. */
static inline bool
dirtylog_region_holds(const struct dirtylog_region *region, uint64_t gpa, uint64_t len)
{
	return len <= region->len - (gpa - region->gpa);
}

/**
 * The region that holds all of [gpa, gpa + len), or NULL: as
 * dirtylog_memory_find(), for a length of 32 bits, which is what descriptors
 * have. For a longer one ask dirtylog_region_holds().
 */
static inline const struct dirtylog_region *
dirtylog_memory_find_range(const struct dirtylog_memory *memory, uint64_t gpa, uint32_t len,
		const struct dirtylog_region **hint)
{
	const struct dirtylog_region *region = dirtylog_memory_find(memory, gpa, hint);

	return likely(region != NULL && dirtylog_region_holds(region, gpa, len)) ? region : NULL;
}

/** Where a GPA that a region holds is mapped here. */
static inline uint8_t *
dirtylog_region_host(const struct dirtylog_region *region, uint64_t gpa)
{
	return region->host + (gpa - region->gpa);
}

/**
 * The region that `len` bytes at a host address lie in. Tries one after the
 * other: for control threads.
 *
 * @return NULL if no region holds all of them
 */
const struct dirtylog_region *dirtylog_memory_find_host(const struct dirtylog_memory *memory,
		const void *host, uint64_t len);

/**
 * The GPA of a host address. For control threads.
 *
 * @return 0, or -EFAULT: it is in no region
 */
int dirtylog_memory_gpa(const struct dirtylog_memory *memory, const void *host, uint64_t *gpa);

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_MEMORY_H */
