/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>

#include <rte_cycles.h>

#include "datapath/diag.h"
#include "datapath/queue.h"

__attribute__((cold)) void
dirtylog_queue_fault(struct dirtylog_queue *queue, enum dirtylog_fault fault,
		uint64_t value, uint64_t limit)
{
	static const char *const what[DIRTYLOG_NB_FAULTS] = {
		[DIRTYLOG_FAULT_AVAIL_INDEX] = "available index moved by more than the ring",
		[DIRTYLOG_FAULT_HEAD] = "descriptor index beyond the ring",
		[DIRTYLOG_FAULT_LOOP] = "descriptor chain too long, or a loop",
		[DIRTYLOG_FAULT_ADDRESS] = "buffer outside of guest memory",
		[DIRTYLOG_FAULT_DIRECTION] = "descriptor of the wrong direction",
		[DIRTYLOG_FAULT_INDIRECT] = "bad indirect descriptor table",
		[DIRTYLOG_FAULT_SHORT] = "buffers too short",
		[DIRTYLOG_FAULT_LONG] = "packet too long",
		[DIRTYLOG_FAULT_OFFLOAD] = "bad virtio-net header",
	};
	uint64_t now = rte_rdtsc();

	dirtylog_count(&queue->stats.faults[fault], 1);
	if (now < queue->next_fault_log)
		return;
	queue->next_fault_log = now + rte_get_tsc_hz();
	DRIVER_LOG(WARNING, "port %u virtqueue %u: the guest's fault: %s (0x%" PRIx64
			", limit 0x%" PRIx64 "), %" PRIu64 " so far; further ones within a"
			" second are counted only",
			queue->port_id, queue->vring, what[fault], value, limit,
			queue->stats.faults[fault]);
}
