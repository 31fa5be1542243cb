/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <time.h>

#include "drainer.h"

static struct timespec
later(uint32_t us)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += us / 1000000;
	at.tv_nsec += (long)(us % 1000000) * 1000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_nsec -= 1000000000;
		at.tv_sec++;
	}
	return at;
}

static void *
run(void *opaque)
{
	struct dirtylog_publisher *publisher = opaque;
	struct timespec next;

	pthread_mutex_lock(&publisher->lock);
	while (!publisher->quit) {
		if (publisher->period_us == 0) {
			pthread_cond_wait(&publisher->changed, &publisher->lock);
			continue;
		}
		next = later(publisher->period_us);
		if (pthread_cond_timedwait(&publisher->changed, &publisher->lock, &next) !=
				ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&publisher->lock);
		publisher->publish(publisher->ctx);
		pthread_mutex_lock(&publisher->lock);
	}
	pthread_mutex_unlock(&publisher->lock);
	return NULL;
}

int
dirtylog_publisher_init(struct dirtylog_publisher *publisher, void (*publish)(void *ctx),
		void *ctx)
{
	pthread_condattr_t attr;
	int ret = -pthread_mutex_init(&publisher->lock, NULL);

	if (ret < 0)
		return ret;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	ret = -pthread_cond_init(&publisher->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (ret < 0) {
		pthread_mutex_destroy(&publisher->lock);
		return ret;
	}
	publisher->started = false;
	publisher->quit = false;
	publisher->period_us = 0;
	publisher->publish = publish;
	publisher->ctx = ctx;
	return 0;
}

void
dirtylog_publisher_fini(struct dirtylog_publisher *publisher)
{
	pthread_mutex_lock(&publisher->lock);
	publisher->quit = true;
	pthread_cond_signal(&publisher->changed);
	pthread_mutex_unlock(&publisher->lock);
	if (publisher->started)
		pthread_join(publisher->thread, NULL);
	pthread_cond_destroy(&publisher->changed);
	pthread_mutex_destroy(&publisher->lock);
}

int
dirtylog_publisher_set_period(struct dirtylog_publisher *publisher, uint32_t period_us)
{
	int ret = 0;

	pthread_mutex_lock(&publisher->lock);
	if (period_us != 0 && !publisher->started) {
		ret = -pthread_create(&publisher->thread, NULL, run, publisher);
		if (ret == 0) {
			pthread_setname_np(publisher->thread, "dirtylog-pub");
			publisher->started = true;
		}
	}
	if (ret == 0 && publisher->period_us != period_us) {
		publisher->period_us = period_us;
		pthread_cond_signal(&publisher->changed);
	}
	pthread_mutex_unlock(&publisher->lock);
	return ret;
}
