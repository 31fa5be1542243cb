/* SPDX-License-Identifier: BSD-3-Clause */

#include <stdlib.h>

#include "methods.h"

static inline uint64_t
slot_gpa(uint32_t slot)
{
	return (uint64_t)slot << SLOT_SHIFT;
}

/* Fetch the word that will be tested for a page. */
static inline void
prefetch_word(const struct dirtylog_bitmap *bitmap, uint64_t offset)
{
	rte_prefetch0(&bitmap->view->words[(bitmap->view->start + offset) / DIRTYLOG_WORD_SPAN]);
}

/* libdirtylog, called as a datapath calls it. */

static inline __attribute__((always_inline)) void
run_marker(struct queue *queue, const uint32_t *slots, uint32_t nb, bool prefetch)
{
	struct dirtylog_marker *marker = &queue->marker;
	const struct dirtylog_bitmap *bitmap = queue->guest->bitmap;
	const uint32_t *end = slots + nb;
	uint32_t i;

	for (; slots != end; slots += BURST) {
		if (!dirtylog_burst_begin(marker))
			abort(); /* nobody closes the gate */
		for (i = 0; prefetch && i < BURST; i++)
			prefetch_word(bitmap, slot_gpa(slots[i]));
		for (i = 0; i < BURST; i++)
			dirtylog_mark(marker, bitmap, slot_gpa(slots[i]), BUFFER_LEN);
		dirtylog_flush(marker);
		dirtylog_burst_end(marker);
	}
}

static void
marker_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	run_marker(queue, slots, nb, true);
}

static void
mark_only_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	run_marker(queue, slots, nb, false);
}

static inline void
set_bit_atomic(uint8_t *log, uint64_t page)
{
	__atomic_fetch_or(&log[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_RELAXED);
}

/* As libvhost-user does it: the log's end is checked, then a byte per page. */
static void
byte_or_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	const struct guest *guest = queue->guest;
	uint32_t i;

	for (i = 0; i < nb; i++) {
		uint64_t gpa = slot_gpa(slots[i]);
		uint64_t page = gpa >> DIRTYLOG_PAGE_SHIFT;
		uint64_t last = (gpa + BUFFER_LEN - 1) >> DIRTYLOG_PAGE_SHIFT;

		if (last / 8 >= guest->log_len)
			abort();
		for (; page <= last; page++)
			set_bit_atomic(guest->log, page);
	}
}

/* As rust-vmm's BitmapMmapRegion does it: a read lock around each range. */
static void
lock_byte_or_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	struct guest *guest = queue->guest;
	uint32_t i;

	for (i = 0; i < nb; i++) {
		uint64_t gpa = slot_gpa(slots[i]);
		uint64_t page = gpa >> DIRTYLOG_PAGE_SHIFT;
		uint64_t last = (gpa + BUFFER_LEN - 1) >> DIRTYLOG_PAGE_SHIFT;

		if (pthread_rwlock_rdlock(&guest->lock) != 0)
			abort();
		for (; page <= last && page < guest->nb_pages; page++) {
			if (page / 8 >= guest->log_len)
				abort();
			set_bit_atomic(guest->log, page);
		}
		pthread_rwlock_unlock(&guest->lock);
	}
}

/* As librte_vhost does it: words in the order of their first use, found by search. */

static inline void
cache_page(struct queue *queue, uint64_t page)
{
	uint32_t offset = (uint32_t)(page / 64);
	uint64_t bit = UINT64_C(1) << (page % 64);
	uint32_t i;

	for (i = 0; i < queue->nb_cached; i++) {
		if (queue->cache[i].offset == offset) {
			queue->cache[i].bits |= bit;
			return;
		}
	}
	if (i == BURST) {
		__atomic_thread_fence(__ATOMIC_RELEASE);
		set_bit_atomic(queue->guest->log, page);
		return;
	}
	queue->cache[i] = (struct cached_word){ .offset = offset, .bits = bit };
	queue->nb_cached = i + 1;
}

static inline void
cache_flush(struct queue *queue)
{
	uint64_t *words = (uint64_t *)(void *)queue->guest->log;
	uint32_t i;

	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (i = 0; i < queue->nb_cached; i++)
		__atomic_fetch_or(&words[queue->cache[i].offset], queue->cache[i].bits,
				__ATOMIC_RELAXED);
	queue->nb_cached = 0;
}

static void
searched_cache_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	const struct guest *guest = queue->guest;
	const uint32_t *end = slots + nb;
	uint32_t i;

	for (; slots != end; slots += BURST) {
		for (i = 0; i < BURST; i++) {
			uint64_t gpa = slot_gpa(slots[i]);
			uint64_t page = gpa >> DIRTYLOG_PAGE_SHIFT;
			uint64_t last = (gpa + BUFFER_LEN - 1) >> DIRTYLOG_PAGE_SHIFT;

			if (last / 8 >= guest->log_len)
				continue;
			for (; page <= last; page++)
				cache_page(queue, page);
		}
		cache_flush(queue);
	}
}

/* The floors: the memory access alone. They lose marks, and show what no right way can beat. */

static void
plain_or_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	uint8_t *log = queue->guest->log;
	uint32_t i;

	for (i = 0; i < nb; i++) {
		uint64_t page = slot_gpa(slots[i]) >> DIRTYLOG_PAGE_SHIFT;

		log[page / 8] = (uint8_t)(log[page / 8] | 1u << page % 8);
		__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the compiler merges none of them */
	}
}

static void
plain_store_run(struct queue *queue, const uint32_t *slots, uint32_t nb)
{
	uint8_t *log = queue->guest->log;
	uint32_t i;

	for (i = 0; i < nb; i++) {
		log[(slot_gpa(slots[i]) >> DIRTYLOG_PAGE_SHIFT) / 8] = UINT8_MAX;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
}

const struct method methods[NB_METHODS] = {
	[METHOD_MARKER] = { "dirtylog",
			"libdirtylog's marker, words prefetched before the burst's marks", false,
			marker_run },
	[METHOD_MARK_ONLY] = { "mark-only", "the same without prefetching them", false,
			mark_only_run },
	[METHOD_BYTE_OR] = { "byte-or", "an atomic byte OR per page (as libvhost-user)", false,
			byte_or_run },
	[METHOD_LOCK_BYTE_OR] = { "lock+byte-or", "a read lock around it (as BitmapMmapRegion)",
			false, lock_byte_or_run },
	[METHOD_SEARCHED_CACHE] = { "cache-32", "32 words, searched (as librte_vhost)", false,
			searched_cache_run },
	[METHOD_PLAIN_OR] = { "plain-or", "load, or, store: loses marks of others", true,
			plain_or_run },
	[METHOD_PLAIN_STORE] = { "plain-store",
			"a byte stored: the floor; marks 8 pages, loses marks", true,
			plain_store_run },
};
