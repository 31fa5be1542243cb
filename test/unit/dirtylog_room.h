/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A dirtylog with a memory table, two queues, and two logs as their front-end
 * has them.
 */

#ifndef DIRTYLOG_ROOM_H
#define DIRTYLOG_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dirtylog.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "shm.h"

#define PAGE DIRTYLOG_PAGE_SIZE

/* Two regions that share a word, as below and above a hole: 10 + 90 pages. */
#define LOW_PAGES 10
#define HIGH_PAGE 13
#define HIGH_PAGES 90
/* The log of just this memory: a tail that is no whole word. */
#define LOG_LEN ((HIGH_PAGE + HIGH_PAGES - 1) / 8 + 1)
/* The page of each queue's index. */
#define INDEX_PAGE(queue) (2 + (queue))

static const struct dirtylog_region memory[] = {
	{ .gpa = 0, .len = LOW_PAGES * PAGE },
	{ .gpa = HIGH_PAGE * PAGE, .len = HIGH_PAGES * PAGE },
};

struct room {
	struct dirtylog *dl;
	struct dirtylog_marker markers[2];
	struct frontend_log log, other;
};

/* With these options; NULL: the defaults. */
static inline struct room *
room_open(const struct dirtylog_options *options)
{
	struct room *room = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*room));
	unsigned int i;

	assert_non_null(room);
	memset(room, 0, sizeof(*room));
	assert_int_equal(dirtylog_create("unit", &room->dl), 0);
	if (options != NULL)
		assert_int_equal(dirtylog_configure(room->dl, options), 0);
	for (i = 0; i < 2; i++)
		dirtylog_add_queue(room->dl, &room->markers[i]);
	assert_int_equal(dirtylog_set_regions(room->dl, memory, 2), 0);
	assert_int_equal(frontend_log_create(&room->log, LOG_LEN), 0);
	assert_int_equal(frontend_log_create(&room->other, LOG_LEN), 0);
	return room;
}

static inline void
room_close(struct room *room)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		dirtylog_remove_queue(room->dl, &room->markers[i]);
	dirtylog_destroy(room->dl);
	assert_true(frontend_log_canary_alive(&room->log));
	assert_true(frontend_log_canary_alive(&room->other));
	frontend_log_destroy(&room->log);
	frontend_log_destroy(&room->other);
	free(room);
}

static inline int
setup(void **state)
{
	*state = room_open(NULL);
	return 0;
}

static inline int
teardown(void **state)
{
	room_close(*state);
	return 0;
}

static inline void
open_queue(struct room *room, unsigned int queue)
{
	assert_int_equal(dirtylog_open(room->dl, &room->markers[queue],
					 INDEX_PAGE(queue) * PAGE + 2, DIRTYLOG_INDEX_LEN),
			0);
}

static inline void
close_queue(struct room *room, unsigned int queue)
{
	dirtylog_close(room->dl, &room->markers[queue]);
}

static inline int
set_log(struct room *room, const struct frontend_log *log)
{
	struct dirtylog_shm *shm;
	int ret;

	assert_int_equal(dirtylog_shm_map(log->fd, 0, log->len, &shm), 0);
	ret = dirtylog_set_log(room->dl, shm);
	/* The device has a reference, and each view; or nobody has, if refused. */
	if (ret < 0)
		assert_int_equal(shm->refs, 1);
	dirtylog_shm_unref(shm);
	return ret;
}

/* A burst that writes one page and publishes nothing. */
static inline void
burst(struct room *room, unsigned int queue, uint64_t page)
{
	struct dirtylog_marker *marker = &room->markers[queue];
	struct dirtylog_bitmap *bitmap;
	uint64_t offset;

	bitmap = dirtylog_find(room->dl, page * PAGE + 100, &offset);
	assert_non_null(bitmap);
	assert_true(dirtylog_burst_begin(marker));
	if (marker->logging)
		dirtylog_mark(marker, bitmap, offset, 1);
	dirtylog_flush(marker);
	dirtylog_burst_end(marker);
}

/* A burst that stores its used index last. */
static inline void
publishing_burst(struct room *room, unsigned int queue)
{
	assert_true(dirtylog_burst_begin(&room->markers[queue]));
	dirtylog_mark_index(&room->markers[queue], 0);
	dirtylog_burst_end(&room->markers[queue]);
}

static inline void
device_is(struct room *room, const char *text)
{
	char *dump = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&dump, &len);

	assert_non_null(stream);
	dirtylog_dump(room->dl, stream);
	fclose(stream);
	if (strstr(dump, text) == NULL)
		fail_msg("\"%s\" is not in the dump:\n%s", text, dump);
	free(dump);
}

/* A test that begins with a room of its own. */
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif /* DIRTYLOG_ROOM_H */
