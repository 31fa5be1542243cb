/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "diag.h"
#include "memory_guard.h"
#include "truncation_guard.h"

struct dirtylog_memory_guard {
	const struct dirtylog_memory *memory;
	struct {
		struct dirtylog_guard *guard; /* NULL: its host address is not known */
		bool told;
	} regions[];
};

int
dirtylog_memory_guard_create(const struct dirtylog_memory *memory,
		struct dirtylog_memory_guard **out)
{
	struct dirtylog_memory_guard *guard;
	uint32_t i;
	int ret = 0;

	*out = NULL;
	if (memory == NULL)
		return 0;
	guard = calloc(1, sizeof(*guard) + memory->nb_regions * sizeof(guard->regions[0]));
	if (guard == NULL)
		return -ENOMEM;
	guard->memory = memory;
	for (i = 0; i < memory->nb_regions && ret == 0; i++)
		/* In pages of what size is the front-end's affair. */
		if (memory->regions[i].host != NULL)
			ret = dirtylog_truncation_guard_add(memory->regions[i].host,
					memory->regions[i].len, 0, &guard->regions[i].guard);
	if (ret < 0)
		dirtylog_memory_guard_free(guard);
	else
		*out = guard;
	return ret;
}

uint32_t
dirtylog_memory_guard_losses(struct dirtylog_memory_guard *guard, const char *name)
{
	uint32_t i, first = 0, nb_lost = 0;

	for (i = 0; guard != NULL && i < guard->memory->nb_regions; i++) {
		if (guard->regions[i].told ||
				!dirtylog_truncation_guard_hit(guard->regions[i].guard))
			continue;
		guard->regions[i].told = true;
		if (nb_lost++ == 0)
			first = i;
	}
	if (nb_lost != 0)
		DIRTYLOG_DIAG(ERR,
				"%s: the front-end has truncated the memory of its guest while"
				" it is in use: region %u (GPA 0x%" PRIx64 ", %" PRIu64 " bytes),"
				" %u in all: its queues are closed until it sends another memory"
				" table",
				name, first, guard->memory->regions[first].gpa,
				guard->memory->regions[first].len, nb_lost);
	return nb_lost;
}

int
dirtylog_memory_guard_free(struct dirtylog_memory_guard *guard)
{
	uint32_t i;
	int ret = 0;

	for (i = 0; guard != NULL && i < guard->memory->nb_regions; i++)
		if (dirtylog_truncation_guard_remove(guard->regions[i].guard) < 0)
			ret = -EBUSY;
	free(guard);
	return ret;
}
