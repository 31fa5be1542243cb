/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with front-ends that are broken or hostile:
 * messages and their order, connections, memory tables. After each abuse a
 * fresh connection to the same port passes packets, and so does, undisturbed,
 * another port with another front-end.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_malloc.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/victim.h"

/* The connection ends after each number of steps, or in the middle of a message. */
static void
disconnects_at_any_time(void **state)
{
	struct victim *victim = *state;
	struct {
		uint32_t request, flags, len;
		uint64_t u64;
	} message = { REQ_SET_FEATURES, 1, 8, VICTIM_FEATURES };
	unsigned int steps, i;

	for (steps = 0; steps < 20; steps++) {
		struct frontend *frontend = victim_connect(victim);

		for (i = 0; i < steps; i++) {
			unsigned int ring = i >= 8;

			switch (i < 2 ? i : 2 + (i - 2) % 6) {
			case 0:
				frontend_hello(frontend);
				break;
			case 1:
				frontend_set_memory(frontend);
				break;
			case 2:
				frontend_set_num(frontend, ring, VICTIM_RING_SIZE);
				break;
			case 3:
				frontend_set_base(frontend, ring, 0);
				break;
			case 4:
				frontend_set_addr(frontend, ring);
				break;
			case 5:
				frontend_set_call(frontend, ring, frontend->call[ring]);
				break;
			case 6:
				frontend_set_kick(frontend, ring, frontend->kick[ring]);
				break;
			case 7:
				frontend_enable(frontend, ring, true);
				break;
			}
			port_poll_idle(&victim->port, 2);
		}
		victim_disconnect(frontend);
		port_poll_idle(&victim->port, 2);
	}
	victim_is_well(victim);
	/* Part of a message: a header that breaks off, or a payload. */
	for (i = 1; i < 20; i++) {
		struct frontend *frontend = victim_start(victim);

		assert_int_equal(write(frontend->sock, &message, i), i);
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
	/* With packets under way and logging on. */
	for (i = 0; i < 5; i++) {
		struct frontend *frontend = victim_start(victim);
		struct frontend_log log;

		assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
		assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
		frontend_set_features(frontend, frontend->features | FRONTEND_F_LOG_ALL);
		assert_true(victim_exchange(victim, frontend, 5));
		frontend_disconnect(frontend);
		while (port_is_open(&victim->port, frontend, 0))
			;
		victim_disconnect(frontend);
		frontend_log_destroy(&log);
	}
	victim_is_well(victim);
}

static void
messages_that_mean_nothing(void **state)
{
	struct victim *victim = *state;
	uint8_t bytes[600];
	unsigned int i, j;
	uint64_t random = 5;

	/* Each request number, with payloads of some lengths, and with descriptors. */
	for (i = 0; i < 64; i++) {
		for (j = 0; j < 4; j++) {
			static const uint32_t lens[] = { 0, 8, 40, 280 };
			struct frontend *frontend = victim_start(victim);
			uint32_t request = i < 60 ? i :
					i == 60   ? 100 :
					i == 61   ? 1U << 31 :
						    UINT32_MAX;
			int fds[2] = { frontend->call[0], frontend->ram.regions[0].fd };
			unsigned int at;

			for (at = 0; at < sizeof(bytes); at++)
				bytes[at] = (uint8_t)packet_random(&random);
			/* The ring index within bounds half of the time. */
			if (j % 2 == 1)
				memset(bytes, 0, 8);
			frontend_send(frontend, request, false, bytes, lens[j], fds, (i + j) % 3);
			frontend_settle(frontend);
			port_is_open(&victim->port, frontend, 0);
			victim_disconnect(frontend);
		}
	}
	victim_is_well(victim);
	/* Pure noise. */
	for (i = 0; i < 30; i++) {
		struct frontend *frontend = victim_start(victim);

		for (j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)packet_random(&random);
		assert_int_equal(send(frontend->sock, bytes, sizeof(bytes), MSG_NOSIGNAL),
				sizeof(bytes));
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
}

/* A second front-end on the same socket takes the port over; both ends are clean. */
static void
two_connections(void **state)
{
	struct victim *victim = *state;
	struct frontend *first, *second;
	unsigned int i;

	/* DPDK's net_vhost serves the one or the other. */
	if (!port_rig_is_ours())
		skip();
	first = victim_start(victim);
	second = victim_connect(victim);
	assert_int_equal(frontend_start(second), ANSWER_OK);
	assert_true(victim_exchange(victim, second, 40));
	assert_false(port_is_open(&victim->port, first, 0) &&
			!port_is_open(&victim->port, second, 0));
	/* What the first one still says is none of the second one's business. */
	frontend_set_memory(first);
	frontend_stop_ring(first, 0);
	frontend_set_features(first, first->features | FRONTEND_F_LOG_ALL);
	assert_true(victim_exchange(victim, second, 40));
	victim_disconnect(first);
	assert_true(victim_exchange(victim, second, 40));
	assert_true(port_wait_link(&victim->port, true));
	victim_disconnect(second);
	assert_true(port_wait_link(&victim->port, false));

	/* One that says nothing and goes: the link is not left up. */
	first = victim_start(victim);
	second = victim_connect(victim);
	assert_true(frontend_hello(second) == ANSWER_OK);
	victim_disconnect(second);
	victim_disconnect(first);
	assert_true(port_wait_link(&victim->port, false));
	victim_is_well(victim);
	/* Many at once. */
	for (i = 0; i < 20; i++) {
		first = victim_connect(victim);
		second = victim_connect(victim);
		frontend_start(first);
		frontend_start(second);
		victim_disconnect(i % 2 == 0 ? first : second);
		victim_disconnect(i % 2 == 0 ? second : first);
	}
	victim_is_well(victim);
}

/* Memory tables that must be refused, and the good one after them. */
static void
bad_memory_tables(void **state)
{
	struct victim *victim = *state;
	const uint64_t low = FRONTEND_LOW_LEN, high = FRONTEND_HIGH_LEN;
	const struct {
		struct frontend_region regions[2];
		unsigned int n, nb_fds;
	} cases[] = {
		{ .n = 0 },
		{ .n = 1, .nb_fds = 0, .regions = { { 0, low, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 2, .regions = { { 0, low, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, 0, FRONTEND_USER(0), 0 } } },
		{ .n = 1,
				.nb_fds = 1,
				.regions = { { UINT64_MAX - 4095, low, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, UINT64_MAX, FRONTEND_USER(0), 0 } } },
		{ .n = 1,
				.nb_fds = 1,
				.regions = { { 0, low, FRONTEND_USER(0), UINT64_MAX - 4095 } } },
		/* Larger than the file: a store beyond its end would be a SIGBUS. */
		{ .n = 1, .nb_fds = 1, .regions = { { 0, low + 4096, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, low, FRONTEND_USER(0), 4096 } } },
		{ .n = 2,
				.nb_fds = 2,
				.regions = { { 0, low, FRONTEND_USER(0), 0 },
						{ FRONTEND_HIGH, 2 * high,
								FRONTEND_USER(FRONTEND_HIGH),
								0 } } },
	};
	unsigned int i, ring;

	for (i = 0; i < RTE_DIM(cases); i++) {
		struct frontend *frontend = victim_start(victim);
		struct {
			uint32_t n, padding;
			struct frontend_region regions[2];
		} table = { .n = cases[i].n };
		int fds[2] = { frontend->ram.regions[0].fd, frontend->ram.regions[1].fd };
		enum frontend_answer answer;

		memcpy(table.regions, cases[i].regions, sizeof(table.regions));
		answer = frontend_ask(frontend, REQ_SET_MEM_TABLE, &table, sizeof(table), fds,
				cases[i].nb_fds);
		if (answer != ANSWER_CLOSED) {
			assert_true(frontend_settle(frontend));
			/* Open is right if the old table is still in force: then packets pass. */
			if (port_is_open(&victim->port, frontend, 0) &&
					(answer != ANSWER_REFUSED ||
							!victim_exchange(victim, frontend, 40)))
				fail_msg("a queue is open on memory table %u", i);
			assert_int_equal(frontend_set_memory(frontend), ANSWER_OK);
			for (ring = 0; ring < 2; ring++)
				assert_int_equal(frontend_start_ring(frontend, ring), ANSWER_OK);
			assert_true(victim_exchange(victim, frontend, 40));
		}
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
}

/* Regions that are odd but right: tiny ones, and one that lies odd in its file. */
static void
odd_memory(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_connect(victim);
	const struct frontend_region regions[] = {
		{ FRONTEND_LOW, FRONTEND_LOW_LEN - 4096, FRONTEND_USER(FRONTEND_LOW) + 3, 3 },
		{ FRONTEND_HIGH, FRONTEND_HIGH_LEN, FRONTEND_USER(FRONTEND_HIGH), 0 },
	};
	const int fds[] = { frontend->ram.regions[0].fd, frontend->ram.regions[1].fd };
	struct vring_desc table[2] = {
		{ .addr = 0x3000, .len = 1600, .flags = VRING_DESC_F_WRITE }
	};
	struct ring_writer *ring = &frontend->rings[0];
	uint16_t head, used;
	struct rte_mbuf *pkt;
	unsigned int i;

	assert_int_equal(frontend_hello(frontend), ANSWER_OK);
	assert_int_equal(frontend_set_regions(frontend, regions, fds, 2), ANSWER_OK);
	assert_int_equal(frontend_start_ring(frontend, 0), ANSWER_OK);
	assert_int_equal(frontend_start_ring(frontend, 1), ANSWER_OK);
	assert_true(frontend_settle(frontend));
	/* An indirect table there is not aligned for the host, whatever its GPA. */
	for (i = 0; i < 16; i++) {
		ram_write(&frontend->ram, 0x2000 + i + 3, table, sizeof(table[0]));
		head = ring_take_desc(ring);
		ring_set_desc(ring, head, 0x2000 + i, 16, VRING_DESC_F_INDIRECT, 0);
		ring_add(ring, head);
		ring_publish(ring);
		pkt = packet_mbuf(victim->port.pool, 1, 100, 0, false);
		used = ring_used_index(ring);
		if (rte_eth_tx_burst(victim->port.id, 0, &pkt, 1) == 0)
			rte_pktmbuf_free(pkt);
		assert_int_equal(ring_used_index(ring), (uint16_t)(used + 1));
	}
	victim_disconnect(frontend);
	victim_is_well(victim);
}

/* RESET_OWNER, then everything from the start, on the same connection, or enabled only. */
static void
owner_is_reset(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	unsigned int i, ring;

	for (i = 0; i < 3; i++) {
		assert_true(frontend_send(frontend, REQ_RESET_OWNER, false, NULL, 0, NULL, 0));
		assert_true(frontend_settle(frontend));
		assert_false(port_is_open(&victim->port, frontend, 0));
		assert_int_equal(frontend_start(frontend), ANSWER_OK);
		assert_true(victim_exchange(victim, frontend, 40));
		assert_true(frontend_send(frontend, REQ_RESET_OWNER, false, NULL, 0, NULL, 0));
		for (ring = 0; ring < 2; ring++)
			assert_int_equal(frontend_enable(frontend, ring, true), ANSWER_OK);
		assert_true(victim_exchange(victim, frontend, 40));
	}
	victim_disconnect(frontend);
	victim_is_well(victim);
}

/* A front-end that connects again and again, each time with something to complain of. */
static void
lines_are_bounded(void **state)
{
	struct victim *victim = *state;
	uint64_t begin = rte_rdtsc(), periods;
	unsigned int i, lines = 0;
	size_t len = 0;
	char *text = NULL, *line, *rest;
	FILE *stream = open_memstream(&text, &len);

	assert_non_null(stream);
	rte_openlog_stream(stream);
	for (i = 0; i < 300; i++) {
		struct frontend *frontend = victim_connect(victim);
		int no_eventfd = frontend->ram.regions[0].fd;

		/* Too many virtqueues, files of the wrong kind, and what is not offered. */
		frontend_hello(frontend);
		frontend_set_call(frontend, 7, frontend->call[0]);
		frontend_set_kick(frontend, 0, no_eventfd);
		frontend_ask(frontend, 31, NULL, 0, NULL, 0);
		victim_disconnect(frontend);
	}
	rte_openlog_stream(NULL);
	fclose(stream);
	/* librte_vhost's own are its affair. */
	for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		lines += strncmp(line, "VHOST_", strlen("VHOST_")) != 0;
	/* In each ten seconds of those that this takes, by a few vids. */
	periods = 1 + (rte_rdtsc() - begin) / (10 * rte_get_tsc_hz());
	assert_in_range(lines, 1, 4 * 41 * periods);
	free(text);
	victim_is_well(victim);
}

/*
 * Messages whose descriptors librte_vhost forgets, since it refuses them before it asks:
 * so many connections that all would be gone, but for those that are kept for others.
 */
static void
descriptors_that_are_forgotten(void **state)
{
	const struct vhost_vring_state beyond = { .index = 256 };
	struct victim *victim = *state;
	static struct frontend frontend;
	struct rlimit limit, few;
	uint8_t reply[8];
	int fds[8], spare[32], i;

	/* A connection that the door refuses is librte_vhost's own, which bounds nothing. */
	if (!port_rig_is_ours())
		skip();
	for (i = 0; i < 8; i++)
		assert_true((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
	frontend_create(&frontend, FRONTEND_F_V1 | FRONTEND_F_MRG, 256, 2, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = 400;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (i = 0; i < 100; i++) {
		assert_true(frontend_connect(&frontend, victim->port.path));
		frontend_send(&frontend, REQ_GET_VRING_BASE, false, &beyond, sizeof(beyond), fds,
				8);
		assert_int_equal(
				frontend_reply(&frontend, REQ_GET_VRING_BASE, reply, sizeof(reply)),
				-1);
	}
	/* Who is served can still be. */
	for (i = 0; i < 32; i++)
		assert_true((spare[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0)) >= 0);
	for (i = 0; i < 32; i++)
		close(spare[i]);
	assert_int_equal(frontend_set_call(victim->neighbour, 0, victim->neighbour->call[0]),
			ANSWER_OK);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	frontend_destroy(&frontend);
	for (i = 0; i < 8; i++)
		close(fds[i]);
	victim_is_well(victim);
}

/* What librte_vhost has of the EAL's memory, for both ports. */
static size_t
heap_in_use(void)
{
	struct rte_malloc_socket_stats stats;
	size_t sum = 0;
	int i;

	for (i = 0; i < RTE_MAX_NUMA_NODES; i++)
		if (rte_malloc_get_socket_stats(i, &stats) == 0)
			sum += stats.heap_allocsz_bytes;
	return sum;
}

/*
 * RESET_OWNER thousands of times, each after what has librte_vhost allocate; and sizes
 * of virtqueues that nobody serves. A few KB for what a connection is are not a leak.
 */
static void
messages_that_take_memory(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	size_t before = heap_in_use();
	unsigned int i;

	for (i = 0; i < 3000; i++) {
		assert_int_equal(frontend_set_num(frontend, 0, VICTIM_RING_SIZE), ANSWER_OK);
		assert_true(frontend_send(frontend, REQ_RESET_OWNER, false, NULL, 0, NULL, 0));
	}
	assert_true(frontend_settle(frontend));
	assert_in_range(heap_in_use(), 0, before + (64 << 10));
	/*
	 * Through the door all 256 may be served, as librte_vhost does; and it keeps the
	 * descriptors of those that the port can close none of.
	 */
	for (i = 2; i < 256 && port_rig_is_ours() && frontend_fds_are_found(); i++)
		assert_int_equal(frontend_set_num(frontend, i, 1024), ANSWER_OK);
	assert_in_range(heap_in_use(), 0, before + (1 << 20));
	victim_disconnect(frontend);
	victim_is_well(victim);
	assert_in_range(heap_in_use(), 0, before);
}

/*
 * A table that librte_vhost refuses after it has unmapped the one before: what comes
 * then, refused or not, opens no queue on memory that is gone.
 */
static void
memory_that_is_unmapped_is_not_used(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	struct {
		uint32_t n, padding;
		struct frontend_region region;
	} table = { .n = 1, .region = { 0, 0, FRONTEND_USER(0), 0 } };
	struct vhost_vring_addr addr;
	unsigned int i;

	assert_int_not_equal(frontend_ask(frontend, REQ_SET_MEM_TABLE, &table, sizeof(table),
					     &frontend->ram.regions[0].fd, 1),
			ANSWER_OK);
	for (i = 0; i < 4; i++) {
		frontend_fill_addr(frontend, i % 2, &addr);
		addr.log_guest_addr += 4096 * i;
		frontend_ask(frontend, REQ_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
		frontend_settle(frontend);
		port_poll_idle(&victim->port, 1);
	}
	victim_disconnect(frontend);
	victim_is_well(victim);
}

/*
 * Messages of protocol features that are not offered: librte_vhost has handlers for
 * them, which go by what the front-end says of a file.
 */
static void
features_that_are_not_offered(void **state)
{
	struct victim *victim = *state;
	/* As SET_INFLIGHT_FD has it: a file of one page, and queues that need more. */
	const struct {
		uint64_t mmap_size, mmap_offset;
		uint16_t num_queues, queue_size;
		uint32_t padding;
	} inflight = { 1 << 20, 0, 256, 65535, 0 };
	uint32_t request;
	int fd = memfd_create("inflight", MFD_CLOEXEC);

	assert_true(fd >= 0 && ftruncate(fd, 4096) == 0);
	for (request = 28; request <= 32; request++) {
		struct frontend *frontend = victim_start(victim);
		enum frontend_answer answer = frontend_ask(frontend, request, &inflight,
				sizeof(inflight), &fd, request == 32);

		assert_int_not_equal(answer, ANSWER_OK);
		victim_disconnect(frontend);
	}
	close(fd);
	victim_is_well(victim);
}

/*
 * Regions that come and go where there is no table, before the first one and after
 * the owner was reset: librte_vhost follows a NULL if it is asked for its table then.
 */
static void
regions_without_a_table(void **state)
{
	struct victim *victim = *state;
	struct {
		uint64_t padding;
		struct frontend_region region;
	} one = {
		.region = { 0, FRONTEND_LOW_LEN, FRONTEND_USER(0), 0 },
	};
	static struct frontend frontend;
	uint32_t request;
	int fds[8], i;

	for (i = 0; i < 8; i++)
		assert_true((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0);
	for (request = REQ_ADD_MEM_REG; request <= REQ_REM_MEM_REG; request++) {
		frontend_create(&frontend, FRONTEND_F_V1 | FRONTEND_F_MRG, 256, 2, 0);
		assert_true(frontend_connect(&frontend, victim->port.path));
		assert_int_equal(frontend_hello(&frontend), ANSWER_OK);
		frontend_ask(&frontend, request, &one, sizeof(one), &frontend.ram.regions[0].fd, 1);
		frontend_disconnect(&frontend);
		assert_true(frontend_connect(&frontend, victim->port.path));
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_true(frontend_send(&frontend, REQ_RESET_OWNER, false, NULL, 0, NULL, 0));
		frontend_ask(&frontend, request, &one, sizeof(one), fds, 8);
		frontend_disconnect(&frontend);
		frontend_destroy(&frontend);
	}
	for (i = 0; i < 8; i++)
		close(fds[i]);
	victim_is_well(victim);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		/* First: the others leave nothing of what may be said in ten seconds. */
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(disconnects_at_any_time),
		cmocka_unit_test(messages_that_mean_nothing),
		cmocka_unit_test(regions_without_a_table),
		cmocka_unit_test(memory_that_is_unmapped_is_not_used),
		cmocka_unit_test(features_that_are_not_offered),
		cmocka_unit_test(two_connections),
		cmocka_unit_test(bad_memory_tables),
		cmocka_unit_test(odd_memory),
		cmocka_unit_test(owner_is_reset),
		cmocka_unit_test(messages_that_take_memory),
		/* Last: they stay forgotten. */
		cmocka_unit_test(descriptors_that_are_forgotten),
	};
	const struct program program = {
		.name = "port_bad_messages",
		.split = PROGRAM_TESTS(tests),
		.group_setup = victim_setup,
		.group_teardown = victim_teardown,
	};

	return program_run(&program, argc, argv);
}
