/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with front-ends that are broken or hostile:
 * what they say of rings. After each abuse a fresh connection to the same port
 * passes packets, and so does, undisturbed, another port with another front-
 * end.
 */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/victim.h"

/* A ring beyond the end of the file that memory is in: a look at it would be a SIGBUS. */
static void
ring_beyond_the_file(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_connect(victim);
	const int fd = file_of(4096);
	const struct frontend_region regions[] = {
		{ FRONTEND_LOW, FRONTEND_LOW_LEN, FRONTEND_USER(FRONTEND_LOW), 0 },
		{ FRONTEND_HIGH, FRONTEND_HIGH_LEN, FRONTEND_USER(FRONTEND_HIGH), 0 },
	};
	const int fds[] = { frontend->ram.regions[0].fd, fd };

	assert_int_equal(frontend_hello(frontend), ANSWER_OK);
	frontend_set_regions(frontend, regions, fds, 2);
	if (frontend_start_ring(frontend, 0) == ANSWER_OK)
		assert_false(port_is_open(&victim->port, frontend, 0));
	victim_disconnect(frontend);
	close(fd);
	victim_is_well(victim);
}

/* Rings that lie where no ring can lie: the queue stays closed, and opens when they are good. */
static void
bad_ring_addresses(void **state)
{
	struct victim *victim = *state;
	const uint64_t end = FRONTEND_USER(FRONTEND_HIGH + FRONTEND_HIGH_LEN);
	const uint64_t hole = FRONTEND_USER(FRONTEND_LOW_LEN + 0x10000);
	const uint64_t used = FRONTEND_USER(FRONTEND_HIGH + FRONTEND_HIGH_LEN / 2);
	const struct {
		uint64_t desc, avail, used;
	} cases[] = {
		/* 0: as it should be */
		{ hole, 0, 0 },
		{ 0, hole, 0 },
		{ 0, 0, hole },
		{ UINT64_MAX - 15, 0, 0 },
		{ 0, UINT64_MAX - 1, 0 },
		{ 0, 0, UINT64_MAX - 3 },
		{ end - VICTIM_RING_SIZE * 16 + 16, 0, 0 },
		{ 0, end - VICTIM_RING_SIZE * 2 - 4 + 2, 0 },
		{ 0, 0, end - VICTIM_RING_SIZE * 8 - 4 + 4 },
		{ end, 0, 0 },
		{ 0, end - 2, 0 },
		{ 0, 0, end - 4 },
		{ used + 8, 0, 0 },
		{ 0, used + 1, 0 },
		{ 0, 0, used + 2 },
		{ FRONTEND_USER(FRONTEND_LOW_LEN - VICTIM_RING_SIZE * 16 + 16), 0, 0 },
	};
	unsigned int i, running;

	for (i = 0; i < RTE_DIM(cases); i++) {
		for (running = 0; running < 2; running++) {
			struct frontend *frontend = running ? victim_start(victim) :
							      victim_connect(victim);
			struct vhost_vring_addr addr;
			enum frontend_answer answer;

			if (!running) {
				assert_int_equal(frontend_hello(frontend), ANSWER_OK);
				assert_int_equal(frontend_set_memory(frontend), ANSWER_OK);
				assert_int_equal(frontend_start_ring(frontend, 1), ANSWER_OK);
				assert_int_equal(frontend_set_num(frontend, 0, VICTIM_RING_SIZE),
						ANSWER_OK);
				assert_int_equal(frontend_set_base(frontend, 0, 0), ANSWER_OK);
			}
			frontend_fill_addr(frontend, 0, &addr);
			if (cases[i].desc != 0)
				addr.desc_user_addr = cases[i].desc;
			if (cases[i].avail != 0)
				addr.avail_user_addr = cases[i].avail;
			if (cases[i].used != 0)
				addr.used_user_addr = cases[i].used;
			answer = frontend_ask(frontend, REQ_SET_VRING_ADDR, &addr, sizeof(addr),
					NULL, 0);
			if (answer == ANSWER_OK && !running) {
				frontend_set_call(frontend, 0, frontend->call[0]);
				frontend_set_kick(frontend, 0, frontend->kick[0]);
				answer = frontend_enable(frontend, 0, true);
			}
			if (answer != ANSWER_CLOSED) {
				assert_true(frontend_settle(frontend));
				if (port_is_open(&victim->port, frontend, 0))
					fail_msg("ring %u is open", i);
				/* Put right, it works on the same connection. */
				assert_int_equal(frontend_start_ring(frontend, 0), ANSWER_OK);
				assert_true(victim_exchange(victim, frontend, 5));
			}
			victim_disconnect(frontend);
		}
	}
	victim_is_well(victim);
}

static void
bad_ring_sizes(void **state)
{
	struct victim *victim = *state;
	static const uint32_t sizes[] = { 0, 3, 100, 255, 32769, 65535, 65536, 1U << 31,
		UINT32_MAX };
	unsigned int i;

	for (i = 0; i < RTE_DIM(sizes); i++) {
		struct frontend *frontend = victim_connect(victim);

		assert_int_equal(frontend_hello(frontend), ANSWER_OK);
		assert_int_equal(frontend_set_memory(frontend), ANSWER_OK);
		assert_int_equal(frontend_start_ring(frontend, 1), ANSWER_OK);
		frontend_set_num(frontend, 0, sizes[i]);
		frontend_set_base(frontend, 0, 0);
		frontend_set_addr(frontend, 0);
		frontend_set_call(frontend, 0, frontend->call[0]);
		frontend_set_kick(frontend, 0, frontend->kick[0]);
		frontend_enable(frontend, 0, true);
		assert_true(frontend_settle(frontend));
		assert_false(port_is_open(&victim->port, frontend, 0));
		assert_int_equal(frontend_stop_ring(frontend, 0), 0);
		assert_int_equal(frontend_start_ring(frontend, 0), ANSWER_OK);
		/* It polls no ring of which it is not told anew. */
		if (!port_rig_is_ours())
			assert_int_equal(frontend_start_ring(frontend, 1), ANSWER_OK);
		assert_true(victim_exchange(victim, frontend, 5));
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
}

/* A ring at the very end of memory that grows after its address was checked. */
static void
ring_grows_out_of_memory(void **state)
{
	struct victim *victim = *state;
	unsigned int running, event;

	for (running = 0; running < 2; running++) {
		for (event = 0; event < 2; event++) {
			struct frontend *frontend = calloc(1, sizeof(*frontend));
			uint64_t end = FRONTEND_HIGH + FRONTEND_HIGH_LEN;

			frontend_create(frontend,
					event ? VICTIM_FEATURES | FRONTEND_F_EVENT_IDX :
						VICTIM_FEATURES,
					VICTIM_RING_SIZE, 2, 0);
			ring_init(&frontend->rings[0], &frontend->ram,
					end - ring_footprint(VICTIM_RING_SIZE), VICTIM_RING_SIZE, 0,
					NULL);
			assert_true(frontend_connect(frontend, victim->port.path));
			assert_int_equal(frontend_start(frontend), ANSWER_OK);
			assert_true(victim_exchange(victim, frontend, 5));
			if (!running)
				frontend_stop_ring(frontend, 0);
			frontend_set_num(frontend, 0, 32768);
			if (running) {
				/* A kick makes the back-end look again. */
				frontend_set_kick(frontend, 0, frontend->kick[0]);
			} else {
				frontend_set_addr(frontend, 0);
				frontend_set_call(frontend, 0, frontend->call[0]);
				frontend_set_kick(frontend, 0, frontend->kick[0]);
			}
			assert_true(frontend_settle(frontend));
			assert_false(port_is_open(&victim->port, frontend, 0));
			victim_disconnect(frontend);
		}
	}
	victim_is_well(victim);
}

static unsigned int
open_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	unsigned int n = 0;

	assert_non_null(folder);
	while (readdir(folder) != NULL)
		n++;
	closedir(folder);
	return n;
}

/* The front-end is told how many pairs there are; of those beyond it nothing is kept. */
static void
descriptors_that_nobody_has(void **state)
{
	static const uint32_t requests[] = { REQ_SET_VRING_CALL, REQ_SET_VRING_KICK,
		REQ_SET_VRING_ERR };
	struct victim *victim = *state;
	struct frontend *frontend;
	uint64_t nb_pairs = 0, ring;
	unsigned int before, i;

	/* DPDK's net_vhost does not say it, and takes all of them. */
	if (!port_rig_is_ours())
		skip();
	frontend = victim_start(victim);
	assert_true(frontend_send(frontend, REQ_GET_QUEUE_NUM, false, NULL, 0, NULL, 0));
	assert_int_equal(frontend_reply(frontend, REQ_GET_QUEUE_NUM, &nb_pairs, sizeof(nb_pairs)),
			sizeof(nb_pairs));
	assert_int_equal(nb_pairs, victim->port.nb_queues);
	before = open_fds();
	for (ring = 2 * nb_pairs; ring < 256; ring++)
		for (i = 0; i < RTE_DIM(requests); i++)
			assert_int_equal(frontend_ask(frontend, requests[i], &ring, sizeof(ring),
							 &frontend->call[0], 1),
					ANSWER_OK);
	assert_int_equal(open_fds(), before);
	assert_true(victim_exchange(victim, frontend, 40));
	victim_disconnect(frontend);
	victim_is_well(victim);
}

static void
rings_that_nobody_has(void **state)
{
	struct victim *victim = *state;
	static const unsigned int rings[] = { 2, 3, 100, 255 };
	struct frontend *frontend = victim_start(victim);
	unsigned int i;

	for (i = 0; i < RTE_DIM(rings); i++) {
		struct vhost_vring_state vring = { .index = rings[i], .num = VICTIM_RING_SIZE };

		frontend_ask(frontend, REQ_SET_VRING_NUM, &vring, sizeof(vring), NULL, 0);
		frontend_ask(frontend, REQ_SET_VRING_BASE, &vring, sizeof(vring), NULL, 0);
		frontend_set_call(frontend, rings[i], frontend->call[0]);
		frontend_enable(frontend, rings[i], true);
	}
	assert_true(frontend_settle(frontend));
	assert_true(victim_exchange(victim, frontend, 40));
	victim_disconnect(frontend);
	for (i = 256; i != 0; i *= 16) {
		frontend = victim_start(victim);
		frontend_set_num(frontend, i, VICTIM_RING_SIZE);
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
}

/* An index to start from that is far from the ring's. */
static void
bad_ring_base(void **state)
{
	struct victim *victim = *state;
	static const uint32_t bases[] = { 1, 1000, 65535, 65536, UINT32_MAX };
	unsigned int i;

	for (i = 0; i < RTE_DIM(bases); i++) {
		struct frontend *frontend = victim_start(victim);

		frontend_stop_ring(frontend, 0);
		frontend_set_num(frontend, 0, VICTIM_RING_SIZE);
		frontend_set_base(frontend, 0, bases[i]);
		frontend_set_addr(frontend, 0);
		frontend_set_call(frontend, 0, frontend->call[0]);
		frontend_set_kick(frontend, 0, frontend->kick[0]);
		frontend_settle(frontend);
		port_poll_idle(&victim->port, 10);
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
}

/* A call descriptor that is missing is refused, and the ring can be stopped after it. */
static void
refused_call_descriptor(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	uint64_t ring = 0;

	assert_int_equal(frontend_ask(frontend, REQ_SET_VRING_CALL, &ring, sizeof(ring), NULL, 0),
			ANSWER_REFUSED);
	assert_true(victim_exchange(victim, frontend, 5));
	assert_int_equal(frontend_enable(frontend, 0, false), ANSWER_OK);
	assert_true(frontend_settle(frontend));
	assert_false(port_is_open(&victim->port, frontend, 0));
	assert_int_equal(frontend_enable(frontend, 0, true), ANSWER_OK);
	assert_true(victim_exchange(victim, frontend, 5));
	victim_disconnect(frontend);
	victim_is_well(victim);
}

/* Call descriptors that are no eventfd: a write there could end this process. */
static void
bad_call_descriptors(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		int pipes[2], fd = -1;

		frontend = victim_start(victim);
		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		switch (i) {
		case 0: /* nobody will read: SIGPIPE */
			fd = pipes[1];
			break;
		case 1: /* not for writing */
			fd = pipes[0];
			break;
		case 2:
			fd = frontend->ram.regions[0].fd;
			break;
		case 3:
			fd = frontend->sock;
			break;
		case 4:
			fd = open("/dev/full", O_RDWR | O_CLOEXEC);
			break;
		}
		frontend_set_call(frontend, 0, fd);
		close(pipes[0]);
		close(pipes[1]);
		if (i == 4)
			close(fd);
		frontend_settle(frontend);
		assert_true(victim_exchange(victim, frontend, 40));
		/* A good one after it works. */
		assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]), ANSWER_OK);
		assert_true(victim_exchange(victim, frontend, 40));
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
}

/* A call descriptor that would block when it is full blocks no burst. */
static void
full_call_descriptor(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	const uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(frontend_set_call(frontend, 0, fd), ANSWER_OK);
	assert_true(victim_exchange(victim, frontend, 40));
	close(fd);
	victim_disconnect(frontend);
	victim_is_well(victim);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_beyond_the_file),
		cmocka_unit_test(bad_ring_addresses),
		cmocka_unit_test(bad_ring_sizes),
		cmocka_unit_test(ring_grows_out_of_memory),
		cmocka_unit_test(rings_that_nobody_has),
		cmocka_unit_test(descriptors_that_nobody_has),
		cmocka_unit_test(bad_ring_base),
		cmocka_unit_test(refused_call_descriptor),
		cmocka_unit_test(bad_call_descriptors),
		cmocka_unit_test(full_call_descriptor),
	};
	const struct program program = {
		.name = "port_bad_rings",
		.split = PROGRAM_TESTS(tests),
		.group_setup = victim_setup,
		.group_teardown = victim_teardown,
	};

	return program_run(&program, argc, argv);
}
