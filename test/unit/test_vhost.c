/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what each vhost-user message does to the log state, and what is
 * refused: the handlers of lib/src/vhost.c are fed crafted messages, laid out
 * as librte_vhost passes them, without librte_vhost: its functions are this
 * test's (linked with --wrap). The test is the user of the library too: it
 * closes its queues when it is asked to, and writes down what it is asked.
 */

#include <errno.h>
#include <dirent.h>
#include <linux/vhost_types.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

#include <rte_log.h>

#include "dirtylog_vhost.h"
#include "frontend_log.h"
#include "region_bitmap.h"
#include "test_program.h"
#include "truncation_guard.h"
#include "vhost_msg.h"

#define PAGE DIRTYLOG_PAGE_SIZE
#define PAGES 100
#define LOG_LEN ((PAGES - 1) / 8 + 1)
#define INDEX_PAGE(queue) (2 + (queue))
#define VID 5

#define MAX_REQUEST 64

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
		struct rte_vhost_user_extern_ops const * const ops, void *ctx);
int __wrap_rte_vhost_get_mem_table(int vid, struct rte_vhost_memory **mem);
int __wrap_rte_vhost_get_log_base(int vid, uint64_t *base, uint64_t *size);
const char *__wrap_rte_version(void);

int
__wrap_rte_vhost_extern_callback_register(int vid,
		struct rte_vhost_user_extern_ops const * const ops, void *ctx)
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
	bool keep_open;       /* a user that does not do what it is asked */
	char calls[256];      /* what the user was asked, one word each */
	FILE *lines;          /* the library's log lines */
	char *text;
	size_t text_len;
	union {
		struct librte_msg msg;
		_Alignas(8) uint8_t bytes[1200]; /* descriptors are somewhere behind */
	} message;
};

static void
note(struct room *room, const char *what, uint32_t vring)
{
	size_t at = strlen(room->calls);

	if (vring == DIRTYLOG_ALL_VRINGS)
		snprintf(room->calls + at, sizeof(room->calls) - at, "%s(all) ", what);
	else
		snprintf(room->calls + at, sizeof(room->calls) - at, "%s(%u) ", what, vring);
}

static void
quiesce(void *ctx, uint32_t vring)
{
	struct room *room = ctx;
	uint32_t i;

	note(room, "quiesce", vring);
	for (i = 0; i < 2 && !room->keep_open; i++)
		if (vring == i || vring == DIRTYLOG_ALL_VRINGS)
			dirtylog_close(room->dl, &room->markers[i]);
}

static void
resume(void *ctx, uint32_t vring, const struct dirtylog_memory *memory)
{
	struct room *room = ctx;

	note(room, "resume", vring);
	room->memory = memory;
	assert_ptr_equal(memory, dirtylog_memory(room->dl));
}

static void
call_fd(void *ctx, uint32_t vring, bool changing)
{
	note(ctx, changing ? "changing" : "changed", vring);
}

static void
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
static void
asked(struct room *room, const char *calls)
{
	assert_string_equal(room->calls, calls);
	room->calls[0] = '\0';
}

/* The library has logged a line with this text since the last look. */
static void
logged(struct room *room, const char *text)
{
	fflush(room->lines);
	if (room->text == NULL || strstr(room->text, text) == NULL)
		fail_msg("no log line with \"%s\", but: %s", text, room->text);
	rewind(room->lines);
	memset(room->text, 0, room->text_len);
}

static int
setup(void **state)
{
	struct room *room = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*room));
	unsigned int i;

	assert_non_null(room);
	memset(room, 0, sizeof(*room));
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
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &user_ops, room,
			&room->vhost), 0);
	*state = room;
	return 0;
}

static int
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

static unsigned int
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
static void
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

static void
attach_fds(struct room *room, size_t at, int nb_fds, const int *fds)
{
	struct librte_msg_fds *attached = (void *)(room->message.bytes + at);
	int i;

	for (i = 0; i < VHOST_MSG_MAX_FDS; i++)
		attached->fds[i] = i < nb_fds ? fds[i] : -1;
	attached->nb_fds = nb_fds;
}

static enum rte_vhost_msg_result
before(struct room *room)
{
	return librte.ops.pre_msg_handle(VID, &room->message);
}

static enum rte_vhost_msg_result
after(struct room *room)
{
	return librte.ops.post_msg_handle(VID, &room->message);
}

/* A message that librte_vhost handles in between. */
static void
send(struct room *room, uint32_t request, uint32_t size, const void *payload)
{
	compose(room, request, size, payload);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_true(after(room) != RTE_VHOST_MSG_RESULT_ERR);
}

static void
set_features(struct room *room, bool log_all)
{
	uint64_t features = UINT64_C(1) << 32 | (uint64_t)log_all << VHOST_F_LOG_ALL;

	send(room, VHOST_USER_SET_FEATURES, sizeof(features), &features);
}

static void
set_vring_addr(struct room *room, const struct vhost_vring_addr *addr)
{
	send(room, VHOST_USER_SET_VRING_ADDR, sizeof(*addr), addr);
}

static void
get_vring_base(struct room *room, uint32_t vring)
{
	struct vhost_vring_state vring_state = { .index = vring };

	send(room, VHOST_USER_GET_VRING_BASE, sizeof(vring_state), &vring_state);
}

static void
compose_log_base(struct room *room, uint64_t size, uint64_t offset)
{
	uint64_t payload[2] = { size, offset };

	compose(room, VHOST_USER_SET_LOG_BASE, sizeof(payload), payload);
}

/* As the front-end sends it; the descriptor given is the handler's. */
static enum rte_vhost_msg_result
set_log_base(struct room *room, int fd, uint64_t size, uint64_t offset)
{
	compose_log_base(room, size, offset);
	attach_fds(room, FDS_AT_22_11, 1, &fd);
	return before(room);
}

static void
open_queue(struct room *room, unsigned int queue)
{
	assert_int_equal(dirtylog_open(room->dl, &room->markers[queue],
			INDEX_PAGE(queue) * PAGE), 0);
}

static bool
is_open(struct room *room, unsigned int queue)
{
	if (!dirtylog_burst_begin(&room->markers[queue]))
		return false;
	dirtylog_burst_end(&room->markers[queue]);
	return true;
}

static void
burst(struct room *room, unsigned int queue, uint64_t page)
{
	struct dirtylog_marker *marker = &room->markers[queue];

	assert_true(dirtylog_burst_begin(marker));
	if (marker->logging)
		dirtylog_mark(marker, region_bitmap(room->dl, 0), page * PAGE, 1);
	dirtylog_burst_end(marker);
}

static void
attach_and_detach(void **state)
{
	struct room *room = *state;
	struct dirtylog_vhost *vhost = NULL;

	assert_int_equal(dirtylog_vhost_attach(-1, room->dl, &user_ops, room, &vhost), -EIO);
	assert_int_equal(dirtylog_vhost_attach(1024, room->dl, &user_ops, room, &vhost), -EIO);
	librte.register_ret = -1;
	assert_int_equal(dirtylog_vhost_attach(VID + 1, room->dl, &user_ops, room, &vhost),
			-EIO);
	assert_null(vhost);
	dirtylog_vhost_detach(NULL);
	/* Messages of connections that nobody follows, any more or at all. */
	compose(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(librte.ops.pre_msg_handle(VID + 1, &room->message),
			RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(librte.ops.post_msg_handle(-1, &room->message),
			RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(librte.ops.pre_msg_handle(4096, &room->message),
			RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	dirtylog_vhost_detach(room->vhost);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "");
	/* The same vid, for the next connection. */
	librte.register_ret = 0;
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &user_ops, room,
			&room->vhost), 0);
	set_features(room, true);
}

static void
log_is_taken(void **state)
{
	struct room *room = *state;
	unsigned int fds = open_fds();
	uint64_t payload[2];
	int nb_fds, fd = dup(room->log.fd);

	open_queue(room, 0);
	assert_int_equal(set_log_base(room, fd, LOG_LEN, 0), RTE_VHOST_MSG_RESULT_REPLY);
	/* What goes back: the payload as it came, 16 bytes, no descriptor. */
	memcpy(payload, room->message.msg.payload.bytes, sizeof(payload));
	assert_int_equal(payload[0], LOG_LEN);
	assert_int_equal(payload[1], 0);
	nb_fds = (int)room->message.msg.size;
	assert_int_equal(nb_fds, 16);
	nb_fds = ((struct librte_msg_fds *)(void *)(room->message.bytes + FDS_AT_22_11))->nb_fds;
	assert_int_equal(nb_fds, 0);
	assert_int_equal(open_fds(), fds);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	set_features(room, true);
	burst(room, 0, 50);
	assert_true(frontend_log_is_exactly(&room->log, 50, 1));
	/* The queues go on. */
	assert_true(is_open(room, 0));
	asked(room, "");
	/* A swap: when the handler returns nothing goes to the old one. */
	assert_int_equal(set_log_base(room, dup(room->other.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	burst(room, 0, 51);
	assert_true(frontend_log_is_exactly(&room->log, 50, 1));
	assert_true(frontend_log_is_exactly(&room->other, 51, 1));
	assert_int_equal(open_fds(), fds);
}

/* A connection that begins with logging on: all of memory is in the first log, once. */
static void
begins_while_the_guest_migrates(void **state)
{
	struct room *room = *state;

	set_features(room, true);
	open_queue(room, 0);
	burst(room, 0, 7);
	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	assert_int_equal(frontend_log_count(&room->log), PAGES);
	frontend_log_clear(&room->log);
	burst(room, 0, 8);
	assert_true(frontend_log_is_exactly(&room->log, 8, 1));
	assert_int_equal(set_log_base(room, dup(room->other.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	assert_int_equal(frontend_log_count(&room->other), 0);
}

/* The same if the log is there before logging is on. */
static void
begins_with_a_log(void **state)
{
	struct room *room = *state;

	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	assert_int_equal(frontend_log_count(&room->log), 0);
	set_features(room, true);
	assert_int_equal(frontend_log_count(&room->log), PAGES);
}

/* A log that does not begin at the file's first byte. */
static void
log_at_an_offset(void **state)
{
	struct room *room = *state;
	struct frontend_log file;

	assert_int_equal(frontend_log_create(&file, 4096 + LOG_LEN), 0);
	open_queue(room, 0);
	set_features(room, true);
	assert_int_equal(set_log_base(room, dup(file.fd), LOG_LEN, 4096),
			RTE_VHOST_MSG_RESULT_REPLY);
	burst(room, 0, 7);
	assert_true(frontend_log_is_exactly(&file, 4096 * 8 + 7, 1));
	assert_true(frontend_log_canary_alive(&file));
	frontend_log_destroy(&file);
}

/* Each wrong log: refused, with a line, no descriptor kept, nothing changed. */
static void
log_is_refused(void **state)
{
	static const struct {
		uint64_t size, offset;
		uint32_t message_size;
		int nb_fds;
		const char *line;
	} cases[] = {
		{ LOG_LEN, 0, 8, 1, "SET_LOG_BASE with 8 bytes" },
		{ LOG_LEN, 0, 0, 1, "SET_LOG_BASE with 0 bytes" },
		{ LOG_LEN, 0, 24, 1, "SET_LOG_BASE with 24 bytes" },
		{ LOG_LEN, 0, 16, 0, "0 descriptors" },
		{ LOG_LEN, 0, 16, 2, "2 descriptors" },
		{ LOG_LEN, 0, 16, 8, "8 descriptors" },
		{ 0, 0, 16, 1, "0 bytes" },
		{ 4097, 0, 16, 1, "the file is shorter" },
		{ LOG_LEN, 4096, 16, 1, "the file is shorter" },
		{ UINT64_C(1) << 40, 0, 16, 1, "the file is shorter" },
		{ LOG_LEN, 1, 16, 1, "multiple of 4096" },
		{ LOG_LEN, 512, 16, 1, "multiple of 4096" },
		{ UINT64_MAX, 0, 16, 1, "cannot be mapped" },
		{ UINT64_MAX, 4096, 16, 1, "cannot be mapped" },
		{ 4096, UINT64_MAX - 4095, 16, 1, "cannot be mapped" },
		{ LOG_LEN - 1, 0, 16, 1, "does not cover region 0" },
		{ 1, 0, 16, 1, "does not cover region 0" },
	};
	struct room *room = *state;
	char path[64];
	unsigned int i, nb, fds = open_fds();
	int fd, read_only;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", room->other.fd);
	open_queue(room, 0);
	set_features(room, true);
	/* Once with no log in use, once with one. */
	for (nb = 0; nb < 2; nb++) {
		burst(room, 0, 40);
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			int given[VHOST_MSG_MAX_FDS], j;

			compose_log_base(room, cases[i].size, cases[i].offset);
			room->message.msg.size = cases[i].message_size;
			for (j = 0; j < cases[i].nb_fds; j++)
				given[j] = dup(room->other.fd);
			attach_fds(room, FDS_AT_22_11, cases[i].nb_fds, given);
			assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
			logged(room, cases[i].line);
			assert_int_equal(open_fds(), fds);
		}
		/* Descriptors that cannot be written, or that are none. */
		read_only = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(set_log_base(room, read_only, LOG_LEN, 0),
				RTE_VHOST_MSG_RESULT_ERR);
		logged(room, "Permission denied");
		assert_int_equal(set_log_base(room, -1, LOG_LEN, 0), RTE_VHOST_MSG_RESULT_ERR);
		logged(room, "Bad file descriptor");
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_int_equal(set_log_base(room, fd, LOG_LEN, 0), RTE_VHOST_MSG_RESULT_ERR);
		assert_int_equal(open_fds(), fds);

		/* What was in force still is. */
		assert_true(is_open(room, 0));
		burst(room, 0, 41);
		assert_int_equal(frontend_log_count(&room->other), 0);
		assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
				RTE_VHOST_MSG_RESULT_REPLY);
		assert_true(frontend_log_is_exactly(&room->log, 40, 2));
		frontend_log_clear(&room->log);
	}
	asked(room, "");
}

static void
logging_without_a_log(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	set_features(room, false);
	burst(room, 0, 30);
	set_features(room, true);
	logged(room, "there is no log");
	burst(room, 0, 31);
	set_features(room, true);
	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	assert_true(frontend_log_is_exactly(&room->log, 31, 1));
	/* Off: at once. */
	set_features(room, false);
	frontend_log_clear(&room->log);
	burst(room, 0, 32);
	assert_int_equal(frontend_log_count(&room->log), 0);
	asked(room, "");
}

static void
vring_addresses(void **state)
{
	struct room *room = *state;
	struct vhost_vring_addr addr = {
		.index = 1,
		.desc_user_addr = 0x7f0000001000,
		.used_user_addr = 0x7f0000003000,
		.avail_user_addr = 0x7f0000002000,
		.log_guest_addr = 3 * PAGE,
	};
	uint64_t *fields[] = {
		(uint64_t *)&addr.desc_user_addr, (uint64_t *)&addr.used_user_addr,
		(uint64_t *)&addr.avail_user_addr, (uint64_t *)&addr.log_guest_addr,
	};
	unsigned int i;

	open_queue(room, 0);
	open_queue(room, 1);
	set_vring_addr(room, &addr);
	asked(room, "quiesce(1) resume(1) ");
	assert_true(is_open(room, 0));
	assert_false(is_open(room, 1));
	open_queue(room, 1);
	/* Logging of the ring on and off, and the same again: nobody is disturbed. */
	addr.flags = 1 << VHOST_VRING_F_LOG;
	set_vring_addr(room, &addr);
	set_vring_addr(room, &addr);
	addr.flags = 0;
	set_vring_addr(room, &addr);
	asked(room, "");
	assert_true(is_open(room, 1));
	/* Any address. */
	for (i = 0; i < 4; i++) {
		*fields[i] += 0x100000;
		set_vring_addr(room, &addr);
		asked(room, "quiesce(1) resume(1) ");
	}
	/* Each ring has its own. */
	addr.index = 0;
	set_vring_addr(room, &addr);
	asked(room, "quiesce(0) resume(0) ");
	set_vring_addr(room, &addr);
	asked(room, "");
	/* What librte_vhost refuses (no second handler then) is not remembered. */
	addr.used_user_addr += 0x1000;
	compose(room, VHOST_USER_SET_VRING_ADDR, sizeof(addr), &addr);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "quiesce(0) ");
	/* The next message ends it, whatever it is. */
	set_vring_addr(room, &addr);
	asked(room, "resume(0) quiesce(0) resume(0) ");
}

static void
stop(void **state)
{
	struct room *room = *state;
	struct vhost_vring_state vring_state = { .index = 0 };

	open_queue(room, 0);
	open_queue(room, 1);
	set_features(room, true);
	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	/* One ring: when the first handler returns, before the reply, all is in the log. */
	compose(room, VHOST_USER_GET_VRING_BASE, sizeof(vring_state), &vring_state);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "quiesce(0) ");
	assert_false(is_open(room, 0));
	assert_true(frontend_log_is_exactly(&room->log, INDEX_PAGE(0), 1));
	assert_true(after(room) != RTE_VHOST_MSG_RESULT_ERR);
	/* The other one runs on, in the same log. */
	burst(room, 1, 60);
	assert_true(frontend_log_test(&room->log, 60));
	get_vring_base(room, 1);
	asked(room, "quiesce(1) ");
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(1)));
	frontend_log_clear(&room->log);
	/* Started again, before a new log came: the old one is dead. */
	open_queue(room, 1);
	burst(room, 1, 61);
	assert_int_equal(frontend_log_count(&room->log), 0);
	assert_int_equal(set_log_base(room, dup(room->other.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	assert_true(frontend_log_is_exactly(&room->other, 61, 1));
	assert_int_equal(frontend_log_count(&room->log), 0);
}

static void
reset_owner(void **state)
{
	struct room *room = *state;

	open_queue(room, 0);
	set_features(room, true);
	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	burst(room, 0, 10);
	send(room, VHOST_USER_RESET_OWNER, 0, NULL);
	asked(room, "quiesce(all) ");
	assert_true(frontend_log_test(&room->log, 10));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(0)));
	frontend_log_clear(&room->log);
	open_queue(room, 0);
	burst(room, 0, 11);
	assert_int_equal(frontend_log_count(&room->log), 0);
}

static void
memory_table(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_SET_MEM_TABLE, VHOST_USER_ADD_MEM_REG, VHOST_USER_REM_MEM_REG,
	};
	struct room *room = *state;
	unsigned int i;

	set_features(room, true);
	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	for (i = 0; i < 3; i++) {
		open_queue(room, 0);
		burst(room, 0, 20 + i);
		compose(room, requests[i], 0, NULL);
		/* The library unmaps after the first handler: all is done by then. */
		assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		asked(room, "quiesce(all) ");
		assert_false(is_open(room, 0));
		assert_true(frontend_log_test(&room->log, 20 + i));
		librte.regions[1] = (struct dirtylog_region){ .gpa = 200 * PAGE, .len = (i + 1) * PAGE };
		librte.nb_regions = 2;
		assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		asked(room, "resume(all) ");
		assert_int_equal(room->memory->nb_regions, 2);
		assert_int_equal(room->memory->regions[1].len, (i + 1) * PAGE);
		logged(room, "beyond the log");
	}
	/* No table, a table that cannot be: an error, and nobody is to resume. */
	open_queue(room, 0);
	librte.mem_table_ret = -1;
	compose(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	asked(room, "quiesce(all) ");
	logged(room, "no memory table");
	librte.mem_table_ret = 0;
	librte.regions[1] = (struct dirtylog_region){ .gpa = UINT64_MAX - PAGE, .len = 2 * PAGE };
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	asked(room, "");
	logged(room, "memory table refused");
	/* The last region is gone. */
	librte.nb_regions = 0;
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "resume(all) ");
	assert_null(room->memory);
	assert_null(region_bitmap(room->dl, 0));
}

/*
 * A region that is longer than its file, as seen once librte_vhost has mapped
 * it, is refused, whatever DPDK it is.
 */
static void
mapped_region_beyond_its_file(void **state)
{
	struct room *room = *state;

	librte.fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(librte.fd, PAGES * PAGE), 0);
	librte.regions[0].host = (uint8_t *)(uintptr_t)(16 * PAGE);
	compose(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "quiesce(all) resume(all) ");
	librte.regions[0].len += 1;
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	asked(room, "");
	logged(room, "longer than its file");
	close(librte.fd);
}

/* More than a device may have is refused before librte_vhost maps it, and nothing stops for it. */
static void
memory_that_is_too_large(void **state)
{
	static const struct dirtylog_options options = { .max_memory = 4 * PAGES * PAGE };
	struct room *room = *state;
	struct librte_msg *msg = &room->message.msg;
	unsigned int fds = open_fds();
	int given[2];

	assert_int_equal(dirtylog_reset(room->dl), 0);
	assert_int_equal(dirtylog_configure(room->dl, &options), 0);
	assert_int_equal(dirtylog_set_regions(room->dl, librte.regions, 1), 0);
	open_queue(room, 0);
	compose(room, VHOST_USER_SET_MEM_TABLE, 8 + 2 * 32, NULL);
	msg->payload.memory.nb_regions = 2;
	msg->payload.memory.regions[0].gpa = 0;
	msg->payload.memory.regions[0].size = PAGES * PAGE;
	msg->payload.memory.regions[0].offset = 0;
	msg->payload.memory.regions[1] = msg->payload.memory.regions[0];
	msg->payload.memory.regions[1].size = 3 * PAGES * PAGE + 1;
	given[0] = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(given[0], 8 * PAGES * PAGE), 0);
	given[1] = dup(given[0]);
	attach_fds(room, FDS_AT_22_11, 2, given);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "are what a device may have: refused");
	assert_int_equal(open_fds(), fds);
	asked(room, "");
	assert_true(is_open(room, 0));
	given[0] = memfd_create("regions", MFD_CLOEXEC);
	assert_int_equal(ftruncate(given[0], 8 * PAGES * PAGE), 0);
	given[1] = dup(given[0]);
	attach_fds(room, FDS_AT_22_11, 2, given);
	msg->payload.memory.regions[1].size--;
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	close(given[0]);
	close(given[1]);
	asked(room, "quiesce(all) ");
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "resume(all) ");
	/* A region more counts with those that there are. */
	compose(room, VHOST_USER_ADD_MEM_REG, 8 + 32, NULL);
	msg->payload.memory.regions[0].gpa = UINT64_C(1) << 32;
	msg->payload.memory.regions[0].size = 3 * PAGES * PAGE + 1;
	attach_fds(room, FDS_AT_22_11, 0, NULL);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "are what a device may have: refused");
	asked(room, "");
	msg->payload.memory.regions[0].size--;
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "quiesce(all) ");
}

/* Give the connection memory of its own, mapped as librte_vhost would. */
static uint8_t *
map_memory(struct room *room)
{
	uint8_t *ram;

	librte.fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(librte.fd, PAGES * PAGE), 0);
	ram = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, librte.fd, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	librte.regions[0].host = ram;
	send(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	return ram;
}

static void
memory_is_taken_away(void **state)
{
	struct room *room = *state;
	uint8_t *ram = map_memory(room), *other;

	asked(room, "quiesce(all) resume(all) ");
	open_queue(room, 0);
	set_features(room, false);
	asked(room, "");
	assert_int_equal(ftruncate(librte.fd, 0), 0);
	ram[5] = 1;
	/* With the next message, whichever it is; once. */
	set_features(room, false);
	asked(room, "quiesce(all) lost(all) ");
	logged(room, "unit: the front-end has truncated the memory of its guest");
	assert_false(is_open(room, 0));
	set_features(room, false);
	asked(room, "");
	assert_int_equal(dirtylog_open(room->dl, &room->markers[0], 0), -EIO);
	/* Another table. */
	close(librte.fd);
	other = map_memory(room);
	assert_ptr_not_equal(other, ram);
	asked(room, "quiesce(all) resume(all) ");
	open_queue(room, 0);
	/* Lost again, and found by somebody else first: the user gets to know. */
	assert_int_equal(ftruncate(librte.fd, 0), 0);
	other[5] = 1;
	assert_true(dirtylog_memory_lost(room->dl));
	assert_false(is_open(room, 0));
	get_vring_base(room, 0);
	asked(room, "quiesce(all) lost(all) quiesce(0) ");
	munmap(ram, PAGES * PAGE);
	munmap(other, PAGES * PAGE);
	close(librte.fd);
}

/* From where librte_vhost unmaps it on, a fault there is not ours. In a child, which dies of it. */
static void
memory_is_unmapped(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_SET_MEM_TABLE, VHOST_USER_ADD_MEM_REG, VHOST_USER_REM_MEM_REG,
		VHOST_USER_RESET_OWNER, 0,
	};
	struct room *room = *state;
	uint8_t *ram = map_memory(room);
	unsigned int i;
	int status;
	pid_t pid;

	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			alarm(20);
			if (requests[i] != 0) {
				compose(room, requests[i], 0, NULL);
				before(room);
			} else {
				dirtylog_vhost_detach(room->vhost);
			}
			signal(SIGBUS, SIG_DFL);
			/* Has anybody still something to guard? Then he takes SIGBUS again. */
			dirtylog_truncation_guard_check();
			if (ftruncate(librte.fd, 0) == 0)
				*(volatile uint8_t *)ram = 1;
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
		assert_int_equal(ftruncate(librte.fd, PAGES * PAGE), 0);
	}
	munmap(ram, PAGES * PAGE);
	close(librte.fd);
}

/* SIGBUS is taken back with each message. */
static void
somebody_takes_sigbus(void **state)
{
	struct room *room = *state;
	uint8_t *ram = map_memory(room);

	signal(SIGBUS, SIG_DFL);
	set_features(room, false);
	assert_int_equal(ftruncate(librte.fd, 0), 0);
	ram[7] = 1;
	assert_true(dirtylog_memory_lost(room->dl));
	munmap(ram, PAGES * PAGE);
	close(librte.fd);
}

/* Whose a connection is, as librte_vhost's own callbacks ask. */
static void
context_of_a_vid(void **state)
{
	struct room *room = *state;
	struct dirtylog_vhost *other;
	int dummy;

	assert_ptr_equal(dirtylog_vhost_ctx(VID), room);
	assert_null(dirtylog_vhost_ctx(VID + 1));
	assert_null(dirtylog_vhost_ctx(-1));
	assert_null(dirtylog_vhost_ctx(DIRTYLOG_MAX_VIDS));
	assert_int_equal(dirtylog_vhost_attach(VID + 1, room->dl, &user_ops, &dummy, &other), 0);
	assert_ptr_equal(dirtylog_vhost_ctx(VID + 1), &dummy);
	assert_ptr_equal(dirtylog_vhost_ctx(VID), room);
	dirtylog_vhost_detach(other);
	assert_null(dirtylog_vhost_ctx(VID + 1));
}

/* A user that leaves its queues open gets an error, not a use after free. */
static void
user_that_does_not_quiesce(void **state)
{
	struct room *room = *state;
	struct dirtylog_bitmap *bitmap = region_bitmap(room->dl, 0);

	open_queue(room, 0);
	room->keep_open = true;
	compose(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "memory table refused");
	assert_ptr_equal(region_bitmap(room->dl, 0), bitmap);
	room->keep_open = false;
}

static void
call_descriptor(void **state)
{
	static const struct dirtylog_vhost_ops without = {
		.quiesce = quiesce,
		.resume = resume,
	};
	struct room *room = *state;
	uint64_t vring = 1, no_fd = 1 | 1 << 8;

	send(room, VHOST_USER_SET_VRING_CALL, sizeof(vring), &vring);
	asked(room, "changing(1) changed(1) ");
	send(room, VHOST_USER_SET_VRING_CALL, sizeof(no_fd), &no_fd);
	asked(room, "changing(1) changed(1) ");
	/* The callback is optional. */
	dirtylog_vhost_detach(room->vhost);
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &without, room,
			&room->vhost), 0);
	send(room, VHOST_USER_SET_VRING_CALL, sizeof(vring), &vring);
	asked(room, "");
}

/* A message that is not the log's business is left alone, byte for byte. */
static void
other_messages(void **state)
{
	static const uint32_t ours[] = {
		VHOST_USER_SET_FEATURES, VHOST_USER_RESET_OWNER, VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_SET_LOG_BASE, VHOST_USER_SET_VRING_ADDR, VHOST_USER_GET_VRING_BASE,
		VHOST_USER_SET_VRING_CALL, VHOST_USER_ADD_MEM_REG, VHOST_USER_REM_MEM_REG,
	};
	uint8_t copy[sizeof(((struct room *)0)->message)];
	struct room *room = *state;
	uint32_t request;
	unsigned int i;

	open_queue(room, 0);
	for (request = 0; request <= MAX_REQUEST; request++) {
		bool is_ours = false;

		for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
			is_ours |= request == ours[i];
		if (is_ours)
			continue;
		compose(room, request == MAX_REQUEST ? UINT32_MAX : request, 0, NULL);
		memcpy(copy, &room->message, sizeof(copy));
		assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		assert_memory_equal(copy, &room->message, sizeof(copy));
	}
	asked(room, "");
	assert_true(is_open(room, 0));
}

/* What the log has nothing to do with, as the user gets it. */
static struct dirtylog_vhost_msg passed;
static enum rte_vhost_msg_result verdict;
static uint32_t reply_size;

static enum rte_vhost_msg_result
take_message(void *ctx, struct dirtylog_vhost_msg *msg)
{
	note(ctx, "message", msg->request);
	passed = *msg;
	memset(msg->payload, 'r', RTE_MIN(reply_size, msg->room));
	msg->size = reply_size;
	return verdict;
}

static void
take_rarp(void *ctx, uint64_t mac)
{
	assert_int_equal(mac, UINT64_C(0x563412005452));
	note(ctx, "rarp", 0);
}

static void
messages_are_passed_on(void **state)
{
	static const struct dirtylog_vhost_ops ops = {
		.quiesce = quiesce,
		.resume = resume,
		.message = take_message,
	};
	const uint32_t get_config = 24;
	struct room *room = *state;

	dirtylog_vhost_detach(room->vhost);
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &ops, room, &room->vhost), 0);
	compose(room, get_config, 5, "hello");
	reply_size = 3;
	verdict = RTE_VHOST_MSG_RESULT_REPLY;
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_REPLY);
	asked(room, "message(24) ");
	assert_int_equal(passed.request, get_config);
	assert_int_equal(passed.flags, 1);
	assert_int_equal(passed.size, 5);
	assert_int_equal(passed.room, VHOST_MSG_PAYLOAD_ROOM);
	assert_int_equal(room->message.msg.size, 3);
	assert_memory_equal(room->message.msg.payload.bytes, "rrrlo", 5);
	assert_int_equal(room->message.msg.request, get_config);
	/* No reply: the message is as it was but for what the user wrote. */
	verdict = RTE_VHOST_MSG_RESULT_ERR;
	compose(room, get_config, 5, "hello");
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
	assert_int_equal(room->message.msg.size, 5);
	/* One that does not fit is cut off. */
	verdict = RTE_VHOST_MSG_RESULT_REPLY;
	reply_size = UINT32_MAX;
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_REPLY);
	assert_int_equal(room->message.msg.size, VHOST_MSG_PAYLOAD_ROOM);
	asked(room, "message(24) message(24) ");
	/* What the log is concerned with is not passed on. */
	set_features(room, true);
	set_features(room, false);
	asked(room, "");
	verdict = RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static void
guest_has_arrived(void **state)
{
	static const struct dirtylog_vhost_ops ops = {
		.quiesce = quiesce,
		.resume = resume,
		.send_rarp = take_rarp,
		.message = take_message,
	};
	const uint8_t mac[8] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	struct room *room = *state;

	dirtylog_vhost_detach(room->vhost);
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &ops, room, &room->vhost), 0);
	send(room, VHOST_USER_SEND_RARP, sizeof(mac), mac);
	asked(room, "rarp(0) ");
	/* One that has no address. */
	send(room, VHOST_USER_SEND_RARP, 6, mac);
	asked(room, "");
}

/* A connection to a librte_vhost of another release. */
static void
attach_again(struct room *room, const char *version)
{
	librte.version = version;
	dirtylog_vhost_detach(room->vhost);
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &user_ops, room, &room->vhost), 0);
}

static void
descriptors_by_release(void **state)
{
	static const struct {
		const char *version;
		size_t fds_at;
	} cases[] = {
		{ "DPDK 22.11.0", FDS_AT_22_11 },
		{ "DPDK 22.11.11-rc1", FDS_AT_22_11 },
		{ "DPDK 23.07.0", FDS_AT_22_11 },
		{ "DPDK 24.11.2", FDS_AT_22_11 },
		{ "DPDK 25.03.0", FDS_AT_25_03 },
		{ "DPDK 25.11.0", FDS_AT_25_03 },
		{ "DPDK 26.03.0", FDS_AT_25_03 },
		{ "DPDK 26.07.0", FDS_AT_25_03 },
	};
	struct room *room = *state;
	unsigned int i, fds = open_fds();

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = dup(room->log.fd);

		attach_again(room, cases[i].version);
		compose_log_base(room, LOG_LEN, 0);
		attach_fds(room, cases[i].fds_at, 1, &fd);
		assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_REPLY);
		assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		assert_int_equal(open_fds(), fds);
	}
}

/* What librte_vhost does with the log, of a DPDK that is not known. */
static void
library_maps(struct frontend_log *log)
{
	librte.log_base = mmap(NULL, log->map_len, PROT_READ | PROT_WRITE, MAP_SHARED,
			log->fd, 0);
	assert_ptr_not_equal(librte.log_base, MAP_FAILED);
	librte.log_size = log->len;
}

static void
unknown_dpdk(void **state)
{
	static const char * const versions[] = { "DPDK 99.01.0", "DPDK 26.11.0", "something" };
	struct room *room = *state;
	unsigned int i;

	open_queue(room, 0);
	set_features(room, true);
	for (i = 0; i < 3; i++) {
		struct frontend_log *log = i % 2 == 0 ? &room->log : &room->other;
		struct frontend_log *old = i % 2 == 0 ? &room->other : &room->log;

		attach_again(room, versions[i]);
		compose_log_base(room, LOG_LEN, 0);
		/* Left to the library, which replies before the second handler. */
		assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		burst(room, 0, 70 + i);
		assert_int_equal(frontend_log_count(old), 0);
		assert_int_equal(frontend_log_count(log), 0);
		library_maps(log);
		assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		/* The library's mapping may go away. */
		munmap(librte.log_base, log->map_len);
		burst(room, 0, 80 + i);
		assert_true(frontend_log_test(log, 70 + i));
		assert_true(frontend_log_test(log, 80 + i));
		assert_int_equal(frontend_log_count(log), 2);
		assert_int_equal(frontend_log_count(old), 0);
		frontend_log_clear(log);
	}
	/* An offset is added twice by some: not there. */
	compose_log_base(room, LOG_LEN, 4096);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "must be at offset 0");
	burst(room, 0, 90);
	assert_true(frontend_log_is_exactly(&room->log, 90, 1));
	frontend_log_clear(&room->log);
	asked(room, "");
}

/* The library took no log, or one of no use: nothing is lost by it. */
static void
unknown_dpdk_fails(void **state)
{
	struct room *room = *state;

	attach_again(room, "DPDK 99.01.0");
	open_queue(room, 0);
	set_features(room, true);
	compose_log_base(room, LOG_LEN, 0);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	burst(room, 0, 70);
	librte.log_base_ret = -1;
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	librte.log_base_ret = 0;
	/* Empty; unaligned; too small. */
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "cannot be used");
	librte.log_base = room->log.bytes + 16;
	librte.log_size = LOG_LEN;
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "cannot be used");
	library_maps(&room->log);
	librte.log_size = LOG_LEN - 1;
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "does not cover");
	burst(room, 0, 71);
	assert_int_equal(frontend_log_count(&room->log), 0);
	librte.log_size = LOG_LEN;
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	munmap(librte.log_base, room->log.map_len);
	assert_true(frontend_log_is_exactly(&room->log, 70, 2));
}

int
main(int argc, char **argv)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		IN_ROOM(attach_and_detach),
		IN_ROOM(log_is_taken),
		IN_ROOM(log_at_an_offset),
		IN_ROOM(begins_while_the_guest_migrates),
		IN_ROOM(begins_with_a_log),
		IN_ROOM(log_is_refused),
		IN_ROOM(logging_without_a_log),
		IN_ROOM(vring_addresses),
		IN_ROOM(stop),
		IN_ROOM(reset_owner),
		IN_ROOM(memory_table),
		IN_ROOM(mapped_region_beyond_its_file),
		IN_ROOM(memory_that_is_too_large),
		IN_ROOM(memory_is_taken_away),
		IN_ROOM(memory_is_unmapped),
		IN_ROOM(somebody_takes_sigbus),
		IN_ROOM(context_of_a_vid),
		IN_ROOM(user_that_does_not_quiesce),
		IN_ROOM(call_descriptor),
		IN_ROOM(other_messages),
		IN_ROOM(messages_are_passed_on),
		IN_ROOM(guest_has_arrived),
		IN_ROOM(descriptors_by_release),
		IN_ROOM(unknown_dpdk),
		IN_ROOM(unknown_dpdk_fails),
	};

	return run_test_program(argc, argv, "vhost", tests, NULL, NULL);
}
