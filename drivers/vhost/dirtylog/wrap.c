/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The door for programs that have DPDK linked in. The linker's --wrap turns each call
 * of a function of librte_vhost, the application's and those of DPDK's own drivers,
 * into one of __wrap_ and its name, which are here; __real_ and its name is the function
 * itself. The door and its datapath are linked in too.
 *
 * At the first call it decides, as stub.c does: the operator may have switched it off.
 */

#include <pthread.h>

#include <rte_branch_prediction.h>

#include "api.h"
#include "datapath/diag.h"

#define DECLARE(type, none, name, parameters, arguments) \
	type __real_rte_vhost_##name parameters; \
	type __wrap_rte_vhost_##name parameters;
VHOST_API(DECLARE)

void dirtylog_vhost_leave(const char *path);
void **dirtylog_vhost_copies_1(void);

static void
leave_nobody(const char *path)
{
	(void)path;
}

static const struct vhost_api stock = {
#define STOCK_MEMBER(type, none, name, parameters, arguments) .name = __real_rte_vhost_##name,
	VHOST_API(STOCK_MEMBER)
#undef STOCK_MEMBER
			.leave = leave_nobody,
};

static const struct vhost_api *chosen; /* NULL: not yet */

/* NULL, after a line in the log that says why. */
static const struct vhost_api *
open_door(void)
{
	const char *why = NULL;
	const struct vhost_api *api;

	if (dirtylog_vhost_is_off()) {
		VNET_DIAG(NOTICE, DIRTYLOG_VHOST_IS_OFF);
		return NULL;
	}
	api = dirtylog_vhost_door_1(&stock, &why);
	if (api == NULL)
		VNET_DIAG(ERR, "%s: librte_vhost's own datapath", why);
	return api;
}

static void
decide(void)
{
	const struct vhost_api *api = open_door();

	/* Release: orders the door's stores to its own state before the store of the pointer. */
	__atomic_store_n(&chosen, api == NULL ? &stock : api, __ATOMIC_RELEASE);
}

static const struct vhost_api *
api_now(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	/* Acquire: orders the load of the pointer before the loads of what the door has stored. */
	const struct vhost_api *api = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);

	if (likely(api != NULL))
		return api;
	pthread_once(&once, decide);
	return __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
}

#define WRAP(type, none, name, parameters, arguments) \
	type __wrap_rte_vhost_##name parameters \
	{ \
		return api_now()->name arguments; \
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* void functions that return one's void */
VHOST_API(WRAP)
#pragma GCC diagnostic pop

void
dirtylog_vhost_leave(const char *path)
{
	api_now()->leave(path);
}

/* As stub.c's. */
void **
dirtylog_vhost_copies_1(void)
{
	static void *copies;

	return &copies;
}
