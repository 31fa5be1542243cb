/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Of a driver that must lose pages, linked with --wrap: it takes the front-end that
 * begins with logging on for any other, as if no back-end before it could have died
 * with marks in its hands.
 */
#include "dirtylog.h"

void __wrap_dirtylog_follow_predecessor(struct dirtylog *dl);

void
__wrap_dirtylog_follow_predecessor(struct dirtylog *dl)
{
	(void)dl;
}
