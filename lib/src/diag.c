/* SPDX-License-Identifier: BSD-3-Clause */

#include "diag.h"

RTE_LOG_REGISTER(dirtylog_logtype, lib.dirtylog, INFO)
