/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Receive interrupts as DPDK's l3fwd-power uses them: poll until a queue is
 * empty, ask for an interrupt, sleep until the guest kicks. No wake-up is
 * lost, whatever the front-end does meanwhile, and what the asking writes into
 * guest memory is in the log.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"
#include "rig/ring_rig.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)
/* With 512 entries avail_event is on another page than the flags and the index. */
#define RING_SIZE 512
/* Nobody has to wait so long for a wake-up, however busy the machine is. */
#define OVERSLEPT_MS 10000

static struct ring_writer *
ring_of(struct pair *pair)
{
	return &pair->frontend.rings[1];
}

static bool
wants_kick(struct pair *pair, uint16_t old)
{
	return ring_wants_kick(ring_of(pair), old, pair->frontend.features & FRONTEND_F_EVENT_IDX);
}

static void
kick(int fd)
{
	assert_int_equal(eventfd_write(fd, 1), 0);
}

/* -- this thread sleeps, in steps ------------------------------------------- */

static void
watch(struct pair *pair)
{
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q(pair->port.id, 0, RTE_EPOLL_PER_THREAD,
					 RTE_INTR_EVENT_ADD, NULL),
			0);
}

static void
unwatch(struct pair *pair)
{
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q(pair->port.id, 0, RTE_EPOLL_PER_THREAD,
					 RTE_INTR_EVENT_DEL, NULL),
			0);
}

static void
enable(struct pair *pair)
{
	assert_int_equal(rte_eth_dev_rx_intr_enable(pair->port.id, 0), 0);
}

static void
disable(struct pair *pair)
{
	assert_int_equal(rte_eth_dev_rx_intr_disable(pair->port.id, 0), 0);
}

/* Whether something wakes a sleeper, within the time. */
static bool
wakes(int milliseconds)
{
	struct rte_epoll_event event;
	int n = rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, milliseconds);

	assert_true(n >= 0);
	return n == 1;
}

/* Past what a queue's opening rings. */
static void
settle(struct pair *pair)
{
	enable(pair);
	wakes(0);
	enable(pair);
	assert_false(wakes(0));
}

static const uint64_t kinds[] = { MODERN, MODERN | FRONTEND_F_EVENT_IDX };

static void
kick_wakes(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(kinds); i++) {
		struct pair *pair = pair_create_sleepy(kinds[i], RING_SIZE);
		uint16_t old;

		watch(pair);
		/* The queue has opened since. */
		assert_true(wakes(OVERSLEPT_MS));
		settle(pair);
		assert_false(wakes(50));
		old = ring_of(pair)->next_avail;
		port_offer_packet(&pair->frontend, 0, 1);
		assert_true(wants_kick(pair, old));
		kick(pair->frontend.kick[1]);
		assert_true(wakes(OVERSLEPT_MS));
		disable(pair);
		assert_true(pair_takes(pair, 1));
		/* Awake we do without kicks. */
		old = ring_of(pair)->next_avail;
		port_offer_packet(&pair->frontend, 0, 2);
		assert_false(wants_kick(pair, old));
		/* What came unkicked keeps us awake. */
		enable(pair);
		assert_true(wakes(OVERSLEPT_MS));
		assert_true(pair_takes(pair, 2));
		enable(pair);
		assert_false(wakes(50));
		unwatch(pair);
		pair_destroy(pair);
	}
}

/* The descriptor that the application waits on stays, the guest's kick does not. */
static void
kick_descriptor_changes(void **state)
{
	struct pair *pair = pair_create_sleepy(MODERN, RING_SIZE);
	int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), pipe_fds[2];

	(void)state;
	watch(pair);
	settle(pair);
	assert_int_equal(frontend_set_kick(&pair->frontend, 1, other), ANSWER_OK);
	assert_true(wakes(OVERSLEPT_MS));
	settle(pair);
	kick(pair->frontend.kick[1]);
	assert_false(wakes(50));
	port_offer_packet(&pair->frontend, 0, 1);
	kick(other);
	assert_true(wakes(OVERSLEPT_MS));
	assert_true(pair_takes(pair, 1));
	/* The back-end has duplicates only. */
	close(other);

	/* No eventfd: the guest cannot wake us, all else goes on. */
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(frontend_set_kick(&pair->frontend, 1, pipe_fds[0]), ANSWER_OK);
	assert_true(wakes(OVERSLEPT_MS));
	settle(pair);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_false(wakes(50));
	port_offer_packet(&pair->frontend, 0, 2);
	assert_true(pair_takes(pair, 2));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	unwatch(pair);
	pair_destroy(pair);
}

static void
front_end_comes_back(void **state)
{
	struct pair *pair = pair_create_sleepy(MODERN, RING_SIZE);
	unsigned int i;

	(void)state;
	watch(pair);
	for (i = 0; i < 3; i++) {
		settle(pair);
		frontend_disconnect(&pair->frontend);
		assert_true(port_wait_link(&pair->port, false));
		/* Nobody can be asked; that is no error. */
		enable(pair);
		disable(pair);
		enable(pair);
		assert_false(wakes(0));
		assert_true(frontend_connect(&pair->frontend, pair->port.path));
		assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
		assert_true(wakes(OVERSLEPT_MS));
		settle(pair);
		port_offer_packet(&pair->frontend, 0, i);
		kick(pair->frontend.kick[1]);
		assert_true(wakes(OVERSLEPT_MS));
		assert_true(pair_takes(pair, i));
	}
	unwatch(pair);
	pair_destroy(pair);
}

/* Stop and start of the ethdev: the registration is as good as before. */
static void
ethdev_restarts(void **state)
{
	struct pair *pair = pair_create_sleepy(MODERN, RING_SIZE);
	struct port_rig *port = &pair->port;

	(void)state;
	watch(pair);
	settle(pair);
	assert_int_equal(rte_eth_dev_stop(port->id), 0);
	assert_false(wakes(0));
	assert_int_equal(rte_eth_dev_start(port->id), 0);
	assert_true(wakes(OVERSLEPT_MS));
	settle(pair);
	kick(pair->frontend.kick[1]);
	assert_true(wakes(OVERSLEPT_MS));
	/* Without them: the handle goes, and who asks is told. */
	assert_int_equal(rte_eth_dev_stop(port->id), 0);
	port->rx_interrupts = false;
	port_configure(port);
	assert_int_equal(rte_eth_dev_start(port->id), 0);
	kick(pair->frontend.kick[1]);
	assert_false(wakes(50));
	assert_int_equal(rte_eth_dev_rx_intr_enable(port->id, 0), -ENOTSUP);
	assert_int_equal(rte_eth_dev_rx_intr_disable(port->id, 0), -ENOTSUP);
	assert_true(port_exchange(port, &pair->frontend, 0, 7, 40));
	pair_destroy(pair);
}

static void
start_logging(struct pair *pair, struct frontend_log *log)
{
	struct frontend *frontend = &pair->frontend;
	unsigned int i;

	assert_int_equal(frontend_log_create(log, frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(frontend, log->fd, log->len, 0), ANSWER_OK);
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_set_addr(frontend, i), ANSWER_OK);
}

/* Asking for kicks writes guest memory: that page is marked, no other. */
static void
asking_is_marked(void **state)
{
	unsigned int i, on;

	(void)state;
	for (i = 0; i < RTE_DIM(kinds); i++) {
		struct pair *pair = pair_create_sleepy(kinds[i], RING_SIZE);
		bool event_idx = kinds[i] & FRONTEND_F_EVENT_IDX;
		uint64_t word = ring_of(pair)->used +
				(event_idx && !rig_packed ? 4 + RING_SIZE * 8 : 0);
		struct frontend_log log;

		enable(pair);
		disable(pair);
		enable(pair);
		start_logging(pair, &log);
		port_poll_idle(&pair->port, 2);
		for (on = 0; on < 2; on++) {
			frontend_log_clear(&log);
			assert_int_equal(frontend_log_count(&log), 0);
			if (on)
				enable(pair);
			else
				disable(pair);
			/* With EVENT_IDX there is nothing to be written to end it in a split ring. */
			if (event_idx && !on && !rig_packed)
				assert_int_equal(frontend_log_count(&log), 0);
			else
				assert_true(frontend_log_is_exactly(&log, word / RAM_PAGE, 1));
		}
		frontend_destroy(&pair->frontend);
		port_destroy(&pair->port);
		frontend_log_destroy(&log);
		free(pair);
	}
}

/* -- a thread that sleeps, while the guest sends and migrates ---------------- */

struct sleeper {
	struct port_rig *port;
	uint32_t received;
	uint32_t wakeups;
	bool overslept;
	bool wrong;
	bool stop;
};

static uint32_t
poll_all(struct sleeper *sleeper)
{
	struct rte_mbuf *pkts[32];
	uint16_t i, n;
	uint32_t all = 0;

	while ((n = rte_eth_rx_burst(sleeper->port->id, 0, pkts, 32)) != 0) {
		for (i = 0; i < n; i++)
			if (!port_packet_is(pkts[i], sleeper->received + i))
				__atomic_store_n(&sleeper->wrong, true, __ATOMIC_RELAXED);
		rte_pktmbuf_free_bulk(pkts, n);
		all += n;
		__atomic_store_n(&sleeper->received, sleeper->received + n, __ATOMIC_RELEASE);
	}
	return all;
}

static void *
sleep_and_poll(void *opaque)
{
	struct sleeper *sleeper = opaque;
	uint16_t port = sleeper->port->id;
	struct rte_epoll_event event;

	if (rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL) !=
			0) {
		__atomic_store_n(&sleeper->wrong, true, __ATOMIC_RELAXED);
		return NULL;
	}
	while (!__atomic_load_n(&sleeper->stop, __ATOMIC_RELAXED)) {
		poll_all(sleeper);
		rte_eth_dev_rx_intr_enable(port, 0);
		if (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, OVERSLEPT_MS) == 1)
			sleeper->wakeups++;
		else
			__atomic_store_n(&sleeper->overslept, true, __ATOMIC_RELAXED);
		rte_eth_dev_rx_intr_disable(port, 0);
	}
	rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_DEL, NULL);
	return NULL;
}

/* The used ring, or the packed one and the event area, as a migration would bring it over. */
struct copy {
	uint64_t first, last; /* pages */
	uint8_t bytes[4 * RAM_PAGE];
};

/* Take the used ring's marks, then copy the pages. */
static void
harvest(struct pair *pair, struct frontend_log *log, struct copy *copy)
{
	uint64_t page;

	for (page = copy->first; page <= copy->last; page++) {
		uint8_t bit = (uint8_t)(1U << page % 8);

		if (__atomic_fetch_and(&log->bytes[page / 8], (uint8_t)~bit, __ATOMIC_SEQ_CST) &
				bit)
			memcpy(copy->bytes + (page - copy->first) * RAM_PAGE,
					ram_host(&pair->frontend.ram, page * RAM_PAGE), RAM_PAGE);
	}
}

static bool
is_complete(struct pair *pair, const struct copy *copy)
{
	const struct ring_writer *ring = ring_of(pair);
	const uint8_t *now = ram_host(&pair->frontend.ram, copy->first * RAM_PAGE);
	uint64_t at;

	if (!rig_packed)
		return memcmp(copy->bytes, now, (copy->last - copy->first + 1) * RAM_PAGE) == 0;
	/* Of the used descriptors what the back-end writes: all behind the address. */
	for (at = 0; at < ring_desc_len(ring->size); at += 16)
		if (memcmp(copy->bytes + at + 8, now + at + 8, 8) != 0)
			return false;
	at = ring->used - ring->desc;
	return memcmp(copy->bytes + at, now + at, 4) == 0;
}

static void
send_burst(struct pair *pair, struct sleeper *sleeper, uint32_t number, uint32_t n, uint32_t *kicks)
{
	struct ring_writer *ring = ring_of(pair);
	uint64_t end = rte_rdtsc() + OVERSLEPT_MS / 1000 * 2 * rte_get_tsc_hz();
	uint16_t old = ring->next_avail;
	struct vring_used_elem used;
	uint32_t i;

	/* Room in the ring. */
	while (number + n - __atomic_load_n(&sleeper->received, __ATOMIC_ACQUIRE) > RING_SIZE / 2)
		assert_true(rte_rdtsc() < end);
	for (i = 0; i < n; i++)
		port_offer_packet(&pair->frontend, 0, number + i);
	if (wants_kick(pair, old)) {
		kick(pair->frontend.kick[1]);
		(*kicks)++;
	}
	while (ring_take_used(ring, &used))
		;
}

/*
 * All packets arrive although the receiver sleeps whenever it can, the memory
 * table changes and the ring stops and goes on under it; and the used ring that
 * a migration takes over is the one that is there.
 */
static void
nothing_is_lost(void **state)
{
	uint64_t random = 5;
	unsigned int k, round, i;

	(void)state;
	for (k = 0; k < RTE_DIM(kinds); k++) {
		struct pair *pair = pair_create_sleepy(kinds[k], RING_SIZE);
		struct sleeper sleeper = { .port = &pair->port };
		struct ring_writer *ring = ring_of(pair);
		struct copy copy = { .first = (rig_packed ? ring->desc : ring->used) / RAM_PAGE,
			.last = (ring->used + (rig_packed ? 4 : ring_used_len(RING_SIZE)) - 1) /
					RAM_PAGE };
		uint32_t number = 0, kicks = 0;
		struct frontend_log log;
		pthread_t thread;

		start_logging(pair, &log);
		memcpy(copy.bytes, ram_host(&pair->frontend.ram, copy.first * RAM_PAGE),
				(copy.last - copy.first + 1) * RAM_PAGE);
		assert_int_equal(pthread_create(&thread, NULL, sleep_and_poll, &sleeper), 0);
		for (round = 0; round < 2000; round++) {
			uint32_t n = 1 + (uint32_t)(packet_random(&random) % 16);

			send_burst(pair, &sleeper, number, n, &kicks);
			number += n;
			harvest(pair, &log, &copy);
			if (packet_random(&random) % 2 == 0)
				usleep((useconds_t)(packet_random(&random) % 200));
			if (round % 200 == 100)
				assert_int_equal(frontend_set_memory(&pair->frontend), ANSWER_OK);
			if (round % 200 == 150) {
				assert_true(frontend_stop_ring(&pair->frontend, 1) >= 0);
				ring->next_used = ring_used_index(ring);
				assert_int_equal(frontend_start_ring(&pair->frontend, 1),
						ANSWER_OK);
			}
		}
		/* Each comes in the end; the last sleep is ended by a kick. */
		for (i = 0; i < OVERSLEPT_MS * 2 &&
				number != __atomic_load_n(&sleeper.received, __ATOMIC_ACQUIRE);
				i++)
			usleep(1000);
		__atomic_store_n(&sleeper.stop, true, __ATOMIC_RELAXED);
		kick(pair->frontend.kick[1]);
		pthread_join(thread, NULL);
		assert_int_equal(sleeper.received, number);
		assert_false(sleeper.overslept);
		assert_false(sleeper.wrong);
		/* It has slept, and not just looked. */
		assert_true(kicks > 100);
		assert_true(sleeper.wakeups > 100);

		/* What no harvest has seen yet makes a difference. */
		harvest(pair, &log, &copy);
		port_offer_packet(&pair->frontend, 0, number);
		assert_true(pair_takes(pair, number));
		enable(pair);
		assert_false(is_complete(pair, &copy));
		assert_true(frontend_stop_ring(&pair->frontend, 1) >= 0);
		harvest(pair, &log, &copy);
		assert_true(is_complete(pair, &copy));
		print_message("%u packets, %u kicks, %u wake-ups\n", number, kicks,
				sleeper.wakeups);
		frontend_destroy(&pair->frontend);
		port_destroy(&pair->port);
		frontend_log_destroy(&log);
		free(pair);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kick_wakes),
		cmocka_unit_test(kick_descriptor_changes),
		cmocka_unit_test(front_end_comes_back),
		cmocka_unit_test(ethdev_restarts),
		cmocka_unit_test(asking_is_marked),
		cmocka_unit_test(nothing_is_lost),
	};
	const struct program program = {
		.name = "rx_intr",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
