/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A back-end to be killed: ports of net_dirtylog, one for each socket, polled by one
 * thread. It sends numbered packets, and checks those that it gets. It starts in a
 * fraction of the time that testpmd takes.
 *
 *     kill-backend [--driver FILE [--placement auto|direct|staged]] [--gap-us US]
 *                  [--mind PORT] [--cpu CPU] [--own-ms MS] SOCKET...
 *
 * Without a driver its ports are DPDK's net_vhost's: for what is preloaded before librte_vhost.
 * It prints "ready" once it polls, and a line for each thing that is wrong.
 *
 * --mind: the other ports' guests are hostile, and only this one's packets are looked
 * at. SIGUSR1 then prints how long it was from one of its bursts to the next, by the
 * clock and in CPU time of the thread, since the last such line. --own-ms: the same
 * before and after all else, of a loop that does nothing but look at the clocks.
 */
#include <dlfcn.h>
#include <err.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_vhost.h>

#include "gap_histogram.h"
#include "packets.h"

#define MAX_PORTS 4
#define MBUFS 4096
#define QUEUE_SIZE 256
#define MAX_COMPLAINTS 2000 /* printed in all */

struct port {
	uint16_t id;
	uint32_t number; /* of the next packet to the guest */
	bool had_one;    /* of the guest */
	uint32_t last;   /* its number */
};

/* Times between bursts of the port that is minded, in ns. */
struct gaps {
	uint64_t clock, cpu; /* at the last burst; 0: there was none */
	struct gap_histogram by_clock, by_cpu;
};

struct backend {
	const char *driver, *placement;
	int mind; /* the port; or -1: all */
	int cpu;  /* to poll on; or -1: any */
	uint64_t own_ms;
	struct gaps gaps;
	char **sockets;
	unsigned int n_ports;
	uint64_t gap_us; /* between two bursts to the guest */
	uint32_t writer;
	struct rte_mempool *pool;
	struct port ports[MAX_PORTS];
	unsigned int complaints;
};

static volatile sig_atomic_t ended, asked;

static void
end(int signal)
{
	(void)signal;
	ended = 1;
}

static void
ask(int signal)
{
	(void)signal;
	asked = 1;
}

static int
options(struct backend *b, int argc, char **argv)
{
	static const struct option known[] = { { "driver", required_argument, NULL, 'd' },
		{ "placement", required_argument, NULL, 'p' },
		{ "gap-us", required_argument, NULL, 'g' },
		{ "mind", required_argument, NULL, 'm' }, { "cpu", required_argument, NULL, 'c' },
		{ "own-ms", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (o == 'd')
			b->driver = optarg;
		else if (o == 'p')
			b->placement = optarg;
		else if (o == 'g')
			b->gap_us = strtoul(optarg, NULL, 10);
		else if (o == 'm')
			b->mind = atoi(optarg);
		else if (o == 'c')
			b->cpu = atoi(optarg);
		else if (o == 'o')
			b->own_ms = strtoul(optarg, NULL, 10);
		else
			return -1;
	}
	b->sockets = argv + optind;
	b->n_ports = (unsigned int)(argc - optind);
	return b->n_ports == 0 || b->n_ports > MAX_PORTS || b->mind >= (int)b->n_ports ? -1 : 0;
}

/* All CPUs that this process may use, or the one that was named, for the thread that polls. */
static void
lcores(const struct backend *b, char *text, size_t room)
{
	unsigned int cpu, n = 0;
	cpu_set_t set;

	if (b->cpu >= 0) {
		snprintf(text, room, "--lcores=0@%d", b->cpu);
		return;
	}
	n += (unsigned int)snprintf(text, room, "--lcores=0@(");
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		err(2, "sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE && n + 8 < room; cpu++)
		if (CPU_ISSET(cpu, &set))
			n += (unsigned int)snprintf(text + n, room - n, "%u,", cpu);
	text[n - 1] = ')';
}

static void
start_eal(struct backend *b)
{
	char prefix[64], cores[1024];
	const char *args[] = {
		"kill-backend",
		"--no-pci",
		"--no-telemetry",
		"--no-shconf",
		"--no-huge",
		"-m",
		"64",
		/* Hostile front-ends have librte_vhost write lines without end. */
		b->mind < 0 ? "--log-level=*:error" : "--log-level=*:critical",
		prefix,
		cores,
	};

	snprintf(prefix, sizeof(prefix), "--file-prefix=kill-%d", (int)getpid());
	lcores(b, cores, sizeof(cores));
	/* Not by -d, which refuses files below folders that all may write to. */
	if (b->driver != NULL && dlopen(b->driver, RTLD_NOW) == NULL)
		errx(2, "%s", dlerror());
	/* To stderr only, and not to the system's log. */
	rte_openlog_stream(stderr);
	if (rte_eal_init(sizeof(args) / sizeof(args[0]), (char **)(uintptr_t)args) < 0)
		errx(2, "the EAL does not start: %s", rte_strerror(rte_errno));
	b->pool = rte_pktmbuf_pool_create("packets", MBUFS, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
			(int)rte_socket_id());
	if (b->pool == NULL)
		errx(2, "mbufs: %s", rte_strerror(rte_errno));
}

static void
start_port(struct backend *b, unsigned int i)
{
	const struct rte_eth_conf conf = { 0 };
	char name[32], args[256];
	uint16_t id;

	snprintf(name, sizeof(name), "%s%u", b->driver != NULL ? "net_dirtylog" : "net_vhost", i);
	snprintf(args, sizeof(args), b->driver != NULL ? "iface=%s,log-placement=%s" : "iface=%s",
			b->sockets[i], b->placement);
	if (rte_eal_hotplug_add("vdev", name, args) != 0 ||
			rte_eth_dev_get_port_by_name(name, &id) != 0 ||
			rte_eth_dev_configure(id, 1, 1, &conf) != 0 ||
			rte_eth_rx_queue_setup(id, 0, QUEUE_SIZE, rte_socket_id(), NULL, b->pool) !=
					0 ||
			rte_eth_tx_queue_setup(id, 0, QUEUE_SIZE, rte_socket_id(), NULL) != 0 ||
			rte_eth_dev_start(id) != 0)
		errx(2, "%s, %s: no port", name, args);
	b->ports[i] = (struct port){ .id = id };
}

/*
 * librte_vhost's thread sees a new listening socket when its poll() ends, which takes
 * up to a second. A connection, here one of its own, makes it look at once.
 */
static void
wake_event_thread(const struct backend *b)
{
	static const struct rte_vhost_device_ops none = { 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s-%d", b->sockets[0], (int)getpid());
	if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
			listen(fd, 1) != 0)
		err(2, "%s", addr.sun_path);
	if (rte_vhost_driver_register(addr.sun_path,
			    RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) != 0 ||
			rte_vhost_driver_callback_register(addr.sun_path, &none) != 0 ||
			rte_vhost_driver_start(addr.sun_path) != 0 ||
			rte_vhost_driver_unregister(addr.sun_path) != 0)
		errx(2, "%s: no connection", addr.sun_path);
	close(fd);
	unlink(addr.sun_path);
}

/* Packets that the ring has no room for are made anew, with the same numbers. */
static void
send_burst(struct backend *b, struct port *p)
{
	struct rte_mbuf *mbufs[HOST_BURST];
	uint32_t len;
	uint16_t i, n;

	if (rte_pktmbuf_alloc_bulk(b->pool, mbufs, HOST_BURST) != 0)
		return;
	for (i = 0; i < HOST_BURST; i++) {
		len = host_packet_len(p->number + i);
		mbufs[i]->data_len = (uint16_t)len;
		mbufs[i]->pkt_len = len;
		host_packet_write(rte_pktmbuf_mtod(mbufs[i], uint8_t *), b->writer, p->number + i);
	}
	n = rte_eth_tx_burst(p->id, 0, mbufs, HOST_BURST);
	p->number += n;
	rte_pktmbuf_free_bulk(mbufs + n, HOST_BURST - n);
}

static void
complain(struct backend *b, const struct port *p, const char *what, uint32_t number)
{
	if (b->complaints++ < MAX_COMPLAINTS)
		printf("%s port %u packet %u after %u\n", what, p->id, number, p->last);
}

static bool
is_minded(const struct backend *b, const struct port *p)
{
	return b->mind < 0 || p == &b->ports[b->mind];
}

static void
receive_burst(struct backend *b, struct port *p)
{
	struct rte_mbuf *mbufs[HOST_BURST];
	uint16_t i, n = rte_eth_rx_burst(p->id, 0, mbufs, HOST_BURST);
	uint32_t number;

	for (i = 0; i < n && is_minded(b, p); i++) {
		if (!guest_packet_read(rte_pktmbuf_mtod(mbufs[i], uint8_t *), mbufs[i]->data_len,
				    &number)) {
			complain(b, p, "damaged", 0);
			continue;
		}
		/* Once per connection the guest may begin anywhere: whoever reads this knows. */
		number %= GUEST_BUFFERS;
		if (p->had_one && number != (p->last + 1) % GUEST_BUFFERS)
			complain(b, p, "gap", number);
		p->had_one = true;
		p->last = number;
	}
	rte_pktmbuf_free_bulk(mbufs, n);
}

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
note_burst(struct gaps *gaps)
{
	const uint64_t clock = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	if (gaps->clock != 0) {
		gap_add(&gaps->by_clock, clock - gaps->clock);
		gap_add(&gaps->by_cpu, cpu - gaps->cpu);
	}
	gaps->clock = clock;
	gaps->cpu = cpu;
}

/* And begins anew. */
static void
print_gaps(struct gaps *gaps)
{
	printf("gaps n=%llu p9999_us=%.1f longest_us=%.1f cpu_p9999_us=%.1f cpu_longest_us=%.1f\n",
			(unsigned long long)gaps->by_clock.total,
			(double)gap_quantile(&gaps->by_clock, 0.9999) / 1e3,
			(double)gaps->by_clock.max / 1e3,
			(double)gap_quantile(&gaps->by_cpu, 0.9999) / 1e3,
			(double)gaps->by_cpu.max / 1e3);
	memset(gaps, 0, sizeof(*gaps));
}

/* What the machine itself does to a thread that never waits. */
static void
measure_own(struct backend *b)
{
	const uint64_t stop = clock_ns(CLOCK_MONOTONIC) + b->own_ms * 1000000;

	if (b->own_ms == 0)
		return;
	memset(&b->gaps, 0, sizeof(b->gaps));
	while (b->gaps.clock < stop)
		note_burst(&b->gaps);
	print_gaps(&b->gaps);
}

static void
poll_ports(struct backend *b)
{
	const uint64_t gap = b->gap_us * rte_get_tsc_hz() / 1000000;
	uint64_t next = 0, now;
	unsigned int i;

	while (!ended) {
		now = rte_rdtsc();
		for (i = 0; i < b->n_ports; i++) {
			if (b->mind == (int)i)
				note_burst(&b->gaps);
			receive_burst(b, &b->ports[i]);
			if (now >= next)
				send_burst(b, &b->ports[i]);
		}
		if (now >= next)
			next = now + gap;
		if (asked) {
			asked = 0;
			print_gaps(&b->gaps);
		}
		/* The guest may have no other CPU. */
		if (b->cpu < 0)
			sched_yield();
	}
}

int
main(int argc, char **argv)
{
	static struct backend b = { .placement = "auto", .mind = -1, .cpu = -1, .gap_us = 100 };
	unsigned int i;

	if (options(&b, argc, argv) < 0)
		errx(2,
				"usage: kill-backend [--driver FILE [--placement auto|direct|staged]] [--gap-us US]"
				" [--mind PORT] [--cpu CPU] [--own-ms MS] SOCKET...");
	b.writer = (uint32_t)getpid();
	signal(SIGTERM, end);
	signal(SIGUSR1, ask);
	setvbuf(stdout, NULL, _IOLBF, 0);
	start_eal(&b);
	measure_own(&b);
	for (i = 0; i < b.n_ports; i++)
		start_port(&b, i);
	wake_event_thread(&b);
	printf("ready\n");
	poll_ports(&b);
	measure_own(&b);
	for (i = 0; i < b.n_ports; i++) {
		rte_eth_dev_stop(b.ports[i].id);
		rte_eth_dev_close(b.ports[i].id);
	}
	rte_eal_cleanup();
	return 0;
}
