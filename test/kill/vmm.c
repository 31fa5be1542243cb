/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A front-end whose guest migrates under traffic, once. When the back-end goes away
 * it connects to the next one, as QEMU does, and the migration goes on. At the end
 * all pages of source and destination are compared.
 *
 *     kill-vmm --socket PATH [--packed] [--base qemu|right] [--ms MS] [--traffic | --again]
 *
 * --traffic: no migration, packets only, until stdin ends. --again: one migration after
 * the other until then; for each line of stdin it prints what the last ones brought, and
 * how long the back-end took to answer messages.
 * It prints "migrating" when the migration begins, and one line at the end.
 * Exit status: 0 all is well, 1 something that must not be, 2 it could not be tried.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cycles.h"
#include "frontend.h"
#include "guest_thread.h"
#include "oracle.h"
#include "packets.h"
#include "page_mover.h"

#define MS 1000000ull
#define RING_SIZE 256u
#define BUFFER_SIZE 2048u
#define TIMEOUT_MS 20000u /* of each answer, and until packets pass again */
#define CONNECT_MS 90000u /* until there is another back-end */
#define ROUND_NS (MS / 2)
#define ENOUGH 64u /* packets each way that say: the traffic goes on */

struct options {
	const char *socket;
	bool packed, base_right, traffic, again;
	unsigned int ms;
};

struct vmm {
	struct options o;
	struct guest guest;
	struct guest_thread thread;
	struct frontend frontend;
	struct dirty_log log;
	struct page_mover mover;
	struct results results;
	unsigned int reconnects, stops;
	uint64_t before[2];   /* packets of each ring when the connection began */
	uint64_t reported[2]; /* packets of each ring at the last line about them */
	unsigned int migrations;
	struct gap_histogram answers;
};

static void
run_job(struct vmm *v)
{
	while (v->mover.job != MOVER_IDLE)
		page_mover_step(&v->mover);
}

static void
harvest(struct vmm *v)
{
	unsigned int i;

	if (v->log.map != NULL) {
		page_mover_sweep(&v->mover, &v->log);
		run_job(v);
	}
	for (i = 0; i < v->guest.n_queues; i++)
		guest_queue_take_ring_writes(&v->guest.queues[i]);
	page_mover_take_guest(&v->mover);
	run_job(v);
}

static void
harvest_and_copy(struct vmm *v)
{
	harvest(v);
	page_mover_copy(&v->mover);
	run_job(v);
}

static void
note_packets(struct vmm *v)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		v->before[i] = __atomic_load_n(&v->guest.queues[i].packets, __ATOMIC_RELAXED);
}

/* 0: packets pass both ways; else the ring that stands still. */
static int
still_ring(struct vmm *v, unsigned int *ring)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (__atomic_load_n(&v->guest.queues[i].packets, __ATOMIC_RELAXED) - v->before[i] <
				ENOUGH) {
			*ring = i;
			return -EAGAIN;
		}
	}
	return 0;
}

static int
new_log(struct vmm *v)
{
	return dirty_log_create(&v->log, guest_ram_gpa_pages(&v->guest.ram, v->guest.ram.n_regions),
			LOG_SIZE_QEMU, false, 0);
}

/* What the front-end says of a ring whose back-end died. */
static uint32_t
base_of(const struct vmm *v, const struct guest_queue *q)
{
	uint32_t base;

	/* Split: QEMU reads the used index. Packed: it knows no better than at the start. */
	if (q->packed && !v->o.base_right)
		return guest_queue_first_base(q);
	base = guest_queue_expected_base(q);
	return q->packed ? base | base << 16 : base;
}

/* The back-end is gone: its log is harvested once more, the next one gets a new one. */
static int
reconnect(struct vmm *v)
{
	struct frontend_config config = v->frontend.config;
	uint32_t bases[2];
	unsigned int i;
	int ret;

	frontend_disconnect(&v->frontend);
	v->reconnects++;
	harvest(v);
	dirty_log_destroy(&v->log);
	ret = new_log(v);
	config.timeout_ms = CONNECT_MS;
	if (ret == 0)
		ret = frontend_connect(&v->frontend, &v->guest, &config);
	if (ret < 0)
		return ret;
	v->frontend.vu.timeout_ms = TIMEOUT_MS;
	guest_thread_set(&v->thread, GUEST_PARKED);
	for (i = 0; i < 2; i++)
		bases[i] = base_of(v, &v->guest.queues[i]);
	guest_thread_set(&v->thread, GUEST_RUNS);
	note_packets(v);
	return frontend_restart(&v->frontend, bases, &v->log);
}

static bool
is_gone(int ret)
{
	return ret == -ECONNRESET || ret == -EPIPE;
}

/* After a step that ended with ret: back-ends that are gone are replaced. */
static int
recover(struct vmm *v, int ret)
{
	while (is_gone(ret))
		ret = reconnect(v);
	return ret;
}

static int
look_at_socket(struct vmm *v)
{
	struct pollfd p = { .fd = v->frontend.vu.fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 ? -ECONNRESET : 0;
}

static int
begin(struct vmm *v)
{
	int ret;

	if (v->stops == 0)
		printf("migrating\n");
	ret = new_log(v);
	if (ret == 0)
		ret = frontend_set_log(&v->frontend, &v->log);
	if (ret == 0)
		ret = frontend_logging(&v->frontend, true);
	return recover(v, ret);
}

/* Runs of descriptors of a packed ring, from where the guest waits: who has them. */
static void
describe_packed(const struct guest_queue *q)
{
	static const char *const states[] = { "available", "used", "neither" };
	unsigned int at = q->used_idx, n, i, state, last = 0, run = 0;
	bool wrap = q->used_wrap, avail, used;
	char text[200];

	n = (unsigned int)snprintf(text, sizeof(text), "ring %u: from position %u on", q->index,
			at);
	for (i = 0; i < q->size && n < sizeof(text); i++) {
		uint64_t flags = q->ring[at].rest >> 48;

		avail = (flags & PACKED_F_AVAIL) != 0;
		used = (flags & PACKED_F_USED) != 0;
		state = avail != wrap ? 2 : used == wrap ? 1 : 0;
		if (run > 0 && state != last) {
			n += (unsigned int)snprintf(text + n, sizeof(text) - n, " %u %s", run,
					states[last]);
			run = 0;
		}
		last = state;
		run++;
		if (++at == q->size) {
			at = 0;
			wrap = !wrap;
		}
	}
	if (n < sizeof(text))
		snprintf(text + n, sizeof(text) - n, " %u %s", run, states[last]);
	warnx("%s", text);
}

static int
ask_back_end(struct vmm *v)
{
	uint64_t features;

	return vhost_user_get_u64(&v->frontend.vu, VHOST_USER_GET_FEATURES, &features);
}

/* Rounds until the time is over and packets pass. */
static int
rounds(struct vmm *v, uint64_t end)
{
	const struct timespec pause = { .tv_nsec = ROUND_NS };
	uint64_t limit = now_ns() + TIMEOUT_MS * MS;
	unsigned int reconnects = v->reconnects, ring = 0;
	int ret = 0;

	while (ret == 0 && (now_ns() < end || still_ring(v, &ring) != 0)) {
		if (now_ns() > limit) {
			warnx("ring %u: no packets since reconnect %u", ring, v->reconnects);
			if (v->o.packed)
				describe_packed(&v->guest.queues[ring]);
			return -ETIME;
		}
		harvest_and_copy(v);
		nanosleep(&pause, NULL);
		ret = v->o.again ? ask_back_end(v) : recover(v, look_at_socket(v));
		if (v->reconnects != reconnects) {
			reconnects = v->reconnects;
			limit = now_ns() + TIMEOUT_MS * MS;
		}
		if (ret == 0)
			ret = guest_check(&v->guest);
	}
	return ret;
}

/*
 * The guest stops, the rings stop. A back-end that dies in it may take marks with it:
 * the guest runs again on the next one, and the migration goes on.
 */
static int
complete(struct vmm *v)
{
	int ret;

	for (;;) {
		v->stops++;
		guest_thread_set(&v->thread, GUEST_PARKED);
		ret = guest_check(&v->guest);
		if (ret == 0)
			ret = frontend_stop(&v->frontend);
		if (!is_gone(ret))
			break;
		ret = recover(v, ret);
		if (ret == 0)
			ret = rounds(v, 0);
		if (ret < 0)
			return ret;
	}
	if (ret == 0)
		harvest_and_copy(v);
	return ret;
}

static int
migrate(struct vmm *v)
{
	uint64_t end;
	int ret;

	ret = begin(v);
	end = now_ns() + v->o.ms * MS;
	if (ret == 0) {
		page_mover_all_dirty(&v->mover);
		page_mover_copy(&v->mover);
		run_job(v);
		ret = rounds(v, end);
	}
	if (ret == 0)
		ret = complete(v);
	if (ret == 0)
		ret = oracle_compare(&v->guest.ram, v->guest.queues, v->guest.n_queues,
				&v->results);
	return ret;
}

static int
start(struct vmm *v)
{
	const struct guest_config config = {
		.queue_pairs = 1,
		.direction = DIRECTION_BOTH,
		.ring = { .packed = v->o.packed, .indirect = true, .may_be_empty = true, .size = RING_SIZE, .n_stats = 1 },
		.buffers = {
			.n = GUEST_BUFFERS, .size = BUFFER_SIZE, .packet_size = GUEST_PACKET_SIZE,
			.order = ORDER_RANDOM,
		},
		.ram = { .regions = 2, .hole_mib = 64, .destination = true },
	};
	const struct frontend_config frontend = {
		.socket = v->o.socket,
		.timeout_ms = TIMEOUT_MS,
		.migrates = true,
	};
	unsigned int i, ring;
	uint64_t limit;
	int ret;

	ret = guest_create(&v->guest, &config);
	if (ret == 0)
		ret = page_mover_create(&v->mover, &v->guest.ram);
	if (ret < 0)
		return ret;
	for (i = 0; i < v->guest.n_queues; i++)
		v->guest.queues[i].guest_wrote = v->mover.guest_wrote;
	ret = guest_thread_start(&v->thread, &v->guest);
	if (ret == 0)
		ret = frontend_connect(&v->frontend, &v->guest, &frontend);
	guest_fill(&v->guest);
	if (ret == 0)
		ret = frontend_start(&v->frontend);
	if (ret < 0)
		return ret;
	guest_thread_set(&v->thread, GUEST_RUNS);
	limit = now_ns() + TIMEOUT_MS * MS;
	while (still_ring(v, &ring) != 0) {
		if (now_ns() > limit) {
			warnx("ring %u: no packets at the beginning", ring);
			return -ETIME;
		}
		poll(NULL, 0, 1);
	}
	return 0;
}

/* The source goes on: the migration was only tried. */
static int
go_on(struct vmm *v)
{
	uint32_t bases[2];
	unsigned int i;
	int ret;

	dirty_log_destroy(&v->log);
	for (i = 0; i < 2; i++)
		bases[i] = base_of(v, &v->guest.queues[i]);
	guest_thread_set(&v->thread, GUEST_RUNS);
	note_packets(v);
	ret = frontend_restart(&v->frontend, bases, NULL);
	v->migrations++;
	return ret;
}

/* Of what was since the last line; differences and losses are of all the time. */
static void
report_again(struct vmm *v)
{
	const struct guest_thread *t = &v->thread;
	const struct gap_histogram *a = &v->answers;
	uint64_t late = 0;
	unsigned int i;

	for (i = gap_class(100 * MS); i < GAP_CLASSES; i++)
		late += a->count[i];
	printf("again migrations=%u differing=%llu of=%llu damaged=%llu lost=%llu rx=%llu tx=%llu"
	       " answers=%llu p999_us=%.0f longest_us=%.0f late=%llu\n",
			v->migrations, (unsigned long long)v->results.differing,
			(unsigned long long)v->results.pages_compared,
			(unsigned long long)t->damaged, (unsigned long long)t->lost,
			(unsigned long long)(v->guest.queues[0].packets - v->reported[0]),
			(unsigned long long)(v->guest.queues[1].packets - v->reported[1]),
			(unsigned long long)a->total, (double)gap_quantile(a, 0.999) / 1e3,
			(double)a->max / 1e3, (unsigned long long)late);
	for (i = 0; i < 2; i++)
		v->reported[i] = v->guest.queues[i].packets;
	v->migrations = 0;
	memset(&v->answers, 0, sizeof(v->answers));
}

/* One migration after the other until stdin ends; the guest is parked when it returns. */
static int
migrate_again(struct vmm *v)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[16];
	int ret;

	v->o.base_right = true;
	v->frontend.vu.answers = &v->answers;
	for (;;) {
		ret = migrate(v);
		if (poll(&p, 1, 0) == 1) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				return ret;
			report_again(v);
		}
		if (ret == 0)
			ret = go_on(v);
		if (ret < 0)
			return ret;
	}
}

/* Packets until stdin ends. */
static int
pass_packets(struct vmm *v)
{
	struct pollfd p[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = v->frontend.vu.fd, .events = POLLIN },
	};

	printf("migrating\n");
	while (poll(p, 2, 10) == 0 && guest_check(&v->guest) == 0)
		;
	if (p[1].revents != 0) {
		warnx("the back-end is gone");
		return -ECONNRESET;
	}
	guest_thread_set(&v->thread, GUEST_PARKED);
	return guest_check(&v->guest);
}

static bool
report(const struct vmm *v, int ret)
{
	const struct guest_thread *t = &v->thread;
	const struct results *r = &v->results;
	bool good = ret == 0 && r->differing == 0 && t->damaged == 0 && t->lost == 0 &&
			t->empty <= v->reconnects * HOST_BURST;
	unsigned int i;

	for (i = 0; i < r->n_differences; i++)
		warnx("differs: page 0x%llx, %s",
				(unsigned long long)r->differences[i].gpa / PAGE_SIZE,
				r->differences[i].what);
	printf("%s error=%d reconnects=%u stops=%u differing=%llu of=%llu rings=%llu damaged=%llu"
	       " lost=%llu late=%llu empty=%llu rx=%llu tx=%llu\n",
			good ? "good" : "bad", -ret, v->reconnects, v->stops,
			(unsigned long long)r->differing, (unsigned long long)r->pages_compared,
			(unsigned long long)r->differing_rings, (unsigned long long)t->damaged,
			(unsigned long long)t->lost, (unsigned long long)t->late,
			(unsigned long long)t->empty,
			(unsigned long long)v->guest.queues[0].packets,
			(unsigned long long)v->guest.queues[1].packets);
	return good;
}

static int
options(struct options *o, int argc, char **argv)
{
	static const struct option known[] = { { "socket", required_argument, NULL, 's' },
		{ "packed", no_argument, NULL, 'p' }, { "base", required_argument, NULL, 'b' },
		{ "ms", required_argument, NULL, 'm' }, { "traffic", no_argument, NULL, 't' },
		{ "again", no_argument, NULL, 'a' }, { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 's')
			o->socket = optarg;
		else if (c == 'p')
			o->packed = true;
		else if (c == 'b' && (strcmp(optarg, "right") == 0 || strcmp(optarg, "qemu") == 0))
			o->base_right = optarg[0] == 'r';
		else if (c == 'm')
			o->ms = (unsigned int)strtoul(optarg, NULL, 10);
		else if (c == 't')
			o->traffic = true;
		else if (c == 'a')
			o->again = true;
		else
			return -1;
	}
	return optind != argc || o->socket == NULL ? -1 : 0;
}

int
main(int argc, char **argv)
{
	static struct vmm v = { .o = { .ms = 30 }, .log = { .fd = -1 } };
	bool good;
	int ret;

	if (options(&v.o, argc, argv) < 0)
		errx(2, "usage: kill-vmm --socket PATH [--packed] [--base qemu|right] [--ms MS] [--traffic | --again]");
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = start(&v);
	if (ret < 0)
		errx(2, "no connection to begin with: %s", strerror(-ret));
	ret = v.o.traffic ? pass_packets(&v) : v.o.again ? migrate_again(&v) : migrate(&v);
	guest_thread_end(&v.thread);
	good = report(&v, ret);
	frontend_disconnect(&v.frontend);
	dirty_log_destroy(&v.log);
	guest_destroy(&v.guest);
	return good ? 0 : 1;
}
