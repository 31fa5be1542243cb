/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "cycles.h"
#include "guest_thread.h"

#define LIMIT_NS 5000000000ull
/*
 * A guest that looks at each packet takes the ring's lines from the back-end for each,
 * and then is the slower of the two. A poll that finds few is followed by a pause.
 */
#define FEW 64u
#define PAUSES 32u

static void *
run(void *arg)
{
	struct guest_thread *t = arg;
	const struct guest_work *work = NULL, *wanted;
	uint64_t last = 0, now;
	unsigned int n, i;

	while (!__atomic_load_n(&t->end, __ATOMIC_ACQUIRE)) {
		wanted = __atomic_load_n(&t->work, __ATOMIC_ACQUIRE);
		if (wanted != work) {
			work = wanted;
			__atomic_store_n(&t->doing, work, __ATOMIC_RELEASE);
			last = cycles();
		}
		n = work == NULL ? 0 : guest_queue_poll(work->queue, 0);
		if (n > 0 && work->returned != NULL)
			work->returned(work->arg, n);
		for (i = 0; n < FEW && i < PAUSES; i++)
			cpu_relax();
		if (work != NULL) {
			now = cycles();
			harvest_step(work->harvest, now - last);
			last = now;
		}
	}
	return NULL;
}

int
guest_thread_start(struct guest_thread *t, unsigned int cpu, bool yields)
{
	const struct sched_param no_priority = { 0 };
	cpu_set_t set;
	int ret;

	*t = (struct guest_thread){ .cpu = cpu, .yields = yields };
	ret = pthread_create(&t->thread, NULL, run, t);
	if (ret != 0) {
		warnx("the guest's thread: %s", strerror(ret));
		return -ret;
	}
	t->started = true;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ret = pthread_setaffinity_np(t->thread, sizeof(set), &set);
	if (ret == 0 && yields)
		ret = pthread_setschedparam(t->thread, SCHED_IDLE, &no_priority);
	if (ret != 0)
		warnx("the guest's thread on CPU %u: %s", cpu, strerror(ret));
	return -ret;
}

void
guest_thread_stop(struct guest_thread *t)
{
	if (!t->started)
		return;
	__atomic_store_n(&t->end, true, __ATOMIC_RELEASE);
	pthread_join(t->thread, NULL);
	t->started = false;
}

int
guest_thread_turn_to(struct guest_thread *t, const struct guest_work *work)
{
	uint64_t deadline = now_ns() + LIMIT_NS;

	__atomic_store_n(&t->work, work, __ATOMIC_RELEASE);
	while (__atomic_load_n(&t->doing, __ATOMIC_ACQUIRE) != work) {
		if (now_ns() > deadline) {
			warnx("the guest's thread does not get to run");
			return -ETIMEDOUT;
		}
		/* For those who share its CPU. */
		sched_yield();
	}
	return 0;
}

int
guest_thread_rest(struct guest_thread *t)
{
	int ret;

	if (!t->started)
		return 0;
	ret = guest_thread_turn_to(t, NULL);
	if (ret < 0)
		guest_thread_stop(t);
	return ret;
}
