/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One migration as a front-end does it. In this file, from bottom to top: start,
 * rounds until the rest is small (or the time is over), stop or cancel; each made
 * of harvests, copies and logs that are replaced.
 */
#include <err.h>
#include <errno.h>
#include <stdlib.h>

#include "cycles.h"
#include "migration.h"
#include "oracle.h"

#define MS 1000000ull
#define NEVER UINT64_MAX
#define JOB_LIMIT_S 600 /* of one sweep or copy; a bandwidth limit can make it long */
#define CANCELLED_NS (20 * MS)
#define QUIET_NS (2 * MS)       /* a disabled ring that was quiet so long is at rest */
#define LAST_RING_NS (200 * MS) /* limit of the wait for the last ring */
#define AFTER_STOP_NS (20 * MS) /* time for a back-end to betray that it goes on after the stop */
#define POISON_PER_EPOCH 512    /* received buffers per ring that the guest overwrites each round */

static double
ms_since(uint64_t t)
{
	return (double)(now_ns() - t) * 1e-6;
}

/* Waits for the end of the mover's job. */
static int
finish_job(struct migration *m)
{
	int ret = monitor_wait(m->monitor, now_ns() + JOB_LIMIT_S * 1000 * MS, m->mover->done_fd);

	if (ret == 0) {
		warnx("%s: moving pages took more than %d s", m->monitor->step, JOB_LIMIT_S);
		return -ETIMEDOUT;
	}
	return ret < 0 ? ret : 0;
}

static int
sweep(struct migration *m, const struct dirty_log *log)
{
	uint64_t t = now_ns();
	int ret;

	m->mover->marked = mark_check_marked(m->check);
	page_mover_sweep(m->mover, log);
	ret = finish_job(m);
	m->sweep_ms += ms_since(t);
	return ret;
}

/* What the guest's own CPUs wrote; in a VM, KVM knows. */
static int
take_guest_writes(struct migration *m)
{
	unsigned int i;

	for (i = 0; i < m->frontend->guest->n_queues; i++)
		guest_queue_take_ring_writes(&m->frontend->guest->queues[i]);
	page_mover_take_guest(m->mover);
	return finish_job(m);
}

static int
copy(struct migration *m)
{
	page_mover_copy(m->mover);
	return finish_job(m);
}

/* Marks that were not there at the last harvest of a log, which nobody will harvest again. */
static uint64_t
count_marks(const struct dirty_log *log)
{
	uint64_t n = 0, i;

	if (log->map == NULL)
		return 0;
	for (i = 0; i < dirty_log_words(log); i++)
		n += (unsigned int)__builtin_popcountll(dirty_log_take(log, i));
	return n;
}

static void
drop_old_log(struct migration *m)
{
	m->results->marks_in_old_log += count_marks(&m->old);
	dirty_log_destroy(&m->old);
}

static int
new_log(struct migration *m, unsigned int n_regions, struct dirty_log *log)
{
	const struct options *o = m->o;

	return dirty_log_create(log, guest_ram_gpa_pages(&m->frontend->guest->ram, n_regions),
			o->log_swap == SWAP_CH ? LOG_SIZE_CH : LOG_SIZE_QEMU, o->log_hugepages,
			o->log_offset);
}

/* Gives the back-end another log. The present one becomes the old one: it is to be swept. */
static int
set_new_log(struct migration *m, unsigned int n_regions)
{
	struct dirty_log log;
	uint64_t t;
	int ret;

	ret = new_log(m, n_regions, &log);
	if (ret < 0)
		return ret;
	t = now_ns();
	ret = frontend_set_log(m->frontend, &log);
	gap_add(&m->results->log_base_us, (now_ns() - t) / 1000);
	m->swap_ms += ms_since(t);
	/* The log before the old one had time enough for marks that came too late. */
	drop_old_log(m);
	m->old = m->log;
	m->log = log;
	return ret;
}

/*
 * A resize as QEMU does it: when memory grows the log comes first, when it
 * shrinks the memory table comes first.
 */
static int
resize_log(struct migration *m)
{
	unsigned int small = m->frontend->guest->ram.n_first, large = small + 1;
	int ret;

	if (m->frontend->regions_sent == small) {
		ret = set_new_log(m, large);
		if (ret == 0)
			ret = sweep(m, &m->old);
		if (ret == 0)
			ret = frontend_set_regions(m->frontend, large);
		return ret;
	}
	ret = frontend_set_regions(m->frontend, small);
	if (ret == 0)
		ret = set_new_log(m, small);
	if (ret == 0)
		ret = sweep(m, &m->old);
	return ret;
}

static int
swap_log(struct migration *m)
{
	int ret;

	m->results->swaps++;
	if (m->o->log_swap == SWAP_QEMU)
		return resize_log(m);
	ret = set_new_log(m, m->frontend->regions_sent);
	return ret < 0 ? ret : sweep(m, &m->old);
}

static void
begin_round(struct migration *m)
{
	m->round_ns = now_ns();
	monitor_packets(m->monitor, m->round_packets);
	m->swap_ms = m->sweep_ms = 0;
	page_mover_reset_counts(m->mover);
}

static void
end_round(struct migration *m, double copy_ms)
{
	struct results *r = m->results;
	struct round_result *round;
	uint64_t packets[N_WAYS];
	int way;

	r->stray_pages += m->mover->stray_pages;
	r->dropped_pages += m->mover->dropped_pages;
	if (r->n_rounds == r->room_rounds) {
		unsigned int room = r->room_rounds * 2 + 64;

		round = realloc(r->rounds, room * sizeof(*round));
		if (round == NULL)
			return;
		r->rounds = round;
		r->room_rounds = room;
	}
	monitor_packets(m->monitor, packets);
	round = &r->rounds[r->n_rounds++];
	*round = (struct round_result){
		.attempt = m->monitor->attempt,
		.t = (double)(m->round_ns - m->monitor->started_ns) * 1e-9,
		.seconds = (double)(now_ns() - m->round_ns) * 1e-9,
		.log_pages = m->mover->log_pages,
		.guest_pages = m->mover->guest_pages,
		.copied_pages = m->mover->copied_pages,
		.stray_pages = m->mover->stray_pages,
		.swap_ms = m->swap_ms,
		.sweep_ms = m->sweep_ms,
		.copy_ms = copy_ms,
	};
	for (way = 0; way < N_WAYS; way++)
		round->packets[way] = packets[way] - m->round_packets[way];
	begin_round(m);
}

/* Ends the guest's epoch and harvests its marks. */
static int
harvest(struct migration *m, enum guest_command command)
{
	int ret;

	ret = monitor_command(m->monitor, command, m->check->epoch + 1);
	if (ret == 0 && command == GUEST_RUN && m->o->log_swap == SWAP_CH)
		ret = swap_log(m);
	else if (ret == 0)
		ret = sweep(m, &m->log);
	if (ret == 0)
		ret = take_guest_writes(m);
	if (ret == 0)
		mark_check_end_epoch(m->check);
	return ret;
}

static int
start_logging(struct migration *m)
{
	uint64_t t;
	int ret;

	monitor_phase(m->monitor, PHASE_LOG_START, "beginning of the migration");
	ret = new_log(m, m->frontend->regions_sent, &m->log);
	if (ret < 0)
		return ret;
	t = now_ns();
	ret = frontend_set_log(m->frontend, &m->log);
	gap_add(&m->results->log_base_us, (now_ns() - t) / 1000);
	m->results->log_reply_bytes = m->frontend->log_reply_bytes;
	if (ret == 0)
		ret = frontend_logging(m->frontend, true);
	return ret;
}

static int
full_copy(struct migration *m)
{
	uint64_t t = now_ns();
	int ret;

	monitor_phase(m->monitor, PHASE_FULL_COPY, "first copy of all memory");
	begin_round(m);
	page_mover_all_dirty(m->mover);
	ret = copy(m);
	if (ret == 0)
		end_round(m, ms_since(t));
	return ret;
}

/* Waits until the next harvest is due; logs are swapped meanwhile. */
static int
wait_for_harvest(struct migration *m, uint64_t due)
{
	const struct options *o = m->o;
	bool swaps = o->log_swap == SWAP_SAME || o->log_swap == SWAP_QEMU;
	int ret = 0;

	do {
		uint64_t swap = swaps ? m->next_swap_ns : NEVER;

		ret = monitor_wait(m->monitor, due < swap ? due : swap, -1);
		if (ret == 0 && swaps && now_ns() >= m->next_swap_ns) {
			ret = swap_log(m);
			m->next_swap_ns = now_ns() + o->swap_ms * MS;
		}
	} while (ret == 0 && now_ns() < due);
	return ret;
}

/*
 * Harvest and copy each interval, until the time is over: whole intervals only, so
 * that what a harvest costs the back-end has its due share in the packet rate.
 */
static int
rounds_by_time(struct migration *m)
{
	uint64_t interval = m->monitor->interval_ms * MS, now = now_ns(), due = now, t;
	uint64_t end = now + (m->o->time_ms * MS + interval - 1) / interval * interval;
	int ret = 0;

	while (ret == 0 && now < end) {
		due += interval;
		if (due < now)
			due = now; /* copying took longer than the interval */
		ret = wait_for_harvest(m, due < end ? due : end);
		if (ret == 0)
			ret = harvest(m, GUEST_RUN);
		t = now_ns();
		if (ret == 0)
			ret = copy(m);
		end_round(m, ms_since(t));
		m->monitor->round++;
		now = now_ns();
	}
	return ret;
}

/* Round after round without a pause, until what is dirty could be copied in a moment. */
static int
rounds_until_converged(struct migration *m)
{
	const struct options *o = m->o;
	uint64_t t;
	int ret = 0;

	while (ret == 0 && m->monitor->round < o->max_rounds) {
		ret = wait_for_harvest(m, 0);
		if (ret == 0)
			ret = harvest(m, GUEST_RUN);
		m->monitor->round++;
		if (ret == 0 && page_mover_count_dirty(m->mover) <= o->converge_pages) {
			m->results->converged = true;
			end_round(m, 0);
			break;
		}
		t = now_ns();
		if (ret == 0)
			ret = copy(m);
		end_round(m, ms_since(t));
	}
	return ret;
}

int
migration_run(struct migration *m)
{
	bool by_time = m->o->converge_pages == NO_CONVERGE;
	int ret;

	m->log.fd = m->old.fd = -1;
	m->began_ns = now_ns();
	m->monitor->round = 0;
	m->mover->drop = m->o->drop_marks;
	m->mover->bytes_per_second = (uint64_t)m->o->bandwidth_mib << 20;
	m->results->converged = false;
	page_mover_none_dirty(m->mover);
	__atomic_store_n(&m->cpus->control.poison, m->o->poison ? UINT32_MAX : POISON_PER_EPOCH,
			__ATOMIC_RELAXED);
	ret = start_logging(m);
	if (ret < 0)
		return ret;
	mark_check_begin(m->check, m->cpus->control.epoch);
	ret = full_copy(m);
	/* The rounds begin as each of them does: just after a harvest. */
	if (ret == 0 && by_time)
		ret = harvest(m, GUEST_RUN);
	if (ret < 0)
		return ret;
	m->next_swap_ns = now_ns() + m->o->swap_ms * MS;
	monitor_phase(m->monitor, PHASE_ROUNDS, "rounds of the migration");
	ret = by_time ? rounds_by_time(m) : rounds_until_converged(m);
	m->results->live_rounds = m->monitor->round;
	return ret;
}

int
migration_cancel(struct migration *m)
{
	int ret;

	monitor_phase(m->monitor, PHASE_CANCELLED, "cancelled migration");
	ret = frontend_logging(m->frontend, false);
	/* As in QEMU the memory is gone at once; the back-end was not asked whether it is ready. */
	dirty_log_destroy(&m->log);
	dirty_log_destroy(&m->old);
	if (ret == 0)
		ret = monitor_wait(m->monitor, now_ns() + CANCELLED_NS, -1);
	m->monitor->attempt++;
	return ret;
}

static unsigned int
count_pending(const struct frontend *f, bool *all)
{
	unsigned int i, n = 0, p;

	*all = true;
	for (i = 0; i < f->guest->n_queues; i++) {
		if (!f->guest->queues[i].active)
			continue;
		p = guest_queue_pending(&f->guest->queues[i]);
		n += p;
		*all &= p == f->guest->queues[i].size;
	}
	return n;
}

/* With the rings disabled: all used entries are taken, all buffers posted anew. */
static int
wait_for_rest(struct migration *m)
{
	uint64_t quiet = now_ns(), deadline = quiet + m->o->timeout_ms * MS;
	bool all;
	int ret;

	do {
		ret = monitor_wait(m->monitor, now_ns() + MS / 2, -1);
		if (ret < 0)
			return ret;
		if (count_pending(m->frontend, &all) > 0)
			quiet = now_ns();
		if (now_ns() > deadline) {
			warnx("%s: the back-end goes on with rings that are disabled",
					m->monitor->step);
			return -EPROTO;
		}
	} while (now_ns() - quiet < QUIET_NS);
	return 0;
}

/*
 * The strongest test of marks: the guest has stopped, all it wrote is copied, the
 * back-end then fills a whole ring of buffers that hold something else. Only its
 * own marks can get these to the destination.
 */
static int
last_ring(struct migration *m, uint64_t *waited_ns)
{
	struct frontend *f = m->frontend;
	unsigned int i, n, before = 0;
	uint64_t t, changed;
	bool all;
	int ret;

	m->monitor->step = "the guest's stop";
	t = now_ns();
	ret = frontend_enable(f, false);
	if (ret == 0)
		ret = wait_for_rest(m);
	*waited_ns += now_ns() - t;
	if (ret == 0)
		ret = monitor_command(m->monitor, GUEST_PARK, m->check->epoch);
	for (i = 0; ret == 0 && i < f->guest->n_queues; i++)
		guest_queue_poison_posted(&f->guest->queues[i]);
	if (ret == 0)
		ret = harvest(m, GUEST_PARK);
	t = now_ns();
	if (ret == 0)
		ret = copy(m);
	if (ret < 0)
		return ret;
	end_round(m, ms_since(t));

	m->monitor->step = "the last ring";
	t = changed = now_ns();
	ret = frontend_enable(f, true);
	while (ret == 0) {
		n = count_pending(f, &all);
		if (n != before)
			changed = now_ns();
		before = n;
		if (all || (n > 0 && now_ns() - changed > LAST_RING_NS / 10) ||
				now_ns() - t > LAST_RING_NS)
			break;
		ret = monitor_wait(m->monitor, now_ns() + MS / 2, -1);
	}
	m->results->last_ring_packets = before;
	*waited_ns += now_ns() - t;
	return ret;
}

int
migration_complete(struct migration *m)
{
	const struct guest *guest = m->frontend->guest;
	struct results *r = m->results;
	uint64_t stop = now_ns(), waited = 0, t;
	int ret;

	monitor_phase(m->monitor, PHASE_STOP, "stop");
	if (m->o->last_ring)
		ret = last_ring(m, &waited);
	else
		ret = monitor_command(m->monitor, GUEST_PARK, m->check->epoch);
	m->monitor->step = "stop of the rings";
	if (ret == 0)
		ret = frontend_stop(m->frontend);
	if (ret == 0)
		ret = sweep(m, &m->log);
	if (ret == 0)
		ret = take_guest_writes(m);
	t = now_ns();
	if (ret == 0)
		ret = copy(m);
	if (ret < 0)
		return ret;
	end_round(m, ms_since(t));
	r->downtime_ms = (double)(now_ns() - stop - waited) * 1e-6;
	r->total_s = (double)(now_ns() - m->began_ns) * 1e-9;
	mark_check_finish(m->check);
	r->marks_late = m->check->late;
	r->marks_missing = m->check->missing;

	/* A moment later nothing may have changed. */
	m->monitor->step = "comparison of memory";
	ret = monitor_wait(m->monitor, now_ns() + AFTER_STOP_NS, -1);
	if (ret < 0)
		return ret;
	drop_old_log(m);
	r->marks_after_stop = count_marks(&m->log);
	dirty_log_destroy(&m->log);
	r->migrated = true;
	return oracle_compare(&guest->ram, guest->queues, guest->n_queues, r);
}
