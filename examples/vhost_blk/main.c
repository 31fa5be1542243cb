/* SPDX-License-Identifier: BSD-3-Clause */

/*
 *	vhost_blk [EAL options] -- SOCKET DISK
 *
 * SOCKET: where to listen for front-ends (vhost-user-blk), which share the disk. DISK: a file, of
 * whole sectors; mapped shared, so put it in memory (/dev/shm), and give both
 * ends of a migration the same one.
 *
 * Lines on the standard input:
 *	stats	print the counters
 *	hold	serve no requests
 *	go	serve them again
 *	quit	end; so does the end of the input
 */

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_eal.h>

#include "vhost_blk.h"

#define IDLE_US 50

/* Front-ends cause them, as many as they like; the disk that gets them is ours. */
#define COMPLAINTS_PER_SECOND 10

void
complain(const char *format, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned int n;
	static time_t second;
	struct timespec now;
	va_list args;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&lock);
	if (now.tv_sec != second) {
		second = now.tv_sec;
		n = 0;
	}
	if (n++ < COMPLAINTS_PER_SECOND) {
		fputs("vhost_blk: ", stderr);
		va_start(args, format);
		vfprintf(stderr, format, args);
		va_end(args);
		fputc('\n', stderr);
	}
	pthread_mutex_unlock(&lock);
}

static int
map_disk(struct vhost_blk *blk, const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		return -1;
	}
	blk->size = (uint64_t)st.st_size;
	if (blk->size == 0 || blk->size % SECTOR_SIZE != 0) {
		fprintf(stderr, "%s: %" PRIu64 " bytes are not whole sectors\n", path, blk->size);
		close(fd);
		return -1;
	}
	blk->disk = mmap(NULL, blk->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (blk->disk == MAP_FAILED) {
		perror(path);
		return -1;
	}
	return 0;
}

static void *
poll_requests(void *arg)
{
	struct vhost_blk *blk = arg;

	while (!__atomic_load_n(&blk->quit, __ATOMIC_RELAXED)) {
		unsigned int i, n = 0;

		/* In turns, a burst each: none can have it all. */
		for (i = 0; i < MAX_FRONT_ENDS; i++)
			n += requests_poll(&blk->front_ends[i]);
		if (n == 0)
			usleep(IDLE_US);
	}
	return NULL;
}

static int
init_front_ends(struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < MAX_FRONT_ENDS; i++) {
		blk->front_ends[i].blk = blk;
		blk->front_ends[i].call.fd = -1;
		if (migration_init(&blk->front_ends[i]) < 0) {
			fprintf(stderr, "vhost_blk: no memory\n");
			return -1;
		}
	}
	return 0;
}

static void
fini_front_ends(struct vhost_blk *blk)
{
	unsigned int i;

	for (i = 0; i < MAX_FRONT_ENDS; i++)
		migration_fini(&blk->front_ends[i]);
}

static void
print_stats(const struct vhost_blk *blk)
{
	printf("reads=%" PRIu64 " writes=%" PRIu64 " broken=%" PRIu64 "\n",
			__atomic_load_n(&blk->reads, __ATOMIC_RELAXED),
			__atomic_load_n(&blk->writes, __ATOMIC_RELAXED),
			__atomic_load_n(&blk->broken, __ATOMIC_RELAXED));
	fflush(stdout);
}

static void
run_console(struct vhost_blk *blk)
{
	char line[80];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (strcmp(line, "stats\n") == 0)
			print_stats(blk);
		else if (strcmp(line, "hold\n") == 0)
			__atomic_store_n(&blk->held, true, __ATOMIC_RELAXED);
		else if (strcmp(line, "go\n") == 0)
			__atomic_store_n(&blk->held, false, __ATOMIC_RELAXED);
		else if (strcmp(line, "quit\n") == 0)
			break;
		else
			fprintf(stderr, "stats, hold, go or quit?\n");
	}
}

int
main(int argc, char **argv)
{
	static struct vhost_blk blk;
	pthread_t thread;
	int ret = rte_eal_init(argc, argv);

	if (ret < 0)
		return EXIT_FAILURE;
	argc -= ret;
	argv += ret;
	if (argc != 3) {
		fprintf(stderr, "usage: vhost_blk [EAL options] -- SOCKET DISK\n");
		return 2;
	}
	/* Whoever reads the output, or the other end of a socket, may go at any time. */
	signal(SIGPIPE, SIG_IGN);
	if (map_disk(&blk, argv[2]) < 0 || init_front_ends(&blk) < 0 ||
			pthread_create(&thread, NULL, poll_requests, &blk) != 0)
		return EXIT_FAILURE;
	ret = backend_start(&blk, argv[1]);
	if (ret == 0) {
		run_console(&blk);
		backend_stop(argv[1]);
	}
	__atomic_store_n(&blk.quit, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	fini_front_ends(&blk);
	rte_eal_cleanup();
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
