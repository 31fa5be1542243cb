/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A port with iommu-support=1: librte_vhost's own datapath serves it, and it is an
 * ethdev like the others.
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_log.h>
#include <rte_vhost.h>

#include <cmocka.h>

#include "dirtylog_eth.h"
#include "rig/frame.h"
#include "rig/pair.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)
#define IOMMU (UINT64_C(1) << VIRTIO_F_ACCESS_PLATFORM)
#define CSUM (UINT64_C(1) << VIRTIO_NET_F_CSUM)
#define GUEST_CSUM (UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM)
#define ARGS ",iommu-support=1"

enum { REQ_SET_BACKEND_REQ_FD = 21, REQ_IOTLB_MSG = 22, BACKEND_IOTLB_MSG = 1 };

static struct frontend frontend;
static struct port_rig port;

static uint64_t
with_ring(uint64_t features)
{
	return rig_packed ? features | FRONTEND_F_PACKED : features;
}

static void
start(uint64_t features, const char *more)
{
	char args[64];

	snprintf(args, sizeof(args), ARGS "%s", more);
	connect_port(&port, &frontend, with_ring(features), 1, args);
}

static void
end(void)
{
	disconnect_port(&port, &frontend);
}

/* ---- what a front-end is told ---- */

static void
ask(const char *path, uint64_t answers[2])
{
	static const uint32_t get[] = { REQ_GET_FEATURES, REQ_GET_PROTOCOL_FEATURES };
	unsigned int i;

	frontend_create(&frontend, 0, 256, 2, 0);
	assert_true(frontend_connect(&frontend, path));
	for (i = 0; i < RTE_DIM(get); i++) {
		assert_true(frontend_send(&frontend, get[i], false, NULL, 0, NULL, 0));
		assert_int_equal(frontend_reply(&frontend, get[i], &answers[i], sizeof(uint64_t)),
				sizeof(uint64_t));
	}
	frontend_destroy(&frontend);
}

/* What librte_vhost offers by itself, to the bit. */
static void
offers_what_librte_vhost_offers(void **state)
{
	static const struct rte_vhost_device_ops nothing;
	uint64_t answers[2], stock[2];
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/stock", port_rig_folder());
	assert_int_equal(rte_vhost_driver_register(path,
					 RTE_VHOST_USER_IOMMU_SUPPORT |
							 RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS),
			0);
	assert_int_equal(rte_vhost_driver_callback_register(path, &nothing), 0);
	assert_int_equal(rte_vhost_driver_start(path), 0);
	ask(path, stock);
	assert_int_equal(rte_vhost_driver_unregister(path), 0);

	port_create(&port, 0, 1, ARGS ",tso=1");
	ask(port.path, answers);
	port_destroy(&port);
	assert_memory_equal(answers, stock, sizeof(answers));
	assert_int_equal(answers[0] & IOMMU, IOMMU);

	/* As net_vhost: long packets are to be asked for. */
	port_create(&port, 0, 1, ARGS);
	ask(port.path, answers);
	port_destroy(&port);
	assert_int_equal(answers[0] & (UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4), 0);
}

/* One line says so, and an xstat tells which ports are so. */
static void
tells_its_datapath(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	(void)state;
	rte_openlog_stream(stream);
	port_create(&port, 0, 1, ARGS);
	rte_openlog_stream(stderr);
	fclose(stream);
	if (strstr(text, "librte_vhost's own datapath") == NULL || strstr(text, "vIOMMU") == NULL)
		fail_msg("said is: %s", text);
	free(text);
	port_xstat_is(port.id, "datapath_librte_vhost", 1);
	port_destroy(&port);
	port_create(&port, 0, 1, ",iommu-support=0");
	port_xstat_is(port.id, "datapath_librte_vhost", 0);
	port_destroy(&port);
}

/* ---- packets ---- */

static void
passes_packets(void **state)
{
	static const uint64_t features[] = { MODERN, MODERN | FRONTEND_F_EVENT_IDX };
	struct rte_eth_stats stats;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		start(features[i], "");
		assert_true(port_exchange(&port, &frontend, 0, 0, 400));
		assert_int_equal(rte_eth_stats_get(port.id, &stats), 0);
		assert_int_equal(stats.ipackets, 400);
		assert_int_equal(stats.opackets, 400);
		port_xstat_is(port.id, "rx_q0_good_bytes", stats.ibytes);
		port_xstat_is(port.id, "tx_q0_good_packets", 400);
		port_xstat_is(port.id, "rx_q0_good_packets", 400);
		assert_true(port_xstat(port.id, "tx_q0_guest_notifications") > 0);
		assert_true(port_xstat(port.id, "tx_q0_size_1024_1518_packets") > 0);
		assert_int_equal(rte_eth_stats_reset(port.id), 0);
		port_xstat_is(port.id, "tx_q0_good_packets", 0);
		end();
	}
}

/* Tell the back-end of a translation, or take it back. */
static void
translate(uint64_t gpa, uint64_t len, uint8_t type)
{
	const struct vhost_iotlb_msg message = { .iova = gpa,
		.size = len,
		.uaddr = FRONTEND_USER(gpa),
		.perm = VHOST_ACCESS_RW,
		.type = type };

	assert_int_equal(frontend_ask(&frontend, REQ_IOTLB_MSG, &message, sizeof(message), NULL, 0),
			ANSWER_OK);
}

/* Where the guest's device has its addresses: as the guest's memory, but translated. */
static void
set_ring_up(unsigned int index)
{
	struct vhost_vring_addr addr;
	const struct ring_writer *ring = &frontend.rings[index];

	assert_int_equal(frontend_set_num(&frontend, index, frontend.ring_size), ANSWER_OK);
	assert_int_equal(frontend_set_base(&frontend, index, ring->next_used), ANSWER_OK);
	frontend_fill_addr(&frontend, index, &addr);
	addr.desc_user_addr = ring->desc;
	addr.avail_user_addr = ring->avail;
	addr.used_user_addr = ring->used;
	assert_int_equal(frontend_ask(&frontend, REQ_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
			ANSWER_OK);
	assert_int_equal(frontend_set_call(&frontend, index, frontend.call[index]), ANSWER_OK);
	assert_int_equal(frontend_set_kick(&frontend, index, frontend.kick[index]), ANSWER_OK);
	assert_int_equal(frontend_enable(&frontend, index, true), ANSWER_OK);
}

/* The IOVA that the back-end misses; it is asked for once or more. */
static uint64_t
read_miss(int sock)
{
	struct {
		uint32_t request, flags, len;
		struct vhost_iotlb_msg iotlb;
	} __attribute__((packed)) message;

	assert_int_equal(recv(sock, &message, sizeof(message), MSG_WAITALL), sizeof(message));
	assert_int_equal(message.request, BACKEND_IOTLB_MSG);
	assert_int_equal(message.iotlb.type, VHOST_IOTLB_MISS);
	return message.iotlb.iova;
}

/* A guest behind a vIOMMU: the back-end asks for what it does not know, and then goes on. */
static void
passes_packets_of_a_viommu(void **state)
{
	const uint64_t fd = 0;
	struct rte_mbuf *pkt;
	int socks[2];
	uint64_t gpa;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), 0);
	port_create(&port, 0, 1, ARGS);
	frontend_create(&frontend, with_ring(MODERN | IOMMU), 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_hello(&frontend), ANSWER_OK);
	assert_int_equal(frontend.offered & IOMMU, IOMMU);
	assert_int_equal(frontend_ask(&frontend, REQ_SET_BACKEND_REQ_FD, &fd, sizeof(fd), &socks[1],
					 1),
			ANSWER_OK);
	assert_int_equal(frontend_set_memory(&frontend), ANSWER_OK);
	set_ring_up(0);
	set_ring_up(1);
	/* Of the rings, and then of a buffer, the addresses are not known. */
	assert_true(read_miss(socks[0]) >= FRONTEND_HIGH);
	assert_true(port_wait_link(&port, false));
	translate(FRONTEND_HIGH, FRONTEND_HIGH_LEN, VHOST_IOTLB_UPDATE);
	assert_true(port_wait_link(&port, true));
	port_offer_packet(&frontend, 0, 7);
	assert_int_equal(rte_eth_rx_burst(port.id, 0, &pkt, 1), 0);
	/* There may be more that were asked for the rings. */
	do
		gpa = read_miss(socks[0]);
	while (gpa >= FRONTEND_HIGH);
	assert_true(gpa - FRONTEND_LOW < FRONTEND_LOW_LEN);
	translate(FRONTEND_LOW, FRONTEND_LOW_LEN, VHOST_IOTLB_UPDATE);
	/* Of a packed ring librte_vhost drops the packet. */
	if (!rig_packed) {
		assert_int_equal(rte_eth_rx_burst(port.id, 0, &pkt, 1), 1);
		assert_true(port_packet_is(pkt, 7));
		rte_pktmbuf_free(pkt);
	}
	assert_true(ring_take_used(&frontend.rings[1], &(struct vring_used_elem){ 0 }));
	assert_true(port_exchange(&port, &frontend, 0, 0, 400));

	/* The guest takes its buffers away: nothing is written there any more. */
	translate(FRONTEND_LOW, FRONTEND_LOW_LEN, VHOST_IOTLB_INVALIDATE);
	assert_false(port_is_open(&port, &frontend, 0));
	translate(FRONTEND_LOW, FRONTEND_LOW_LEN, VHOST_IOTLB_UPDATE);
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	end();
	close(socks[0]);
	close(socks[1]);
}

/* In a migration librte_vhost marks what it writes. */
static void
logs_as_librte_vhost_does(void **state)
{
	struct frontend_log log;
	uint64_t payload[2] = { frontend_log_len(), 0 };
	unsigned int i;

	(void)state;
	start(MODERN, "");
	port_xstat_is(port.id, "log_on", 0);
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	/* Its reply is empty. */
	assert_true(frontend_send(&frontend, REQ_SET_LOG_BASE, false, payload, sizeof(payload),
			&log.fd, 1));
	assert_int_equal(frontend_reply(&frontend, REQ_SET_LOG_BASE, payload, sizeof(payload)), 0);
	frontend.features |= FRONTEND_F_LOG_ALL;
	assert_int_equal(frontend_set_features(&frontend, frontend.features), ANSWER_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_set_addr(&frontend, i), ANSWER_OK);
	assert_true(port_to_guest(&port, &frontend, 0, 0, 20));
	port_xstat_is(port.id, "log_on", 1);
	/* Buffers of 2 KiB: the first one's page. */
	assert_true(frontend_log_test(&log, FRONTEND_LOW / RAM_PAGE));
	assert_true(frontend_log_count(&log) >= 10);
	end();
	frontend_log_destroy(&log);
}

/* ---- offloads ---- */

static const struct frame_kind tcp;

/* The guest sends a frame with a partial checksum. */
static void
offer_partial(struct frame *frame)
{
	const uint64_t gpa = FRONTEND_LOW + frontend_room(&frontend) * 2;
	struct virtio_net_hdr_mrg_rxbuf header = {
		.hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM }
	};
	struct guest_buffer buffer = { .gpa = gpa };
	uint16_t head;

	frame_make_partial(frame);
	header.hdr.csum_start = (uint16_t)(frame->l2_len + frame->l3_len);
	header.hdr.csum_offset = (uint16_t)(frame_checksum_at(frame) - header.hdr.csum_start);
	ram_write(&frontend.ram, gpa, &header, sizeof(header));
	ram_write(&frontend.ram, gpa + sizeof(header), frame->bytes, frame->len);
	buffer.len = (uint32_t)sizeof(header) + frame->len;
	head = ring_describe(&frontend.rings[1], &buffer, 1, false, FORM_DIRECT, 0);
	ring_add(&frontend.rings[1], head);
	ring_publish(&frontend.rings[1]);
}

/* An application that wants no partial checksums gets none, and no tag if it wants none. */
static void
completes_what_guests_send(void **state)
{
	static struct frame frame;
	const struct rte_eth_conf conf = { .rxmode.offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP };
	struct frame_kind tagged = { .tagged = true };
	struct rte_mbuf *pkt;
	unsigned int i;

	(void)state;
	start(MODERN | CSUM, "");
	for (i = 0; i < 2; i++) {
		frame_make(&frame, i == 0 ? tcp : tagged, 5, 900);
		offer_partial(&frame);
		assert_int_equal(rte_eth_rx_burst(port.id, 0, &pkt, 1), 1);
		assert_int_equal(pkt->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK,
				RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		assert_int_equal(pkt->pkt_len, frame.len - (i == 1 ? 4 : 0));
		assert_true(frame_is_sound(rte_pktmbuf_mtod(pkt, const uint8_t *), pkt->pkt_len));
		assert_int_equal((pkt->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0, i == 1);
		rte_pktmbuf_free(pkt);
		assert_true(ring_take_used(&frontend.rings[1], &(struct vring_used_elem){ 0 }));
		if (i == 1)
			break;
		assert_int_equal(rte_eth_dev_stop(port.id), 0);
		assert_int_equal(rte_eth_dev_configure(port.id, 1, 1, &conf), 0);
		assert_int_equal(rte_eth_rx_queue_setup(port.id, 0, 256, 0, NULL, port.pool), 0);
		assert_int_equal(rte_eth_tx_queue_setup(port.id, 0, 256, 0, NULL), 0);
		assert_int_equal(rte_eth_dev_start(port.id), 0);
	}
	end();
}

/* A guest that takes no partial checksums gets none, and gets the tag that was asked for. */
static void
completes_what_guests_get(void **state)
{
	static struct frame frame;
	static uint8_t bytes[2048];
	struct rte_mbuf *pkt;

	(void)state;
	start(MODERN, "");
	frame_make(&frame, tcp, 5, 900);
	frame_make_partial(&frame);
	pkt = rte_pktmbuf_alloc(port.pool);
	memcpy(rte_pktmbuf_append(pkt, (uint16_t)frame.len), frame.bytes, frame.len);
	pkt->l2_len = frame.l2_len & 0x7f;
	pkt->l3_len = frame.l3_len & 0x1ff;
	pkt->vlan_tci = FRAME_VLAN;
	pkt->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_VLAN;
	assert_true(port_send(&port, &frontend, 0, pkt));
	ram_read(&frontend.ram, FRONTEND_LOW + 20 + 12, bytes, frame.len + 4);
	assert_int_equal(bytes[12] << 8 | bytes[13], RTE_ETHER_TYPE_VLAN);
	assert_true(frame_is_sound(bytes, frame.len + 4));
	end();
}

/* ---- the ethdev's life ---- */

static void
comes_and_goes(void **state)
{
	struct dirtylog_eth_queue_event event;
	unsigned int i, enabled = 0;

	(void)state;
	start(MODERN, "");
	assert_true(dirtylog_eth_get_vid(port.id) >= 0);
	while (dirtylog_eth_get_queue_event(port.id, &event) == 0)
		enabled += event.enable;
	assert_int_equal(enabled, 2);
	for (i = 0; i < 3; i++) {
		assert_true(port_exchange(&port, &frontend, 0, 0, 40));
		assert_int_equal(rte_eth_dev_stop(port.id), 0);
		port_poll_idle(&port, 3);
		if (i == 1)
			port_configure(&port);
		assert_int_equal(rte_eth_dev_start(port.id), 0);
		assert_true(port_exchange(&port, &frontend, 0, 0, 40));
		frontend_destroy(&frontend);
		assert_true(port_wait_link(&port, false));
		frontend_create(&frontend, with_ring(MODERN), 256, 2, 0);
		assert_true(frontend_connect(&frontend, port.path));
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_true(port_wait_link(&port, true));
	}
	/* Both are told as gone. The counters are of the queues that were set up last. */
	frontend_destroy(&frontend);
	assert_true(port_wait_link(&port, false));
	for (i = 0; i < 5000 && dirtylog_eth_get_vid(port.id) >= 0; i++)
		usleep(1000);
	for (enabled = 0; dirtylog_eth_get_queue_event(port.id, &event) == 0; enabled++)
		assert_false(event.enable);
	assert_int_equal(enabled, 2);
	port_xstat_is(port.id, "tx_q0_good_packets", 120);
	port_destroy(&port);
}

static void
has_the_front_ends_mtu(void **state)
{
	const uint64_t wanted = 9000;
	unsigned int i;
	uint16_t mtu;

	(void)state;
	port_create(&port, 0, 1, ARGS);
	frontend_create(&frontend, with_ring(MODERN | FRONTEND_F_MTU), 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_int_equal(frontend_hello(&frontend), ANSWER_OK);
	assert_int_equal(frontend_ask(&frontend, REQ_NET_SET_MTU, &wanted, sizeof(wanted), NULL, 0),
			ANSWER_OK);
	assert_int_equal(frontend_set_memory(&frontend), ANSWER_OK);
	for (i = 0; i < 2; i++)
		assert_int_equal(frontend_start_ring(&frontend, i), ANSWER_OK);
	assert_true(port_wait_link(&port, true));
	assert_int_equal(rte_eth_dev_get_mtu(port.id, &mtu), 0);
	assert_int_equal(mtu, 9000);
	end();
}

/* A sleeper is woken by the guest's kick, before and after the guest has come again. */
static void
wakes_who_sleeps(void **state)
{
	struct rte_epoll_event event;
	unsigned int i;

	(void)state;
	port_create_sleepy(&port, 0, 1, ARGS);
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q(port.id, 0, RTE_EPOLL_PER_THREAD,
					 RTE_INTR_EVENT_ADD, NULL),
			0);
	for (i = 0; i < 2; i++) {
		uint16_t before;

		frontend_create(&frontend, with_ring(MODERN), 256, 2, 0);
		assert_true(frontend_connect(&frontend, port.path));
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_true(port_wait_link(&port, true));
		assert_int_equal(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 5000), 1);
		assert_true(port_exchange(&port, &frontend, 0, 0, 40));
		assert_int_equal(rte_eth_dev_rx_intr_enable(port.id, 0), 0);
		rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 0);
		before = frontend.rings[1].next_avail;
		port_offer_packet(&frontend, 0, 1);
		assert_true(ring_wants_kick(&frontend.rings[1], before, false));
		assert_int_equal(write(frontend.kick[1], &(uint64_t){ 1 }, 8), 8);
		assert_int_equal(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 5000), 1);
		assert_int_equal(rte_eth_dev_rx_intr_disable(port.id, 0), 0);
		frontend_destroy(&frontend);
		assert_true(port_wait_link(&port, false));
	}
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q(port.id, 0, RTE_EPOLL_PER_THREAD,
					 RTE_INTR_EVENT_DEL, NULL),
			0);
	port_destroy(&port);
}

/* ---- messages, bursts and the application's control at once ---- */

static bool stop;

/* It sends to a guest without buffers: only such a burst waits within librte_vhost. */
static void *
poll_port(void *arg)
{
	struct rte_mbuf *pkt = rte_pktmbuf_alloc(port.pool), *received;

	rte_pktmbuf_append(pkt, 60);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		rte_eth_tx_burst(port.id, 0, &pkt, 1);
		rte_pktmbuf_free_bulk(&received, rte_eth_rx_burst(port.id, 0, &received, 1));
	}
	rte_pktmbuf_free(pkt);
	return arg;
}

static void *
reconfigure(void *arg)
{
	int strip = 0;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		strip ^= RTE_ETH_VLAN_STRIP_OFFLOAD;
		rte_eth_dev_set_vlan_offload(port.id, strip);
	}
	return arg;
}

/* librte_vhost's messages wait for bursts, and bursts for them; control waits for either. */
static void
nobody_waits_for_ever(void **state)
{
	pthread_t threads[2];
	unsigned int i;

	(void)state;
	start(MODERN, "");
	stop = false;
	assert_int_equal(pthread_create(&threads[0], NULL, poll_port, NULL), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, reconfigure, NULL), 0);
	for (i = 0; i < 2000; i++) {
		assert_int_equal(frontend_enable(&frontend, i % 4 / 2, i % 2 != 0), ANSWER_OK);
		if (i % 100 == 0)
			assert_int_equal(frontend_set_memory(&frontend), ANSWER_OK);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	end();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_packets),
		cmocka_unit_test(passes_packets_of_a_viommu),
		cmocka_unit_test(logs_as_librte_vhost_does),
		cmocka_unit_test(comes_and_goes),
		cmocka_unit_test(wakes_who_sleeps),
		cmocka_unit_test(nobody_waits_for_ever),
		cmocka_unit_test(completes_what_guests_send),
		cmocka_unit_test(completes_what_guests_get),
		cmocka_unit_test(has_the_front_ends_mtu),
		cmocka_unit_test(offers_what_librte_vhost_offers),
		cmocka_unit_test(tells_its_datapath),
	};
	const struct program program = {
		.name = "iommu",
		.split = PROGRAM_TESTS(tests),
		/* The others have no rings, or it does not matter which. */
		.packed = { tests, 6 },
	};

	return program_run(&program, argc, argv);
}
