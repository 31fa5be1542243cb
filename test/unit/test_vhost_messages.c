/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what each vhost-user message does to the log state and what the library's
 * user is asked, but for logs and the memory table; and which are left alone.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_program.h"
#include "vhost_room.h"

#define MAX_REQUEST 64

static void
attach_and_detach(void **state)
{
	struct room *room = *state;
	struct dirtylog_vhost *vhost = NULL;
	unsigned int fds = open_fds();
	int given[] = { dup(room->log.fd), dup(room->log.fd) };

	assert_int_equal(dirtylog_vhost_attach(-1, room->dl, &user_ops, room, &vhost), -EIO);
	assert_int_equal(dirtylog_vhost_attach(1024, room->dl, &user_ops, room, &vhost), -EIO);
	librte.register_ret = -1;
	assert_int_equal(dirtylog_vhost_attach(VID + 1, room->dl, &user_ops, room, &vhost), -EIO);
	assert_null(vhost);
	dirtylog_vhost_detach(NULL);
	/* Messages of connections that nobody follows, any more or at all. */
	compose(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(librte.ops.pre_msg_handle(VID + 1, &room->message),
			RTE_VHOST_MSG_RESULT_ERR);
	assert_int_equal(librte.ops.post_msg_handle(-1, &room->message),
			RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(librte.ops.pre_msg_handle(4096, &room->message), RTE_VHOST_MSG_RESULT_ERR);
	dirtylog_vhost_detach(room->vhost);
	attach_fds(room, FDS_AT_22_11, 2, given);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
	assert_int_equal(open_fds(), fds);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	asked(room, "");
	/* The same vid, for the next connection. */
	librte.register_ret = 0;
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &user_ops, room, &room->vhost), 0);
	set_features(room, true);
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
		(uint64_t *)&addr.desc_user_addr,
		(uint64_t *)&addr.used_user_addr,
		(uint64_t *)&addr.avail_user_addr,
		(uint64_t *)&addr.log_guest_addr,
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

/*
 * Answered here: all virtqueues stop, each until it is started or enabled. Logging goes
 * on, and so does the memory table.
 */
static void
reset_owner(void **state)
{
	const struct vhost_vring_addr moved = { .index = 0, .desc_user_addr = PAGE };
	struct vhost_vring_state enable = { .index = 0, .num = 0 };
	struct room *room = *state;
	uint64_t kick = 1;

	send(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	asked(room, "quiesce(all) resume(all) ");
	open_queue(room, 0);
	set_features(room, true);
	assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 0),
			RTE_VHOST_MSG_RESULT_REPLY);
	burst(room, 0, 10);
	compose(room, VHOST_USER_RESET_OWNER, 0, NULL);
	assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_OK);
	assert_true(after(room) != RTE_VHOST_MSG_RESULT_ERR);
	asked(room, "quiesce(all) ");
	assert_true(frontend_log_test(&room->log, 10));
	assert_true(frontend_log_test(&room->log, INDEX_PAGE(0)));
	/* Neither goes on for what is told of it, ... */
	set_vring_addr(room, &moved);
	asked(room, "quiesce(0) ");
	send(room, VHOST_USER_SET_VRING_ENABLE, sizeof(enable), &enable);
	asked(room, "");
	/* ... one does when it is started, and from then on, ... */
	send(room, VHOST_USER_SET_VRING_KICK, sizeof(kick), &kick);
	asked(room, "quiesce(1) resume(1) ");
	send(room, VHOST_USER_SET_VRING_KICK, sizeof(kick), &kick);
	asked(room, "");
	/* ... the other one when it is enabled. */
	enable.num = 1;
	send(room, VHOST_USER_SET_VRING_ENABLE, sizeof(enable), &enable);
	asked(room, "quiesce(0) resume(0) ");
	open_queue(room, 0);
	burst(room, 0, 11);
	assert_true(frontend_log_test(&room->log, 11));
}

static unsigned int
count_lines(struct room *room)
{
	unsigned int n = 0;
	const char *at;

	fflush(room->lines);
	for (at = room->text; at != NULL && (at = strchr(at, '\n')) != NULL; at++)
		n++;
	return n;
}

/* However often a front-end does something wrong, and connects again in between. */
static void
lines_are_bounded(void **state)
{
	struct room *room = *state;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		assert_int_equal(set_log_base(room, dup(room->log.fd), LOG_LEN, 7),
				RTE_VHOST_MSG_RESULT_ERR);
		if (i % 10 != 0)
			continue;
		dirtylog_vhost_detach(room->vhost);
		assert_int_equal(
				dirtylog_vhost_attach(VID, room->dl, &user_ops, room, &room->vhost),
				0);
	}
	/* In one period, or just then the next one began. */
	assert_in_range(count_lines(room), 10, 2 * 41);
	assert_false(dirtylog_vhost_may_log(VID));
	logged(room, "further lines");
	/* Of others more may come, and of what no front-end has to do with. */
	assert_true(dirtylog_vhost_may_log(VID + 1));
	assert_true(dirtylog_vhost_may_log(-1));
	assert_true(dirtylog_vhost_may_log(DIRTYLOG_MAX_VIDS));
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
	assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &without, room, &room->vhost), 0);
	send(room, VHOST_USER_SET_VRING_CALL, sizeof(vring), &vring);
	asked(room, "");
}

/* A message that is not the log's business is left alone, byte for byte. */
static void
other_messages(void **state)
{
	static const uint32_t ours[] = {
		VHOST_USER_SET_FEATURES,
		VHOST_USER_RESET_OWNER,
		VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_SET_LOG_BASE,
		VHOST_USER_SET_VRING_ADDR,
		VHOST_USER_GET_VRING_BASE,
		VHOST_USER_SET_VRING_CALL,
		VHOST_USER_ADD_MEM_REG,
		VHOST_USER_REM_MEM_REG,
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

/* Those that came with a message are closed by who ends it, if the library finds them. */
static void
descriptors_of_passed_messages(void **state)
{
	static const struct dirtylog_vhost_ops ops = {
		.quiesce = quiesce,
		.resume = resume,
		.message = take_message,
	};
	static const struct {
		const char *version;
		bool known;
	} releases[] = { { "DPDK 22.11.11", true }, { "DPDK 99.03.0", false } };
	const uint32_t set_vring_err = 14;
	struct room *room = *state;
	unsigned int i;

	for (i = 0; i < RTE_DIM(releases); i++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		assert_true(fd >= 0);
		dirtylog_vhost_detach(room->vhost);
		librte.version = releases[i].version;
		assert_int_equal(dirtylog_vhost_attach(VID, room->dl, &ops, room, &room->vhost), 0);
		reply_size = 0;
		compose(room, set_vring_err, 8, &(uint64_t){ 200 });
		attach_fds(room, FDS_AT_22_11, 1, &fd);
		verdict = RTE_VHOST_MSG_RESULT_NOT_HANDLED;
		assert_int_equal(before(room), verdict);
		assert_int_equal(passed.closes_fds, releases[i].known);
		assert_true(fcntl(fd, F_GETFD) >= 0); /* librte_vhost's */
		verdict = RTE_VHOST_MSG_RESULT_OK;
		assert_int_equal(before(room), verdict);
		assert_int_equal(fcntl(fd, F_GETFD) < 0, releases[i].known);
		if (!releases[i].known)
			close(fd);
		/* A refusal that leaves descriptors open ends the connection. */
		compose(room, set_vring_err, 8, &(uint64_t){ 200 });
		attach_fds(room, FDS_AT_22_11, 0, NULL);
		room->message.msg.flags |= VHOST_MSG_NEED_REPLY;
		verdict = RTE_VHOST_MSG_RESULT_ERR;
		assert_int_equal(before(room), verdict);
		assert_int_equal((room->message.msg.flags & VHOST_MSG_NEED_REPLY) != 0,
				releases[i].known);
	}
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

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_ROOM(attach_and_detach),
		IN_ROOM(vring_addresses),
		IN_ROOM(stop),
		IN_ROOM(reset_owner),
		IN_ROOM(context_of_a_vid),
		IN_ROOM(call_descriptor),
		IN_ROOM(other_messages),
		IN_ROOM(messages_are_passed_on),
		IN_ROOM(descriptors_of_passed_messages),
		IN_ROOM(guest_has_arrived),
		/* No line follows it for a while. */
		IN_ROOM(lines_are_bounded),
	};

	return run_test_program(argc, argv, "vhost_messages", tests, NULL, NULL);
}
