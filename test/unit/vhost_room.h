/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A connection without librte_vhost: the handlers of lib/src/vhost.c are fed
 * crafted messages, laid out as librte_vhost passes them; its functions are in
 * here (linked with --wrap). The test is the user of the library too: it closes its
 * queues when it is asked to, and writes down what it is asked.
 *
 * To be included once in a program.
 */

#ifndef VHOST_ROOM_H
#define VHOST_ROOM_H

#include <dirent.h>
#include <linux/vhost_types.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_log.h>

#include "dirtylog_vhost.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "vhost_msg.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define PAGES 100
#define LOG_LEN ((PAGES - 1) / 8 + 1)
#define INDEX_PAGE(queue) (2 + (queue))

/* Another one for each room: the library bounds the log lines of one. */
static int room_vid = 4;
#define VID room_vid

/* Where librte_vhost keeps a message's descriptors, by release. */
#define FDS_AT_22_11 644
#define FDS_AT_25_03 1084

/* ---- librte_vhost and EAL, as far as they are called ---- */

static struct {
	const char *version;
	int register_ret;
	struct rte_vhost_user_extern_ops ops;
	struct dirtylog_region regions[4];
	uint32_t nb_regions;
	int fd; /* of all regions */
	int mem_table_ret;
	void *log_base;
	uint64_t log_size;
	int log_base_ret;
} librte;

int __wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const *const ops, void *ctx);
int __wrap_rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **mem);
int __wrap_rte_vhost_get_log_base(int vid, uint64_t *base, uint64_t *size);
const char *__wrap_rte_version(void);

int
__wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const *const ops, void *ctx)
{
	(void)vid;
	(void)ctx;
	if (librte.register_ret == 0)
		librte.ops = *ops;
	return librte.register_ret;
}

int
__wrap_rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **mem)
{
	uint32_t i;

	assert_int_equal(vid, VID);
	if (librte.mem_table_ret < 0)
		return librte.mem_table_ret;
	*mem = calloc(1, sizeof(**mem) + librte.nb_regions * sizeof((*mem)->regions[0]));
	assert_non_null(*mem);
	(*mem)->nregions = librte.nb_regions;
	for (i = 0; i < librte.nb_regions; i++) {
		(*mem)->regions[i].guest_phys_addr = librte.regions[i].gpa;
		(*mem)->regions[i].size = librte.regions[i].len;
		(*mem)->regions[i].host_user_addr = (uintptr_t)librte.regions[i].host;
		(*mem)->regions[i].mmap_addr = librte.regions[i].host;
		(*mem)->regions[i].fd = librte.fd;
	}
	return 0;
}

int
__wrap_rte_vhost_get_log_base(int vid, uint64_t *base, uint64_t *size)
{
	assert_int_equal(vid, VID);
	*base = (uintptr_t)librte.log_base;
	*size = librte.log_size;
	return librte.log_base_ret;
}

const char *
__wrap_rte_version(void)
{
	return librte.version;
}

/* ---- the test's side ---- */

struct room {
	struct dirtylog *dl;
	struct dirtylog_vhost *vhost;
	struct dirtylog_marker markers[2];
	struct frontend_log log, other;
	const struct dirtylog_memory *memory; /* what it was handed last */
	bool keep_open;                       /* a user that does not do what it is asked */
	char calls[256];                      /* what the user was asked, one word each */
	FILE *lines;                          /* the library's log lines */
	char *text;
	size_t text_len;
	union {
		struct librte_msg msg;
		_Alignas(8) uint8_t bytes[1200]; /* descriptors are somewhere behind */
	} message;
};

static inline void
note(struct room *room, const char *what, uint32_t vring)
{
	size_t at = strlen(room->calls);

	if (vring == DIRTYLOG_ALL_VRINGS)
		snprintf(room->calls + at, sizeof(room->calls) - at, "%s(all) ", what);
	else
		snprintf(room->calls + at, sizeof(room->calls) - at, "%s(%u) ", what, vring);
}

static inline void
quiesce(void *ctx, uint32_t vring)
{
	struct room *room = ctx;
	uint32_t i;

	note(room, "quiesce", vring);
	for (i = 0; i < 2 && !room->keep_open; i++)
		if (vring == i || vring == DIRTYLOG_ALL_VRINGS)
			dirtylog_close(room->dl, &room->markers[i]);
}

static inline void
resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory)
{
	struct room *room = ctx;

	note(room, "resume", vring);
	room->memory = memory;
	assert_ptr_equal(memory, dirtylog_memory(room->dl));
}

static inline void
call_fd(void *ctx, uint32_t vring, bool changing)
{
	note(ctx, changing ? "changing" : "changed", vring);
}

static inline void
memory_lost(void *ctx)
{
	note(ctx, "lost", DIRTYLOG_ALL_VRINGS);
}

static const struct dirtylog_vhost_ops user_ops = {
	.quiesce = quiesce,
	.resume = resume,
	.memory_lost = memory_lost,
	.call_fd = call_fd,
};

/* What the user was asked since the last look. */
static inline void
asked(struct room *room, const char *calls)
{
	assert_string_equal(room->calls, calls);
	room->calls[0] = '\0';
}

/* The library has logged a line with this text since the last look. */
static inline void
logged(struct room *room, const char *text)
{
	fflush(room->lines);
	if (room->text == NULL || strstr(room->text, text) == NULL)
		fail_msg("no log line with \"%s\", but: %s", text, room->text);
	rewind(room->lines);
	memset(room->text, 0, room->text_len);
}

static inline int
setup(void **state)
{
	struct room *room = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*room));
	unsigned int i;

	assert_non_null(room);
	memset(room, 0, sizeof(*room));
	room_vid++;
	memset(&librte, 0, sizeof(librte));
	librte.version = "DPDK 22.11.11";
	librte.regions[0] = (struct dirtylog_region){ .gpa = 0, .len = PAGES * PAGE };
	librte.nb_regions = 1;
	librte.fd = -1;
	room->lines = open_memstream(&room->text, &room->text_len);
	assert_non_null(room->lines);
	rte_openlog_stream(room->lines);
	assert_int_equal(dirtylog_create("unit", &room->dl), 0);
	for (i = 0; i < 2; i++)
		dirtylog_add_queue(room->dl, &room->markers[i]);
	assert_int_equal(dirtylog_set_regions(room->dl, librte.regions, 1), 0);
	assert_int_equal(frontend_log_create(&room->log, LOG_LEN), 0);
	assert_int_equal(frontend_log_create(&room->other, LOG_LEN), 0);
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &user_ops, room, &room->vhost), 0);
	*state = room;
	return 0;
}

static inline int
teardown(void **state)
{
	struct room *room = *state;
	unsigned int i;

	dirtylog_vhost_detach(room->vhost);
	for (i = 0; i < 2; i++)
		dirtylog_remove_queue(room->dl, &room->markers[i]);
	dirtylog_destroy(room->dl);
	assert_true(frontend_log_canary_alive(&room->log));
	assert_true(frontend_log_canary_alive(&room->other));
	frontend_log_destroy(&room->log);
	frontend_log_destroy(&room->other);
	rte_openlog_stream(NULL);
	fclose(room->lines);
	free(room->text);
	free(room);
	return 0;
}

/* The same connection, whose log lines are counted from the beginning. */
static inline void
another_vid(struct room *room)
{
	dirtylog_vhost_detach(room->vhost);
	room_vid++;
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &user_ops, room, &room->vhost), 0);
}

static inline unsigned int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Lay a message out; what is not given is garbage. */
static inline void
compose(struct room *room, uint32_t request, uint32_t size, const void *payload)
{
	struct librte_msg *msg = &room->message.msg;

	memset(&room->message, 0xee, sizeof(room->message));
	msg->request = request;
	msg->flags = 1;
	msg->size = size;
	if (payload != NULL)
		memcpy(msg->payload.bytes, payload, size);
}

static inline void
attach_fds(struct room *room, size_t at, int nb_fds, const int *fds)
{
	struct librte_msg_fds *attached = (void *)(room->message.bytes + at);
	int i;

	for (i = 0; i < VHOST_MSG_MAX_FDS; i++)
		attached->fds[i] = i < nb_fds ? fds[i] : -1;
	attached->nb_fds = nb_fds;
}

static inline enum rte_vhost_msg_result
before(struct room *room)
{
	return librte.ops.pre_msg_handle(VID, &room->message);
}

static inline enum rte_vhost_msg_result
after(struct room *room)
{
	return librte.ops.post_msg_handle(VID, &room->message);
}

/* A message that librte_vhost handles in between. */
static inline void
send(struct room *room, uint32_t request, uint32_t size, const void *payload)
{
	compose(room, request, size, payload);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_true(after(room) != RTE_VHOST_MSG_RESULT_ERR);
}

static inline void
set_features(struct room *room, bool log_all)
{
	uint64_t features = UINT64_C(1) << 32 | (uint64_t)log_all << VHOST_F_LOG_ALL;

	send(room, VHOST_USER_SET_FEATURES, sizeof(features), &features);
}

static inline void
set_vring_addr(struct room *room, const struct vhost_vring_addr *addr)
{
	send(room, VHOST_USER_SET_VRING_ADDR, sizeof(*addr), addr);
}

static inline void
get_vring_base(struct room *room, uint32_t vring)
{
	struct vhost_vring_state vring_state = { .index = vring };

	send(room, VHOST_USER_GET_VRING_BASE, sizeof(vring_state), &vring_state);
}

static inline void
compose_log_base(struct room *room, uint64_t size, uint64_t offset)
{
	uint64_t payload[2] = { size, offset };

	compose(room, VHOST_USER_SET_LOG_BASE, sizeof(payload), payload);
}

/* As the front-end sends it; the descriptor given is the handler's. */
static inline enum rte_vhost_msg_result
set_log_base(struct room *room, int fd, uint64_t size, uint64_t offset)
{
	compose_log_base(room, size, offset);
	attach_fds(room, FDS_AT_22_11, 1, &fd);
	return before(room);
}

static inline void
open_queue(struct room *room, unsigned int queue)
{
	assert_int_equal(dirtylog_open(room->dl, &room->markers[queue], INDEX_PAGE(queue) * PAGE,
					 DIRTYLOG_INDEX_LEN),
			0);
}

static inline bool
is_open(struct room *room, unsigned int queue)
{
	if (!dirtylog_burst_begin(&room->markers[queue]))
		return false;
	dirtylog_burst_end(&room->markers[queue]);
	return true;
}

static inline void
burst(struct room *room, unsigned int queue, uint64_t page)
{
	struct dirtylog_marker *marker = &room->markers[queue];

	assert_true(dirtylog_burst_begin(marker));
	if (marker->logging)
		dirtylog_mark(marker, region_bitmap(room->dl, 0), page * PAGE, 1);
	dirtylog_burst_end(marker);
}

/* A test that begins with a room of its own. */
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif /* VHOST_ROOM_H */
