/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/port_rig.h"

#define TIME_LIMIT_S 5
#define NB_MBUFS 1024

static char folder[32];

const char *
port_rig_folder(void)
{
	if (folder[0] == '\0') {
		strcpy(folder, "/tmp/dirtylog-XXXXXX");
		assert_non_null(mkdtemp(folder));
	}
	return folder;
}

void
port_rig_remove_folder(void)
{
	if (folder[0] != '\0')
		rmdir(folder);
}

const char *
port_rig_vdev(void)
{
	const char *named = getenv("DIRTYLOG_TEST_VDEV");

	return named != NULL ? named : "net_dirtylog";
}

bool
port_rig_is_ours(void)
{
	return strcmp(port_rig_vdev(), "net_dirtylog") == 0;
}

void
port_configure(struct port_rig *port)
{
	const struct rte_eth_conf conf = { .rxmode = { .mq_mode = RTE_ETH_MQ_RX_NONE },
		.intr_conf = { .rxq = port->rx_interrupts } };
	uint16_t i;

	assert_int_equal(rte_eth_dev_configure(port->id, port->nb_queues, port->nb_queues, &conf),
			0);
	for (i = 0; i < port->nb_queues; i++) {
		assert_int_equal(rte_eth_rx_queue_setup(port->id, i, 256, 0, NULL, port->pool), 0);
		assert_int_equal(rte_eth_tx_queue_setup(port->id, i, 256, 0, NULL), 0);
	}
}

static void
create(struct port_rig *port, unsigned int number, uint16_t nb_queues, const char *more)
{
	static unsigned int count;
	char args[256];

	snprintf(port->name, sizeof(port->name), "%s%u", port_rig_vdev(), number);
	snprintf(port->path, sizeof(port->path), "%s/%u", port_rig_folder(), number);
	snprintf(args, sizeof(args), "iface=%s,queues=%u%s", port->path, nb_queues, more);
	port->nb_queues = nb_queues;
	assert_int_equal(rte_vdev_init(port->name, args), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(port->name, &port->id), 0);
	snprintf(args, sizeof(args), "port_pool%u", count++);
	port->pool = rte_pktmbuf_pool_create(args, NB_MBUFS, 0, 0, RTE_PKTMBUF_HEADROOM + 2048,
			SOCKET_ID_ANY);
	assert_non_null(port->pool);
	port_configure(port);
	assert_int_equal(rte_eth_dev_start(port->id), 0);
}

void
port_create(struct port_rig *port, unsigned int number, uint16_t nb_queues, const char *more)
{
	port->rx_interrupts = false;
	create(port, number, nb_queues, more);
}

void
port_create_sleepy(struct port_rig *port, unsigned int number, uint16_t nb_queues, const char *more)
{
	port->rx_interrupts = true;
	create(port, number, nb_queues, more);
}

void
port_destroy(struct port_rig *port)
{
	assert_int_equal(rte_vdev_uninit(port->name), 0);
	assert_int_equal(rte_mempool_in_use_count(port->pool), 0);
	rte_mempool_free(port->pool);
}

static uint64_t
deadline(void)
{
	return rte_rdtsc() + TIME_LIMIT_S * rte_get_tsc_hz();
}

bool
port_wait_link(const struct port_rig *port, bool up)
{
	uint64_t end = deadline();
	struct rte_eth_link link;

	do {
		assert_int_equal(rte_eth_link_get_nowait(port->id, &link), 0);
		if (link.link_status == up)
			return true;
		usleep(1000);
	} while (rte_rdtsc() < end);
	return false;
}

/* Header of the negotiated features. */
static uint32_t
header_len(const struct frontend *frontend)
{
	return frontend->features & (FRONTEND_F_MRG | FRONTEND_F_V1) ? 12 : 10;
}

/* Different lengths, all of which fit one buffer. */
static uint32_t
len_of(uint32_t number)
{
	return 60 + number * 37 % 1400;
}

/* Buffers of 2 KiB: one per descriptor of each ring. */
static uint64_t
buffer_gpa(const struct frontend *frontend, unsigned int ring, uint16_t position)
{
	return FRONTEND_LOW + ring * frontend_room(frontend) +
			ring_slot(&frontend->rings[ring], position) * UINT64_C(2048) + 20;
}

static uint16_t
offer(struct frontend *frontend, unsigned int ring, uint32_t len)
{
	struct ring_writer *writer = &frontend->rings[ring];
	struct guest_buffer buffer = { .gpa = buffer_gpa(frontend, ring, writer->next_avail),
		.len = len };
	uint16_t head = ring_describe(writer, &buffer, 1, ring % 2 == 0, FORM_DIRECT, 0);

	assert_true(frontend->ring_size * 2048U <= frontend_room(frontend));
	ring_add(writer, head);
	ring_publish(writer);
	return head;
}

bool
port_to_guest(struct port_rig *port, struct frontend *frontend, unsigned int pair, uint32_t number,
		unsigned int n)
{
	struct ring_writer *ring = &frontend->rings[2 * pair];
	uint8_t bytes[2048], header[12] = { 0 };
	uint64_t end = deadline();
	unsigned int i;

	if (header_len(frontend) == 12)
		header[10] = 1;
	for (i = 0; i < n; i++, number++) {
		uint64_t gpa = buffer_gpa(frontend, 2 * pair, ring->next_avail);
		uint16_t head = offer(frontend, 2 * pair, 1600);
		struct rte_mbuf *pkt = packet_mbuf(port->pool, number, len_of(number), 0, false);
		struct vring_used_elem used;

		assert_non_null(pkt);
		while (rte_eth_tx_burst(port->id, (uint16_t)pair, &pkt, 1) == 0) {
			if (rte_rdtsc() > end) {
				rte_pktmbuf_free(pkt);
				return false;
			}
		}
		assert_true(ring_take_used(ring, &used));
		assert_int_equal(used.id, head);
		assert_int_equal(used.len, len_of(number) + header_len(frontend));
		ram_read(&frontend->ram, gpa, bytes, used.len);
		assert_memory_equal(bytes, header, header_len(frontend));
		assert_memory_equal(bytes + header_len(frontend),
				packet_bytes(number, len_of(number)), len_of(number));
	}
	return true;
}

static uint16_t
offer_packet(struct frontend *frontend, unsigned int pair, uint32_t number)
{
	static const uint8_t header[12];
	uint64_t gpa = buffer_gpa(frontend, 2 * pair + 1, frontend->rings[2 * pair + 1].next_avail);
	uint32_t len = len_of(number);

	ram_write(&frontend->ram, gpa, header, header_len(frontend));
	ram_write(&frontend->ram, gpa + header_len(frontend), packet_bytes(number, len), len);
	return offer(frontend, 2 * pair + 1, header_len(frontend) + len);
}

void
port_offer_packet(struct frontend *frontend, unsigned int pair, uint32_t number)
{
	offer_packet(frontend, pair, number);
}

bool
port_packet_is(const struct rte_mbuf *pkt, uint32_t number)
{
	return packet_is(pkt, number, len_of(number));
}

bool
port_from_guest(struct port_rig *port, struct frontend *frontend, unsigned int pair,
		uint32_t number, unsigned int n)
{
	struct ring_writer *ring = &frontend->rings[2 * pair + 1];
	uint64_t end = deadline();
	unsigned int i;

	for (i = 0; i < n; i++, number++) {
		struct vring_used_elem used;
		struct rte_mbuf *pkt;
		uint16_t head = offer_packet(frontend, pair, number);

		while (rte_eth_rx_burst(port->id, (uint16_t)pair, &pkt, 1) == 0)
			if (rte_rdtsc() > end)
				return false;
		assert_true(port_packet_is(pkt, number));
		assert_int_equal(pkt->port, port->id);
		rte_pktmbuf_free(pkt);
		assert_true(ring_take_used(ring, &used));
		assert_int_equal(used.id, head);
	}
	return true;
}

bool
port_exchange(struct port_rig *port, struct frontend *frontend, unsigned int pair, uint32_t number,
		unsigned int n)
{
	return port_to_guest(port, frontend, pair, number, n) &&
			port_from_guest(port, frontend, pair, number + n, n);
}

void
port_offer_room(struct frontend *frontend, unsigned int pair)
{
	offer(frontend, 2 * pair, 1600);
}

bool
port_send(struct port_rig *port, struct frontend *frontend, unsigned int pair, struct rte_mbuf *pkt)
{
	struct vring_used_elem used;
	uint64_t end = deadline();

	port_offer_room(frontend, pair);
	while (rte_eth_tx_burst(port->id, (uint16_t)pair, &pkt, 1) == 0) {
		if (rte_rdtsc() > end) {
			rte_pktmbuf_free(pkt);
			return false;
		}
	}
	assert_true(ring_take_used(&frontend->rings[2 * pair], &used));
	return true;
}

void
port_poll_idle(struct port_rig *port, unsigned int n)
{
	struct rte_mbuf *pkts[32];
	uint16_t i;

	while (n-- != 0) {
		for (i = 0; i < port->nb_queues; i++) {
			assert_int_equal(rte_eth_rx_burst(port->id, i, pkts, 32), 0);
			assert_int_equal(rte_eth_tx_burst(port->id, i, pkts, 0), 0);
		}
	}
}

bool
port_is_open(struct port_rig *port, struct frontend *frontend, unsigned int pair)
{
	struct ring_writer *ring = &frontend->rings[2 * pair];
	struct rte_mbuf *pkt = packet_mbuf(port->pool, 1, 60, 0, false);
	struct vring_used_elem used;
	uint16_t before = ring->next_avail, went;

	assert_non_null(pkt);
	offer(frontend, 2 * pair, 1600);
	went = rte_eth_tx_burst(port->id, (uint16_t)pair, &pkt, 1);
	if (went == 0) {
		rte_pktmbuf_free(pkt);
		/* Nobody looked: the guest may take its buffer back. */
		ring_take_back(ring, before);
		return false;
	}
	assert_true(ring_take_used(ring, &used));
	return true;
}

uint64_t
port_xstat(uint16_t port, const char *name)
{
	uint64_t id, value;

	if (rte_eth_xstats_get_id_by_name(port, name, &id) != 0)
		fail_msg("there is no xstat %s", name);
	assert_int_equal(rte_eth_xstats_get_by_id(port, &id, &value, 1), 1);
	return value;
}

void
port_xstat_is(uint16_t port, const char *name, uint64_t wanted)
{
	uint64_t value = port_xstat(port, name);

	if (value != wanted)
		fail_msg("%s is %" PRIu64 ", not %" PRIu64, name, value, wanted);
}
