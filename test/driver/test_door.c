/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * librte_vhost's API on this datapath: an application that has the door's functions
 * in place of librte_vhost's, and front-ends on its sockets.
 *
 * The rig passes packets through an ethdev: one is made up here of the two burst
 * functions.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_vhost.h>

#include <cmocka.h>

#include "api.h"
#include "device.h"
#include "rig/frontend.h"
#include "rig/packet.h"
#include "rig/port_rig.h"
#include "rig/program.h"

#define MODERN (FRONTEND_F_V1 | FRONTEND_F_MRG)
#define PORT 0 /* the one that is made up */
#define WAIT_SECONDS 5
#define VRINGS 4

static struct vhost_api stock;
static const struct vhost_api *api;

/* What librte_vhost told the application. */
static struct {
	int vid;
	unsigned int connections, devices, ends, enabled, pre, post;
} seen;

/* ---- the application ---- */

static int
new_connection(int vid)
{
	seen.vid = vid;
	__atomic_add_fetch(&seen.connections, 1, __ATOMIC_RELEASE);
	return 0;
}

static int
new_device(int vid)
{
	seen.vid = vid;
	__atomic_add_fetch(&seen.devices, 1, __ATOMIC_RELEASE);
	return 0;
}

static void
destroy_device(int vid)
{
	(void)vid;
	__atomic_add_fetch(&seen.ends, 1, __ATOMIC_RELEASE);
}

static int
vring_state_changed(int vid, uint16_t vring, int enable)
{
	(void)vid;
	(void)vring;
	__atomic_add_fetch(&seen.enabled, enable != 0, __ATOMIC_RELEASE);
	return 0;
}

static const struct rte_vhost_device_ops ops = {
	.new_connection = new_connection,
	.new_device = new_device,
	.destroy_device = destroy_device,
	.vring_state_changed = vring_state_changed,
};

static bool
reaches(const unsigned int *counter, unsigned int wanted)
{
	unsigned int i;

	for (i = 0; i < WAIT_SECONDS * 1000; i++) {
		if (__atomic_load_n(counter, __ATOMIC_ACQUIRE) >= wanted)
			return true;
		usleep(1000);
	}
	return false;
}

static struct rte_mempool *pool;

static uint16_t
receive(void *vring, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = api->dequeue_burst(seen.vid, (uint16_t)(uintptr_t)vring, pool, pkts, n), i;

	for (i = 0; i < got; i++) {
		assert_int_equal(pkts[i]->port, RTE_MBUF_PORT_INVALID);
		pkts[i]->port = PORT;
	}
	return got;
}

static uint16_t
transmit(void *vring, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t went = api->enqueue_burst(seen.vid, (uint16_t)(uintptr_t)vring, pkts, n);

	/* They stay the application's. */
	rte_pktmbuf_free_bulk(pkts, went);
	return went;
}

/* Its queues are numbers of virtqueues. */
static void
make_port(void)
{
	static void *rx[] = { (void *)1, (void *)3 }, *tx[] = { (void *)0, (void *)2 };
	static void *nobody[2];
	struct rte_eth_fp_ops *port = &rte_eth_fp_ops[PORT];

	port->rx_pkt_burst = receive;
	port->tx_pkt_burst = transmit;
	port->rxq.data = rx;
	port->rxq.clbk = nobody;
	port->txq.data = tx;
	port->txq.clbk = nobody;
}

static struct port_rig port = { .id = PORT, .nb_queues = 1 };

static void
open_socket(uint64_t flags)
{
	snprintf(port.path, sizeof(port.path), "%s/door", port_rig_folder());
	port.pool = pool;
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(api->driver_register(port.path, flags), 0);
	assert_int_equal(api->driver_callback_register(port.path, &ops), 0);
	assert_int_equal(api->driver_start(port.path), 0);
}

static void
close_socket(void)
{
	assert_int_equal(api->driver_unregister(port.path), 0);
}

static void
connect_guest(struct frontend *frontend, uint64_t features, uint16_t start)
{
	unsigned int devices = seen.devices;

	if (rig_packed)
		features |= FRONTEND_F_V1 | FRONTEND_F_PACKED;
	frontend_create(frontend, features, rig_packed ? 250 : 256, 2, start);
	assert_true(frontend_connect(frontend, port.path));
	assert_int_equal(frontend_start(frontend), ANSWER_OK);
	assert_true(reaches(&seen.devices, devices + 1));
}

static void
leave(struct frontend *frontend)
{
	frontend_disconnect(frontend);
	frontend_destroy(frontend);
}

/* ---- tests ---- */

static void
passes_packets(void **state)
{
	static const uint64_t features[] = { FRONTEND_F_V1, MODERN, MODERN | FRONTEND_F_EVENT_IDX,
		MODERN | FRONTEND_F_IN_ORDER };
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		struct frontend frontend;

		open_socket(RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS);
		connect_guest(&frontend, features[i], 65500);
		assert_non_null(door_device_of(seen.vid));
		assert_true(port_exchange(&port, &frontend, 0, 0, 400));
		leave(&frontend);
		close_socket();
	}
}

#define NB_SETS (1U << 5) /* of flags that this datapath knows */

struct offer {
	char path[sizeof(port.path)];
	uint64_t answers[3];
};

static void
offer_open(struct offer *offer, const struct vhost_api *through, unsigned int set, bool door)
{
	static const uint64_t flags[] = { RTE_VHOST_USER_POSTCOPY_SUPPORT,
		RTE_VHOST_USER_EXTBUF_SUPPORT, RTE_VHOST_USER_LINEARBUF_SUPPORT,
		RTE_VHOST_USER_NET_COMPLIANT_OL_FLAGS, RTE_VHOST_USER_NET_STATS_ENABLE };
	uint64_t all = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(flags); i++)
		all |= (set >> i & 1) != 0 ? flags[i] : 0;
	snprintf(offer->path, sizeof(offer->path), "%s/%s%u", port_rig_folder(),
			door ? "door" : "stock", set);
	assert_int_equal(through->driver_register(offer->path, all), 0);
	assert_int_equal(through->driver_callback_register(offer->path, &ops), 0);
	assert_int_equal(through->driver_start(offer->path), 0);
}

/* What a front-end is told; and that it is who it should be that serves it. */
static void
offer_ask(struct offer *offer, bool door)
{
	static const uint32_t get[] = { REQ_GET_FEATURES, REQ_GET_PROTOCOL_FEATURES,
		REQ_GET_QUEUE_NUM };
	struct frontend frontend;
	unsigned int i;

	frontend_create(&frontend, 0, 256, 2, 0);
	assert_true(frontend_connect(&frontend, offer->path));
	for (i = 0; i < RTE_DIM(get); i++) {
		assert_true(frontend_send(&frontend, get[i], false, NULL, 0, NULL, 0));
		assert_int_equal(frontend_reply(&frontend, get[i], &offer->answers[i],
						 sizeof(uint64_t)),
				sizeof(uint64_t));
	}
	assert_int_equal(door_device_of(seen.vid) != NULL, door);
	leave(&frontend);
}

/* All that a front-end sees of it is librte_vhost's, whatever the flags. */
static void
offers_what_stock_offers(void **state)
{
	static struct offer offers[2][NB_SETS];
	unsigned int set, door;

	(void)state;
	/* All at once: librte_vhost looks for a new socket every second. */
	for (set = 0; set < NB_SETS; set++)
		for (door = 0; door < 2; door++)
			offer_open(&offers[door][set], door ? api : &stock, set, door);
	for (set = 0; set < NB_SETS; set++)
		for (door = 0; door < 2; door++)
			offer_ask(&offers[door][set], door);
	for (set = 0; set < NB_SETS; set++) {
		assert_int_equal(stock.driver_unregister(offers[0][set].path), 0);
		assert_int_equal(api->driver_unregister(offers[1][set].path), 0);
		assert_memory_equal(offers[0][set].answers, offers[1][set].answers,
				sizeof(offers[0][set].answers));
		assert_int_not_equal(offers[0][set].answers[0], 0);
	}
}

/* Who makes no burst keeps the rings: librte_vhost's positions are the truth. */
static void
serves_at_the_first_burst(void **state)
{
	uint16_t avail, used;
	struct frontend frontend;

	(void)state;
	open_socket(0);
	connect_guest(&frontend, MODERN, 100);
	assert_true(reaches(&seen.enabled, 2));
	assert_false(door_queue_of(door_device_of(seen.vid), 0)->served);
	assert_int_equal(api->get_vring_base(seen.vid, 0, &avail, &used), 0);
	assert_int_equal(avail & 0x7fff, 100);
	assert_true(port_to_guest(&port, &frontend, 0, 0, 3));
	assert_true(door_queue_of(door_device_of(seen.vid), 0)->served);
	assert_int_equal(api->get_vring_base(seen.vid, 0, &avail, &used), 0);
	assert_int_equal(used & 0x7fff, 103);
	/* And the front-end is told so. */
	assert_int_equal(frontend_stop_ring(&frontend, 0) & 0x7fff, 103);
	leave(&frontend);
	close_socket();
}

/* What this datapath lacks is librte_vhost's, as a whole. */
static void
falls_back(void **state)
{
	static const uint64_t flags[] = { RTE_VHOST_USER_IOMMU_SUPPORT, RTE_VHOST_USER_ASYNC_COPY,
		1ULL << 62 };
	struct frontend frontend;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(flags) + 2; i++) {
		memset(&seen, 0, sizeof(seen));
		snprintf(port.path, sizeof(port.path), "%s/door", port_rig_folder());
		if (i == RTE_DIM(flags) + 1)
			setenv("DIRTYLOG_VHOST", "unless=/nowhere,*/doo?", 1);
		if (api->driver_register(port.path, i < RTE_DIM(flags) ? flags[i] : 0) < 0) {
			/* A flag that librte_vhost does not know either. */
			assert_int_equal(i, 2);
			continue;
		}
		if (i == RTE_DIM(flags)) {
			uint64_t features;

			assert_int_equal(rte_vhost_driver_get_features(port.path, &features), 0);
			assert_int_equal(api->driver_set_features(port.path, features), 0);
		}
		assert_int_equal(api->driver_callback_register(port.path, &ops), 0);
		assert_int_equal(api->driver_start(port.path), 0);
		unsetenv("DIRTYLOG_VHOST");
		frontend_create(&frontend, MODERN, 256, 2, 0);
		assert_true(frontend_connect(&frontend, port.path));
		assert_int_equal(frontend_start(&frontend), ANSWER_OK);
		assert_true(reaches(&seen.devices, 1));
		assert_null(door_device_of(seen.vid));
		/* Asynchronous copies are other bursts; with its own features it makes none. */
		if (i != 1 && i != RTE_DIM(flags))
			assert_true(port_to_guest(&port, &frontend, 0, 0, 20));
		leave(&frontend);
		close_socket();
	}
}

/* The next connection has the vid of one whose end librte_vhost did not tell. */
static void
comes_again(void **state)
{
	unsigned int i;
	int first = 0;

	(void)state;
	for (i = 0; i < 5; i++) {
		struct frontend frontend;

		open_socket(0);
		connect_guest(&frontend, MODERN, 7);
		if (i == 0)
			first = seen.vid;
		assert_int_equal(seen.vid, first);
		assert_true(port_exchange(&port, &frontend, 0, 0, 20));
		close_socket();
		assert_int_equal(seen.ends, 1);
		leave(&frontend);
	}
}

static int
refuse_connection(int vid)
{
	new_connection(vid);
	return -1;
}

/* The application does not want a connection: nothing of it is left at its vid. */
static void
forgets_a_refused_connection(void **state)
{
	struct rte_vhost_device_ops refusing = ops;
	struct frontend frontend;
	unsigned int i;

	(void)state;
	refusing.new_connection = refuse_connection;
	open_socket(0);
	assert_int_equal(api->driver_callback_register(port.path, &refusing), 0);
	frontend_create(&frontend, MODERN, 256, 2, 0);
	assert_true(frontend_connect(&frontend, port.path));
	assert_true(reaches(&seen.connections, 1));
	assert_int_equal(frontend_hello(&frontend), ANSWER_CLOSED);
	for (i = 0; i < WAIT_SECONDS * 1000 && door_device_of(seen.vid) != NULL; i++)
		usleep(1000);
	assert_null(door_device_of(seen.vid));
	leave(&frontend);
	close_socket();
}

static enum rte_vhost_msg_result
pre_msg_handle(int vid, void *msg)
{
	(void)vid;
	(void)msg;
	seen.pre++;
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static enum rte_vhost_msg_result
post_msg_handle(int vid, void *msg)
{
	(void)vid;
	(void)msg;
	seen.post++;
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static int
new_connection_with_handlers(int vid)
{
	static const struct rte_vhost_user_extern_ops handlers = {
		.pre_msg_handle = pre_msg_handle,
		.post_msg_handle = post_msg_handle,
	};

	assert_int_equal(api->extern_callback_register(vid, &handlers, NULL), 0);
	return new_connection(vid);
}

static void
calls_the_applications_handlers(void **state)
{
	struct rte_vhost_device_ops with_handlers = ops;
	struct frontend frontend;

	(void)state;
	with_handlers.new_connection = new_connection_with_handlers;
	snprintf(port.path, sizeof(port.path), "%s/door", port_rig_folder());
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(api->driver_register(port.path, 0), 0);
	assert_int_equal(api->driver_callback_register(port.path, &with_handlers), 0);
	assert_int_equal(api->driver_start(port.path), 0);
	connect_guest(&frontend, MODERN, 0);
	assert_true(seen.pre > 10);
	assert_int_equal(seen.pre, seen.post);
	assert_true(port_exchange(&port, &frontend, 0, 0, 20));
	leave(&frontend);
	close_socket();
}

/* Its own writes, marked by librte_vhost's functions, are in the front-end's log. */
static void
marks_for_the_application(void **state)
{
	struct frontend frontend;
	struct frontend_log log;
	uint64_t used;

	(void)state;
	open_socket(0);
	connect_guest(&frontend, MODERN, 0);
	assert_true(port_exchange(&port, &frontend, 0, 0, 20));
	assert_int_equal(frontend_log_create(&log, frontend_log_len()), 0);
	assert_int_equal(frontend_set_log(&frontend, log.fd, frontend_log_len(), 0), ANSWER_OK);
	assert_int_equal(frontend_set_features(&frontend, frontend.features | FRONTEND_F_LOG_ALL),
			ANSWER_OK);
	frontend_log_clear(&log);
	api->log_write(seen.vid, 0x5000, 0x1001);
	assert_true(frontend_log_test(&log, 0x5000 / 4096));
	assert_true(frontend_log_test(&log, 0x6000 / 4096));
	assert_false(frontend_log_test(&log, 0x7000 / 4096));
	used = frontend.rings[0].used;
	frontend_log_clear(&log);
	api->log_used_vring(seen.vid, 0, 0, 4);
	assert_true(frontend_log_test(&log, used / 4096));
	/* And those of packets. */
	assert_true(port_to_guest(&port, &frontend, 0, 0, 1));
	if (rig_packed)
		used = frontend.rings[0].desc;
	assert_true(frontend_log_test(&log, used / 4096));
	frontend_log_destroy(&log);
	leave(&frontend);
	close_socket();
}

static uint64_t
stat_of(uint16_t vring, const char *name)
{
	struct rte_vhost_stat_name names[64];
	struct rte_vhost_stat stats[64];
	int n = rte_vhost_vring_stats_get_names(seen.vid, vring, names, RTE_DIM(names)), i;

	assert_true(n > 0);
	assert_int_equal(api->vring_stats_get(seen.vid, vring, stats, RTE_DIM(stats)), n);
	for (i = 0; i < n; i++)
		if (strcmp(names[i].name, name) == 0)
			return stats[i].value;
	fail_msg("no statistic %s", name);
	return 0;
}

static void
counts_by_stocks_names(void **state)
{
	struct frontend frontend;

	(void)state;
	open_socket(RTE_VHOST_USER_NET_STATS_ENABLE);
	connect_guest(&frontend, MODERN, 0);
	assert_true(port_exchange(&port, &frontend, 0, 0, 30));
	assert_int_equal(stat_of(0, "tx_q0_good_packets"), 30);
	assert_int_equal(stat_of(1, "rx_q0_good_packets"), 30);
	assert_int_equal(api->vring_stats_reset(seen.vid, 0), 0);
	assert_int_equal(stat_of(0, "tx_q0_good_packets"), 0);
	assert_int_equal(stat_of(1, "rx_q0_good_packets"), 30);
	port_offer_packet(&frontend, 0, 1);
	port_offer_packet(&frontend, 0, 2);
	assert_int_equal(api->rx_queue_count(seen.vid, 1), 2);
	assert_int_equal(api->rx_queue_count(seen.vid, 0), 0);
	port_offer_room(&frontend, 0);
	assert_int_equal(api->avail_entries(seen.vid, 0), 1);
	leave(&frontend);
	close_socket();
}

/* Whether the guest kicks for the next packet that it sends. */
static bool
wants_kick(struct frontend *frontend, uint64_t features)
{
	struct ring_writer *ring = &frontend->rings[1];
	uint16_t before = ring->next_avail;

	port_offer_packet(frontend, 0, 1);
	return ring_wants_kick(ring, before, (features & FRONTEND_F_EVENT_IDX) != 0);
}

/* Who sleeps on kicks gets them also after the ring has started anew. */
static void
keeps_asking_for_kicks(void **state)
{
	static const uint64_t features[] = { MODERN, MODERN | FRONTEND_F_EVENT_IDX };
	struct vring_used_elem used;
	struct rte_mbuf *pkt;
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(features); i++) {
		struct frontend frontend;

		open_socket(0);
		connect_guest(&frontend, features[i], 10);
		assert_true(port_from_guest(&port, &frontend, 0, 0, 30));
		assert_false(wants_kick(&frontend, features[i]));
		assert_int_equal(api->enable_guest_notification(seen.vid, 1, 1), 0);
		assert_int_equal(receive((void *)1, &pkt, 1), 1);
		rte_pktmbuf_free(pkt);
		assert_true(ring_take_used(&frontend.rings[1], &used));
		assert_int_equal(api->enable_guest_notification(seen.vid, 1, 1), 0);
		assert_true(wants_kick(&frontend, features[i]));
		assert_int_equal(receive((void *)1, &pkt, 1), 1);
		rte_pktmbuf_free(pkt);
		assert_true(ring_take_used(&frontend.rings[1], &used));
		assert_int_equal(frontend_stop_ring(&frontend, 1), frontend.rings[1].next_avail);
		assert_int_equal(frontend_start_ring(&frontend, 1), ANSWER_OK);
		assert_true(frontend_settle(&frontend));
		assert_true(wants_kick(&frontend, features[i]));
		leave(&frontend);
		close_socket();
	}
}

/* A pool whose mbufs have no room gives no packets, and costs none. */
static void
needs_room_in_mbufs(void **state)
{
	struct rte_mempool *tiny = rte_pktmbuf_pool_create("tiny", 63, 0, 0,
			RTE_PKTMBUF_HEADROOM + 8, 0);
	struct frontend frontend;
	struct rte_mbuf *pkt;

	(void)state;
	assert_non_null(tiny);
	open_socket(0);
	connect_guest(&frontend, MODERN, 0);
	port_offer_packet(&frontend, 0, 3);
	assert_int_equal(api->dequeue_burst(seen.vid, 1, tiny, &pkt, 1), 0);
	assert_int_equal(rte_mempool_avail_count(tiny), 63);
	assert_int_equal(receive((void *)1, &pkt, 1), 1);
	assert_true(port_packet_is(pkt, 3));
	assert_int_equal(api->dequeue_burst(seen.vid, 1, tiny, &pkt, 1), 0);
	rte_pktmbuf_free(pkt);
	leave(&frontend);
	close_socket();
	rte_mempool_free(tiny);
}

#define PRODUCED 20000U

struct producer {
	pthread_t thread;
	struct rte_mbuf *pkts[8];
	uint32_t went;
};

/* It sends the same packets again and again, which stay its own. */
static void *
produce(void *arg)
{
	struct producer *producer = arg;

	while (producer->went < PRODUCED) {
		uint16_t n = api->enqueue_burst(seen.vid, 0, producer->pkts,
				RTE_DIM(producer->pkts));

		__atomic_add_fetch(&producer->went, n, __ATOMIC_RELAXED);
	}
	return NULL;
}

static bool
is_done(const struct producer *producer)
{
	return __atomic_load_n(&producer->went, __ATOMIC_RELAXED) >= PRODUCED;
}

/* Two threads send to one virtqueue; the guest gets each packet once. */
static void
takes_two_producers(void **state)
{
	struct producer producers[2] = { 0 };
	struct frontend frontend;
	struct vring_used_elem used;
	uint32_t got = 0, room = 0;
	unsigned int i, k;
	uint64_t end;

	(void)state;
	open_socket(0);
	connect_guest(&frontend, MODERN, 65000);
	for (i = 0; i < RTE_DIM(producers); i++) {
		struct producer *producer = &producers[i];

		for (k = 0; k < RTE_DIM(producer->pkts); k++) {
			producer->pkts[k] = packet_mbuf(pool, k, 60, 0, false);
			assert_non_null(producer->pkts[k]);
		}
		assert_int_equal(pthread_create(&producer->thread, NULL, produce, producer), 0);
	}
	end = rte_rdtsc() + 60 * rte_get_tsc_hz();
	while (!is_done(&producers[0]) || !is_done(&producers[1])) {
		for (; room < 64; room++)
			port_offer_room(&frontend, 0);
		while (ring_take_used(&frontend.rings[0], &used)) {
			assert_int_equal(used.len, 72);
			got++;
			room--;
		}
		assert_true(rte_rdtsc() < end);
	}
	for (i = 0; i < RTE_DIM(producers); i++) {
		assert_int_equal(pthread_join(producers[i].thread, NULL), 0);
		rte_pktmbuf_free_bulk(producers[i].pkts, RTE_DIM(producers[i].pkts));
	}
	while (ring_take_used(&frontend.rings[0], &used))
		got++;
	assert_int_equal(got, producers[0].went + producers[1].went);
	/* On this thread, so that a sanitizer knows that the producers have ended before. */
	close_socket();
	leave(&frontend);
}

static size_t
heap_in_use(void)
{
	struct rte_malloc_socket_stats stats;

	assert_int_equal(rte_malloc_get_socket_stats(0, &stats), 0);
	return stats.heap_allocsz_bytes;
}

/* RESET_OWNER takes nothing of the EAL's memory, and what starts over passes packets. */
static void
resets_leak_nothing(void **state)
{
	struct frontend frontend;
	unsigned int i;
	size_t before;

	(void)state;
	open_socket(0);
	connect_guest(&frontend, MODERN, 7);
	before = heap_in_use();
	for (i = 0; i < 2000; i++) {
		assert_int_equal(frontend_set_num(&frontend, 0, 256), ANSWER_OK);
		assert_true(frontend_send(&frontend, REQ_RESET_OWNER, false, NULL, 0, NULL, 0));
	}
	assert_true(frontend_settle(&frontend));
	assert_in_range(heap_in_use(), 0, before + (64 << 10));
	assert_false(port_is_open(&port, &frontend, 0));
	assert_int_equal(frontend_start(&frontend), ANSWER_OK);
	assert_true(port_exchange(&port, &frontend, 0, 0, 40));
	leave(&frontend);
	close_socket();
}

static int
setup(void **state)
{
	const char *why = NULL;

	(void)state;
#define FILL_STOCK(type, none, name, parameters, arguments) stock.name = rte_vhost_##name;
	VHOST_API(FILL_STOCK)
#undef FILL_STOCK
	api = dirtylog_vhost_door_1(&stock, &why);
	if (api == NULL)
		fail_msg("%s", why);
	pool = rte_pktmbuf_pool_create("door", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	assert_non_null(pool);
	make_port();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	assert_int_equal(rte_mempool_avail_count(pool), 1023);
	rte_mempool_free(pool);
	port_rig_remove_folder();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(passes_packets),
		cmocka_unit_test(serves_at_the_first_burst),
		cmocka_unit_test(comes_again),
		cmocka_unit_test(forgets_a_refused_connection),
		cmocka_unit_test(calls_the_applications_handlers),
		cmocka_unit_test(marks_for_the_application),
		cmocka_unit_test(counts_by_stocks_names),
		cmocka_unit_test(keeps_asking_for_kicks),
		cmocka_unit_test(needs_room_in_mbufs),
		cmocka_unit_test(takes_two_producers),
		cmocka_unit_test(resets_leak_nothing),
		cmocka_unit_test(offers_what_stock_offers),
		cmocka_unit_test(falls_back),
	};
	static const struct program program = {
		.name = "door",
		.split = PROGRAM_TESTS(tests),
		/* The last two have no rings, or split ones. */
		.packed = { tests, RTE_DIM(tests) - 2 },
		.group_setup = setup,
		.group_teardown = teardown,
	};

	return program_run(&program, argc, argv);
}
