/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The whole driver in this process, with a front-end that does everything
 * right, over the real socket: messages while packets flow, among them log
 * swaps with the check that a migration would make.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_arp.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include <cmocka.h>

#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)

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
	return frontend_set_call(sender->frontend, 0, sender->calls[sender->count % 2]) ==
			ANSWER_OK;
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
	assert_true(pair_exchange(pair, 0));
	assert_int_equal(pthread_create(&thread, NULL, send_on, &sender), 0);
	/*
	 * On a busy machine a thread may have a core to itself for long: all changes before
	 * the first packet, then all packets between two changes. Go on until both
	 * descriptors have had some.
	 */
	while ((__atomic_load_n(&sender.count, __ATOMIC_RELAXED) < 300 || packets < 300 ||
			       shares[0] == 0 || shares[1] == 0) &&
			closed == 0 && rte_rdtsc() < end &&
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
	/* Each new descriptor has got one of its own, and the queue's opening one. */
	assert_in_range(calls, packets + 40 + sender.count / 2, packets + 40 + sender.count + 4);

	/* Without one there are no interrupts; and then there are again. */
	assert_int_equal(frontend_set_call(frontend, 0, -1), ANSWER_OK);
	assert_true(pair_exchange(pair, 1));
	assert_int_equal(frontend_set_call(frontend, 0, frontend->call[0]), ANSWER_OK);
	/* A new descriptor gets one of its own. */
	assert_int_equal(read(frontend->call[0], &count, sizeof(count)), sizeof(count));
	assert_int_equal(count, 1);
	assert_true(pair_exchange(pair, 2));
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
	assert_true(pair_exchange(pair, number));
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
						ram->regions[1].host + (gpa - FRONTEND_HIGH),
						RAM_PAGE);
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
	sender = (struct sender){ .frontend = frontend,
		.send = swap_logs,
		.copy = calloc(1, FRONTEND_LOW_LEN),
		.high_copy = calloc(1, FRONTEND_HIGH_LEN) };
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
	assert_true(pair_exchange(pair, number));
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
		assert_true(pair_exchange(pair, i));
		assert_true(frontend_log_count(&log) > 0);
		frontend->features &= ~FRONTEND_F_LOG_ALL;
		assert_int_equal(frontend_set_features(frontend, frontend->features), ANSWER_OK);
		assert_int_equal(frontend_set_addr(frontend, 0), ANSWER_OK);
		assert_int_equal(frontend_set_addr(frontend, 1), ANSWER_OK);
		frontend_log_clear(&log);
		assert_true(pair_exchange(pair, i + 100));
		assert_int_equal(frontend_log_count(&log), 0);
	}
	frontend_log_destroy(&log);
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

static const uint8_t arrived[8] = { 0x52, 0x54, 0x00, 0xab, 0xcd, 0xef };

/* The next packet announces the guest of that address. */
static void
assert_announced(const struct port_rig *port)
{
	struct rte_mbuf *pkt = poll_for_one(port);
	const struct rte_ether_hdr *ether;
	const struct rte_arp_hdr *arp;

	assert_non_null(pkt);
	assert_int_equal(pkt->port, port->id);
	assert_true(pkt->pkt_len >= 60 && pkt->nb_segs == 1);
	ether = rte_pktmbuf_mtod(pkt, const struct rte_ether_hdr *);
	assert_true(rte_is_broadcast_ether_addr(&ether->dst_addr));
	assert_memory_equal(&ether->src_addr, arrived, RTE_ETHER_ADDR_LEN);
	assert_int_equal(ether->ether_type, rte_cpu_to_be_16(RTE_ETHER_TYPE_RARP));
	arp = (const struct rte_arp_hdr *)(ether + 1);
	assert_int_equal(arp->arp_opcode, rte_cpu_to_be_16(RTE_ARP_OP_REVREQUEST));
	assert_memory_equal(&arp->arp_data.arp_sha, arrived, RTE_ETHER_ADDR_LEN);
	rte_pktmbuf_free(pkt);
}

/* A guest that arrives is announced, once, ahead of what it sends itself. */
static void
announces_the_guest(void **state)
{
	struct pair *pair = pair_create(0, MODERN, 1, 0);
	struct frontend *frontend = &pair->frontend;
	unsigned int round;

	(void)state;
	for (round = 0; round < 3; round++) {
		struct rte_mbuf *pkt;

		assert_int_equal(frontend_ask(frontend, REQ_SEND_RARP, arrived, sizeof(arrived),
						 NULL, 0),
				ANSWER_OK);
		assert_int_equal(rte_eth_rx_burst(pair->port.id, 0, &pkt, 0), 0);
		assert_announced(&pair->port);
		assert_true(pair_exchange(pair, round));
	}
	/* Not the next guest's business. */
	assert_int_equal(frontend_ask(frontend, REQ_SEND_RARP, arrived, sizeof(arrived), NULL, 0),
			ANSWER_OK);
	frontend_disconnect(frontend);
	assert_true(port_wait_link(&pair->port, false));
	assert_true(frontend_connect(frontend, pair->port.path));
	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_true(pair_exchange(pair, round));
	/* Asked for before its device is started, as by a QEMU whose guest waits for `cont`. */
	frontend_disconnect(frontend);
	assert_true(port_wait_link(&pair->port, false));
	assert_true(frontend_connect(frontend, pair->port.path));
	for (round = 0; round < 3; round++)
		assert_true(frontend_send(frontend, REQ_SEND_RARP, false, arrived, sizeof(arrived),
				NULL, 0));
	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_announced(&pair->port);
	assert_true(pair_exchange(pair, round));
	/* Nor once more when the virtqueue opens again. */
	assert_int_equal(frontend_enable(frontend, 1, false), ANSWER_OK);
	assert_int_equal(frontend_enable(frontend, 1, true), ANSWER_OK);
	assert_true(pair_exchange(pair, round));
	pair_destroy(pair);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest split[] = {
		cmocka_unit_test(call_changes_while_packets_flow),
		cmocka_unit_test(memory_changes_while_packets_flow),
		cmocka_unit_test(logs_swap_while_packets_flow),
		cmocka_unit_test(log_is_left_alone_after_cancel),
		cmocka_unit_test(announces_the_guest),
	};
	const struct CMUnitTest packed[] = {
		cmocka_unit_test(call_changes_while_packets_flow),
		cmocka_unit_test(memory_changes_while_packets_flow),
		cmocka_unit_test(logs_swap_while_packets_flow),
		cmocka_unit_test(log_is_left_alone_after_cancel),
	};
	const struct program program = {
		.name = "port_messages",
		.split = PROGRAM_TESTS(split),
		.packed = PROGRAM_TESTS(packed),
	};

	return program_run(&program, argc, argv);
}
