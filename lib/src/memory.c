/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>

#include "dirtylog_memory.h"

const struct dirtylog_region *
dirtylog_memory_find_host(const struct dirtylog_memory *memory, const void *host, uint64_t len)
{
	uint32_t i;

	for (i = 0; i < memory->nb_regions; i++) {
		const struct dirtylog_region *region = &memory->regions[i];
		uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)region->host);

		if (offset < region->len && len <= region->len - offset)
			return region;
	}
	return NULL;
}

int
dirtylog_memory_gpa(const struct dirtylog_memory *memory, const void *host, uint64_t *gpa)
{
	const struct dirtylog_region *region = dirtylog_memory_find_host(memory, host, 1);

	if (region == NULL)
		return -EFAULT;
	*gpa = region->gpa + (uint64_t)((const uint8_t *)host - region->host);
	return 0;
}
