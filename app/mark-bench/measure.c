/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * In this file: which pages are marked, and how they are harvested; rounds, in
 * which all threads measure all methods in turn; the guest with its log; threads.
 */

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "measure.h"
#include "spin_barrier.h"

#define RING_SLOTS 256
#define PAGE_SLOTS (1u << (DIRTYLOG_PAGE_SHIFT - SLOT_SHIFT))

const char *const pattern_names[NB_PATTERNS] = {
	[PATTERN_RING] = "ring",
	[PATTERN_RANDOM_64K] = "random-64K",
	[PATTERN_RANDOM_1M] = "random-1M",
};

/* One scene while it runs. */
struct run {
	const struct scene *scene;
	const struct settings *settings;
	struct guest guest;
	struct spin_barrier barrier;
	bool lost;        /* set by the thread that misses a mark */
	uint64_t *cycles; /* [method][round][thread] */
};

struct thread {
	struct queue queue;
	struct run *run;
	uint32_t id;
	uint64_t random;
	uint32_t *slots;
	pthread_t pthread;
};

static uint64_t
pattern_pages(enum pattern pattern)
{
	return pattern == PATTERN_RANDOM_64K ? UINT64_C(1) << 16 : UINT64_C(1) << 20;
}

static uint64_t *
cycles_at(const struct run *run, uint32_t method, uint32_t round, uint32_t thread)
{
	uint64_t slice = (uint64_t)method * run->settings->rounds + round;

	return &run->cycles[slice * run->scene->nb_threads + thread];
}

/* xorshift64*: the upper half is random enough, and cheap. */
static uint32_t
draw(struct thread *thread)
{
	thread->random ^= thread->random >> 12;
	thread->random ^= thread->random << 25;
	thread->random ^= thread->random >> 27;
	return (uint32_t)((thread->random * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* Other pages in each round, so that no branch predictor learns them. */
static void
draw_slots(struct thread *thread)
{
	const struct run *run = thread->run;
	uint32_t i;

	for (i = 0; i < run->settings->marks; i++) {
		if (run->scene->pattern == PATTERN_RING)
			/* Each queue has its ring, next to the other's. */
			thread->slots[i] = thread->id * RING_SLOTS + i % RING_SLOTS;
		else
			thread->slots[i] = draw(thread) % (uint32_t)run->guest.nb_pages *
					PAGE_SLOTS;
	}
}

/* As a front-end does it. */
static void
harvest(const struct guest *guest)
{
	uint64_t *words = (uint64_t *)(void *)guest->log;
	uint64_t i;

	for (i = 0; i < guest->log_len / sizeof(*words); i++)
		if (__atomic_load_n(&words[i], __ATOMIC_RELAXED) != 0)
			__atomic_exchange_n(&words[i], 0, __ATOMIC_SEQ_CST);
}

static bool
all_marked(const struct thread *thread)
{
	const struct run *run = thread->run;
	uint32_t i;

	for (i = 0; i < run->settings->marks; i++) {
		uint32_t page = thread->slots[i] / PAGE_SLOTS;

		if ((run->guest.log[page / 8] >> page % 8 & 1) == 0)
			return false;
	}
	return true;
}

static void
run_slice(struct thread *thread, uint32_t method, uint32_t round)
{
	struct run *run = thread->run;
	uint64_t start;

	if (run->scene->harvested) {
		spin_barrier_wait(&run->barrier);
		if (thread->id == 0)
			harvest(&run->guest);
	}
	spin_barrier_wait(&run->barrier);
	start = rte_rdtsc_precise();
	methods[method].run(&thread->queue, thread->slots, run->settings->marks);
	/* Precise: waits until the stores are in the cache, whatever the method. */
	*cycles_at(run, method, round, thread->id) = rte_rdtsc_precise() - start;
	spin_barrier_wait(&run->barrier);
	if (!methods[method].loses_marks && !all_marked(thread)) {
		fprintf(stderr, "%s lost a mark\n", methods[method].name);
		__atomic_store_n(&run->lost, true, __ATOMIC_RELAXED);
	}
}

/* The methods one after the other, each round beginning with another one. */
static void *
run_rounds(void *arg)
{
	struct thread *thread = arg;
	uint32_t round, turn;

	for (round = 0; round < thread->run->settings->rounds; round++) {
		draw_slots(thread);
		for (turn = 0; turn < NB_METHODS; turn++)
			run_slice(thread, (round + turn) % NB_METHODS, round);
	}
	return NULL;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int
summarise(const struct run *run, uint32_t method, struct cost *cost)
{
	uint32_t n = run->settings->rounds, threads = run->scene->nb_threads, round, t;
	double *samples = calloc(n, sizeof(*samples));

	if (samples == NULL)
		return -ENOMEM;
	for (round = 0; round < n; round++) {
		for (t = 0; t < threads; t++)
			samples[round] += (double)*cycles_at(run, method, round, t);
		samples[round] /= (double)threads * run->settings->marks;
	}
	qsort(samples, n, sizeof(*samples), compare_doubles);
	cost->min = samples[0];
	cost->p25 = samples[n / 4];
	cost->median = samples[n / 2];
	cost->p75 = samples[n - 1 - n / 4];
	free(samples);
	return 0;
}

/* A log in normal pages, as QEMU's; all bits set. Returns its descriptor or an errno. */
static int
create_log(struct guest *guest)
{
	int fd = memfd_create("mark-bench", MFD_CLOEXEC);
	void *log = MAP_FAILED;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)guest->log_len) == 0)
		log = mmap(NULL, guest->log_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	guest->log = log;
	memset(log, UINT8_MAX, guest->log_len);
	return fd;
}

/* A dirtylog that marks in the log, of guest memory that nobody needs to have. */
static int
create_dirtylog(struct guest *guest, int log_fd)
{
	const struct dirtylog_options options = {
		.placement = DIRTYLOG_PLACEMENT_DIRECT,
		.max_memory = UINT64_MAX,
	};
	const struct dirtylog_region region = { .len = guest->nb_pages << DIRTYLOG_PAGE_SHIFT };
	struct dirtylog_shm *shm;
	int ret = dirtylog_create("mark-bench", &guest->dl);

	if (ret != 0)
		return ret;
	dirtylog_configure(guest->dl, &options);
	ret = dirtylog_shm_map(log_fd, 0, guest->log_len, &shm);
	if (ret != 0)
		goto destroy;
	ret = dirtylog_set_regions(guest->dl, &region, 1);
	if (ret == 0)
		ret = dirtylog_set_log(guest->dl, shm);
	if (ret == 0)
		ret = dirtylog_set_logging(guest->dl, true);
	dirtylog_shm_unref(shm);
	if (ret != 0)
		goto destroy;
	guest->bitmap = dirtylog_memory(guest->dl)->regions[0].bitmap;
	return 0;
destroy:
	dirtylog_destroy(guest->dl);
	return ret;
}

static int
guest_init(struct guest *guest, uint64_t nb_pages)
{
	int fd, ret;

	memset(guest, 0, sizeof(*guest));
	guest->nb_pages = nb_pages;
	guest->log_len = nb_pages / 8;
	fd = create_log(guest);
	if (fd < 0)
		return fd;
	ret = create_dirtylog(guest, fd);
	close(fd);
	if (ret != 0)
		goto unmap;
	ret = -pthread_rwlock_init(&guest->lock, NULL);
	if (ret == 0)
		return 0;
	dirtylog_destroy(guest->dl);
unmap:
	munmap(guest->log, guest->log_len);
	return ret;
}

static void
guest_fini(struct guest *guest)
{
	pthread_rwlock_destroy(&guest->lock);
	dirtylog_destroy(guest->dl);
	munmap(guest->log, guest->log_len);
}

static struct thread *
thread_create(struct run *run, uint32_t id)
{
	struct thread *thread = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*thread));

	if (thread == NULL)
		return NULL;
	memset(thread, 0, sizeof(*thread));
	thread->slots = calloc(run->settings->marks, sizeof(*thread->slots));
	if (thread->slots == NULL) {
		free(thread);
		return NULL;
	}
	thread->run = run;
	thread->id = id;
	thread->random = UINT64_C(0x9e3779b97f4a7c15) * (id + 1);
	thread->queue.guest = &run->guest;
	dirtylog_add_queue(run->guest.dl, &thread->queue.marker);
	/* It cannot fail: closed so far, and no index. */
	dirtylog_open(run->guest.dl, &thread->queue.marker, DIRTYLOG_NO_GPA, 0);
	return thread;
}

static void
thread_free(struct thread *thread)
{
	if (thread == NULL)
		return;
	dirtylog_remove_queue(thread->run->guest.dl, &thread->queue.marker);
	free(thread->slots);
	free(thread);
}

/* The id-th processor that the program may use. */
static int
thread_start(struct thread *thread)
{
	pthread_attr_t attr;
	cpu_set_t allowed, one;
	uint32_t left = thread->id;
	int cpu, ret;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -errno;
	CPU_ZERO(&one);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &allowed) && left-- == 0) {
			CPU_SET(cpu, &one);
			break;
		}
	}
	ret = -pthread_attr_init(&attr);
	if (ret != 0)
		return ret;
	/* Fewer processors than threads: the caller warned, the scheduler decides. */
	if (CPU_COUNT(&one) != 0)
		ret = -pthread_attr_setaffinity_np(&attr, sizeof(one), &one);
	if (ret == 0)
		ret = -pthread_create(&thread->pthread, &attr, run_rounds, thread);
	pthread_attr_destroy(&attr);
	return ret;
}

int
measure(const struct scene *scene, const struct settings *settings, struct result *result)
{
	struct thread *threads[MAX_THREADS] = { NULL };
	struct run run = {
		.scene = scene,
		.settings = settings,
		.barrier.nb_threads = scene->nb_threads,
	};
	uint32_t i, method;
	int ret;

	ret = guest_init(&run.guest, pattern_pages(scene->pattern));
	if (ret != 0)
		goto out;
	ret = -ENOMEM;
	run.cycles = calloc((size_t)NB_METHODS * settings->rounds * scene->nb_threads,
			sizeof(*run.cycles));
	if (run.cycles == NULL)
		goto fini;
	for (i = 0; i < scene->nb_threads; i++) {
		threads[i] = thread_create(&run, i);
		if (threads[i] == NULL)
			goto fini;
	}
	for (i = 0; i < scene->nb_threads; i++) {
		ret = thread_start(threads[i]);
		if (ret != 0) {
			/* A thread that runs waits for this one at the barrier. */
			fprintf(stderr, "no thread: %s\n", strerror(-ret));
			exit(EXIT_FAILURE);
		}
	}
	for (i = 0; i < scene->nb_threads; i++)
		pthread_join(threads[i]->pthread, NULL);

	result->scene = *scene;
	ret = run.lost ? -EIO : 0;
	for (method = 0; method < NB_METHODS && ret == 0; method++)
		ret = summarise(&run, method, &result->costs[method]);
fini:
	for (i = 0; i < scene->nb_threads; i++)
		thread_free(threads[i]);
	free(run.cycles);
	guest_fini(&run.guest);
out:
	if (ret != 0)
		fprintf(stderr, "cannot measure: %s\n", strerror(-ret));
	return ret;
}
