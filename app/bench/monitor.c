/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cycles.h"
#include "monitor.h"

#define SAMPLE_NS 10000000ull
#define PROGRESS_NS 200000000ull
#define AGREE_NS 20000 /* how long the control thread leaves its CPU to a guest thread */

void
monitor_packets(const struct monitor *m, uint64_t packets[N_WAYS])
{
	const struct frontend *f = m->frontend;
	unsigned int i;

	packets[WAY_RX] = packets[WAY_TX] = 0;
	for (i = 0; i < f->guest->n_queues; i++)
		packets[f->guest->queues[i].tx ? WAY_TX : WAY_RX] +=
				__atomic_load_n(&f->guest->queues[i].packets, __ATOMIC_RELAXED);
}

double
monitor_seconds(const struct monitor *m)
{
	return (double)(now_ns() - m->started_ns) * 1e-9;
}

static void
add_sample(struct monitor *m)
{
	struct results *r = m->results;
	struct sample *s;

	if (r->n_samples == r->room_samples) {
		unsigned int room = r->room_samples * 2 + 1024;

		s = realloc(r->samples, room * sizeof(*s));
		if (s == NULL)
			return;
		r->samples = s;
		r->room_samples = room;
	}
	s = &r->samples[r->n_samples++];
	s->t = monitor_seconds(m);
	s->phase = (enum phase)m->cpus->control.phase;
	s->round = m->round;
	monitor_packets(m, s->packets);
}

static void
show_progress(struct monitor *m, uint64_t now)
{
	uint64_t packets[N_WAYS];
	double us = (double)(now - m->progress_ns) * 1e-3;

	monitor_packets(m, packets);
	if (m->progress && us > 0)
		fprintf(stderr, "\r\033[K%6.2f s  %-10s round %-4u rx %6.2f  tx %6.2f Mpps  %s",
				monitor_seconds(m), phase_name((enum phase)m->cpus->control.phase),
				m->round,
				(double)(packets[WAY_RX] - m->progress_packets[WAY_RX]) / us,
				(double)(packets[WAY_TX] - m->progress_packets[WAY_TX]) / us,
				m->step);
	memcpy(m->progress_packets, packets, sizeof(packets));
	m->progress_ns = now;
}

static void
end_progress(const struct monitor *m)
{
	if (m->progress)
		fprintf(stderr, "\r\033[K");
}

void
monitor_start(struct monitor *m)
{
	uint64_t now = now_ns();

	m->started_ns = m->phase_ns = m->next_sample_ns = m->next_progress_ns = m->progress_ns =
			now;
	m->moved_ns[WAY_RX] = m->moved_ns[WAY_TX] = now;
}

/* The slice that ends now. */
static void
add_slice(struct monitor *m, uint64_t now)
{
	struct results *r = m->results;
	double ns = (double)(now - m->phase_ns);
	uint64_t packets[N_WAYS], away = guest_cpus_away(m->cpus);
	struct slice *s;
	int way;

	monitor_packets(m, packets);
	if (r->n_slices == r->room_slices) {
		unsigned int room = r->room_slices * 2 + 64;

		s = realloc(r->slices, room * sizeof(*s));
		if (s == NULL)
			return;
		r->slices = s;
		r->room_slices = room;
	}
	s = &r->slices[r->n_slices++];
	*s = (struct slice){
		.phase = (enum phase)m->cpus->control.phase,
		.attempt = m->attempt,
		.interval_ms = m->interval_ms,
		.t = (double)(m->phase_ns - m->started_ns) * 1e-9,
		.seconds = ns * 1e-9,
	};
	for (way = 0; way < N_WAYS; way++) {
		s->packets[way] = packets[way] - m->phase_packets[way];
		m->phase_packets[way] = packets[way];
	}
	if (ns > 0)
		s->away = (double)(away - m->phase_away) * 1e9 /
				(double)m->cpus->cycles_per_second / ns /
				guest_cpus_polling(m->cpus);
	m->phase_away = away;
}

void
monitor_phase(struct monitor *m, enum phase phase, const char *step)
{
	uint64_t now = now_ns();

	add_slice(m, now);
	m->results->phase[m->cpus->control.phase].seconds += (double)(now - m->phase_ns) * 1e-9;
	m->phase_ns = now;
	m->step = step;
	__atomic_store_n(&m->cpus->control.phase, phase, __ATOMIC_RELAXED);
	add_sample(m);
}

/* Does the back-end still live, and keep the rules? */
static int
check_back_end(struct monitor *m)
{
	const struct frontend *f = m->frontend;
	char byte;
	ssize_t n;
	unsigned int i;

	for (i = 0; i < f->guest->n_queues; i++) {
		if (!__atomic_load_n(&f->guest->queues[i].broken, __ATOMIC_ACQUIRE))
			continue;
		end_progress(m);
		warnx("%s: ring %u (the guest %s): %s", m->step, i,
				f->guest->queues[i].tx ? "sends" : "receives",
				f->guest->queues[i].violation);
		return -EPROTO;
	}
	n = recv(f->vu.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	end_progress(m);
	if (n > 0) {
		warnx("%s: the back-end sent a message that nobody asked for", m->step);
		return -EPROTO;
	}
	warnx("%s: the back-end closed the connection", m->step);
	return -ECONNRESET;
}

static int
check_stall(struct monitor *m, uint64_t now)
{
	const struct frontend *f = m->frontend;
	uint64_t packets[N_WAYS];
	int way;

	monitor_packets(m, packets);
	for (way = 0; way < N_WAYS; way++) {
		if (packets[way] != m->moved_packets[way] || !f->guest->queues[way].active ||
				m->cpus->control.command != GUEST_RUN) {
			m->moved_packets[way] = packets[way];
			m->moved_ns[way] = now;
		} else if (now - m->moved_ns[way] > f->vu.timeout_ms * 1000000ull) {
			end_progress(m);
			warnx("%s: the back-end %s for %u ms", m->step,
					way == WAY_RX ? "sent the guest no packet" :
							"took no packet of the guest",
					f->vu.timeout_ms);
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int
monitor_wait(struct monitor *m, uint64_t until_ns, int fd)
{
	struct pollfd p[2] = {
		{ .fd = m->frontend->vu.fd, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	uint64_t now, wake, count;
	struct timespec t;
	int ret;

	for (;;) {
		now = now_ns();
		if (now >= m->next_sample_ns) {
			add_sample(m);
			m->next_sample_ns = now + SAMPLE_NS;
			ret = check_stall(m, now);
			if (ret < 0)
				return ret;
		}
		if (now >= m->next_progress_ns) {
			show_progress(m, now);
			m->next_progress_ns = now + PROGRESS_NS;
		}
		ret = check_back_end(m);
		if (ret < 0)
			return ret;
		if (now >= until_ns)
			return 0;
		wake = until_ns < m->next_sample_ns ? until_ns : m->next_sample_ns;
		t.tv_sec = (time_t)((wake - now) / 1000000000);
		t.tv_nsec = (long)((wake - now) % 1000000000);
		ret = ppoll(p, fd >= 0 ? 2 : 1, &t, NULL);
		if (ret > 0 && fd >= 0 && (p[1].revents & POLLIN) != 0)
			return read(fd, &count, sizeof(count)) == sizeof(count) ? 1 : -errno;
	}
}

int
monitor_first_packets(struct monitor *m)
{
	uint64_t packets[N_WAYS];
	bool all;
	int ret, way;

	do {
		/* A back-end that passes none is noticed in there. */
		ret = monitor_wait(m, now_ns() + SAMPLE_NS, -1);
		if (ret < 0)
			return ret;
		monitor_packets(m, packets);
		all = true;
		for (way = 0; way < N_WAYS; way++)
			all &= packets[way] > 0 || !m->frontend->guest->queues[way].active;
	} while (!all);
	return 0;
}

int
monitor_command(struct monitor *m, enum guest_command command, uint64_t epoch)
{
	const struct timespec pause = { .tv_nsec = AGREE_NS };
	uint64_t deadline = now_ns() + m->frontend->vu.timeout_ms * 1000000ull;

	__atomic_store_n(&m->cpus->control.epoch, epoch, __ATOMIC_RELEASE);
	__atomic_store_n(&m->cpus->control.command, command, __ATOMIC_RELEASE);
	while (!guest_cpus_agree(m->cpus)) {
		if (now_ns() > deadline) {
			end_progress(m);
			warnx("%s: this machine gave the guest's threads no time for %u ms",
					m->step, m->frontend->vu.timeout_ms);
			return -EBUSY;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void
collect_queues(struct monitor *m, enum phase phase)
{
	double ns = 1e9 / (double)m->cpus->cycles_per_second;
	struct phase_result *p = &m->results->phase[phase];
	unsigned int i, c;

	for (i = 0; i < m->frontend->guest->n_queues; i++) {
		const struct guest_queue *q = &m->frontend->guest->queues[i];
		const struct queue_stats *s = &q->stats[phase];
		int way = q->tx ? WAY_TX : WAY_RX;

		p->packets[way] += s->packets;
		p->bytes[way] += s->bytes;
		p->works[way] += s->works;
		p->starved[way] += s->starved;
		for (c = 0; c < GAP_CLASSES; c++) {
			unsigned int to;

			if (s->gaps.count[c] == 0)
				continue;
			to = gap_class((uint64_t)((double)gap_class_value(c) * ns));
			p->gaps[way].count[to] += s->gaps.count[c];
			p->gaps[way].total += s->gaps.count[c];
		}
		if ((uint64_t)((double)s->gaps.max * ns) > p->gaps[way].max)
			p->gaps[way].max = (uint64_t)((double)s->gaps.max * ns);
	}
}

static void
collect_cpus(struct monitor *m, enum phase phase)
{
	double us = 1e6 / (double)m->cpus->cycles_per_second, all = 0, busy = 0, away = 0;
	struct phase_result *p = &m->results->phase[phase];
	unsigned int i;

	for (i = 0; i < m->cpus->n; i++) {
		const struct cpu_phase_stats *s = &m->cpus->cpu[i].stats[phase];

		all += (double)s->cycles;
		busy += (double)s->busy_cycles;
		away += (double)s->away_cycles;
		if ((double)s->away.max * us > p->away_max_us)
			p->away_max_us = (double)s->away.max * us;
	}
	p->busy = all > 0 ? busy / all : 0;
	p->away = all > 0 ? away / all : 0;
}

void
monitor_finish(struct monitor *m)
{
	enum phase phase;

	monitor_phase(m, PHASE_STOP, m->step);
	end_progress(m);
	for (phase = 0; phase < N_PHASES; phase++) {
		collect_queues(m, phase);
		collect_cpus(m, phase);
	}
}
