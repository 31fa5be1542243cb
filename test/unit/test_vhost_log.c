/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what SET_LOG_BASE and LOG_ALL do to the log state, and what is refused,
 * by each way to the log's descriptor.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "test_program.h"
#include "vhost_room.h"

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
		another_vid(room);
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
	librte.log_base = mmap(NULL, log->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	assert_ptr_not_equal(librte.log_base, MAP_FAILED);
	librte.log_size = log->len;
}

static void
unknown_dpdk(void **state)
{
	static const char *const versions[] = { "DPDK 99.01.0", "DPDK 26.11.0", "something" };
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
	room->message.msg.flags |= VHOST_MSG_NEED_REPLY;
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	logged(room, "must be at offset 0");
	/* librte_vhost refuses that, and ends the connection. */
	assert_int_equal(room->message.msg.payload.log.offset, UINT64_MAX);
	assert_int_equal(room->message.msg.flags & VHOST_MSG_NEED_REPLY, 0);
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
	const struct CMUnitTest tests[] = {
		IN_ROOM(log_is_taken),
		IN_ROOM(log_at_an_offset),
		IN_ROOM(log_is_refused),
		IN_ROOM(logging_without_a_log),
		IN_ROOM(begins_while_the_guest_migrates),
		IN_ROOM(begins_with_a_log),
		IN_ROOM(descriptors_by_release),
		IN_ROOM(unknown_dpdk),
		IN_ROOM(unknown_dpdk_fails),
	};

	return run_test_program(argc, argv, "vhost_log", tests, NULL, NULL);
}
