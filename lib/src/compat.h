/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * How the releases of DPDK differ, from 22.11 on, as far as the library notices:
 * nothing else in it asks for a release. Private.
 */

#ifndef DIRTYLOG_COMPAT_H
#define DIRTYLOG_COMPAT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <rte_version.h>

/* ---- known when it is compiled ---- */

/* Renamed in 23.03. */
#if RTE_VERSION < RTE_VERSION_NUM(23, 3, 0, 0)
#define rte_tel_data_add_dict_uint rte_tel_data_add_dict_u64
#endif

/* ---- known when it runs: releases of one ABI differ ---- */

/*
 * Where the descriptors of a vhost-user message lie in what librte_vhost passes
 * to an extern handler, behind a payload whose size varies, by the sources of
 * these releases. 0: of another one, and librte_vhost is asked, see msg_fds.c.
 */
static inline size_t
dirtylog_compat_message_fds_at(void)
{
	unsigned int year, month, release;

	if (sscanf(rte_version(), "%*s %u.%u", &year, &month) != 2)
		return 0;
	release = year * 100 + month;
	if (release < 2211 || release > 2607)
		return 0;
	return release >= 2503 ? 1084 : 644;
}

#endif /* DIRTYLOG_COMPAT_H */
