/* SPDX-License-Identifier: BSD-3-Clause */

#include <stddef.h>

#include "models.h"

const struct weak_model *const weak_models[] = {
	&mark_harvest,
	&two_queues,
	&publish_split,
	&publish_packed,
	&staging_summary,
	&staging_move,
	&log_swap,
	&gate,
	&epoch_fences,
	&ring_index,
	&stop,
	&logging_on,
	&logging_off,
	NULL,
};
