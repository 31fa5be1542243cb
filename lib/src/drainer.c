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
	struct dirtylog_drainer *drainer = opaque;
	struct timespec next;

	pthread_mutex_lock(&drainer->lock);
	while (!drainer->quit) {
		if (drainer->period_us == 0) {
			pthread_cond_wait(&drainer->changed, &drainer->lock);
			continue;
		}
		next = later(drainer->period_us);
		if (pthread_cond_timedwait(&drainer->changed, &drainer->lock, &next) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&drainer->lock);
		drainer->drain(drainer->ctx);
		pthread_mutex_lock(&drainer->lock);
	}
	pthread_mutex_unlock(&drainer->lock);
	return NULL;
}

int
dirtylog_drainer_init(struct dirtylog_drainer *drainer, void (*drain)(void *ctx), void *ctx)
{
	pthread_condattr_t attr;
	int ret = -pthread_mutex_init(&drainer->lock, NULL);

	if (ret < 0)
		return ret;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	ret = -pthread_cond_init(&drainer->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (ret < 0) {
		pthread_mutex_destroy(&drainer->lock);
		return ret;
	}
	drainer->started = false;
	drainer->quit = false;
	drainer->period_us = 0;
	drainer->drain = drain;
	drainer->ctx = ctx;
	return 0;
}

void
dirtylog_drainer_fini(struct dirtylog_drainer *drainer)
{
	pthread_mutex_lock(&drainer->lock);
	drainer->quit = true;
	pthread_cond_signal(&drainer->changed);
	pthread_mutex_unlock(&drainer->lock);
	if (drainer->started)
		pthread_join(drainer->thread, NULL);
	pthread_cond_destroy(&drainer->changed);
	pthread_mutex_destroy(&drainer->lock);
}

int
dirtylog_drainer_set_period(struct dirtylog_drainer *drainer, uint32_t period_us)
{
	int ret = 0;

	pthread_mutex_lock(&drainer->lock);
	if (period_us != 0 && !drainer->started) {
		ret = -pthread_create(&drainer->thread, NULL, run, drainer);
		if (ret == 0) {
			pthread_setname_np(drainer->thread, "dirtylog-drain");
			drainer->started = true;
		}
	}
	if (ret == 0 && drainer->period_us != period_us) {
		drainer->period_us = period_us;
		pthread_cond_signal(&drainer->changed);
	}
	pthread_mutex_unlock(&drainer->lock);
	return ret;
}
