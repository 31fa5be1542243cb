/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what becomes of the memory table that librte_vhost has: a new one, one
 * that is refused, and memory that is taken away.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "test_program.h"
#include "truncation_guard.h"
#include "vhost_room.h"

static void
memory_table(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_ADD_MEM_REG,
		VHOST_USER_REM_MEM_REG,
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
		librte.regions[1] = (struct dirtylog_region){ .gpa = 200 * PAGE,
			.len = (i + 1) * PAGE };
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
 * A refusal leaves no descriptor open: not of a message that librte_vhost does not
 * know, nor those that it has not taken of one that it does.
 */
static void
refused_afterwards(void **state)
{
	static const uint32_t requests[] = {
		VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_ADD_MEM_REG,
		VHOST_USER_REM_MEM_REG,
	};
	struct room *room = *state;
	unsigned int fds = open_fds(), i;

	librte.mem_table_ret = -1;
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		int given[3] = { -1, dup(room->log.fd), dup(room->log.fd) };

		compose(room, requests[i], 0, NULL);
		assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
		attach_fds(room, FDS_AT_22_11, 3, given);
		assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
		assert_int_equal(open_fds(), fds);
		logged(room, "no memory table");
		librte.mem_table_ret = 0;
		send(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
		librte.mem_table_ret = -1;
	}
}

static enum rte_vhost_msg_result
begin(struct room *room, uint32_t request)
{
	compose(room, request, 0, NULL);
	return before(room);
}

/*
 * After a table that was refused librte_vhost has memory that nobody guards: it is
 * not asked to do anything that makes it look there, until it has another table.
 */
static void
nobody_looks_into_refused_memory(void **state)
{
	struct room *room = *state;

	/* Without any, there is nothing to look into. */
	assert_int_equal(begin(room, VHOST_USER_ADD_MEM_REG), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_KICK), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	send(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_KICK), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	/* By librte_vhost, so that there is no second handler. */
	assert_int_equal(begin(room, VHOST_USER_SET_MEM_TABLE), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_KICK), RTE_VHOST_MSG_RESULT_ERR);
	logged(room, "after a memory table that was refused");
	assert_int_equal(begin(room, VHOST_USER_GET_VRING_BASE), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_ENABLE), RTE_VHOST_MSG_RESULT_ERR);
	send(room, VHOST_USER_SET_MEM_TABLE, 0, NULL);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_ENABLE),
			RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	/* By us, once it is mapped. */
	librte.mem_table_ret = -1;
	assert_int_equal(begin(room, VHOST_USER_REM_MEM_REG), RTE_VHOST_MSG_RESULT_NOT_HANDLED);
	assert_int_equal(after(room), RTE_VHOST_MSG_RESULT_ERR);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_ADDR), RTE_VHOST_MSG_RESULT_ERR);
	/* This one is kept from librte_vhost, and changes nothing about it. */
	assert_int_equal(begin(room, VHOST_USER_RESET_OWNER), RTE_VHOST_MSG_RESULT_OK);
	assert_int_equal(begin(room, VHOST_USER_SET_VRING_KICK), RTE_VHOST_MSG_RESULT_ERR);
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

/*
 * What librte_vhost could not map is refused before it tries, and nothing stops for
 * it: it would keep the descriptor.
 */
static void
regions_that_cannot_be_mapped(void **state)
{
	struct room *room = *state;
	struct librte_msg *msg = &room->message.msg;
	unsigned int fds = open_fds(), i;
	int pair[2];
	struct {
		int fd;
		uint64_t size, offset;
	} regions[4];

	open_queue(room, 0);
	assert_int_equal(pipe(pair), 0);
	regions[0].fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	regions[0].size = PAGE;
	regions[0].offset = 0;
	regions[1].fd = pair[0];
	regions[1].size = PAGE;
	regions[1].offset = 0;
	regions[2].fd = pair[1];
	regions[2].size = PAGE;
	regions[2].offset = UINT64_MAX - PAGE + 1;
	regions[3].fd = dup(room->log.fd);
	regions[3].size = 0;
	regions[3].offset = 0;
	for (i = 0; i < 4; i++) {
		compose(room, i % 2 == 0 ? VHOST_USER_SET_MEM_TABLE : VHOST_USER_ADD_MEM_REG,
				8 + 32, NULL);
		msg->payload.memory.nb_regions = 1;
		msg->payload.memory.regions[0].gpa = UINT64_C(1) << 32;
		msg->payload.memory.regions[0].size = regions[i].size;
		msg->payload.memory.regions[0].offset = regions[i].offset;
		attach_fds(room, FDS_AT_22_11, 1, &regions[i].fd);
		assert_int_equal(before(room), RTE_VHOST_MSG_RESULT_ERR);
		logged(room, "cannot be mapped: refused");
		assert_int_equal(open_fds(), fds + 3 - i);
		asked(room, "");
		assert_true(is_open(room, 0));
	}
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
	assert_int_equal(dirtylog_open(room->dl, &room->markers[0], 0, DIRTYLOG_INDEX_LEN), -EIO);
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
		VHOST_USER_SET_MEM_TABLE,
		VHOST_USER_ADD_MEM_REG,
		VHOST_USER_REM_MEM_REG,
		0,
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

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_ROOM(memory_table),
		IN_ROOM(refused_afterwards),
		IN_ROOM(nobody_looks_into_refused_memory),
		IN_ROOM(mapped_region_beyond_its_file),
		IN_ROOM(memory_that_is_too_large),
		IN_ROOM(regions_that_cannot_be_mapped),
		IN_ROOM(memory_is_taken_away),
		IN_ROOM(memory_is_unmapped),
		IN_ROOM(somebody_takes_sigbus),
		IN_ROOM(user_that_does_not_quiesce),
	};

	return run_test_program(argc, argv, "vhost_memory", tests, NULL, NULL);
}
