/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Traffic of the test guest: sends frames of random content at a steady rate,
 * expects them back (the far end swaps the MAC addresses), checks every byte
 * and prints its counters; "again" are frames that have come back before.
 *
 *	traffic NIC CPU FRAMES_PER_SECOND
 *
 * Frames are raw Ethernet: no ARP, no checksum offload, no IP set-up. Each CPU
 * has its own ethertype, so that two generators on a NIC do not see each
 * other's frames.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ETHERTYPE_BASE 0x88b5 /* IEEE: local experiments */
#define MAGIC 0x676f6c7974726964ull
#define FRAME_MAX 9014
#define TICK_NS 2000000
#define REPORT_NS 500000000
#define CATCH_UP_MAX 64 /* frames sent at once after a pause */
#define NB_SEEN 65536   /* seeds remembered, by their low bits: about a minute of frames */

struct frame {
	uint8_t dst[6];
	uint8_t src[6];
	uint16_t type;
	uint16_t pad;
	uint64_t magic;
	uint64_t seed;
	uint8_t payload[FRAME_MAX - 32];
} __attribute__((packed));

#define HEADER_LEN offsetof(struct frame, payload)

struct generator {
	int fd;
	struct frame tx;
	struct frame rx;
	uint64_t seed;
	uint64_t sent;
	uint64_t echoed;
	uint64_t bad;
	uint64_t again;
	uint64_t seen[NB_SEEN];
	char name[32];
};

/* 60 is the smallest Ethernet frame; the large ones span several RX buffers. */
static const uint16_t sizes[] = {
	8014,
	60,
	9014,
	1514,
	4014,
	64,
	8014,
	128,
	6014,
	1000,
	9014,
	2048,
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t
next_random(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

/* The payload follows from the seed, so the receiver can check all of it. */
static void
fill(uint8_t *payload, size_t len, uint64_t seed)
{
	uint64_t x = seed;

	for (; len >= sizeof(x); len -= sizeof(x), payload += sizeof(x)) {
		x = next_random(x);
		memcpy(payload, &x, sizeof(x));
	}
	x = next_random(x);
	memcpy(payload, &x, len);
}

static int
payload_is_intact(const uint8_t *payload, size_t len, uint64_t seed)
{
	uint64_t x = seed;

	for (; len >= sizeof(x); len -= sizeof(x), payload += sizeof(x)) {
		x = next_random(x);
		if (memcmp(payload, &x, sizeof(x)) != 0)
			return 0;
	}
	x = next_random(x);
	return memcmp(payload, &x, len) == 0;
}

static void
send_frame(struct generator *g)
{
	size_t len = sizes[g->sent % (sizeof(sizes) / sizeof(sizes[0]))];

	g->seed = next_random(g->seed);
	g->tx.magic = MAGIC;
	g->tx.seed = g->seed;
	fill(g->tx.payload, len - HEADER_LEN, g->seed);
	if (send(g->fd, &g->tx, len, MSG_DONTWAIT) > 0)
		g->sent++;
}

static void
count_echo(struct generator *g)
{
	uint64_t *seen = &g->seen[g->rx.seed % NB_SEEN];

	g->echoed++;
	g->again += *seen == g->rx.seed;
	*seen = g->rx.seed;
}

static void
receive_frames(struct generator *g)
{
	ssize_t len;

	while ((len = recv(g->fd, &g->rx, sizeof(g->rx), MSG_DONTWAIT)) > 0) {
		if ((size_t)len < HEADER_LEN || g->rx.magic != MAGIC ||
				!payload_is_intact(g->rx.payload, len - HEADER_LEN, g->rx.seed))
			g->bad++;
		else
			count_echo(g);
	}
}

static void
report(const struct generator *g)
{
	char line[160];
	int len;

	/* one write per line: lines of several generators must not mix */
	len = snprintf(line, sizeof(line), "traffic %s sent=%llu echoed=%llu bad=%llu again=%llu\n",
			g->name, (unsigned long long)g->sent, (unsigned long long)g->echoed,
			(unsigned long long)g->bad, (unsigned long long)g->again);
	if (write(STDOUT_FILENO, line, len) != len)
		exit(1);
}

static int
open_nic(struct generator *g, const char *nic, int cpu)
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET };
	const int receive_space = 8 << 20;
	struct ifreq ifr = { 0 };

	g->tx.type = htons(ETHERTYPE_BASE + cpu);
	g->fd = socket(AF_PACKET, SOCK_RAW, g->tx.type);
	if (g->fd < 0)
		return -errno;
	setsockopt(g->fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_space, sizeof(receive_space));

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", nic);
	if (ioctl(g->fd, SIOCGIFHWADDR, &ifr) < 0)
		return -errno;
	memcpy(g->tx.src, ifr.ifr_hwaddr.sa_data, sizeof(g->tx.src));
	memcpy(g->tx.dst, "\x02\0\0\0\0\x01", sizeof(g->tx.dst));

	addr.sll_protocol = g->tx.type;
	addr.sll_ifindex = if_nametoindex(nic);
	if (bind(g->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return 0;
}

int
main(int argc, char **argv)
{
	static struct generator g;
	uint64_t rate, start, next_report, due, paced = 0;
	cpu_set_t cpus;
	int cpu, ret;

	if (argc != 4) {
		fprintf(stderr, "usage: traffic NIC CPU FRAMES_PER_SECOND\n");
		return 2;
	}
	cpu = atoi(argv[2]);
	rate = strtoull(argv[3], NULL, 10);
	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);

	snprintf(g.name, sizeof(g.name), "%s.%d", argv[1], cpu);
	ret = open_nic(&g, argv[1], cpu);
	if (ret < 0) {
		fprintf(stderr, "traffic %s: %s\n", g.name, strerror(-ret));
		return 1;
	}
	start = next_report = now_ns();
	g.seed = start ^ (uint64_t)getpid() << 48;

	for (;;) {
		const struct timespec tick = { .tv_nsec = TICK_NS };
		uint64_t now = now_ns();

		due = (now - start) * rate / 1000000000;
		if (due > paced + CATCH_UP_MAX)
			paced = due - CATCH_UP_MAX;
		for (; paced < due; paced++)
			send_frame(&g);
		receive_frames(&g);
		if (now >= next_report) {
			report(&g);
			next_report = now + REPORT_NS;
		}
		nanosleep(&tick, NULL);
	}
}
