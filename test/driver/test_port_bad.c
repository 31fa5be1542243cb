/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with front-ends that are broken or
 * hostile. After each abuse a fresh connection to the same port passes packets,
 * and so does, undisturbed, another port with another front-end.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/port_rig.h"
#include "rig/program.h"

#define FEATURES (FRONTEND_F_V1 | FRONTEND_F_MRG)
#define RING_SIZE 256

static struct port_rig victim, bystander;
static struct frontend *neighbour; /* the bystander's front-end */
static uint32_t turn;

static struct frontend *
fresh(void)
{
	struct frontend *frontend = calloc(1, sizeof(*frontend));

	assert_non_null(frontend);
	frontend_create(frontend, FEATURES, RING_SIZE, 2, 0);
	assert_true(frontend_connect(frontend, victim.path));
	return frontend;
}

static struct frontend *
fresh_and_started(void)
{
	struct frontend *frontend = fresh();

	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
	return frontend;
}

static void
gone(struct frontend *frontend)
{
	frontend_destroy(frontend);
	free(frontend);
}

/* The end of each test: who was bad is gone, and all is well. */
static void
all_is_well(void)
{
	struct frontend *frontend = fresh_and_started();

	assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
	gone(frontend);
	assert_true(port_wait_link(&victim, false));
	assert_true(port_exchange(&bystander, neighbour, 0, turn++, 40));
	assert_true(port_wait_link(&bystander, true));
}

static int
start_group(void **state)
{
	(void)state;
	port_create(&victim, 0, 1, "");
	port_create(&bystander, 1, 1, "");
	neighbour = calloc(1, sizeof(*neighbour));
	assert_non_null(neighbour);
	frontend_create(neighbour, FEATURES, RING_SIZE, 2, 0);
	assert_true(frontend_connect(neighbour, bystander.path));
	assert_int_equal(frontend_start(neighbour), ANSWER_OK);
	return 0;
}

static int
end_group(void **state)
{
	(void)state;
	gone(neighbour);
	port_destroy(&victim);
	port_destroy(&bystander);
	port_rig_remove_folder();
	return 0;
}

/* A memfd of some length. */
static int
file_of(uint64_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	return fd;
}

/* Logs that must be refused, each on a running device that goes on with it. */
static void
bad_logs(void **state)
{
	const uint64_t len = frontend_log_len();
	const struct {
		uint64_t file, len, offset;
	} cases[] = {
		{ len - 1, len, 0 },              /* a file shorter than it says */
		{ 0, len, 0 },
		{ len, len, 4096 },
		{ 1 << 20, len, 1 },              /* unaligned */
		{ 1 << 20, len, 2048 },
		{ 1 << 20, len, UINT64_MAX - 4095 }, /* overflowing */
		{ 1 << 20, UINT64_MAX, 4096 },
		{ 1 << 20, UINT64_MAX - 4095, 4096 },
		{ 1 << 20, 1ULL << 62, 0 },
		{ 1 << 20, INT64_MAX, INT64_MAX & ~4095ULL },
		{ 1 << 20, 0, 0 },                /* empty */
		{ 1 << 20, 128, 0 },              /* only the low memory */
		{ 1 << 20, len - 1, 0 },          /* all but the last page */
	};
	struct frontend_log good;
	unsigned int i, on;
	int read_only, pipes[2], fds[2];
	uint64_t payload[2] = { len, 0 };

	(void)state;
	for (on = 0; on < 2; on++) {
		for (i = 0; i < RTE_DIM(cases); i++) {
			struct frontend *frontend = fresh_and_started();
			int fd = file_of(cases[i].file);

			if (on) {
				/* Under a good log, which stays the one in use. */
				assert_int_equal(frontend_log_create(&good, len), 0);
				assert_int_equal(frontend_set_log(frontend, good.fd, len, 0), ANSWER_OK);
				frontend->features |= FRONTEND_F_LOG_ALL;
				assert_int_equal(frontend_set_features(frontend,
						frontend->features), ANSWER_OK);
			}
			if (frontend_set_log(frontend, fd, cases[i].len, cases[i].offset) !=
					ANSWER_REFUSED)
				fail_msg("log %u was not refused", i);
			assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
			if (on) {
				frontend_log_clear(&good);
				assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
				assert_true(frontend_log_count(&good) > 0);
				assert_true(frontend_log_canary_alive(&good));
				frontend_log_destroy(&good);
			}
			close(fd);
			gone(frontend);
		}
	}
	all_is_well();

	/* What is no file, or not for writing, or not one, or not 16 bytes. */
	for (i = 0; i < 6; i++) {
		struct frontend *frontend = fresh_and_started();
		enum frontend_answer answer = ANSWER_OK;

		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		fds[0] = file_of(1 << 20);
		fds[1] = file_of(1 << 20);
		read_only = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		switch (i) {
		case 0:
			answer = frontend_set_log(frontend, pipes[0], len, 0);
			break;
		case 1:
			answer = frontend_set_log(frontend, read_only, 4096, 0);
			break;
		case 2:
			answer = frontend_set_log(frontend, -1, len, 0);
			break;
		case 3:
			answer = frontend_ask(frontend, REQ_SET_LOG_BASE, payload, 16, fds, 2);
			break;
		case 4:
			answer = frontend_ask(frontend, REQ_SET_LOG_BASE, payload, 8, fds, 1);
			break;
		case 5:
			answer = frontend_set_log(frontend, frontend->sock, len, 0);
			break;
		}
		if (answer != ANSWER_REFUSED)
			fail_msg("log descriptor %u was not refused", i);
		assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
		close(pipes[0]);
		close(pipes[1]);
		close(fds[0]);
		close(fds[1]);
		close(read_only);
		gone(frontend);
	}
	all_is_well();
}

/* The descriptors of messages that were refused are not kept. */
static unsigned int
open_descriptors(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
no_descriptor_is_kept(void **state)
{
	uint64_t payload[2] = { 1 << 20, 1 };
	struct frontend *frontend;
	unsigned int before, i;
	int fds[8];

	(void)state;
	all_is_well();
	usleep(100000);
	before = open_descriptors();
	for (i = 0; i < 8; i++)
		fds[i] = file_of(1 << 20);
	frontend = fresh_and_started();
	for (i = 0; i < 50; i++) {
		assert_int_equal(frontend_ask(frontend, REQ_SET_LOG_BASE, payload, 16, fds, 1 + i % 8),
				ANSWER_REFUSED);
		assert_int_equal(frontend_set_log(frontend, fds[0], 1 << 20, 0), ANSWER_OK);
		assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]), ANSWER_OK);
	}
	gone(frontend);
	for (i = 0; i < 8; i++)
		close(fds[i]);
	all_is_well();
	/* A connection's own ones go when its end is seen. */
	for (i = 0; i < 5000 && open_descriptors() > before; i++)
		usleep(1000);
	assert_in_range(open_descriptors(), 1, before);
}

/* LOG_ALL comes and no log: marks wait, and are all there when one comes. */
static void
logging_without_a_log(void **state)
{
	struct frontend *frontend = fresh_and_started();
	const struct ring_writer *ring = &frontend->rings[0];
	struct frontend_log log;
	uint16_t i, first;

	(void)state;
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	assert_int_equal(frontend_set_addr(frontend, 0), ANSWER_OK);
	first = ring->next_used;
	assert_true(port_exchange(&victim, frontend, 0, turn++, 100));
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
	port_poll_idle(&victim, 1);
	/* Buffers are two to a page, from the low end on. */
	for (i = first; i != ring->next_used; i++)
		assert_true(frontend_log_test(&log, (i & (RING_SIZE - 1)) / 2));
	assert_true(frontend_log_test(&log, ring->used / RAM_PAGE));
	frontend_log_destroy(&log);
	gone(frontend);

	/* And none ever comes. */
	frontend = fresh_and_started();
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	assert_true(port_exchange(&victim, frontend, 0, turn++, 100));
	gone(frontend);
	all_is_well();
}

/* Features that are refused change nothing: what is written is logged as before. */
static void
refused_features_keep_logging(void **state)
{
	struct frontend *frontend = fresh_and_started();
	struct frontend_log log;

	(void)state;
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	/* One that is not offered; and one less than the running device has. */
	assert_int_equal(frontend_set_features(frontend, FEATURES | FRONTEND_F_PROTOCOL | 1),
			ANSWER_REFUSED);
	assert_int_equal(frontend_set_features(frontend, FRONTEND_F_V1 | FRONTEND_F_PROTOCOL),
			ANSWER_REFUSED);
	frontend_log_clear(&log);
	assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
	assert_true(frontend_log_count(&log) > 0);
	frontend_log_destroy(&log);
	gone(frontend);
	all_is_well();
}

/* A call descriptor that is missing is refused, and the ring can be stopped after it. */
static void
refused_call_descriptor(void **state)
{
	struct frontend *frontend = fresh_and_started();
	uint64_t ring = 0;

	(void)state;
	assert_int_equal(frontend_ask(frontend, REQ_SET_VRING_CALL, &ring, sizeof(ring), NULL, 0),
			ANSWER_REFUSED);
	assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
	assert_int_equal(frontend_enable(frontend, 0, false), ANSWER_OK);
	assert_true(frontend_settle(frontend));
	assert_false(port_is_open(&victim, frontend, 0));
	assert_int_equal(frontend_enable(frontend, 0, true), ANSWER_OK);
	assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
	gone(frontend);
	all_is_well();
}

/* A ring beyond the end of the file that memory is in: a look at it would be a SIGBUS. */
static void
ring_beyond_the_file(void **state)
{
	struct frontend *frontend = fresh();
	const int fd = file_of(4096);
	const struct frontend_region regions[] = {
		{ FRONTEND_LOW, FRONTEND_LOW_LEN, FRONTEND_USER(FRONTEND_LOW), 0 },
		{ FRONTEND_HIGH, FRONTEND_HIGH_LEN, FRONTEND_USER(FRONTEND_HIGH), 0 },
	};
	const int fds[] = { frontend->ram.regions[0].fd, fd };

	(void)state;
	assert_int_equal(frontend_hello(frontend), ANSWER_OK);
	frontend_set_regions(frontend, regions, fds, 2);
	if (frontend_start_ring(frontend, 0) == ANSWER_OK)
		assert_false(port_is_open(&victim, frontend, 0));
	gone(frontend);
	close(fd);
	all_is_well();
}

/* Rings that lie where no ring can lie: the queue stays closed, and opens when they are good. */
static void
bad_ring_addresses(void **state)
{
	const uint64_t end = FRONTEND_USER(FRONTEND_HIGH + FRONTEND_HIGH_LEN);
	const uint64_t hole = FRONTEND_USER(FRONTEND_LOW_LEN + 0x10000);
	const uint64_t used = FRONTEND_USER(FRONTEND_HIGH + FRONTEND_HIGH_LEN / 2);
	const struct {
		uint64_t desc, avail, used;
	} cases[] = { /* 0: as it should be */
		{ hole, 0, 0 },
		{ 0, hole, 0 },
		{ 0, 0, hole },
		{ UINT64_MAX - 15, 0, 0 },
		{ 0, UINT64_MAX - 1, 0 },
		{ 0, 0, UINT64_MAX - 3 },
		{ end - RING_SIZE * 16 + 16, 0, 0 },
		{ 0, end - RING_SIZE * 2 - 4 + 2, 0 },
		{ 0, 0, end - RING_SIZE * 8 - 4 + 4 },
		{ end, 0, 0 },
		{ 0, end - 2, 0 },
		{ 0, 0, end - 4 },
		{ used + 8, 0, 0 },
		{ 0, used + 1, 0 },
		{ 0, 0, used + 2 },
		{ FRONTEND_USER(FRONTEND_LOW_LEN - RING_SIZE * 16 + 16), 0, 0 },
	};
	unsigned int i, running;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		for (running = 0; running < 2; running++) {
			struct frontend *frontend = running ? fresh_and_started() : fresh();
			struct vhost_vring_addr addr;
			enum frontend_answer answer;

			if (!running) {
				assert_int_equal(frontend_hello(frontend), ANSWER_OK);
				assert_int_equal(frontend_set_memory(frontend), ANSWER_OK);
				assert_int_equal(frontend_start_ring(frontend, 1), ANSWER_OK);
				assert_int_equal(frontend_set_num(frontend, 0, RING_SIZE), ANSWER_OK);
				assert_int_equal(frontend_set_base(frontend, 0, 0), ANSWER_OK);
			}
			frontend_fill_addr(frontend, 0, &addr);
			if (cases[i].desc != 0)
				addr.desc_user_addr = cases[i].desc;
			if (cases[i].avail != 0)
				addr.avail_user_addr = cases[i].avail;
			if (cases[i].used != 0)
				addr.used_user_addr = cases[i].used;
			answer = frontend_ask(frontend, REQ_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
			if (answer == ANSWER_OK && !running) {
				frontend_set_call(frontend, 0, frontend->call[0]);
				frontend_set_kick(frontend, 0, frontend->kick[0]);
				answer = frontend_enable(frontend, 0, true);
			}
			if (answer != ANSWER_CLOSED) {
				assert_true(frontend_settle(frontend));
				if (port_is_open(&victim, frontend, 0))
					fail_msg("ring %u is open", i);
				/* Put right, it works on the same connection. */
				assert_int_equal(frontend_start_ring(frontend, 0), ANSWER_OK);
				assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
			}
			gone(frontend);
		}
	}
	all_is_well();
}

static void
bad_ring_sizes(void **state)
{
	static const uint32_t sizes[] = { 0, 3, 100, 255, 32769, 65535, 65536, 1U << 31, UINT32_MAX };
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(sizes); i++) {
		struct frontend *frontend = fresh();

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
		assert_false(port_is_open(&victim, frontend, 0));
		assert_int_equal(frontend_stop_ring(frontend, 0), 0);
		assert_int_equal(frontend_start_ring(frontend, 0), ANSWER_OK);
		assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
		gone(frontend);
	}
	all_is_well();
}

/* A ring at the very end of memory that grows after its address was checked. */
static void
ring_grows_out_of_memory(void **state)
{
	unsigned int running, event;

	(void)state;
	for (running = 0; running < 2; running++) {
		for (event = 0; event < 2; event++) {
			struct frontend *frontend = calloc(1, sizeof(*frontend));
			uint64_t end = FRONTEND_HIGH + FRONTEND_HIGH_LEN;

			frontend_create(frontend, event ? FEATURES | FRONTEND_F_EVENT_IDX : FEATURES,
					RING_SIZE, 2, 0);
			ring_init(&frontend->rings[0], &frontend->ram,
					end - ring_footprint(RING_SIZE), RING_SIZE, 0, NULL);
			assert_true(frontend_connect(frontend, victim.path));
			assert_int_equal(frontend_start(frontend), ANSWER_OK);
			assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
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
			assert_false(port_is_open(&victim, frontend, 0));
			gone(frontend);
		}
	}
	all_is_well();
}

/* The connection ends after each number of steps, or in the middle of a message. */
static void
disconnects_at_any_time(void **state)
{
	struct {
		uint32_t request, flags, len;
		uint64_t u64;
	} message = { REQ_SET_FEATURES, 1, 8, FEATURES };
	unsigned int steps, i;

	(void)state;
	for (steps = 0; steps < 20; steps++) {
		struct frontend *frontend = fresh();

		for (i = 0; i < steps; i++) {
			unsigned int ring = i >= 8;

			switch (i < 2 ? i : 2 + (i - 2) % 6) {
			case 0: frontend_hello(frontend); break;
			case 1: frontend_set_memory(frontend); break;
			case 2: frontend_set_num(frontend, ring, RING_SIZE); break;
			case 3: frontend_set_base(frontend, ring, 0); break;
			case 4: frontend_set_addr(frontend, ring); break;
			case 5: frontend_set_call(frontend, ring, frontend->call[ring]); break;
			case 6: frontend_set_kick(frontend, ring, frontend->kick[ring]); break;
			case 7: frontend_enable(frontend, ring, true); break;
			}
			port_poll_idle(&victim, 2);
		}
		gone(frontend);
		port_poll_idle(&victim, 2);
	}
	all_is_well();
	/* Part of a message: a header that breaks off, or a payload. */
	for (i = 1; i < 20; i++) {
		struct frontend *frontend = fresh_and_started();

		assert_int_equal(write(frontend->sock, &message, i), i);
		gone(frontend);
	}
	all_is_well();
	/* With packets under way and logging on. */
	for (i = 0; i < 5; i++) {
		struct frontend *frontend = fresh_and_started();
		struct frontend_log log;

		assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
		assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
		frontend_set_features(frontend, frontend->features | FRONTEND_F_LOG_ALL);
		assert_true(port_exchange(&victim, frontend, 0, turn++, 5));
		frontend_disconnect(frontend);
		while (port_is_open(&victim, frontend, 0))
			;
		gone(frontend);
		frontend_log_destroy(&log);
	}
	all_is_well();
}

static void
messages_that_mean_nothing(void **state)
{
	uint8_t bytes[600];
	unsigned int i, j;
	uint64_t random = 5;

	(void)state;
	/* Each request number, with payloads of some lengths, and with descriptors. */
	for (i = 0; i < 64; i++) {
		for (j = 0; j < 4; j++) {
			static const uint32_t lens[] = { 0, 8, 40, 280 };
			struct frontend *frontend = fresh_and_started();
			uint32_t request = i < 60 ? i : i == 60 ? 100 : i == 61 ? 1U << 31 : UINT32_MAX;
			int fds[2] = { frontend->call[0], frontend->ram.regions[0].fd };
			unsigned int at;

			for (at = 0; at < sizeof(bytes); at++)
				bytes[at] = (uint8_t)packet_random(&random);
			/* The ring index within bounds half of the time. */
			if (j % 2 == 1)
				memset(bytes, 0, 8);
			frontend_send(frontend, request, false, bytes, lens[j], fds, (i + j) % 3);
			frontend_settle(frontend);
			port_is_open(&victim, frontend, 0);
			gone(frontend);
		}
	}
	all_is_well();
	/* Pure noise. */
	for (i = 0; i < 30; i++) {
		struct frontend *frontend = fresh_and_started();

		for (j = 0; j < sizeof(bytes); j++)
			bytes[j] = (uint8_t)packet_random(&random);
		assert_int_equal(send(frontend->sock, bytes, sizeof(bytes), MSG_NOSIGNAL),
				sizeof(bytes));
		gone(frontend);
	}
	all_is_well();
}

static void
rings_that_nobody_has(void **state)
{
	static const unsigned int rings[] = { 2, 3, 100, 255 };
	struct frontend *frontend = fresh_and_started();
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(rings); i++) {
		struct vhost_vring_state vring = { .index = rings[i], .num = RING_SIZE };

		frontend_ask(frontend, REQ_SET_VRING_NUM, &vring, sizeof(vring), NULL, 0);
		frontend_ask(frontend, REQ_SET_VRING_BASE, &vring, sizeof(vring), NULL, 0);
		frontend_set_call(frontend, rings[i], frontend->call[0]);
		frontend_enable(frontend, rings[i], true);
	}
	assert_true(frontend_settle(frontend));
	assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
	gone(frontend);
	for (i = 256; i != 0; i *= 16) {
		frontend = fresh_and_started();
		frontend_set_num(frontend, i, RING_SIZE);
		gone(frontend);
	}
	all_is_well();
}

/* A second front-end on the same socket takes the port over; both ends are clean. */
static void
two_connections(void **state)
{
	struct frontend *first = fresh_and_started(), *second = fresh();
	unsigned int i;

	(void)state;
	assert_int_equal(frontend_start(second), ANSWER_OK);
	assert_true(port_exchange(&victim, second, 0, turn++, 40));
	assert_false(port_is_open(&victim, first, 0) && !port_is_open(&victim, second, 0));
	/* What the first one still says is none of the second one's business. */
	frontend_set_memory(first);
	frontend_stop_ring(first, 0);
	frontend_set_features(first, first->features | FRONTEND_F_LOG_ALL);
	assert_true(port_exchange(&victim, second, 0, turn++, 40));
	gone(first);
	assert_true(port_exchange(&victim, second, 0, turn++, 40));
	assert_true(port_wait_link(&victim, true));
	gone(second);
	assert_true(port_wait_link(&victim, false));

	/* One that says nothing and goes: the link is not left up. */
	first = fresh_and_started();
	second = fresh();
	assert_true(frontend_hello(second) == ANSWER_OK);
	gone(second);
	gone(first);
	assert_true(port_wait_link(&victim, false));
	all_is_well();
	/* Many at once. */
	for (i = 0; i < 20; i++) {
		first = fresh();
		second = fresh();
		frontend_start(first);
		frontend_start(second);
		gone(i % 2 == 0 ? first : second);
		gone(i % 2 == 0 ? second : first);
	}
	all_is_well();
}

/* Memory tables that must be refused, and the good one after them. */
static void
bad_memory_tables(void **state)
{
	const uint64_t low = FRONTEND_LOW_LEN, high = FRONTEND_HIGH_LEN;
	const struct {
		struct frontend_region regions[2];
		unsigned int n, nb_fds;
	} cases[] = {
		{ .n = 0 },
		{ .n = 1, .nb_fds = 0, .regions = { { 0, low, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 2, .regions = { { 0, low, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, 0, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { UINT64_MAX - 4095, low, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, UINT64_MAX, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, low, FRONTEND_USER(0), UINT64_MAX - 4095 } } },
		/* Larger than the file: a store beyond its end would be a SIGBUS. */
		{ .n = 1, .nb_fds = 1, .regions = { { 0, low + 4096, FRONTEND_USER(0), 0 } } },
		{ .n = 1, .nb_fds = 1, .regions = { { 0, low, FRONTEND_USER(0), 4096 } } },
		{ .n = 2, .nb_fds = 2, .regions = { { 0, low, FRONTEND_USER(0), 0 },
			{ FRONTEND_HIGH, 2 * high, FRONTEND_USER(FRONTEND_HIGH), 0 } } },
	};
	unsigned int i, ring;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		struct frontend *frontend = fresh_and_started();
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
			if (port_is_open(&victim, frontend, 0) && (answer != ANSWER_REFUSED ||
					!port_exchange(&victim, frontend, 0, turn++, 40)))
				fail_msg("a queue is open on memory table %u", i);
			assert_int_equal(frontend_set_memory(frontend), ANSWER_OK);
			for (ring = 0; ring < 2; ring++)
				assert_int_equal(frontend_start_ring(frontend, ring), ANSWER_OK);
			assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
		}
		gone(frontend);
	}
	all_is_well();
}

/* Regions that are odd but right: tiny ones, and one that lies odd in its file. */
static void
odd_memory(void **state)
{
	struct frontend *frontend = fresh();
	const struct frontend_region regions[] = {
		{ FRONTEND_LOW, FRONTEND_LOW_LEN - 4096, FRONTEND_USER(FRONTEND_LOW) + 3, 3 },
		{ FRONTEND_HIGH, FRONTEND_HIGH_LEN, FRONTEND_USER(FRONTEND_HIGH), 0 },
	};
	const int fds[] = { frontend->ram.regions[0].fd, frontend->ram.regions[1].fd };
	struct vring_desc table[2] = { { .addr = 0x3000, .len = 1600, .flags = VRING_DESC_F_WRITE } };
	struct ring_writer *ring = &frontend->rings[0];
	uint16_t head, used;
	struct rte_mbuf *pkt;
	unsigned int i;

	(void)state;
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
		pkt = packet_mbuf(victim.pool, 1, 100, 0, false);
		used = ring_used_index(ring);
		if (rte_eth_tx_burst(victim.id, 0, &pkt, 1) == 0)
			rte_pktmbuf_free(pkt);
		assert_int_equal(ring_used_index(ring), (uint16_t)(used + 1));
	}
	gone(frontend);
	all_is_well();
}

/* Call descriptors that are no eventfd: a write there could end this process. */
static void
bad_call_descriptors(void **state)
{
	struct frontend *frontend;
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		int pipes[2], fd = -1;

		frontend = fresh_and_started();
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
		assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
		/* A good one after it works. */
		assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]), ANSWER_OK);
		assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
		gone(frontend);
	}
	all_is_well();
}

/* A call descriptor that would block when it is full blocks no burst. */
static void
full_call_descriptor(void **state)
{
	struct frontend *frontend = fresh_and_started();
	const uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	assert_int_equal(frontend_set_call(frontend, 0, fd), ANSWER_OK);
	assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
	close(fd);
	gone(frontend);
	all_is_well();
}

/* RESET_OWNER, then everything from the start, on the same connection. */
static void
owner_is_reset(void **state)
{
	struct frontend *frontend = fresh_and_started();
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		assert_true(frontend_send(frontend, REQ_RESET_OWNER, false, NULL, 0, NULL, 0));
		assert_true(frontend_settle(frontend));
		assert_false(port_is_open(&victim, frontend, 0));
		assert_int_equal(frontend_start(frontend), ANSWER_OK);
		assert_true(port_exchange(&victim, frontend, 0, turn++, 40));
	}
	gone(frontend);
	all_is_well();
}

/* An index to start from that is far from the ring's. */
static void
bad_ring_base(void **state)
{
	static const uint32_t bases[] = { 1, 1000, 65535, 65536, UINT32_MAX };
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(bases); i++) {
		struct frontend *frontend = fresh_and_started();

		frontend_stop_ring(frontend, 0);
		frontend_set_num(frontend, 0, RING_SIZE);
		frontend_set_base(frontend, 0, bases[i]);
		frontend_set_addr(frontend, 0);
		frontend_set_call(frontend, 0, frontend->call[0]);
		frontend_set_kick(frontend, 0, frontend->kick[0]);
		frontend_settle(frontend);
		port_poll_idle(&victim, 10);
		gone(frontend);
	}
	all_is_well();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_logs),
		cmocka_unit_test(no_descriptor_is_kept),
		cmocka_unit_test(logging_without_a_log),
		cmocka_unit_test(refused_features_keep_logging),
		cmocka_unit_test(refused_call_descriptor),
		cmocka_unit_test(ring_beyond_the_file),
		cmocka_unit_test(bad_ring_addresses),
		cmocka_unit_test(bad_ring_sizes),
		cmocka_unit_test(ring_grows_out_of_memory),
		cmocka_unit_test(disconnects_at_any_time),
		cmocka_unit_test(messages_that_mean_nothing),
		cmocka_unit_test(rings_that_nobody_has),
		cmocka_unit_test(two_connections),
		cmocka_unit_test(bad_memory_tables),
		cmocka_unit_test(odd_memory),
		cmocka_unit_test(bad_call_descriptors),
		cmocka_unit_test(full_call_descriptor),
		cmocka_unit_test(owner_is_reset),
		cmocka_unit_test(bad_ring_base),
	};
	const struct program program = {
		.name = "port_bad",
		.split = PROGRAM_TESTS(tests),
		.group_setup = start_group,
		.group_teardown = end_group,
	};

	return program_run(&program, argc, argv);
}
