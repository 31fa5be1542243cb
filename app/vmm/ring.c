/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ring.h"

#define POISON_BYTES 64u

void
ring_violation(struct guest_queue *q, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(q->violation, sizeof(q->violation), format, args);
	va_end(args);
	__atomic_store_n(&q->broken, true, __ATOMIC_RELEASE);
}

/* Writes something that no packet holds, and notes the pages as the guest's own writes. */
void
ring_poison(struct guest_queue *q, uint64_t buffer)
{
	uint64_t gpa = BUFFER_GPA(buffer), end = gpa + BUFFER_LEN(buffer), stop, page;
	uint64_t offset = guest_ram_offset(q->ram, gpa);
	uint64_t i;

	q->poison_value = (q->poison_value + 1) | 0xa5a5000000000000ull;
	for (i = gpa; i < end; i = (i | (PAGE_SIZE - 1)) + 1) {
		stop = end - i < POISON_BYTES ? end : i + POISON_BYTES;
		page = i >> PAGE_SHIFT;
		memset(q->ram->source + offset + (i - gpa), 0xa5, stop - i);
		if (stop - i >= sizeof(q->poison_value))
			memcpy(q->ram->source + offset + (i - gpa), &q->poison_value,
					sizeof(q->poison_value));
		__atomic_fetch_or(&q->guest_wrote[page / 64], 1ull << page % 64, __ATOMIC_SEQ_CST);
	}
}

void
ring_kick(struct guest_queue *q)
{
	const uint64_t one = 1;

	/* A counter that is full means a kick that nobody took yet: fine. */
	if (write(q->kick_fd, &one, sizeof(one)) < 0)
		return;
}
