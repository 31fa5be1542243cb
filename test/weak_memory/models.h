/* SPDX-License-Identifier: BSD-3-Clause */

/* All models; NULL is behind the last one. */

#ifndef MODELS_H
#define MODELS_H

#include "weak.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct weak_model mark_harvest, two_queues, publish_split, publish_packed,
		staging_summary, staging_move, log_swap, gate, epoch_fences, ring_index, stop,
		logging_on, logging_off;

extern const struct weak_model *const weak_models[];

#ifdef __cplusplus
}
#endif

#endif /* MODELS_H */
