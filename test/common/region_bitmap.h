/* SPDX-License-Identifier: BSD-3-Clause */

/* A region's bitmap, as only tests ask for it. */

#ifndef REGION_BITMAP_H
#define REGION_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dirtylog.h"

/* The bitmap of a region of the present table, or NULL. */
static inline struct dirtylog_bitmap *
region_bitmap(struct dirtylog *dl, uint32_t index)
{
	const struct dirtylog_memory *memory = dirtylog_memory(dl);

	return memory != NULL && index < memory->nb_regions ? memory->regions[index].bitmap : NULL;
}

/* Whether the page at an offset is marked. Nobody puts another view in place meanwhile. */
static inline bool
bitmap_dirty_at(const struct dirtylog_bitmap *bitmap, uint64_t offset)
{
	const struct dirtylog_view *view = bitmap->view;
	uint64_t page;

	if (view == NULL || offset >= view->len)
		return false;
	page = (view->start + offset) >> DIRTYLOG_PAGE_SHIFT;
	return __atomic_load_n(&view->words[page / 64], __ATOMIC_RELAXED) >> (page % 64) & 1;
}

#endif /* REGION_BITMAP_H */
