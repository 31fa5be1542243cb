/* SPDX-License-Identifier: BSD-3-Clause */

/**
 * @file
 * How bursts and the control thread meet: RCU, in the manner of liburcu's memb
 * flavour.
 *
 * A burst (one call of a poll-mode receive or transmit function) reads what
 * the control thread may replace: whether its queue is open, where the pages
 * of a region are marked. It neither locks nor counts references. It says, with
 * plain stores to a line of its own, when it is inside a *read-side section*. The
 * control thread, after it changed something, waits until every section that may
 * have seen the old state is over:
 *
 *     burst                               control thread
 *     section = odd                       state = new
 *     (compiler barrier)                  membarrier: every running core of
 *     read state, use it                    this process does a full fence
 *     section = even (release)            wait while a section is odd and
 *                                           has not moved
 *
 * Without the membarrier both sides could miss each other: the store of
 * `section` may still be in the burst's store buffer when the control thread
 * reads it, while the burst has read the old state already. With it, either
 * the control thread sees the section, or the burst sees the new state. Where
 * the kernel has no membarrier(2) each burst executes the fence itself.
 *
 * The wait ends with the burst that runs; a reader that is not inside a
 * section is not waited for, whether somebody polls it or not.
 *
 * A reader is a part of a marker (dirtylog_marker.h), and lives where that does.
 *
 * Why neither of the libraries that do the like:
 *
 *  - In both the reader is a thread. A thread registers itself, and here the
 *    threads are the application's, which knows nothing of this. So the reader is
 *    the virtqueue: whichever thread polls it speaks for it.
 *  - rte_rcu_qsbr waits until each thread that is registered has reported a
 *    quiescent state. One that sleeps or has gone, without saying so before,
 *    would hold up librte_vhost's event thread, and with it every port. To be
 *    online for one burst only costs a full fence in each.
 *  - liburcu's memb flavour has just this protocol. But its readers are all the
 *    registered threads of the process: a device would wait for the readers of
 *    others, where it needs to wait for its own queues' bursts only.
 */

#ifndef DIRTYLOG_EPOCH_H
#define DIRTYLOG_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One thread's, in practice one virtqueue's, side of an epoch. */
struct dirtylog_reader {
	/** Odd inside a section. Stored by the reader's thread alone. */
	uint32_t section;
	/**
	 * The control thread has membarrier(2): a section needs no fence of its
	 * own. Stored when the reader is added, which may be inside a section:
	 * as long as it is not seen, there is a fence too many.
	 */
	bool membarrier;
	struct dirtylog_reader *next;
} __attribute__((aligned(RTE_CACHE_LINE_SIZE)));

/** Enter a section. One thread at a time per reader; sections do not nest. */
static inline void
dirtylog_reader_enter(struct dirtylog_reader *reader)
{
	__atomic_store_n(&reader->section, reader->section + 1, __ATOMIC_RELAXED);
	/*
	 * Orders the store of `section` before the section's loads of what the
	 * control thread replaces. The compiler is held back here; the processor
	 * by the control thread's membarrier. If the loads went first, the
	 * control thread could see no section and free what they returned.
	 */
	if (unlikely(!reader->membarrier))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/** Leave the section. */
static inline void
dirtylog_reader_leave(struct dirtylog_reader *reader)
{
	/*
	 * Release: the section's loads and stores are done before the control
	 * thread can see it ended; else it could unmap memory in use.
	 */
	__atomic_store_n(&reader->section, reader->section + 1, __ATOMIC_RELEASE);
}

#ifdef __cplusplus
}
#endif

#endif /* DIRTYLOG_EPOCH_H */
