/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What is preloaded, or linked before librte_vhost: it has the names of
 * librte_vhost's functions and passes each call on, to the datapath in a file of
 * its own or to librte_vhost. It needs the C library only, and a process that
 * never registers a socket never notices it.
 *
 * At the first call it decides: to the datapath, if its file is there and fits
 * the DPDK that runs, and the operator has not switched it off. Whatever is
 * wrong with that is a line in the log, and librte_vhost serves.
 *
 * In this file: librte_vhost's own functions, the log, the decision, the names.
 */

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"

/* DPDK's numbers: levels, and a log type that each application may use. */
#define LOG_ERR 4U
#define LOG_NOTICE 6U
#define LOG_TYPE_USER1 24U

static struct vhost_api stock;

/* ---- librte_vhost's own functions ---- */

static int
find_library(struct dl_phdr_info *info, size_t size, void *ctx)
{
	const char *name = strrchr(info->dlpi_name, '/');
	void **library = ctx;

	(void)size;
	if (name == NULL || strncmp(name, "/librte_vhost.so", strlen("/librte_vhost.so")) != 0)
		return 0;
	/* It may be in a scope of its own: an EAL driver brought it, say. */
	*library = dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD);
	return *library != NULL;
}

#define MISSING(type, none, name, parameters, arguments) \
	static type missing_##name parameters \
	{ \
		return none; \
	}
/* Their parameters are of no use. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
VHOST_API(MISSING)
#pragma GCC diagnostic pop

static void
leave_nobody(const char *path)
{
	(void)path;
}

/* Returns librte_vhost, or NULL: it is a part of the program. */
static void *
find_stock(void)
{
	void *library = NULL;

	dl_iterate_phdr(find_library, &library);
#define FIND(type, none, name, parameters, arguments) \
	*(void **)&stock.name = dlsym(library != NULL ? library : RTLD_NEXT, "rte_vhost_" #name); \
	if (stock.name == NULL) \
		stock.name = missing_##name;
	VHOST_API(FIND)
#undef FIND
	stock.leave = leave_nobody;
	return library;
}

/* ---- the log ---- */

/* DPDK's if there is one, which an application has its own ideas about. */
static void
log_line(void *library, unsigned int level, const char *format, ...)
{
	int (*rte_log)(uint32_t level, uint32_t type, const char *line, ...);
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	*(void **)&rte_log = dlsym(library != NULL ? library : RTLD_DEFAULT, "rte_log");
	if (rte_log != NULL)
		rte_log(level, LOG_TYPE_USER1, "dirtylog: %s\n", line);
	else
		fprintf(stderr, "dirtylog: %s\n", line);
}

/* ---- the decision ---- */

/* "22.11" of "DPDK 22.11.5"; the answer is false if there is no such thing. */
static bool
read_release(void *library, char *release, size_t size)
{
	const char *(*rte_version)(void);
	unsigned int year, month;

	*(void **)&rte_version = dlsym(library != NULL ? library : RTLD_DEFAULT, "rte_version");
	if (rte_version == NULL || sscanf(rte_version(), "%*s %2u.%2u", &year, &month) != 2)
		return false;
	snprintf(release, size, "%u.%02u", year, month);
	return true;
}

/* The file for a release of DPDK is beside this one, unless the operator names one. */
static bool
datapath_path(const char *release, char *path, size_t size)
{
	const char *named = getenv("DIRTYLOG_VHOST_DATAPATH");
	const char *slash;
	Dl_info self;
	int folder;

	if (named != NULL && *named != '\0')
		return snprintf(path, size, "%s", named) < (int)size;
	if (dladdr(&stock, &self) == 0 || self.dli_fname == NULL)
		return false;
	slash = strrchr(self.dli_fname, '/');
	folder = slash == NULL ? 0 : (int)(slash + 1 - self.dli_fname);
	return snprintf(path, size, "%.*sdirtylog-datapath-%s.so", folder, self.dli_fname,
			       release) < (int)size;
}

/* NULL, after a line in the log that says why. */
static const struct vhost_api *
open_door(void *library)
{
	const struct vhost_api *(*door)(const struct vhost_api *, const char **);
	const char *why = NULL;
	const struct vhost_api *api;
	char release[16], path[4096];
	void *datapath;

	if (dirtylog_vhost_is_off()) {
		log_line(library, LOG_NOTICE, DIRTYLOG_VHOST_IS_OFF);
		return NULL;
	}
	if (!read_release(library, release, sizeof(release)) ||
			!datapath_path(release, path, sizeof(path))) {
		log_line(library, LOG_ERR,
				"cannot tell which DPDK runs: librte_vhost's own datapath");
		return NULL;
	}
	datapath = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (datapath == NULL) {
		log_line(library, LOG_ERR, "%s: librte_vhost's own datapath", dlerror());
		return NULL;
	}
	*(void **)&door = dlsym(datapath, DIRTYLOG_VHOST_DOOR);
	if (door == NULL)
		why = "it is of another release of dirtylog";
	api = door == NULL ? NULL : door(&stock, &why);
	if (api == NULL)
		log_line(library, LOG_ERR, "%s: %s: librte_vhost's own datapath", path,
				why == NULL ? "it refuses" : why);
	return api;
}

static const struct vhost_api undecided;
static const struct vhost_api *chosen = &undecided;

static void
decide(void)
{
	void *library = find_stock();
	const struct vhost_api *api = open_door(library);

	__atomic_store_n(&chosen, api == NULL ? &stock : api, __ATOMIC_RELEASE);
}

/* Acquire: orders the load of the pointer before the loads from its table. */
static inline const struct vhost_api *
api_now(void)
{
	return __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
}

static const struct vhost_api *
api_decided(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, decide);
	return api_now();
}

#define DECIDE(type, none, name, parameters, arguments) \
	static type decide_##name parameters \
	{ \
		return api_decided()->name arguments; \
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" /* void functions that return one's void */
VHOST_API(DECIDE)

static void
decide_leave(const char *path)
{
	api_decided()->leave(path);
}

static const struct vhost_api undecided = {
#define DECIDE_MEMBER(type, none, name, parameters, arguments) .name = decide_##name,
	VHOST_API(DECIDE_MEMBER)
#undef DECIDE_MEMBER
			.leave = decide_leave,
};

/* ---- the names ---- */

#define EXPORT(type, none, name, parameters, arguments) \
	type rte_vhost_##name parameters; \
	type rte_vhost_##name parameters \
	{ \
		return api_now()->name arguments; \
	}
VHOST_API(EXPORT)
#pragma GCC diagnostic pop

/* The driver calls it: struct vhost_api. */
void dirtylog_vhost_leave(const char *path);

/* Each copy of libdirtylog in this process puts itself into the list that is here: telemetry.c. */
void **dirtylog_vhost_copies_1(void);

void **
dirtylog_vhost_copies_1(void)
{
	static void *copies;

	return &copies;
}

void
dirtylog_vhost_leave(const char *path)
{
	api_now()->leave(path);
}
