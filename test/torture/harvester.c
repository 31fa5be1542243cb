/* SPDX-License-Identifier: BSD-3-Clause */

/* The front-end's harvest. */

#include "torture.h"

/* Holding the harvest lock. */
void
copy_page(struct torture *torture, uint64_t page)
{
	const uint64_t *from = torture->source + page * PAGE / 8;
	uint64_t *to = torture->destination + page * PAGE / 8;
	unsigned int i;

	for (i = 0; i < PAGE / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void
copy_marked_page(struct torture *torture, uint64_t gpa_page)
{
	unsigned int i;

	for (i = 0; i < NB_REGIONS; i++) {
		if (gpa_page - layout[i].first < layout[i].nb) {
			copy_page(torture, layout[i].ram + gpa_page - layout[i].first);
			torture->pages_copied++;
			return;
		}
	}
	torture->stray_bits++;
}

/* Take all marks out of a log and copy their pages. Holding the harvest lock. */
void
harvest(struct torture *torture, struct frontend_log *log)
{
	uint64_t *words = (uint64_t *)(void *)log->bytes;
	uint64_t i, bits;

	for (i = 0; i < log->len / 8; i++) {
		if (__atomic_load_n(&words[i], __ATOMIC_RELAXED) == 0)
			continue;
		bits = __atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
		/*
		 * Full fence: orders the exchange before the loads of the pages. Else a burst
		 * could find a bit set whose page is copied already.
		 */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		for (; bits != 0; bits &= bits - 1)
			copy_marked_page(torture, i * 64 + (uint64_t)__builtin_ctzll(bits));
	}
	/* The tail is no whole word. */
	for (i = log->len / 8 * 8; i < log->len; i++) {
		bits = __atomic_exchange_n(&log->bytes[i], 0, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST); /* as above */
		for (; bits != 0; bits &= bits - 1)
			copy_marked_page(torture, i * 8 + (uint64_t)__builtin_ctzll(bits));
	}
	torture->harvests++;
}

void *
harvest_all_the_time(void *arg)
{
	struct torture *torture = arg;
	uint64_t random = torture->seed ^ 0x5eed;

	while (!__atomic_load_n(&torture->quit, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&torture->harvest_lock);
		if (torture->log != NULL)
			harvest(torture, torture->log);
		pthread_mutex_unlock(&torture->harvest_lock);
		usleep(draw(&random) % 3 == 0 ? 0 : draw(&random) % 1500);
	}
	return NULL;
}
