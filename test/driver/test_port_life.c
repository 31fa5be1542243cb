/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with a front-end that does everything
 * right, over the real socket: a port over stops and starts of either side,
 * whoever goes first and whatever is different afterwards.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

static void
link_follows_front_end(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_true(port_wait_link(&pair->port, true));
		assert_true(pair_exchange(pair, i));
		frontend_disconnect(&pair->frontend);
		assert_true(port_wait_link(&pair->port, false));
		port_poll_idle(&pair->port, 100);
		assert_true(frontend_connect(&pair->frontend, pair->port.path));
		port_poll_idle(&pair->port, 100);
		assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
	}
	/* The device stops, the connection stays. */
	frontend_stop_ring(&pair->frontend, 0);
	assert_true(port_wait_link(&pair->port, false));
	frontend_stop_ring(&pair->frontend, 1);
	pair_destroy(pair);
}

/* GET_VRING_BASE says where the ring is, and there it goes on. */
static void
rings_stop_and_go_on(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 65400);
	struct frontend *frontend = &pair->frontend;
	unsigned int i, ring;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_true(pair_exchange(pair, i));
		for (ring = 0; ring < 2; ring++)
			assert_int_equal(frontend_stop_ring(frontend, ring),
					frontend->rings[ring].next_used);
		assert_true(frontend_settle(frontend));
		assert_false(port_is_open(&pair->port, frontend, 0));
		port_poll_idle(&pair->port, 10);
		for (ring = 0; ring < 2; ring++)
			assert_int_equal(frontend_start_ring(frontend, ring), ANSWER_OK);
	}
	/* A buffer that waits on the stopped ring is taken afterwards, once. */
	assert_true(pair_exchange(pair, 3));
	pair_destroy(pair);
}

/* Features and ring size may be others after a restart, as after a reboot. */
static void
rings_change_over_restart(void **state)
{
	static const uint64_t features[] = { 0, MODERN, FRONTEND_F_EVENT_IDX, FRONTEND_F_V1,
		MODERN | FRONTEND_F_PACKED, FRONTEND_F_V1,
		FRONTEND_F_V1 | FRONTEND_F_PACKED | FRONTEND_F_EVENT_IDX };
	static const uint16_t sizes[] = { 64, 128, 256, 512, 500, 256, 33 };
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct frontend *frontend = &pair->frontend;
	unsigned int i, ring;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		for (ring = 0; ring < 2; ring++)
			assert_true(frontend_stop_ring(frontend, ring) >= 0);
		frontend->features = features[i] | FRONTEND_F_PROTOCOL;
		frontend->ring_size = sizes[i];
		for (ring = 0; ring < 2; ring++)
			ring_init(&frontend->rings[ring], &frontend->ram,
					FRONTEND_HIGH + 0x20000 * ring, frontend->ring_size, 0,
					features[i] & FRONTEND_F_PACKED ? frontend->slots[ring] :
									  NULL);
		assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
		for (ring = 0; ring < 2; ring++)
			assert_int_equal(frontend_start_ring(frontend, ring), ANSWER_OK);
		assert_true(pair_exchange(pair, i));
	}
	pair_destroy(pair);
}

/* The ethdev stops and starts: it goes on where it was, and says so when asked. */
static void
ethdev_stops_and_goes_on(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 7);
	struct frontend *frontend = &pair->frontend;
	struct port_rig *port = &pair->port;
	unsigned int i, ring;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_true(pair_exchange(pair, i));
		assert_int_equal(rte_eth_dev_stop(port->id), 0);
		if (i == 2)
			port_configure(port); /* other queues, the same rings */
		if (i == 3) {
			/* The front-end stops and starts meanwhile. */
			for (ring = 0; ring < 2; ring++)
				assert_int_equal(frontend_stop_ring(frontend, ring),
						frontend->rings[ring].next_used);
			for (ring = 0; ring < 2; ring++)
				assert_int_equal(frontend_start_ring(frontend, ring), ANSWER_OK);
		}
		if (i == 4) {
			/* A call descriptor and the memory table change meanwhile. */
			assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]),
					ANSWER_OK);
			assert_int_equal(frontend_set_memory(frontend), ANSWER_OK);
		}
		assert_int_equal(rte_eth_dev_start(port->id), 0);
	}
	assert_true(pair_exchange(pair, i));
	pair_destroy(pair);
}

/*
 * A connection that begins with logging on may follow a back-end that died with
 * marks in its hands: all of memory is marked, in the first log and no other.
 */
static void
marks_what_a_dead_back_end_may_have_written(void **state)
{
	const unsigned int nb_buffers = 20;
	struct pair *pair = calloc(1, sizeof(*pair));
	struct frontend *frontend = &pair->frontend;
	struct guest_buffer buffers[2];
	struct frontend_log log;
	unsigned int i, logging;

	(void)state;
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	port_create(&pair->port, 0, 1, "");
	frontend_create(frontend, MODERN, 256, 2, 65530);
	for (i = 0; i < nb_buffers; i++) {
		buffers[0] = (struct guest_buffer){ 0x200000 + i * 0x4000, 1600 };
		buffers[1] = (struct guest_buffer){ 0x202ff0 + i * 0x4000, 32 };
		ring_add(&frontend->rings[0],
				ring_describe(&frontend->rings[0], buffers, 1 + i % 2, true,
						FORM_DIRECT, 0));
	}
	ring_publish(&frontend->rings[0]);
	for (logging = 0; logging < 2; logging++) {
		if (logging)
			frontend->features |= FRONTEND_F_LOG_ALL;
		assert_true(frontend_connect(frontend, pair->port.path));
		assert_int_equal(frontend_start(frontend), ANSWER_OK);
		assert_true(port_wait_link(&pair->port, true));
		/* QEMU's order: the log comes last. */
		assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
		for (i = 0; i < nb_buffers; i++) {
			uint64_t page = (0x200000 + i * 0x4000) / 4096;

			assert_int_equal(frontend_log_test(&log, page), logging);
			assert_int_equal(frontend_log_test(&log, page + 3), logging);
		}
		if (logging)
			assert_int_equal(frontend_log_count(&log),
					(FRONTEND_LOW_LEN + FRONTEND_HIGH_LEN) / 4096);
		/* The same back-end stops and goes on: it has marked what it wrote. */
		frontend_log_clear(&log);
		frontend_stop_ring(frontend, 0);
		assert_int_equal(frontend_start_ring(frontend, 0), ANSWER_OK);
		assert_false(frontend_log_test(&log, 0x200000 / 4096));
		frontend_disconnect(frontend);
		assert_true(port_wait_link(&pair->port, false));
	}
	frontend_log_destroy(&log);
	pair_destroy(pair);
}

/*
 * QEMU does not know where a packed ring stands whose back-end went without being
 * asked, and gives the place of its last stop: here the beginning, or any other.
 */
static void
packed_ring_goes_on_where_it_was_left(void **state)
{
	static const uint16_t told[] = { 0x8000, 0x8000 + 7 };
	unsigned int i, round, ring;

	(void)state;
	for (i = 0; i < RTE_DIM(told); i++) {
		struct pair *pair = pair_create(0, MODERN | FRONTEND_F_INDIRECT, 1, 0);
		struct frontend *frontend = &pair->frontend;
		/* 40 packets each: all places of the ring, in both rounds. */
		for (round = 0; round < 60; round++) {
			uint16_t places[2];

			assert_true(pair_exchange(pair, round));
			frontend_disconnect(frontend);
			assert_true(port_wait_link(&pair->port, false));
			for (ring = 0; ring < 2; ring++) {
				places[ring] = frontend->rings[ring].next_used;
				frontend->rings[ring].next_used = told[i];
			}
			assert_true(frontend_connect(frontend, pair->port.path));
			assert_int_equal(frontend_start(frontend), ANSWER_OK);
			for (ring = 0; ring < 2; ring++)
				frontend->rings[ring].next_used = places[ring];
		}
		pair_destroy(pair);
	}
}

/* Give a ring n buffers, of which a back-end has used all but the first when it dies. */
static void
cut_off(struct ring_writer *ring, unsigned int n, bool device_writes)
{
	struct guest_buffer buffer = { .len = 1600 };
	unsigned int i;

	for (i = 0; i < n; i++) {
		buffer.gpa = 0x200000 + i * 0x1000;
		ring_add(ring, ring_describe(ring, &buffer, 1, device_writes, FORM_DIRECT, 0));
	}
	ring_publish(ring);
	for (i = 1; i < n; i++) {
		uint16_t position = ring_step(ring, ring->next_used, (int)i);
		uint64_t gpa = ring_used_entry(ring, position);
		struct vring_packed_desc desc;

		ram_read(ring->ram, gpa, &desc, sizeof(desc));
		desc.len = device_writes ? 1234 : 0;
		desc.flags = position & 0x8000 ?
				1 << VRING_PACKED_DESC_F_AVAIL | 1 << VRING_PACKED_DESC_F_USED :
				0;
		ram_write(ring->ram, gpa, &desc, sizeof(desc));
	}
}

static void
take_empty(struct ring_writer *ring, unsigned int n)
{
	struct vring_used_elem used;

	while (n-- != 0) {
		assert_true(ring_take_used(ring, &used));
		assert_int_equal(used.len, 0);
	}
	assert_false(ring_take_used(ring, &used));
}

/*
 * A burst shows its first descriptor last. Of one that was cut off before that, the
 * buffers are returned empty; the front-end knows that position or an old one.
 */
static void
cut_off_burst_is_returned(void **state)
{
	unsigned int round, ring;

	(void)state;
	for (ring = 0; ring < 2; ring++) {
		struct pair *pair = pair_create(0, MODERN | FRONTEND_F_INDIRECT, 1, 0);
		struct frontend *frontend = &pair->frontend;
		struct ring_writer *writer = &frontend->rings[ring];

		for (round = 0; round < 30; round++) {
			uint16_t right;

			assert_true(pair_exchange(pair, round));
			frontend_disconnect(frontend);
			assert_true(port_wait_link(&pair->port, false));
			right = writer->next_used;
			cut_off(writer, 2 + round, ring == 0);
			if (round % 2 == 0)
				writer->next_used = ring_step(writer, right, -40);
			assert_true(frontend_connect(frontend, pair->port.path));
			assert_int_equal(frontend_start(frontend), ANSWER_OK);
			assert_true(port_wait_link(&pair->port, true));
			writer->next_used = right;
			take_empty(writer, 2 + round);
		}
		pair_destroy(pair);
	}
}

/* Detached with a front-end connected, and attached again under the same name. */
static void
detach_and_attach(void **state)
{
	struct pair *bystander = pair_create(1, MODERN, 1, 0);
	struct pair *pair;
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		pair = pair_create(0, MODERN, 1, 0);
		assert_true(pair_exchange(pair, i));
		port_destroy(&pair->port);
		assert_int_equal(access(pair->port.path, F_OK), -1);
		/* The front-end sees it, and comes back to the next one. */
		assert_false(frontend_settle(&pair->frontend));
		frontend_disconnect(&pair->frontend);
		port_create(&pair->port, 0, 1, "");
		assert_true(frontend_connect(&pair->frontend, pair->port.path));
		assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
		assert_true(pair_exchange(pair, i));
		assert_true(pair_exchange(bystander, i));
		pair_destroy(pair);
	}
	/* Close without detach, through the ethdev. */
	pair = pair_create(0, MODERN, 1, 0);
	assert_true(pair_exchange(pair, 0));
	assert_int_equal(rte_eth_dev_stop(pair->port.id), 0);
	assert_int_equal(rte_eth_dev_close(pair->port.id), 0);
	pair_destroy(pair);
	assert_true(pair_exchange(bystander, i));
	pair_destroy(bystander);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest split[] = {
		cmocka_unit_test(link_follows_front_end),
		cmocka_unit_test(rings_stop_and_go_on),
		cmocka_unit_test(rings_change_over_restart),
		cmocka_unit_test(ethdev_stops_and_goes_on),
		cmocka_unit_test(marks_what_a_dead_back_end_may_have_written),
		cmocka_unit_test(detach_and_attach),
	};
	const struct CMUnitTest packed[] = {
		cmocka_unit_test(rings_stop_and_go_on),
		cmocka_unit_test(rings_change_over_restart),
		cmocka_unit_test(ethdev_stops_and_goes_on),
		cmocka_unit_test(packed_ring_goes_on_where_it_was_left),
		cmocka_unit_test(cut_off_burst_is_returned),
		cmocka_unit_test(marks_what_a_dead_back_end_may_have_written),
	};
	const struct program program = {
		.name = "port_life",
		.split = PROGRAM_TESTS(split),
		.packed = PROGRAM_TESTS(packed),
	};

	return program_run(&program, argc, argv);
}
