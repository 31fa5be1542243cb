/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with front-ends that are broken or hostile:
 * what they say of logs. After each abuse a fresh connection to the same port
 * passes packets, and so does, undisturbed, another port with another front-
 * end.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/victim.h"

/* Not by an acknowledgement, which is shorter than the reply; librte_vhost makes no difference. */
static bool
is_refusal(enum frontend_answer answer)
{
	return answer == ANSWER_CLOSED || (answer == ANSWER_REFUSED && !frontend_fds_are_found());
}

/* Logs that must be refused, each on a running device that goes on with it. */
static void
bad_logs(void **state)
{
	struct victim *victim = *state;
	const uint64_t len = frontend_log_len();
	const struct {
		uint64_t file, len, offset;
	} cases[] = {
		{ len - 1, len, 0 }, /* a file shorter than it says */
		{ 0, len, 0 }, { len, len, 4096 }, { 1 << 20, len, 1 },      /* unaligned */
		{ 1 << 20, len, 2048 }, { 1 << 20, len, UINT64_MAX - 4095 }, /* overflowing */
		{ 1 << 20, UINT64_MAX, 4096 }, { 1 << 20, UINT64_MAX - 4095, 4096 },
		{ 1 << 20, 1ULL << 62, 0 }, { 1 << 20, INT64_MAX, INT64_MAX & ~4095ULL },
		{ 1 << 20, 0, 0 },       /* empty */
		{ 1 << 20, 128, 0 },     /* only the low memory */
		{ 1 << 20, len - 1, 0 }, /* all but the last page */
	};
	struct frontend_log good = { .fd = -1 };
	enum frontend_answer answer;
	unsigned int i, on;
	int read_only, pipes[2], fds[2];
	uint64_t payload[2] = { len, 0 };

	for (on = 0; on < 2; on++) {
		for (i = 0; i < RTE_DIM(cases); i++) {
			struct frontend *frontend = victim_start(victim);
			int fd = file_of(cases[i].file);
			/* By librte_vhost, which does not look at the size: it ends within a page. */
			bool taken = cases[i].file == len - 1 && !frontend_fds_are_found();

			if (on) {
				/* Under a good log, which stays the one in use. */
				assert_int_equal(frontend_log_create(&good, len), 0);
				assert_int_equal(frontend_set_log(frontend, good.fd, len, 0),
						ANSWER_OK);
				frontend->features |= FRONTEND_F_LOG_ALL;
				assert_int_equal(
						frontend_set_features(frontend, frontend->features),
						ANSWER_OK);
			}
			answer = frontend_set_log(frontend, fd, cases[i].len, cases[i].offset);
			if (taken ? answer != ANSWER_OK : !is_refusal(answer))
				fail_msg("log %u was not %s", i, taken ? "taken" : "refused");
			if (taken)
				assert_true(victim_exchange(victim, frontend, 5));
			if (on && !taken)
				assert_true(frontend_log_canary_alive(&good));
			if (on)
				frontend_log_destroy(&good);
			close(fd);
			victim_disconnect(frontend);
		}
	}
	victim_is_well(victim);

	/* What is no file, or not for writing, or not one, or not 16 bytes. */
	for (i = 0; i < 6; i++) {
		struct frontend *frontend = victim_start(victim);

		answer = ANSWER_OK;
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
		if (!is_refusal(answer))
			fail_msg("log descriptor %u was not refused", i);
		close(pipes[0]);
		close(pipes[1]);
		close(fds[0]);
		close(fds[1]);
		close(read_only);
		victim_disconnect(frontend);
	}
	victim_is_well(victim);
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
	struct victim *victim = *state;
	uint64_t payload[2] = { 1 << 20, 1 };
	struct frontend *frontend;
	unsigned int before, i;
	int fds[8];

	victim_is_well(victim);
	usleep(100000);
	before = open_descriptors();
	for (i = 0; i < 8; i++)
		fds[i] = file_of(1 << 20);
	frontend = victim_start(victim);
	for (i = 0; i < 50; i++) {
		assert_int_equal(frontend_ask(frontend, REQ_SET_LOG_BASE, payload, 16, fds,
						 1 + i % 8),
				ANSWER_CLOSED);
		victim_disconnect(frontend);
		frontend = victim_start(victim);
		assert_int_equal(frontend_set_log(frontend, fds[0], 1 << 20, 0), ANSWER_OK);
		assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]), ANSWER_OK);
	}
	victim_disconnect(frontend);
	for (i = 0; i < 8; i++)
		close(fds[i]);
	victim_is_well(victim);
	/* A connection's own ones go when its end is seen. */
	for (i = 0; i < 5000 && open_descriptors() > before; i++)
		usleep(1000);
	assert_in_range(open_descriptors(), 1, before);
}

/* LOG_ALL comes and no log: marks wait, and are all there when one comes. */
static void
logging_without_a_log(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	const struct ring_writer *ring = &frontend->rings[0];
	struct frontend_log log;
	uint16_t i, first;

	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	assert_int_equal(frontend_set_addr(frontend, 0), ANSWER_OK);
	first = ring->next_used;
	assert_true(victim_exchange(victim, frontend, 100));
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
	port_poll_idle(&victim->port, 1);
	/* Buffers are two to a page, from the low end on. */
	for (i = first; i != ring->next_used; i++)
		assert_true(frontend_log_test(&log, (i & (VICTIM_RING_SIZE - 1)) / 2));
	assert_true(frontend_log_test(&log, ring->used / RAM_PAGE));
	frontend_log_destroy(&log);
	victim_disconnect(frontend);

	/* And none ever comes. */
	frontend = victim_start(victim);
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	assert_true(victim_exchange(victim, frontend, 100));
	victim_disconnect(frontend);
	victim_is_well(victim);
}

/* Features that are refused change nothing: what is written is logged as before. */
static void
refused_features_keep_logging(void **state)
{
	struct victim *victim = *state;
	struct frontend *frontend = victim_start(victim);
	struct frontend_log log;

	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	/* One that is not offered; and one less than the running device has. */
	assert_int_equal(frontend_set_features(frontend, VICTIM_FEATURES | FRONTEND_F_PROTOCOL | 1),
			ANSWER_REFUSED);
	assert_int_equal(frontend_set_features(frontend, FRONTEND_F_V1 | FRONTEND_F_PROTOCOL),
			ANSWER_REFUSED);
	frontend_log_clear(&log);
	assert_true(victim_exchange(victim, frontend, 5));
	assert_true(frontend_log_count(&log) > 0);
	frontend_log_destroy(&log);
	victim_disconnect(frontend);
	victim_is_well(victim);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_logs),
		cmocka_unit_test(no_descriptor_is_kept),
		cmocka_unit_test(logging_without_a_log),
		cmocka_unit_test(refused_features_keep_logging),
	};
	const struct program program = {
		.name = "port_bad_logs",
		.split = PROGRAM_TESTS(tests),
		.group_setup = victim_setup,
		.group_teardown = victim_teardown,
	};

	return program_run(&program, argc, argv);
}
