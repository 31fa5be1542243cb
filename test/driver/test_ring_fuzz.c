/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Rings full of random bytes, and a guest that changes descriptors while
 * the driver reads them. Nothing is said about what comes of it but: no access
 * out of bounds (guard pages around guest memory, and the sanitizers), no end-
 * less loop, whatever virtio-net headers say, no mbuf lost, each page that
 * changed is marked, and afterwards good buffers work again.
 */

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <cmocka.h>

#include "rig/program.h"
#include "rig/scribble.h"

#define SECONDS 2
/* The rarest fault may take longer on a machine that is busy or emulated: by so much work. */
#define MAX_BURSTS 20000
#define MAX_ROUNDS 5000000

/* The driver does its part; what it sends is of any size and shape. */
static void
one_burst(struct rig *rig, struct rig_side *side, uint64_t *random)
{
	struct rte_mbuf *pkts[32];
	unsigned int i, n;

	/* A ring that was given up for a chain without end: as if it were opened anew. */
	side->queue->broken = false;
	if (side == &rig->to_guest) {
		for (i = 0; i < 32; i++) {
			uint64_t x = packet_random(random);
			uint32_t len = x % 8 == 0 ? (x >> 8) % 9000 : (x >> 8) % 1500;

			pkts[i] = packet_mbuf(x % 3 == 0 ? rig->small : rig->pool, i, len,
					x % 3 == 0 ? 64 + (x >> 32) % 200 : 0, x % 2 == 0);
			assert_non_null(pkts[i]);
			if (rig->options.features != 0)
				scribble_mbuf(pkts[i], random);
		}
		n = eth_dirtylog_tx(side->queue, pkts, 32);
		rte_pktmbuf_free_bulk(pkts + n, 32 - n);
	} else {
		side->queue->pool = packet_random(random) % 2 == 0 ? rig->pool : rig->small;
		n = eth_dirtylog_rx(side->queue, pkts, 32);
		for (i = 0; i < n; i++) {
			const char *reason;

			assert_int_equal(rte_mbuf_check(pkts[i], 1, &reason), 0);
		}
		rte_pktmbuf_free_bulk(pkts, n);
	}
}

/*
 * An empty ring, where the driver is in it. That takes buffers back, which a
 * guest can do only to a closed ring: the driver forgets them, as if reopened.
 */
static void
make_good(struct rig *rig, struct rig_side *side)
{
	side->queue->avail_seen = side->queue->next_avail;
	side->queue->broken = false;
	side->queue->stuck = false;
	side->ring.next_avail = side->queue->next_avail;
	side->ring.next_used = side->queue->next_used;
	side->model_used = side->queue->next_used;
	side->shown_used = side->model_used;
	if (rig_packed)
		ring_clear(&side->ring);
	else
		ram_write(&rig->ram, side->ring.used + 2, &side->model_used,
				sizeof(side->model_used));
	ring_publish(&side->ring);
}

/* After all that, rings made good again work. */
static void
recovers(struct rig *rig, struct rig_side *side)
{
	struct rig_chain chain;
	struct rte_mbuf *pkt;
	unsigned int i;

	if (!rig_packed)
		assert_int_equal(ring_used_index(&side->ring), side->queue->next_used);
	/* What the driver wrote is the model from here on, and so are the indices. */
	for (i = 0; i < rig->ram.nb_regions; i++)
		memcpy(rig->ram.regions[i].image, rig->ram.regions[i].host,
				rig->ram.regions[i].len);
	/* Both: a buffer of the one may have lain over the other. */
	make_good(rig, &rig->to_guest);
	make_good(rig, &rig->from_guest);
	frontend_log_clear(&rig->log);
	ram_forget_written(&rig->ram);
	rig_transmit(rig, NULL, 0);
	assert_int_equal(rig_receive(rig, rig->pool, &pkt, 1), 0);
	frontend_log_clear(&rig->log);
	for (i = 0; i < 100; i++) {
		rig_offer(rig, side, 1526, SHAPE_HEADER_APART, &chain);
		if (side == &rig->to_guest) {
			rig_expect_packet(rig, &chain, i, 1500);
			pkt = packet_mbuf(rig->pool, i, 1500, 0, false);
		} else {
			rig_fill(rig, &chain, i, 1514);
			rig_expect_used(rig, side, chain.head, 0);
		}
		ring_publish(&side->ring);
		if (side == &rig->to_guest) {
			assert_int_equal(rig_transmit(rig, &pkt, 1), 1);
		} else {
			assert_int_equal(rig_receive(rig, rig->pool, &pkt, 1), 1);
			assert_true(packet_is(pkt, i, 1514));
			rte_pktmbuf_free(pkt);
		}
		rig_check(rig);
	}
}

/* Each page that differs from the image is marked; then the image is renewed. */
static void
check_marks(struct rig *rig, const struct rig_side *side)
{
	unsigned int i;
	uint64_t at;

	for (i = 0; i < rig->ram.nb_regions; i++) {
		struct ram_region *region = &rig->ram.regions[i];

		for (at = 0; at < region->len; at += RAM_PAGE) {
			if (memcmp(region->host + at, region->image + at, RAM_PAGE) == 0)
				continue;
			/* The index' own page is marked by the next burst. */
			if (!frontend_log_test(&rig->log, (region->gpa + at) / RAM_PAGE) &&
					(region->gpa + at) / RAM_PAGE != side->ring.used / RAM_PAGE)
				fail_msg("the page at GPA 0x%" PRIx64 " changed and is not marked",
						region->gpa + at);
			memcpy(region->image + at, region->host + at, RAM_PAGE);
		}
	}
	frontend_log_clear(&rig->log);
}

/* Whether it was a test: packets, and each kind of fault that there can be. */
static bool
all_came_up(const struct rig_side *side)
{
	const struct vnet_queue_stats *stats = &side->queue->stats;
	bool from_guest = side->queue->vring == 1;
	unsigned int i;

	if (stats->packets <= 100)
		return false;
	for (i = 0; i < VNET_NB_FAULTS; i++) {
		/* No number in a packed ring can be beyond it. */
		if (rig_packed && (i == VNET_FAULT_AVAIL_INDEX || i == VNET_FAULT_HEAD))
			assert_int_equal(stats->faults[i], 0);
		else if (stats->faults[i] == 0 &&
				(i == VNET_FAULT_OFFLOAD ? from_guest && side->queue->offloads :
							   i != VNET_FAULT_LONG || from_guest))
			return false;
	}
	return true;
}

static void
print_outcome(const struct rig_side *side, uint64_t bursts)
{
	const struct vnet_queue_stats *stats = &side->queue->stats;
	unsigned int i;

	print_message("%" PRIu64 " bursts, %" PRIu64 " packets, %" PRIu64 " dropped, faults:",
			bursts, stats->packets, stats->dropped);
	for (i = 0; i < VNET_NB_FAULTS; i++)
		print_message(" %" PRIu64, stats->faults[i]);
	print_message("\n");
	assert_true(all_came_up(side));
}

#define ALL_OFFLOADS \
	(1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM | \
			1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_HOST_TSO6 | \
			1ULL << VIRTIO_NET_F_HOST_UFO | 1ULL << VIRTIO_NET_F_HOST_ECN | \
			1ULL << VIRTIO_NET_F_GUEST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 | \
			1ULL << VIRTIO_NET_F_GUEST_UFO | 1ULL << VIRTIO_NET_F_GUEST_ECN)

static const struct rig_options options[] = {
	{ .size = SCRIBBLE_SIZE, .version_1 = true, .logging = true, .event_idx = true },
	{ .size = SCRIBBLE_SIZE, .mergeable = true, .logging = true },
	{ .size = SCRIBBLE_SIZE,
			.mergeable = true,
			.logging = true,
			.features = ALL_OFFLOADS,
			.rx_config.partial_checksums = true,
			.rx_config.strip_vlan = true },
	{ .size = SCRIBBLE_SIZE,
			.version_1 = true,
			.logging = true,
			.features = ALL_OFFLOADS,
			.rx_config.legacy_ol_flags = true },
	/* Checksums by software, both ways. */
	{ .size = SCRIBBLE_SIZE,
			.version_1 = true,
			.logging = true,
			.features = 1ULL << VIRTIO_NET_F_CSUM },
};

static void
random_rings(void **state)
{
	unsigned int i, s;

	(void)state;
	for (i = 0; i < RTE_DIM(options); i++) {
		for (s = 0; s < 2; s++) {
			struct rig *rig = rig_create(&options[i]);
			struct rig_side *side = s == 0 ? &rig->to_guest : &rig->from_guest;
			uint64_t end = rte_rdtsc() + SECONDS * rte_get_tsc_hz() / 2;
			uint64_t random = 0x1234567 + i * 2 + s, bursts = 0;

			scribble_ring(rig, side, &random, 20000);
			while (rte_rdtsc() < end || (!all_came_up(side) && bursts < MAX_BURSTS)) {
				scribble_ring(rig, side, &random, 64);
				scribble_packets(rig, side, &random, 64);
				scribble_index(rig, side, &random);
				if (++bursts % 16 != 0) {
					one_burst(rig, side, &random);
					continue;
				}
				for (unsigned int r = 0; r < rig->ram.nb_regions; r++)
					memcpy(rig->ram.regions[r].image, rig->ram.regions[r].host,
							rig->ram.regions[r].len);
				frontend_log_clear(&rig->log);
				one_burst(rig, side, &random);
				check_marks(rig, side);
			}
			print_outcome(side, bursts);
			recovers(rig, side);
			rig_close(rig);
			rig_destroy(rig);
		}
	}
}

struct scribbler {
	struct rig *rig;
	struct rig_side *side;
	uint64_t random;
	uint64_t rounds; /* so far */
	bool stop;
};

static void *
scribble_on(void *opaque)
{
	struct scribbler *scribbler = opaque;

	while (!__atomic_load_n(&scribbler->stop, __ATOMIC_RELAXED)) {
		scribble_ring(scribbler->rig, scribbler->side, &scribbler->random, 16);
		scribble_packets(scribbler->rig, scribbler->side, &scribbler->random, 16);
		if (packet_random(&scribbler->random) % 64 == 0)
			scribble_index(scribbler->rig, scribbler->side, &scribbler->random);
		__atomic_fetch_add(&scribbler->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A burst that finds nothing is no work done: the other thread's rounds are. */
static bool
has_rounds(const struct scribbler *scribbler)
{
	return __atomic_load_n(&scribbler->rounds, __ATOMIC_RELAXED) < MAX_ROUNDS;
}

static void
descriptors_change_under_way(void **state)
{
	/* Outlives a failed assertion, as the thread does. */
	static struct scribbler scribbler;
	unsigned int i, s;

	(void)state;
	for (i = 0; i < RTE_DIM(options); i++) {
		for (s = 0; s < 2; s++) {
			struct rig *rig = rig_create(&options[i]);
			uint64_t end = rte_rdtsc() + SECONDS * rte_get_tsc_hz();
			uint64_t random = 99, bursts = 0;
			pthread_t thread;

			scribbler = (struct scribbler){ .rig = rig,
				.random = 0x7654321 + i * 2 + s,
				.side = s == 0 ? &rig->to_guest : &rig->from_guest };
			scribble_ring(rig, scribbler.side, &scribbler.random, 20000);
			assert_int_equal(pthread_create(&thread, NULL, scribble_on, &scribbler), 0);
			while (rte_rdtsc() < end ||
					(!all_came_up(scribbler.side) && has_rounds(&scribbler))) {
				scribble_index(rig, scribbler.side, &random);
				one_burst(rig, scribbler.side, &random);
				bursts++;
			}
			__atomic_store_n(&scribbler.stop, true, __ATOMIC_RELAXED);
			pthread_join(thread, NULL);
			print_outcome(scribbler.side, bursts);
			recovers(rig, scribbler.side);
			rig_close(rig);
			rig_destroy(rig);
		}
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_rings),
		cmocka_unit_test(descriptors_change_under_way),
	};
	const struct program program = {
		.name = "ring_fuzz",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
