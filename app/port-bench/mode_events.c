/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mode "events": how long bursts are delayed while logging is turned on, its log
 * is replaced, and it is turned off, and how long while nothing happens. A core
 * that only looks at the clock shows what the machine itself does.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "bursts.h"
#include "cycles.h"
#include "delays.h"
#include "guest_thread.h"
#include "numbering.h"
#include "rig.h"
#include "worker.h"

#define MACHINE NB_DRIVERS /* beside the drivers: no bursts at all */
#define NB_SUBJECTS (NB_DRIVERS + 1)
#define RING_SIZE 16384u
#define REGIONS 4u /* and holes between them: the log is that of a guest of 48 GiB */
#define HOLE_MIB 16384u
#define PERIOD_NS 2000u   /* one burst: 16 million packets per second, and a ring that lasts 1 ms */
#define AFTERWARDS_US 50u /* belong to an event */
#define SETTLE_US 400u
#define CALM_US 200u /* length of a window of the machine alone */
#define REST_LIMIT_NS 2000000000ull
#define BLOCK 5u /* turns: A B B A, machine */
#define ENOUGH_BLOCKS 3u

static const char *const event_names[NB_EVENTS] = { "log on", "log swap", "log off", "none" };

struct subject {
	struct port_bench *b;
	struct rig *rig; /* NULL: the machine */
	bool tx;
	struct delays *delays;
	struct guest_numbering numbering;
	struct guest_work work;
	/* the front-end's */
	uint64_t marks, logs, logs_marked;
	uint64_t logs_missed;  /* without a mark, though packets were moved */
	uint64_t moved_before; /* s->moved when the present log came into force */
	double seconds;
	/* the bursts' */
	int stop;
	struct rte_mbuf *mbufs[BURST];
	unsigned int have; /* of them not sent yet */
	uint64_t next_number;
	struct numbers_seen seen;
	uint64_t moved;
	uint64_t bursts, dry, turned_away;
};

struct events {
	struct port_bench *b;
	struct rig rigs[NB_DRIVERS];
	struct guest_thread guest;
	struct subject subjects[NB_SUBJECTS];
};

/* --- the bursts --- */

static int
send_burst(struct subject *s, uint16_t *n)
{
	unsigned int i;
	int ret;

	if (s->have == 0) {
		ret = bursts_alloc(s->b->pool, s->mbufs, BURST, NUMBERED_SIZE);
		if (ret < 0)
			return ret;
		for (i = 0; i < BURST; i++, s->next_number++)
			memcpy(rte_pktmbuf_mtod_offset(s->mbufs[i], uint8_t *, NUMBER_AT),
					&s->next_number, sizeof(s->next_number));
		s->have = BURST;
	}
	*n = rte_eth_tx_burst(s->rig->port, 0, s->mbufs + BURST - s->have, (uint16_t)s->have);
	s->have -= *n;
	return 0;
}

static void
receive_burst(struct subject *s, uint16_t *n)
{
	struct rte_mbuf *mbufs[BURST];
	uint64_t number;
	unsigned int i;

	*n = rte_eth_rx_burst(s->rig->port, 0, mbufs, BURST);
	for (i = 0; i < *n; i++) {
		memcpy(&number, rte_pktmbuf_mtod_offset(mbufs[i], uint8_t *, NUMBER_AT),
				sizeof(number));
		number_seen(&s->seen, number);
	}
	if (*n > 0)
		rte_pktmbuf_free_bulk(mbufs, *n);
}

/* Buffers that the guest has posted and no burst has used: at least so many. */
static uint64_t
available(const struct subject *s)
{
	const struct guest_queue *q = s->work.queue;

	return q->size + __atomic_load_n(&q->packets, __ATOMIC_RELAXED) - s->moved;
}

static int
make_bursts(void *arg)
{
	struct subject *s = arg;
	const uint64_t period = s->b->cycles_per_ms * PERIOD_NS / 1000000;
	uint64_t last = rte_rdtsc(), since = last, now;
	uint32_t since_at = delays_at(s->delays), at;
	uint16_t n = BURST;
	bool could;
	int ret;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		while (rte_rdtsc() - last < period)
			;
		last = rte_rdtsc();
		could = true;
		if (s->rig != NULL) {
			could = available(s) >= BURST;
			ret = 0;
			if (s->tx)
				receive_burst(s, &n);
			else
				ret = send_burst(s, &n);
			if (ret < 0)
				return ret;
		}
		now = rte_rdtsc();
		at = delays_at(s->delays);
		if (n == 0 && could) {
			/* Turned away: the packets go on waiting. */
			s->turned_away++;
			continue;
		}
		if (n > 0) {
			delays_add(s->delays, since_at, at, now - since);
			s->bursts++;
		} else {
			delays_add_dry(s->delays, since_at, at);
			s->dry++;
		}
		__atomic_store_n(&s->moved, s->moved + n, __ATOMIC_RELAXED);
		since = now;
		since_at = at;
	}
	return 0;
}

/* --- the front-end --- */

static uint64_t
take_marks(const struct dirty_log *log)
{
	uint64_t marks = 0, i;

	for (i = 0; i < dirty_log_words(log); i++)
		marks += (unsigned int)__builtin_popcountll(dirty_log_take(log, i));
	return marks;
}

/*
 * A log that is not used any more must have got marks, if packets were moved meanwhile;
 * those of two bursts may have been on their way when it came and when it went.
 */
static void
end_log(struct subject *s, struct dirty_log *log, uint64_t moved)
{
	uint64_t marks = take_marks(log);

	s->marks += marks;
	s->logs++;
	s->logs_marked += marks > 0;
	s->logs_missed += marks == 0 && moved > 2 * BURST;
	dirty_log_destroy(log);
}

static int
send_messages(struct subject *s, enum event event, const struct dirty_log *log)
{
	struct frontend *f = &s->rig->frontend;
	uint64_t features;
	int ret = 0;

	if (event != EVENT_LOG_OFF)
		ret = frontend_set_log(f, log);
	if (ret == 0 && event != EVENT_LOG_SWAP)
		ret = frontend_logging(f, event == EVENT_LOG_ON);
	/* Nothing acknowledges the end of logging; an answer says that what came before it is done. */
	if (ret == 0 && event == EVENT_LOG_OFF)
		ret = vhost_user_get_u64(&f->vu, VHOST_USER_GET_FEATURES, &features);
	return ret;
}

/* A window without event; so long, and then the time to settle. */
static bool
stay_calm(struct subject *s, unsigned int us)
{
	uint64_t start = rte_rdtsc();

	if (!delays_open(s->delays, EVENT_NONE))
		return false;
	sleep_us(us);
	delays_close(s->delays, rte_rdtsc() - start);
	sleep_us(SETTLE_US);
	return true;
}

/* An event, and as long a time without one. 1: no room for more. */
static int
make_event(struct subject *s, enum event event)
{
	const uint64_t cycles_per_us = s->b->cycles_per_ms / 1000;
	struct dirty_log *log = &s->rig->log, old = *log, new;
	uint64_t start, length, moved;
	int ret;

	if (event != EVENT_LOG_OFF) {
		ret = rig_new_log(s->rig, &new);
		if (ret < 0)
			return ret;
		*log = new;
		sleep_us(SETTLE_US);
	}
	if (!delays_open(s->delays, event))
		return 1;
	moved = __atomic_load_n(&s->moved, __ATOMIC_RELAXED) - s->moved_before;
	start = rte_rdtsc();
	ret = send_messages(s, event, log);
	s->moved_before = __atomic_load_n(&s->moved, __ATOMIC_RELAXED);
	if (ret == 0)
		sleep_us(AFTERWARDS_US);
	length = rte_rdtsc() - start;
	delays_close(s->delays, length);
	if (ret < 0)
		return ret;
	sleep_us(SETTLE_US);
	if (event != EVENT_LOG_ON)
		end_log(s, &old, moved);
	if (event == EVENT_LOG_OFF)
		*log = (struct dirty_log){ .fd = -1 };
	sleep_us(SETTLE_US);
	return stay_calm(s, (unsigned int)(length / cycles_per_us)) ? 0 : 1;
}

static int
make_events(struct subject *s, uint64_t cycles_wanted)
{
	const uint64_t start = rte_rdtsc();
	int ret = 0;

	do {
		if (s->rig == NULL)
			ret = stay_calm(s, CALM_US) ? 0 : 1;
		else
			ret = make_event(s, EVENT_LOG_ON);
		if (ret == 0 && s->rig != NULL)
			ret = make_event(s, EVENT_LOG_SWAP);
		if (ret == 0 && s->rig != NULL)
			ret = make_event(s, EVENT_LOG_OFF);
	} while (ret == 0 && rte_rdtsc() - start < cycles_wanted);
	s->seconds += (double)(rte_rdtsc() - start) / s->b->hz;
	return ret < 0 ? ret : 0;
}

/* --- turns --- */

static int
take_turn(struct events *e, struct subject *s, uint64_t cycles_wanted)
{
	int ret, bursts;

	ret = guest_thread_turn_to(&e->guest, s->rig != NULL ? &s->work : NULL);
	if (ret < 0)
		return ret;
	s->stop = false;
	ret = worker_start(LCORE_BURSTS, make_bursts, s);
	if (ret < 0)
		return ret;
	sleep_us(2 * SETTLE_US);
	ret = make_events(s, cycles_wanted);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	bursts = worker_wait(LCORE_BURSTS);
	return ret < 0 ? ret : bursts;
}

/* The guest takes what is still in the ring; then both sides have counted the same packets. */
static int
settle_accounts(struct events *e, struct subject *s)
{
	uint64_t deadline = now_ns() + REST_LIMIT_NS;
	int ret;

	ret = guest_thread_turn_to(&e->guest, &s->work);
	while (ret == 0 && now_ns() < deadline &&
			__atomic_load_n(&s->work.queue->packets, __ATOMIC_ACQUIRE) != s->moved)
		sleep_us(1000);
	if (ret == 0)
		ret = guest_thread_turn_to(&e->guest, NULL);
	rte_pktmbuf_free_bulk(s->mbufs + BURST - s->have, s->have);
	s->next_number -= s->have;
	s->have = 0;
	return ret < 0 ? ret : guest_check(&s->rig->guest);
}

static int
run_setting(struct events *e, uint64_t cycles_each)
{
	static const unsigned int order[BLOCK] = { 0, 1, 1, 0, MACHINE };
	unsigned int i;
	int ret = 0;

	for (i = 0; ret == 0 && i < ENOUGH_BLOCKS * BLOCK; i++)
		ret = take_turn(e, &e->subjects[order[i % BLOCK]], cycles_each);
	for (i = 0; ret == 0 && i < NB_DRIVERS; i++)
		ret = settle_accounts(e, &e->subjects[i]);
	return ret;
}

/* --- the output --- */

static double
us(const struct subject *s, uint64_t cycles)
{
	return (double)cycles / (s->b->hz * 1e-6);
}

static void
print_delays(const struct subject *s, const struct gap_histogram *h)
{
	fprintf(s->b->out,
			"\"bursts\": %" PRIu64
			", \"p50_us\": %.3f, \"p99_us\": %.3f, \"p999_us\": %.3f, "
			"\"max_us\": %.3f",
			h->total, us(s, gap_quantile(h, 0.5)), us(s, gap_quantile(h, 0.99)),
			us(s, gap_quantile(h, 0.999)), us(s, h->max));
}

static void
print_windows(const struct subject *s, enum event event, bool worst)
{
	const uint32_t n = s->delays->at / 2;
	const char *comma = "";
	uint32_t i;

	fprintf(s->b->out, "\"%s\": [", worst ? "worst_us" : "length_us");
	for (i = 0; i < n; i++) {
		const struct window *w = &s->delays->windows[i];

		if (w->event != event)
			continue;
		fprintf(s->b->out, "%s%.1f", comma, us(s, worst ? w->worst : w->length));
		comma = ", ";
	}
	fprintf(s->b->out, "]");
}

/* Of guest RX the guest counts what was lost; of guest TX the bursts do. */
static void
print_packets(const struct subject *s)
{
	const struct numbers_seen *seen = s->tx ? &s->seen : &s->numbering.seen;
	uint64_t guest = s->work.queue->packets;
	/* Sent: what the receiver should have seen. */
	uint64_t sent = s->tx ? guest : s->next_number;

	fprintf(s->b->out,
			",\n      \"packets\": {\"sent\": %" PRIu64 ", \"received\": %" PRIu64
			", \"lost\": %" PRIu64 ", \"repeated\": %" PRIu64 "}, \"dry\": %" PRIu64
			", \"turned_away\": %" PRIu64 ",\n      \"logs\": {\"used\": %" PRIu64
			", \"marked\": %" PRIu64 ", \"missed\": %" PRIu64 ", \"marks\": %" PRIu64
			"}",
			sent, seen->packets, seen->lost, seen->repeated, s->dry, s->turned_away,
			s->logs, s->logs_marked, s->logs_missed, s->marks);
}

static void
print_subject(const struct subject *s, bool packed, const char *comma)
{
	unsigned int e;

	fprintf(s->b->out,
			"%s\n    {\"ring\": \"%s\", \"direction\": \"%s\", \"who\": \"%s\", \"seconds\": %.3f, "
			"\"all_bursts\": %" PRIu64,
			comma, ring_name(packed), direction_name(s->tx),
			s->rig == NULL ? "machine" : s->rig->driver, s->seconds, s->bursts);
	if (s->rig != NULL)
		print_packets(s);
	fprintf(s->b->out, ",\n      \"outside\": {");
	print_delays(s, &s->delays->outside);
	fprintf(s->b->out, "},\n      \"events\": {");
	comma = "";
	for (e = 0; e < NB_EVENTS; e++) {
		if (s->rig == NULL && e != EVENT_NONE)
			continue;
		fprintf(s->b->out, "%s\n        \"%s\": {", comma, event_names[e]);
		print_delays(s, &s->delays->delay[e]);
		fprintf(s->b->out, ", \"dry\": %" PRIu64 ", ", s->delays->dry[e]);
		print_windows(s, (enum event)e, true);
		fprintf(s->b->out, ", ");
		print_windows(s, (enum event)e, false);
		fprintf(s->b->out, "}");
		comma = ",";
	}
	fprintf(s->b->out, "}}");
}

/* --- one setting --- */

/* Both rigs, with numbers in their packets, and the machine alone. */
static int
prepare(struct events *e, bool packed, bool tx)
{
	struct guest_config config = guest_config(e->b, packed, tx ? DIRECTION_TX : DIRECTION_RX,
			RING_SIZE + NUMBERING_SPARE, NUMBERED_SIZE);
	unsigned int i;

	config.buffers.order = ORDER_SEQUENTIAL;
	config.ring.size = RING_SIZE;
	config.ram.regions = REGIONS;
	config.ram.hole_mib = HOLE_MIB;
	for (i = 0; i < NB_SUBJECTS; i++) {
		struct subject *s = &e->subjects[i];

		*s = (struct subject){
			.b = e->b, .tx = tx, .rig = i == MACHINE ? NULL : &e->rigs[i]
		};
		s->delays = aligned_alloc(128, (sizeof(*s->delays) + 127) / 128 * 128);
		if (s->delays == NULL) {
			warn("delays");
			return -ENOMEM;
		}
		memset(s->delays, 0, sizeof(*s->delays));
	}
	return rigs_open(e->rigs, e->b, &config);
}

static int
one_setting(struct events *e, bool packed, bool tx, uint64_t cycles_each, const char *comma)
{
	unsigned int i;
	int ret, closed;

	ret = prepare(e, packed, tx);
	for (i = 0; ret == 0 && i < NB_DRIVERS; i++) {
		struct subject *s = &e->subjects[i];
		struct guest_queue *q = &s->rig->guest.queues[tx];

		guest_numbering_start(&s->numbering, q);
		s->work = (struct guest_work){
			.queue = q,
			.returned = guest_numbering_returned,
			.arg = &s->numbering,
		};
	}
	if (ret == 0)
		ret = run_setting(e, cycles_each);
	for (i = 0; ret == 0 && i < NB_SUBJECTS; i++, comma = ",")
		print_subject(&e->subjects[i], packed, comma);
	closed = rigs_close(e->rigs, &e->guest);
	for (i = 0; i < NB_SUBJECTS; i++) {
		free(e->subjects[i].delays);
		e->subjects[i].delays = NULL;
	}
	return ret < 0 ? ret : closed;
}

int
mode_events(struct port_bench *b)
{
	const uint64_t cycles_each =
			(uint64_t)((double)b->settings.seconds * b->hz / 4 / ENOUGH_BLOCKS / BLOCK);
	static struct events e;
	unsigned int i;
	int ret;

	e.b = b;
	fprintf(b->out, "  \"events\": [");
	/* Sleeps end when they should; front-end and vhost library come first on the guest's CPU. */
	prctl(PR_SET_TIMERSLACK, 1ul);
	ret = guest_thread_start(&e.guest, b->settings.cpus[0], true);
	for (i = 0; ret == 0 && i < 4; i++)
		ret = one_setting(&e, i >= 2, i % 2, cycles_each, i == 0 ? "" : ",");
	guest_thread_stop(&e.guest);
	fprintf(b->out, "],\n");
	return ret;
}
