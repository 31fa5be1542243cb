/* SPDX-License-Identifier: BSD-3-Clause */
/* The shared bitmap in which the back-end marks pages: one bit per guest page. */
#ifndef DIRTY_LOG_H
#define DIRTY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dirty_log {
	uint8_t *map;
	uint64_t size; /* bytes of the log, not always whole words */
	uint64_t mapped;
	uint64_t offset; /* in the file */
	int fd;
};

enum dirty_log_size {
	LOG_SIZE_QEMU, /* whole words */
	LOG_SIZE_CH,   /* bytes */
};

/* A log for so many guest pages, zeroed, its file sealed against resizing as QEMU's is. */
int dirty_log_create(struct dirty_log *log, uint64_t pages, enum dirty_log_size how, bool hugepages,
		uint64_t offset);
void dirty_log_destroy(struct dirty_log *log);

static inline uint64_t
dirty_log_words(const struct dirty_log *log)
{
	return (log->size + 7) / 8;
}

/* Takes the marks of 64 pages out of the log. */
static inline uint64_t
dirty_log_take(const struct dirty_log *log, uint64_t word)
{
	uint64_t *w = (uint64_t *)(void *)log->map + word, bits = 0, i;
	uint8_t *b;

	if ((word + 1) * 8 <= log->size) {
		/* The test first: most words are zero, and xchg takes the line from the back-end. */
		if (__atomic_load_n(w, __ATOMIC_RELAXED) == 0)
			return 0;
		return __atomic_exchange_n(w, 0, __ATOMIC_SEQ_CST);
	}
	for (i = word * 8; i < log->size; i++) {
		b = log->map + i;
		if (__atomic_load_n(b, __ATOMIC_RELAXED) != 0)
			bits |= (uint64_t)__atomic_exchange_n(b, 0, __ATOMIC_SEQ_CST) << i % 8 * 8;
	}
	return bits;
}

#endif
