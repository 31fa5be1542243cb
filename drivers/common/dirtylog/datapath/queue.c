/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>

#include <rte_cycles.h>

#include "datapath/diag.h"
#include "datapath/queue.h"

/* Whether it is time for a line, of which there is one a second. */
static bool
may_log(struct vnet_fault_log *log)
{
	uint64_t now = rte_rdtsc();

	if (log == NULL || now < __atomic_load_n(&log->next, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&log->next, now + rte_get_tsc_hz(), __ATOMIC_RELAXED);
	return true;
}

__attribute__((cold)) void
vnet_queue_fault(struct vnet_queue *queue, enum vnet_fault fault, uint64_t value, uint64_t limit)
{
	static const char *const what[VNET_NB_FAULTS] = {
		[VNET_FAULT_AVAIL_INDEX] = "available index moved by more than the ring",
		[VNET_FAULT_HEAD] = "descriptor index beyond the ring",
		[VNET_FAULT_LOOP] = "descriptor chain too long, or a loop",
		[VNET_FAULT_ADDRESS] = "buffer outside of guest memory",
		[VNET_FAULT_DIRECTION] = "descriptor of the wrong direction",
		[VNET_FAULT_INDIRECT] = "bad indirect descriptor table",
		[VNET_FAULT_SHORT] = "buffers too short",
		[VNET_FAULT_LONG] = "packet too long",
		[VNET_FAULT_OFFLOAD] = "bad virtio-net header",
	};

	vnet_count(&queue->stats.faults[fault], 1);
	if (!may_log(queue->fault_log))
		return;
	VNET_DIAG(WARNING,
			"%s virtqueue %u: the guest's fault: %s (0x%" PRIx64 ", limit 0x%" PRIx64
			"), %" PRIu64 " so far; further ones within a"
			" second, of any virtqueue, are counted only",
			queue->name, queue->vring, what[fault], value, limit,
			queue->stats.faults[fault]);
}
