/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A driver that loses pages, for the negative control of the migration test:
 * included before each source of the driver, it puts a flush in place of the
 * library's that throws away every second batch of marks. Nothing of this is
 * in the sources or in the installed driver.
 */

#include "dirtylog_marker.h"

static inline void
drop_marks_flush(struct dirtylog_marker *marker)
{
	static unsigned int flushes;

	if (__atomic_add_fetch(&flushes, 1, __ATOMIC_RELAXED) % 2 == 0)
		marker->nb_marks = 0;
	else
		dirtylog_flush(marker);
}

#define dirtylog_flush drop_marks_flush
