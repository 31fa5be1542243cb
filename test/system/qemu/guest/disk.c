/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Disk traffic of the test guest: workers write blocks of random content and
 * read them back, past the page cache, check every byte and print counters.
 *
 *	disk DEVICE BLOCKS_PER_SECOND
 *
 * Each worker has a part of the disk, and its read buffers are written by the
 * disk's back-end only: no store of the guest's CPU hides a page that the
 * back-end did not mark.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define WORKERS 24
#define BLOCK (128 << 10)
#define BUFFERS 8     /* blocks that a worker reads to in turn */
#define BLOCKS_MAX 64 /* of a worker's part of the disk */
#define READS_PER_WRITE 3
#define REPORT_NS 500000000

struct worker {
	pthread_t thread;
	int fd;
	uint64_t start; /* bytes into the disk */
	uint64_t blocks;
	uint64_t period_ns;
	uint64_t random;
	uint64_t seeds[BLOCKS_MAX];
	uint8_t *write_buffer;
	uint8_t *read_buffers;
};

/* Of all workers together. */
static struct {
	uint64_t written;
	uint64_t read;
	uint64_t bad;
} counters;

static uint64_t
next_random(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static void
count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void
fail(const char *what)
{
	printf("disk: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* The content of a block follows from its seed, so all of it can be checked. */
static void
write_block(struct worker *w, uint64_t block)
{
	uint64_t *words = (uint64_t *)w->write_buffer;
	uint64_t x, i;

	w->random = next_random(w->random);
	x = w->random;
	for (i = 0; i < BLOCK / sizeof(x); i++)
		words[i] = x = next_random(x);
	if (pwrite(w->fd, words, BLOCK, w->start + block * BLOCK) != BLOCK)
		fail("write");
	w->seeds[block] = w->random;
	count(&counters.written);
}

static void
read_block(struct worker *w, uint64_t block, unsigned int buffer)
{
	uint64_t *words = (uint64_t *)(w->read_buffers + (uint64_t)buffer * BLOCK);
	uint64_t x = w->seeds[block], i;

	if (pread(w->fd, words, BLOCK, w->start + block * BLOCK) != BLOCK)
		fail("read");
	for (i = 0; i < BLOCK / sizeof(x); i++) {
		x = next_random(x);
		if (words[i] != x) {
			count(&counters.bad);
			return;
		}
	}
	count(&counters.read);
}

static void *
work(void *arg)
{
	struct worker *w = arg;
	struct timespec due;
	uint64_t block, n;

	for (block = 0; block < w->blocks; block++)
		write_block(w, block);
	for (n = 0;; n++) {
		w->random = next_random(w->random);
		block = w->random % w->blocks;
		if (n % (READS_PER_WRITE + 1) == 0)
			write_block(w, block);
		else
			read_block(w, block, n % BUFFERS);
		/* from now, not from when it was due: what was missed is not made up for */
		clock_gettime(CLOCK_MONOTONIC, &due);
		due.tv_nsec += w->period_ns % 1000000000;
		due.tv_sec += w->period_ns / 1000000000 + due.tv_nsec / 1000000000;
		due.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
	}
	return NULL;
}

static void
report(const char *dl)
{
	const char *name = strrchr(dl, '/');

	/* the words that traffic uses: "sent" is written, "echoed" is read back intact */
	printf("traffic %s sent=%llu echoed=%llu bad=%llu\n", name ? name + 1 : dl,
			(unsigned long long)__atomic_load_n(&counters.written, __ATOMIC_RELAXED),
			(unsigned long long)__atomic_load_n(&counters.read, __ATOMIC_RELAXED),
			(unsigned long long)__atomic_load_n(&counters.bad, __ATOMIC_RELAXED));
}

int
main(int argc, char **argv)
{
	const struct timespec pause = { .tv_nsec = REPORT_NS };
	static struct worker workers[WORKERS];
	uint64_t size, rate, part;
	struct timespec now;
	int fd, i;

	if (argc != 3) {
		fprintf(stderr, "usage: disk DEVICE BLOCKS_PER_SECOND\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* lines of several programs must not mix */
	rate = strtoull(argv[2], NULL, 10);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) < 0)
		fail(argv[1]);
	part = size / BLOCK / WORKERS;
	if (part == 0 || part > BLOCKS_MAX || rate == 0) {
		printf("disk: %s: unsuitable size %llu\n", argv[1], (unsigned long long)size);
		return 1;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	for (i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		w->fd = fd;
		w->start = (uint64_t)i * part * BLOCK;
		w->blocks = part;
		w->period_ns = 1000000000ull * WORKERS / rate;
		w->random = (uint64_t)now.tv_nsec << 20 ^ (uint64_t)(i + 1);
		w->write_buffer = aligned_alloc(4096, BLOCK);
		w->read_buffers = aligned_alloc(4096, (size_t)BUFFERS * BLOCK);
		if (!w->write_buffer || !w->read_buffers)
			fail("memory");
		errno = pthread_create(&w->thread, NULL, work, w);
		if (errno)
			fail("thread");
	}
	for (;;) {
		report(argv[1]);
		nanosleep(&pause, NULL);
	}
}
