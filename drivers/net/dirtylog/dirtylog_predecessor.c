/* SPDX-License-Identifier: BSD-3-Clause */

#include "dirtylog_chain.h"
#include "dirtylog_predecessor.h"

void
dirtylog_predecessor_mark(struct dirtylog_queue *queue, struct dirtylog_device *device)
{
	uint16_t end = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);
	uint16_t at = queue->next_avail;
	uint64_t len;
	int i, n;

	if ((uint16_t)(end - at) > queue->size)
		return; /* the first burst will say what is wrong */
	for (; at != end; at++) {
		uint16_t head = __atomic_load_n(&queue->avail->ring[at & queue->mask],
				__ATOMIC_RELAXED);

		n = dirtylog_chain_walk(queue, head, true, 0, &len);
		for (i = 0; i < n; i++) {
			const struct guest_piece *piece = &queue->pieces[i];

			dirtylog_device_mark(device, piece->region->gpa +
					(uint64_t)(piece->host - piece->region->host), piece->len);
		}
	}
}
