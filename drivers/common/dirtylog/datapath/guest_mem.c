/* SPDX-License-Identifier: BSD-3-Clause */

#include "datapath/guest_mem.h"

const struct guest_region *
guest_mem_find_host(const struct guest_mem *mem, const void *host, uint64_t len)
{
	uint32_t i;

	for (i = 0; i < mem->nb_regions; i++) {
		const struct guest_region *region = &mem->regions[i];
		uint64_t offset = (uint64_t)((uintptr_t)host - (uintptr_t)region->host);

		if (offset < region->len && len <= region->len - offset)
			return region;
	}
	return NULL;
}

uint64_t
guest_mem_gpa(const struct guest_mem *mem, const void *host)
{
	const struct guest_region *region = guest_mem_find_host(mem, host, 1);

	return region->gpa + (uint64_t)((const uint8_t *)host - region->host);
}
