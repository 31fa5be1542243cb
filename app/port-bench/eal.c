/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "eal.h"

#define MBUFS 16384 /* and a cache of 250: as testpmd has them */
#define MBUF_CACHE 250
#define DRIVER "librte_net_dirtylog.so"

/*
 * By dlopen() and not by the EAL's -d, which refuses files below a folder that all
 * may write to. Without a name: where the build puts it, else where the system looks.
 */
static int
load_driver(const char *path)
{
	char beside[PATH_MAX];
	ssize_t n;

	if (path == NULL) {
		n = readlink("/proc/self/exe", beside, sizeof(beside) - 64);
		while (n > 0 && beside[n - 1] != '/')
			n--;
		snprintf(beside + (n > 0 ? n : 0), 64, "../../drivers/net/dirtylog/%s", DRIVER);
		path = access(beside, R_OK) == 0 ? beside : DRIVER;
	}
	if (dlopen(path, RTLD_NOW) == NULL) {
		warnx("net_dirtylog: %s", dlerror());
		return -ENOENT;
	}
	return 0;
}

/* The EAL's and the vhost library's own threads run on what is left: the guest's CPU. */
static int
use_cpus(const unsigned int *cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[0], &set);
	CPU_SET(cpus[1], &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		warn("--cpus %u,%u", cpus[0], cpus[1]);
		return -errno;
	}
	return 0;
}

int
eal_start(struct port_bench *b, const char *program)
{
	const unsigned int *cpus = b->settings.cpus;
	char name[64], lcores[64];
	char *args[20];
	int n = 0, ret;

	ret = load_driver(b->settings.driver);
	if (ret == 0)
		ret = use_cpus(cpus);
	if (ret < 0)
		return ret;
	snprintf(name, sizeof(name), "%s", program);
	snprintf(lcores, sizeof(lcores), "0@%u,%u@%u,%u@%u", cpus[0], LCORE_BURSTS, cpus[1],
			LCORE_GUEST, cpus[0]);
	args[n++] = name;
	args[n++] = (char *)(uintptr_t) "--no-pci";
	args[n++] = (char *)(uintptr_t) "--no-telemetry";
	args[n++] = (char *)(uintptr_t) "--lcores";
	args[n++] = lcores;
	args[n++] = (char *)(uintptr_t) "--log-level=*:error";
	args[n++] = (char *)(uintptr_t) "--file-prefix";
	args[n++] = b->file_prefix;
	args[n++] = (char *)(uintptr_t) "-m";
	args[n++] = (char *)(uintptr_t) "256";
	if (b->settings.hugepages) {
		args[n++] = (char *)(uintptr_t) "--in-memory";
		args[n++] = (char *)(uintptr_t) "--single-file-segments";
	} else {
		args[n++] = (char *)(uintptr_t) "--no-huge";
		args[n++] = (char *)(uintptr_t) "--no-shconf";
	}
	/* To stderr only, and not to the system's log. */
	rte_openlog_stream(stderr);
	if (rte_eal_init(n, args) < 0) {
		warnx("the EAL does not start: %s", rte_strerror(rte_errno));
		return -rte_errno;
	}
	b->pool = rte_pktmbuf_pool_create("bursts", MBUFS, MBUF_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
			(int)rte_socket_id());
	if (b->pool == NULL) {
		warnx("a pool of %d mbufs: %s", MBUFS, rte_strerror(rte_errno));
		return -rte_errno;
	}
	return 0;
}

void
eal_stop(void)
{
	rte_eal_cleanup();
}
