/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with a front-end that does everything
 * right, over the real socket: features, link, indices over stops and starts
 * of either side, messages while packets flow, log swaps with the check that a
 * migration would make, detaching, sockets, device arguments.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_arp.h>
#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_log.h>

#include <cmocka.h>

#include "rig/port_rig.h"
#include "rig/program.h"
#include "rig/ring_rig.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

/* A port with a front-end that has set everything up. */
struct pair {
	struct port_rig port;
	struct frontend frontend;
};

static struct pair *
pair_create(unsigned int number, uint64_t features, uint16_t nb_queues, uint16_t start)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	assert_non_null(pair);
	port_create(&pair->port, number, nb_queues, "");
	if (rig_packed)
		features |= FRONTEND_F_V1 | FRONTEND_F_PACKED;
	frontend_create(&pair->frontend, features, rig_packed ? 250 : 256, 2 * nb_queues, start);
	assert_true(frontend_connect(&pair->frontend, pair->port.path));
	assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
	return pair;
}

static void
pair_destroy(struct pair *pair)
{
	frontend_destroy(&pair->frontend);
	port_destroy(&pair->port);
	free(pair);
}

static bool
exchange(struct pair *pair, uint32_t number)
{
	return port_exchange(&pair->port, &pair->frontend, 0, number, 40);
}

static void
passes_packets(void **state)
{
	static const uint64_t features[] = { 0, FRONTEND_F_V1, FRONTEND_F_MRG, MODERN,
		FRONTEND_F_EVENT_IDX, MODERN | FRONTEND_F_EVENT_IDX, FRONTEND_F_IN_ORDER,
		MODERN | FRONTEND_F_IN_ORDER | FRONTEND_F_EVENT_IDX };
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		struct pair *pair = pair_create(0, features[i], 1, (uint16_t)(65500 + i));

		assert_true(port_exchange(&pair->port, &pair->frontend, 0, 0, 600));
		assert_int_equal(pair->frontend.offered & features[i], features[i]);
		pair_destroy(pair);
	}
}

/* What the datapath cannot do is not offered, nor what the device's arguments rule out. */
static void
offers_what_it_can(void **state)
{
	const uint64_t never = 1ULL << VIRTIO_F_ACCESS_PLATFORM;
	const uint64_t long_ones = 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 |
		1ULL << VIRTIO_NET_F_HOST_UFO | 1ULL << VIRTIO_NET_F_HOST_ECN |
		1ULL << VIRTIO_NET_F_GSO;
	const uint64_t always = 1ULL << VIRTIO_RING_F_INDIRECT_DESC | FRONTEND_F_LOG_ALL |
		1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
		1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 |
		1ULL << VIRTIO_NET_F_GUEST_UFO | 1ULL << VIRTIO_NET_F_GUEST_ECN |
		1ULL << VIRTIO_NET_F_MTU | 1ULL << VIRTIO_F_RING_PACKED | 1ULL << VIRTIO_F_IN_ORDER |
		FRONTEND_F_PROTOCOL | FRONTEND_F_MQ | MODERN | FRONTEND_F_EVENT_IDX;
	static const struct {
		const char *args;
		bool long_ones;
	} cases[] = {
		{ "", false },
		{ ",tso=0", false },
		{ ",tso=1", true },
		{ ",tso=1,linear-buffer=1", false },
		{ ",tso=1,ext-buffer=1", true },
		{ ",tso=1,linear-buffer=1,ext-buffer=1", true },
		{ ",tso=1,legacy-ol-flags=1", true },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(cases); i++) {
		static struct frontend frontend; /* too large for the stack */
		struct port_rig port;

		port_create(&port, 0, 1, cases[i].args);
		frontend_create(&frontend, MODERN, 256, 2, 0);
		assert_true(frontend_connect(&frontend, port.path));
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_int_equal(frontend.offered & never, 0);
		assert_int_equal(frontend.offered & always, always);
		assert_int_equal(frontend.offered & long_ones, cases[i].long_ones ? long_ones : 0);
		frontend_destroy(&frontend);
		port_destroy(&port);
	}
}

static void
link_follows_front_end(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_true(port_wait_link(&pair->port, true));
		assert_true(exchange(pair, i));
		frontend_disconnect(&pair->frontend);
		assert_true(port_wait_link(&pair->port, false));
		port_poll_idle(&pair->port, 100);
		assert_true(frontend_connect(&pair->frontend, pair->port.path));
		port_poll_idle(&pair->port, 100);
		assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
	}
	/* A stop of the dl, the connection stays. */
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
		assert_true(exchange(pair, i));
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
	assert_true(exchange(pair, 3));
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
					features[i] & FRONTEND_F_PACKED ?
					frontend->slots[ring] : NULL);
		assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
		for (ring = 0; ring < 2; ring++)
			assert_int_equal(frontend_start_ring(frontend, ring), ANSWER_OK);
		assert_true(exchange(pair, i));
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
		assert_true(exchange(pair, i));
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
	assert_true(exchange(pair, i));
	pair_destroy(pair);
}

static void
two_queue_pairs(void **state)
{
	struct pair *pair = pair_create(0, MODERN | FRONTEND_F_MQ, 2, 100);
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_true(port_exchange(&pair->port, &pair->frontend, i % 2, i, 30));
		/* A ring alone stops; the other pair goes on. */
		if (i % 3 == 0) {
			assert_int_equal(frontend_stop_ring(&pair->frontend, 2),
					pair->frontend.rings[2].next_used);
			assert_true(frontend_settle(&pair->frontend));
			assert_true(port_exchange(&pair->port, &pair->frontend, 0, i, 30));
			assert_int_equal(frontend_start_ring(&pair->frontend, 2), ANSWER_OK);
			assert_true(port_exchange(&pair->port, &pair->frontend, 1, i, 30));
		}
	}
	pair_destroy(pair);
}

/* Messages that a thread sends while the test polls. */
struct sender {
	struct frontend *frontend;
	unsigned int count;
	bool stop, failed;
	bool (*send)(struct sender *sender);
	int calls[2];
	struct frontend_log logs[2];
	uint8_t *copy; /* of the guest's low memory, as a migration would make it */
	uint8_t *high_copy;
};

static void *
send_on(void *opaque)
{
	struct sender *sender = opaque;

	while (!__atomic_load_n(&sender->stop, __ATOMIC_RELAXED)) {
		if (!sender->send(sender)) {
			__atomic_store_n(&sender->failed, true, __ATOMIC_RELAXED);
			break;
		}
		__atomic_store_n(&sender->count, sender->count + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool
change_call(struct sender *sender)
{
	return frontend_set_call(sender->frontend, 0, sender->calls[sender->count % 2]) == ANSWER_OK;
}

/* The call descriptor changes all the time, and the queue never closes. */
static void
call_changes_while_packets_flow(void **state)
{
	static struct sender sender;
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct frontend *frontend = &pair->frontend;
	uint64_t closed = 0, packets = 0, calls = 0, shares[2] = { 0, 0 }, count;
	uint64_t end = rte_rdtsc() + 30 * rte_get_tsc_hz();
	pthread_t thread;
	unsigned int i;

	(void)state;
	sender = (struct sender){ .frontend = frontend, .send = change_call };
	for (i = 0; i < 2; i++)
		sender.calls[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(exchange(pair, 0));
	assert_int_equal(pthread_create(&thread, NULL, send_on, &sender), 0);
	/*
	 * On a busy machine a thread may have a core to itself for long: all changes before
	 * the first packet, then all packets between two changes. Go on until both
	 * descriptors have had some.
	 */
	while ((__atomic_load_n(&sender.count, __ATOMIC_RELAXED) < 300 || packets < 300 ||
			shares[0] == 0 || shares[1] == 0) && closed == 0 && rte_rdtsc() < end &&
			!__atomic_load_n(&sender.failed, __ATOMIC_RELAXED)) {
		if (port_is_open(&pair->port, frontend, 0))
			packets++;
		else
			closed++;
		for (i = 0; i < 2; i++)
			if (read(sender.calls[i], &count, sizeof(count)) == sizeof(count))
				shares[i] += count;
	}
	__atomic_store_n(&sender.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_false(sender.failed);
	assert_int_equal(closed, 0);
	/* Each packet has interrupted somebody, and both had their share. */
	for (i = 0; i < 2; i++) {
		if (read(sender.calls[i], &count, sizeof(count)) == sizeof(count))
			shares[i] += count;
		assert_int_not_equal(shares[i], 0);
		calls += shares[i];
	}
	count = 0;
	assert_int_equal(read(frontend->call[0], &count, sizeof(count)), sizeof(count));
	calls += count;
	assert_int_equal(calls, packets + 40);

	/* Without one there are no interrupts; and then there are again. */
	assert_int_equal(frontend_set_call(frontend, 0, -1), ANSWER_OK);
	assert_true(exchange(pair, 1));
	assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]), ANSWER_OK);
	assert_int_equal(read(frontend->call[0], &count, sizeof(count)), -1);
	assert_true(exchange(pair, 2));
	assert_int_equal(read(frontend->call[0], &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 40);
	for (i = 0; i < 2; i++)
		close(sender.calls[i]);
	pair_destroy(pair);
}

/* A table of other regions each time: the rings' one alone, or both. */
static bool
change_memory(struct sender *sender)
{
	const struct guest_ram *ram = &sender->frontend->ram;
	struct frontend_region regions[2];
	unsigned int i;
	int fds[2];

	for (i = 0; i < 2; i++) {
		unsigned int from = sender->count % 2 == 0 ? i : 1 - i;

		regions[i] = (struct frontend_region){ .gpa = ram->regions[from].gpa,
			.len = ram->regions[from].len,
			.user = FRONTEND_USER(ram->regions[from].gpa) };
		fds[i] = ram->regions[from].fd;
	}
	return frontend_set_regions(sender->frontend, regions, fds, 2) == ANSWER_OK;
}

/* The memory table changes all the time: no packet is wrong, none is lost. */
static void
memory_changes_while_packets_flow(void **state)
{
	static struct sender sender;
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	pthread_t thread;
	uint32_t number = 0;

	(void)state;
	sender = (struct sender){ .frontend = &pair->frontend, .send = change_memory };
	assert_int_equal(pthread_create(&thread, NULL, send_on, &sender), 0);
	while (__atomic_load_n(&sender.count, __ATOMIC_RELAXED) < 100 &&
			!__atomic_load_n(&sender.failed, __ATOMIC_RELAXED))
		assert_true(port_exchange(&pair->port, &pair->frontend, 0, number++, 1));
	__atomic_store_n(&sender.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_false(sender.failed);
	assert_true(exchange(pair, number));
	print_message("%u tables, %u packets each way\n", sender.count, number);
	pair_destroy(pair);
}

/* Take a log's marks as a migration does: clear, then copy the pages. */
static void
harvest(struct sender *sender, struct frontend_log *log)
{
	const struct guest_ram *ram = &sender->frontend->ram;
	uint64_t i;
	unsigned int bit;

	for (i = 0; i < log->len; i++) {
		uint8_t bits;

		if (__atomic_load_n(&log->bytes[i], __ATOMIC_RELAXED) == 0)
			continue;
		bits = __atomic_exchange_n(&log->bytes[i], 0, __ATOMIC_SEQ_CST);
		for (bit = 0; bit < 8; bit++) {
			uint64_t gpa = (i * 8 + bit) * RAM_PAGE;

			if (!(bits >> bit & 1))
				continue;
			if (gpa < FRONTEND_LOW_LEN)
				memcpy(sender->copy + gpa, ram->regions[0].host + gpa, RAM_PAGE);
			else
				memcpy(sender->high_copy + (gpa - FRONTEND_HIGH),
					ram->regions[1].host + (gpa - FRONTEND_HIGH), RAM_PAGE);
		}
	}
}

static bool
swap_logs(struct sender *sender)
{
	struct frontend_log *log = &sender->logs[sender->count % 2];

	if (frontend_set_log(sender->frontend, log->fd, log->len, 0) != ANSWER_OK)
		return false;
	/* The other one is dead now: its last harvest. */
	harvest(sender, &sender->logs[1 - sender->count % 2]);
	harvest(sender, log);
	return true;
}

/* Pages of what the back-end wrote that the copy has otherwise. */
static unsigned int
pages_that_differ(const struct sender *sender)
{
	const struct guest_ram *ram = &sender->frontend->ram;
	const struct ring_writer *ring = &sender->frontend->rings[0];
	uint64_t written = rig_packed ? ring->desc : ring->used;
	uint64_t len = rig_packed ? ring_desc_len(ring->size) : ring_used_len(ring->size);
	uint64_t at, event = ring->used - FRONTEND_HIGH;
	unsigned int pages = 0;

	/* The guest's buffers of ring 0, ... */
	for (at = 0; at < frontend_room(sender->frontend); at += RAM_PAGE)
		pages += memcmp(sender->copy + at, ram->regions[0].host + at, RAM_PAGE) != 0;
	/* ... and its used ring, or its descriptors and event area. */
	for (at = written - FRONTEND_HIGH; at < written - FRONTEND_HIGH + len; at += RAM_PAGE)
		pages += memcmp(sender->high_copy + at, ram->regions[1].host + at, RAM_PAGE) != 0;
	if (rig_packed)
		pages += memcmp(sender->high_copy + event, ram->regions[1].host + event,
				RAM_PAGE) != 0;
	return pages;
}

/*
 * A migration in small: logs are swapped and harvested all the time, then the
 * rings stop. Every page that the back-end wrote is in the copy as it is in
 * memory; and no swap has closed a queue.
 */
static void
logs_swap_while_packets_flow(void **state)
{
	static struct sender sender;
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct frontend *frontend = &pair->frontend;
	uint32_t number = 0;
	uint64_t closed = 0;
	pthread_t thread;
	unsigned int i;

	(void)state;
	sender = (struct sender){ .frontend = frontend, .send = swap_logs,
		.copy = calloc(1, FRONTEND_LOW_LEN), .high_copy = calloc(1, FRONTEND_HIGH_LEN) };
	assert_non_null(sender.copy);
	assert_non_null(sender.high_copy);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_log_create(&sender.logs[i], frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(frontend, sender.logs[1].fd, sender.logs[1].len, 0),
			ANSWER_OK);
	frontend->features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_set_addr(frontend, i), ANSWER_OK);
	/* The first pass. */
	memcpy(sender.copy, frontend->ram.regions[0].host, FRONTEND_LOW_LEN);
	memcpy(sender.high_copy, frontend->ram.regions[1].host, FRONTEND_HIGH_LEN);

	assert_int_equal(pthread_create(&thread, NULL, send_on, &sender), 0);
	while (__atomic_load_n(&sender.count, __ATOMIC_RELAXED) < 300 &&
			!__atomic_load_n(&sender.failed, __ATOMIC_RELAXED)) {
		assert_true(port_exchange(&pair->port, frontend, 0, number++, 1));
		closed += !port_is_open(&pair->port, frontend, 0);
	}
	__atomic_store_n(&sender.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_false(sender.failed);
	assert_int_equal(closed, 0);
	/* Some more that no harvest follows but the last one. */
	assert_true(exchange(pair, number));
	assert_true(pages_that_differ(&sender) > 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_stop_ring(frontend, i), frontend->rings[i].next_used);
	for (i = 0; i < 2; i++)
		harvest(&sender, &sender.logs[i]);
	assert_int_equal(pages_that_differ(&sender), 0);
	print_message("%u logs, %u packets each way\n", sender.count, number);

	/* Nothing is marked where nobody may. */
	for (i = 0; i < 2; i++) {
		assert_true(frontend_log_canary_alive(&sender.logs[i]));
		assert_int_equal(frontend_log_count(&sender.logs[i]), 0);
		frontend_log_destroy(&sender.logs[i]);
	}
	free(sender.copy);
	free(sender.high_copy);
	pair_destroy(pair);
}

/* Logging is cancelled: not a bit more, and the log is unmapped. */
static void
log_is_left_alone_after_cancel(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct frontend *frontend = &pair->frontend;
	struct frontend_log log;
	unsigned int i;

	(void)state;
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(frontend_set_log(frontend, log.fd, log.len, 0), ANSWER_OK);
		frontend->features |= FRONTEND_F_LOG_ALL;
		assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
		assert_int_equal(frontend_set_addr(frontend, 0), ANSWER_OK);
		assert_int_equal(frontend_set_addr(frontend, 1), ANSWER_OK);
		assert_true(exchange(pair, i));
		assert_true(frontend_log_count(&log) > 0);
		frontend->features &= ~FRONTEND_F_LOG_ALL;
		assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
		assert_int_equal(frontend_set_addr(frontend, 0), ANSWER_OK);
		assert_int_equal(frontend_set_addr(frontend, 1), ANSWER_OK);
		frontend_log_clear(&log);
		assert_true(exchange(pair, i + 100));
		assert_int_equal(frontend_log_count(&log), 0);
	}
	frontend_log_destroy(&log);
	pair_destroy(pair);
}

/*
 * A device that starts with logging on may have had a back-end that died in a
 * burst: the buffers it could write to are marked. Once per connection.
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
		ring_add(&frontend->rings[0], ring_describe(&frontend->rings[0], buffers,
				1 + i % 2, true, FORM_DIRECT, 0));
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
			assert_int_equal(frontend_log_test(&log, page + 1), 0);
			assert_int_equal(frontend_log_test(&log, page + 2), logging && i % 2);
			assert_int_equal(frontend_log_test(&log, page + 3), logging && i % 2);
		}
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

			assert_true(exchange(pair, round));
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
		assert_true(exchange(pair, i));
		port_destroy(&pair->port);
		assert_int_equal(access(pair->port.path, F_OK), -1);
		/* The front-end sees it, and comes back to the next one. */
		assert_false(frontend_settle(&pair->frontend));
		frontend_disconnect(&pair->frontend);
		port_create(&pair->port, 0, 1, "");
		assert_true(frontend_connect(&pair->frontend, pair->port.path));
		assert_int_equal(frontend_start(&pair->frontend), ANSWER_OK);
		assert_true(exchange(pair, i));
		assert_true(exchange(bystander, i));
		pair_destroy(pair);
	}
	/* Close without detach, through the ethdev. */
	pair = pair_create(0, MODERN, 1, 0);
	assert_true(exchange(pair, 0));
	assert_int_equal(rte_eth_dev_stop(pair->port.id), 0);
	assert_int_equal(rte_eth_dev_close(pair->port.id), 0);
	pair_destroy(pair);
	assert_true(exchange(bystander, i));
	pair_destroy(bystander);
}

static int
listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void
stale_socket_is_no_error(void **state)
{
	struct pair *pair;
	char path[64];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/0", port_rig_folder());
	fd = listen_at(path);
	close(fd);
	pair = pair_create(0, MODERN, 1, 0);
	assert_true(exchange(pair, 0));
	pair_destroy(pair);
	assert_int_equal(access(path, F_OK), -1);
}

/* Configuring a port whose socket somebody else has fails, and he does not notice. */
static int
configure_in_vain(const char *name, const char *args)
{
	const struct rte_eth_conf conf = { .rxmode = { .mq_mode = RTE_ETH_MQ_RX_NONE } };
	uint16_t id;
	int ret;

	assert_int_equal(rte_vdev_init(name, args), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(name, &id), 0);
	ret = rte_eth_dev_configure(id, 1, 1, &conf);
	assert_int_equal(rte_vdev_uninit(name), 0);
	return ret;
}

static void
socket_in_use_is_an_error(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	char path[64], args[128];
	int fd;

	(void)state;
	/* By a port here. */
	assert_true(exchange(pair, 0));
	snprintf(args, sizeof(args), "iface=%s", pair->port.path);
	assert_int_equal(configure_in_vain("net_dirtylog8", args), -EADDRINUSE);
	assert_true(exchange(pair, 1));
	assert_int_equal(access(pair->port.path, F_OK), 0);
	/* By something else. */
	snprintf(path, sizeof(path), "%s/8", port_rig_folder());
	fd = listen_at(path);
	snprintf(args, sizeof(args), "iface=%s", path);
	assert_int_equal(configure_in_vain("net_dirtylog8", args), -EADDRINUSE);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	unlink(path);
	/* By a file that is no socket: it stays. */
	fd = creat(path, 0600);
	close(fd);
	assert_true(configure_in_vain("net_dirtylog8", args) < 0);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	pair_destroy(pair);
}

/* The port as the socket's client: it comes back whenever somebody listens. */
static void
client_mode(void **state)
{
	struct port_rig port;
	static struct frontend frontend;
	char path[64];
	unsigned int i;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/0", port_rig_folder());
	port_create(&port, 0, 1, ",client=1");
	for (i = 0; i < 3; i++) {
		struct timeval limit = { .tv_sec = 10 };

		fd = listen_at(path);
		frontend_create(&frontend, MODERN, 256, 2, 0);
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		frontend.sock = accept(fd, NULL, NULL);
		assert_true(frontend.sock >= 0);
		setsockopt(frontend.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		close(fd);
		unlink(path);
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_true(port_exchange(&port, &frontend, 0, i, 40));
		frontend_destroy(&frontend);
		assert_true(port_wait_link(&port, false));
	}
	port_destroy(&port);
}

/* As ethdev shows them, since they are no part of its struct in each release. */
static uint64_t
queue_packets(uint16_t port, const char *name)
{
	uint64_t id, value;

	assert_int_equal(rte_eth_xstats_get_id_by_name(port, name, &id), 0);
	assert_int_equal(rte_eth_xstats_get_by_id(port, &id, &value, 1), 1);
	return value;
}

static void
counts_packets(void **state)
{
	struct pair *pair = pair_create(0, MODERN | FRONTEND_F_MQ, 2, 0);
	struct rte_eth_stats stats;
	uint64_t bytes = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		bytes += 60 + i * 37 % 1400;
	assert_true(port_to_guest(&pair->port, &pair->frontend, 0, 0, 100));
	assert_true(port_from_guest(&pair->port, &pair->frontend, 1, 0, 100));
	assert_int_equal(rte_eth_stats_get(pair->port.id, &stats), 0);
	assert_int_equal(stats.opackets, 100);
	assert_int_equal(stats.ipackets, 100);
	assert_int_equal(stats.obytes, bytes);
	assert_int_equal(stats.ibytes, bytes);
	assert_int_equal(queue_packets(pair->port.id, "tx_q0_packets"), 100);
	assert_int_equal(queue_packets(pair->port.id, "rx_q1_packets"), 100);
	assert_int_equal(queue_packets(pair->port.id, "tx_q1_packets"), 0);
	assert_int_equal(queue_packets(pair->port.id, "rx_q0_packets"), 0);
	assert_int_equal(stats.oerrors + stats.ierrors + stats.rx_nombuf, 0);
	assert_int_equal(rte_eth_stats_reset(pair->port.id), 0);
	assert_int_equal(rte_eth_stats_get(pair->port.id, &stats), 0);
	assert_int_equal(stats.opackets + stats.ipackets + stats.obytes + stats.ibytes, 0);
	pair_destroy(pair);
}

/* A packet in an mbuf of some kind, of which the test keeps `*kept` if it is shared. */
static struct rte_mbuf *
mbuf_of_kind(unsigned int kind, struct rte_mempool *pool, struct rte_mempool *other,
		uint32_t number, struct rte_mbuf **kept)
{
	struct rte_mbuf *pkt;

	*kept = NULL;
	switch (kind) {
	case 0: /* of another pool */
		return packet_mbuf(other, number, 100, 0, false);
	case 1: /* in segments */
		return packet_mbuf(pool, number, 100, 30, false);
	case 2: /* that the application goes on using */
		pkt = packet_mbuf(pool, number, 100, 0, false);
		rte_mbuf_refcnt_update(pkt, 1);
		*kept = pkt;
		return pkt;
	case 3: /* that borrows another one's data */
		*kept = packet_mbuf(pool, number, 100, 0, false);
		return rte_pktmbuf_clone(*kept, pool);
	default:
		return packet_mbuf(pool, number, 100, 0, false);
	}
}

/* Each mbuf that was sent goes back where it came from, in bursts of one kind and mixed. */
static void
frees_what_it_sent(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct rte_mempool *pool = pair->port.pool;
	struct rte_mempool *other = rte_pktmbuf_pool_create("other", 255, 16, 0, 2048, 0);
	unsigned int before = rte_mempool_avail_count(pool), round, i;
	struct rte_mbuf **all = calloc(before, sizeof(all[0]));
	uint64_t random = 3;

	(void)state;
	assert_non_null(other);
	assert_non_null(all);
	assert_true(port_to_guest(&pair->port, &pair->frontend, 0, 0, 1));
	for (round = 0; round < 2000; round++) {
		unsigned int odd = (unsigned int)packet_random(&random) % 4;
		struct rte_mbuf *pkts[32], *kept[32];
		struct vring_used_elem used;

		for (i = 0; i < 32; i++) {
			bool is_odd = packet_random(&random) % 4 == 0;

			pkts[i] = mbuf_of_kind(is_odd && round % 2 ? odd : 9, pool, other, i, &kept[i]);
			assert_non_null(pkts[i]);
			port_offer_room(&pair->frontend, 0);
		}
		assert_int_equal(rte_eth_tx_burst(pair->port.id, 0, pkts, 32), 32);
		for (i = 0; i < 32; i++) {
			assert_true(ring_take_used(&pair->frontend.rings[0], &used));
			if (kept[i] == NULL)
				continue;
			assert_int_equal(rte_mbuf_refcnt_read(kept[i]), 1);
			assert_true(packet_is(kept[i], i, 100));
			rte_pktmbuf_free(kept[i]);
		}
		assert_int_equal(rte_mempool_avail_count(pool), before);
		assert_int_equal(rte_mempool_avail_count(other), 255);
	}
	/* As mbufs in a pool have to be. */
	assert_int_equal(rte_mempool_get_bulk(pool, (void **)all, before), 0);
	for (i = 0; i < before; i++) {
		assert_true(RTE_MBUF_DIRECT(all[i]) && all[i]->nb_segs == 1 && all[i]->next == NULL);
		assert_int_equal(rte_mbuf_refcnt_read(all[i]), 1);
	}
	rte_mempool_put_bulk(pool, (void **)all, before);
	free(all);
	rte_mempool_free(other);
	pair_destroy(pair);
}

/* Poll until a packet is there; at most five seconds. */
static struct rte_mbuf *
poll_for_one(const struct port_rig *port)
{
	uint64_t end = rte_rdtsc() + 5 * rte_get_tsc_hz();
	struct rte_mbuf *pkt = NULL;

	while (rte_eth_rx_burst(port->id, 0, &pkt, 1) == 0)
		if (rte_rdtsc() > end)
			return NULL;
	return pkt;
}

/* A guest that arrives is announced, once, ahead of what it sends itself. */
static void
announces_the_guest(void **state)
{
	static const uint8_t mac[8] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0xef };
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct frontend *frontend = &pair->frontend;
	unsigned int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		const struct rte_ether_hdr *ether;
		const struct rte_arp_hdr *arp;
		struct rte_mbuf *pkt;

		assert_int_equal(frontend_ask(frontend, REQ_SEND_RARP, mac, sizeof(mac), NULL, 0),
				ANSWER_OK);
		assert_int_equal(rte_eth_rx_burst(pair->port.id, 0, &pkt, 0), 0);
		pkt = poll_for_one(&pair->port);
		assert_non_null(pkt);
		assert_int_equal(pkt->port, pair->port.id);
		assert_true(pkt->pkt_len >= 60 && pkt->nb_segs == 1);
		ether = rte_pktmbuf_mtod(pkt, const struct rte_ether_hdr *);
		assert_true(rte_is_broadcast_ether_addr(&ether->dst_addr));
		assert_memory_equal(&ether->src_addr, mac, RTE_ETHER_ADDR_LEN);
		assert_int_equal(ether->ether_type, rte_cpu_to_be_16(RTE_ETHER_TYPE_RARP));
		arp = (const struct rte_arp_hdr *)(ether + 1);
		assert_int_equal(arp->arp_opcode, rte_cpu_to_be_16(RTE_ARP_OP_REVREQUEST));
		assert_memory_equal(&arp->arp_data.arp_sha, mac, RTE_ETHER_ADDR_LEN);
		rte_pktmbuf_free(pkt);
		assert_true(exchange(pair, round));
	}
	/* Not the next guest's business. */
	assert_int_equal(frontend_ask(frontend, REQ_SEND_RARP, mac, sizeof(mac), NULL, 0),
			ANSWER_OK);
	frontend_disconnect(frontend);
	assert_true(port_wait_link(&pair->port, false));
	assert_true(frontend_connect(frontend, pair->port.path));
	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_true(exchange(pair, round));
	pair_destroy(pair);
}

/* Device arguments that mean nothing: no port, and a line that says why. */
static void
bad_arguments_are_refused(void **state)
{
	char long_path[200] = "iface=/tmp/";
	const struct {
		const char *args, *words;
	} cases[] = {
		{ "", "iface" },
		{ "queues=1", "iface" },
		{ "iface=", "iface" },
		{ "iface=/tmp/a,iface=/tmp/b", "iface" },
		{ "iface=/tmp/a,queues=0", "queues=0" },
		{ "iface=/tmp/a,queues=129", "queues=129" },
		{ "iface=/tmp/a,queues=-1", "queues=-1" },
		{ "iface=/tmp/a,queues=2x", "queues=2x" },
		{ "iface=/tmp/a,queues=", "queues" },
		{ "iface=/tmp/a,client=2", "client=2" },
		{ "iface=/tmp/a,client=yes", "client=yes" },
		{ "iface=/tmp/a,client=", "client=" },
		{ "iface=/tmp/a,client=1,client=1", "client is given more than once" },
		{ "iface=/tmp/a,iommu-support=1", "vIOMMU is not supported" },
		{ "iface=/tmp/a,iommu-support=2", "iommu-support=2" },
		{ "iface=/tmp/a,postcopy-support=yes", "postcopy-support=yes" },
		{ "iface=/tmp/a,tso=2", "tso=2" },
		{ "iface=/tmp/a,linear-buffer=2", "linear-buffer=2" },
		{ "iface=/tmp/a,ext-buffer=-1", "ext-buffer=-1" },
		{ "iface=/tmp/a,legacy-ol-flags=x", "legacy-ol-flags=x" },
		{ "iface=/tmp/a,log-placement=remote", "log-placement=remote" },
		{ "iface=/tmp/a,log-drain-us=0", "log-drain-us=0" },
		{ "iface=/tmp/a,log-drain-us=1000001", "log-drain-us=1000001" },
		{ "iface=/tmp/a,bogus=1", "bad arguments" },
		{ "iface=/tmp/a,bogus=1", "legacy-ol-flags=<0|1>" },
		{ long_path, "107" },
	};
	uint16_t ports = rte_eth_dev_count_avail();
	unsigned int i;

	(void)state;
	memset(long_path + strlen(long_path), 'x', 108 - strlen("/tmp/"));
	for (i = 0; i < RTE_DIM(cases); i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *stream = open_memstream(&text, &len);

		rte_openlog_stream(stream);
		assert_true(rte_vdev_init("net_dirtylog9", cases[i].args) < 0);
		rte_openlog_stream(stderr);
		fclose(stream);
		if (strstr(text, "net_dirtylog") == NULL || strstr(text, cases[i].words) == NULL)
			fail_msg("'%s' gives: %s", cases[i].args, text);
		free(text);
		assert_int_equal(rte_eth_dev_count_avail(), ports);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest packed[] = {
		cmocka_unit_test(passes_packets),
		cmocka_unit_test(rings_stop_and_go_on),
		cmocka_unit_test(rings_change_over_restart),
		cmocka_unit_test(ethdev_stops_and_goes_on),
		cmocka_unit_test(two_queue_pairs),
		cmocka_unit_test(call_changes_while_packets_flow),
		cmocka_unit_test(memory_changes_while_packets_flow),
		cmocka_unit_test(logs_swap_while_packets_flow),
		cmocka_unit_test(log_is_left_alone_after_cancel),
		cmocka_unit_test(packed_ring_goes_on_where_it_was_left),
		cmocka_unit_test(marks_what_a_dead_back_end_may_have_written),
		cmocka_unit_test(counts_packets),
		cmocka_unit_test(frees_what_it_sent),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_packets),
		cmocka_unit_test(offers_what_it_can),
		cmocka_unit_test(link_follows_front_end),
		cmocka_unit_test(rings_stop_and_go_on),
		cmocka_unit_test(rings_change_over_restart),
		cmocka_unit_test(ethdev_stops_and_goes_on),
		cmocka_unit_test(two_queue_pairs),
		cmocka_unit_test(call_changes_while_packets_flow),
		cmocka_unit_test(memory_changes_while_packets_flow),
		cmocka_unit_test(logs_swap_while_packets_flow),
		cmocka_unit_test(log_is_left_alone_after_cancel),
		cmocka_unit_test(marks_what_a_dead_back_end_may_have_written),
		cmocka_unit_test(detach_and_attach),
		cmocka_unit_test(stale_socket_is_no_error),
		cmocka_unit_test(socket_in_use_is_an_error),
		cmocka_unit_test(client_mode),
		cmocka_unit_test(counts_packets),
		cmocka_unit_test(frees_what_it_sent),
		cmocka_unit_test(announces_the_guest),
		cmocka_unit_test(bad_arguments_are_refused),
	};
	/* Sockets and arguments have no kind. */
	const struct program program = {
		.name = "port",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(packed),
	};

	return program_run(&program, argc, argv);
}
