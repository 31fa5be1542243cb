/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a guest's ring may cost, whatever is in it: the length of a chain, the
 * time of a burst, log lines.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_cycles.h>
#include <rte_log.h>

#include <cmocka.h>

#include "rig/bad_chain.h"
#include "rig/program.h"

static const struct rig_options plain = { .size = 128, .version_1 = true, .logging = true };

/*
 * Memory that is larger than 4 GiB, and chains of such lengths: the sum does
 * not wrap.
 */
static void
chains_of_many_gib(void **state)
{
	const uint64_t gib4 = UINT64_C(1) << 32, gpa = 8 * gib4;
	struct rig *rig = rig_create(&plain);
	struct dirtylog_memory *mem = calloc(1, sizeof(*mem) + 4 * sizeof(mem->regions[0]));
	struct dirtylog_region *large = &mem->regions[3];
	struct rig_side *side;
	uint16_t head;
	struct rte_mbuf *pkts[2];
	uint8_t header[12] = { [10] = 1 };

	(void)state;
	assert_non_null(mem);
	memcpy(mem, rig->mem, sizeof(*mem) + 3 * sizeof(mem->regions[0]));
	mem->nb_regions = 4;
	large->gpa = gpa;
	large->len = 2 * gib4;
	large->bitmap = mem->regions[0].bitmap;
	large->host = mmap(NULL, large->len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(large->host, MAP_FAILED);
	rig->to_guest.queue->mem = mem;
	rig->from_guest.queue->mem = mem;

	/* 2^32 + 100 bytes from the guest are no packet of 100 bytes. */
	side = &rig->from_guest;
	head = chain_two(side, &(struct guest_buffer){ gpa, UINT32_MAX },
			&(struct guest_buffer){ gpa, 113 }, 0, 0, 0);
	ring_add(&side->ring, head);
	rig_expect_used(rig, side, head, 0);
	ring_publish(&side->ring);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, 2), 0);
	rig_check(rig);
	assert_int_equal(side->queue->stats.faults[VNET_FAULT_LONG], 1);

	/* As much room for the guest's packet is room. */
	side = &rig->to_guest;
	head = chain_two(side, &(struct guest_buffer){ gpa + 12345, UINT32_MAX },
			&(struct guest_buffer){ gpa, UINT32_MAX }, VRING_DESC_F_WRITE,
			VRING_DESC_F_WRITE, 0);
	ring_add(&side->ring, head);
	rig_expect_used(rig, side, head, 112);
	ring_publish(&side->ring);
	pkts[0] = packet_mbuf(rig->pool, 1, 100, 0, false);
	/* Where this memory is marked is not of interest. */
	assert_int_equal(rig_transmit(rig, pkts, 1), 1);
	assert_memory_equal(large->host + 12345, header, 12);
	assert_memory_equal(large->host + 12345 + 12, packet_bytes(1, 100), 100);
	assert_int_equal(ram_differences(&rig->ram), 0);
	assert_int_equal(rig_faults(side), 0);
	frontend_log_clear(&rig->log);
	rig_close(rig);
	munmap(large->host, large->len);
	rig_destroy(rig);
	free(mem);
}

/*
 * A whole ring of the chains that take longest to refuse: a burst looks at a
 * bounded number of them. The core has other ports to poll.
 */
static void
bad_ring_does_not_hold_the_core(void **state)
{
	struct rig_options options = { .size = 32768, .version_1 = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	struct rte_mbuf *pkts[32];
	unsigned int i, s;

	(void)state;
	for (s = 0; s < 2; s++) {
		for (i = 0; i < options.size; i++)
			ring_add(&sides[s]->ring,
					rig_packed ? chain_one(rig, sides[s], GOOD, 1,
								     right_flags(rig, sides[s]) |
										     VRING_DESC_F_NEXT) :
						     loop_of_one(rig, sides[s]));
		ring_publish(&sides[s]->ring);
		for (i = 0; i < 32; i++)
			pkts[i] = packet_mbuf(rig->pool, i, 100, 0, false);
		if (s == 0)
			assert_int_equal(eth_dirtylog_tx(sides[s]->queue, pkts, 32), 0);
		rte_pktmbuf_free_bulk(pkts, 32);
		sides[s]->queue->pool = rig->pool;
		if (s == 1)
			assert_int_equal(eth_dirtylog_rx(sides[s]->queue, pkts, 32), 0);
		assert_in_range(rig_faults(sides[s]), 1, 64);
	}
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * A chain of a packed ring without an end: nobody can tell its id, so it is not
 * returned. It is counted once, and no burst walks along it again.
 */
static void
chain_without_end(void **state)
{
	static const uint16_t sizes[] = { 5, 128, 1000 };
	unsigned int i, n, s;

	(void)state;
	for (i = 0; i < RTE_DIM(sizes); i++) {
		struct rig_options options = {
			.size = sizes[i], .mergeable = true, .logging = true
		};
		struct rig *rig = rig_create(&options);
		struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
		struct rte_mbuf *pkts[32];

		for (s = 0; s < 2; s++) {
			for (n = 0; n < sizes[i]; n++)
				ring_add(&sides[s]->ring,
						chain_one(rig, sides[s], GOOD, 1,
								right_flags(rig, sides[s]) |
										VRING_DESC_F_NEXT));
			ring_publish(&sides[s]->ring);
			for (n = 0; n < 3; n++) {
				pkts[0] = packet_mbuf(rig->pool, 1, 60, 0, false);
				assert_int_equal(s == 0 ? rig_transmit(rig, pkts, 1) :
							  rig_receive(rig, rig->pool, pkts + 1, 31),
						0);
				rte_pktmbuf_free(pkts[0]);
				rig_check(rig);
				assert_int_equal(sides[s]->queue->stats.faults[VNET_FAULT_LOOP], 1);
				/* One walk along the ring, by the first burst. */
				assert_int_equal(sides[s]->queue->walked, n == 0 ? sizes[i] : 0);
			}
		}
		rig_close(rig);
		rig_destroy(rig);
	}
}

/* A chain that is longer than any packet needs, and ends: returned by its id. */
static void
chain_too_long(void **state)
{
	struct rig_options options = { .size = 3000, .version_1 = true, .logging = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *const sides[] = { &rig->to_guest, &rig->from_guest };
	unsigned int i, n, s;

	(void)state;
	for (s = 0; s < 2; s++) {
		for (i = 0; i < 5; i++) {
			uint16_t id = ring_take_desc(&sides[s]->ring);

			offer_good(rig, sides[s], i);
			for (n = 0; n < 2500; n++)
				ring_set_packed(&sides[s]->ring, n, GOOD + n, 1,
						n == 2499 ? id : 0xffff,
						right_flags(rig, sides[s]) |
								(n == 2499 ? 0 :
									     VRING_DESC_F_NEXT));
			sides[s]->ring.slots[id] = 2500;
			ring_add(&sides[s]->ring, id);
			rig_expect_used(rig, sides[s], id, 0);
			offer_good(rig, sides[s], i + 1);
			pass_good(rig, sides[s], i, 2);
			assert_int_equal(sides[s]->queue->stats.faults[VNET_FAULT_LOOP], i + 1);
		}
		assert_int_equal(rig_faults(sides[s]), 5);
	}
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * The guest makes a descriptor available again that the running burst has
 * taken: a burst goes round the ring once, whatever the flags say.
 */
static void
ring_that_is_always_available(void **state)
{
	struct rig_options options = { .size = 7, .version_1 = true };
	struct rig *rig = rig_create(&options);
	struct rig_side *side = &rig->to_guest;
	uint64_t ring = side->ring.desc;
	struct vring_packed_desc desc[7];
	struct rte_mbuf *pkts[32];
	unsigned int i;

	(void)state;
	/* Each packet overwrites the ring: all its descriptors become available again. */
	for (i = 0; i < 7; i++)
		desc[i] = (struct vring_packed_desc){ .addr = ring - 12 + i % 2 * 16,
			.len = 512,
			.id = (uint16_t)i,
			.flags = VRING_DESC_F_WRITE |
					1 << (i % 2 ? VRING_PACKED_DESC_F_USED :
						      VRING_PACKED_DESC_F_AVAIL) };
	memcpy(ram_host(&rig->ram, ring), desc, sizeof(desc));
	((struct vring_packed_desc *)ram_host(&rig->ram, ring))[0].addr = 0x1000;
	for (i = 0; i < 32; i++)
		pkts[i] = packet_mbuf(rig->pool, i, 60 + i, 0, false);
	assert_in_range(eth_dirtylog_tx(side->queue, pkts, 32), 1, 7);
	assert_int_equal(rte_mempool_in_use_count(rig->pool) + side->queue->stats.packets, 32);
	rte_pktmbuf_free_bulk(pkts + side->queue->stats.packets,
			32 - (unsigned int)side->queue->stats.packets);
	rig_close(rig);
	rig_destroy(rig);
}

/* However many faults, of whichever queue: a line or two. */
static void
log_lines_are_limited(void **state)
{
	struct rig *rig = rig_create(&plain);
	struct rig_side *const sides[] = { &rig->from_guest, &rig->to_guest };
	struct rte_mbuf *pkts[32];
	char *text = NULL, *at;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);
	uint64_t begin = rte_rdtsc(), seconds;
	unsigned int i, n = 0, lines = 0;

	(void)state;
	assert_non_null(stream);
	rte_openlog_stream(stream);
	for (i = 0; n < 5000; i++) {
		const struct bad_case *bad = &bad_cases[i % nb_bad_cases];
		struct rig_side *side = sides[n % 2];

		if (!bad_case_applies(bad, n % 2 == 1))
			continue;
		offer_bad(rig, side, bad);
		ring_publish(&side->ring);
		pkts[0] = packet_mbuf(rig->pool, 1, 60, 0, false);
		assert_int_equal(n % 2 == 0 ? rig_receive(rig, rig->pool, pkts + 1, 31) :
					      rig_transmit(rig, pkts, 1),
				0);
		rte_pktmbuf_free(pkts[0]);
		n++;
	}
	seconds = (rte_rdtsc() - begin) / rte_get_tsc_hz();
	rte_openlog_stream(stderr);
	fclose(stream);
	for (at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	print_message("%s", text);
	assert_in_range(lines, 1, 1 + seconds);
	assert_non_null(strstr(text, "port 7 virtqueue 1"));
	assert_int_equal(rig_faults(sides[0]) + rig_faults(sides[1]), 5000);
	free(text);
	rig_close(rig);
	rig_destroy(rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest split[] = {
		cmocka_unit_test(chains_of_many_gib),
		cmocka_unit_test(bad_ring_does_not_hold_the_core),
		cmocka_unit_test(log_lines_are_limited),
	};
	const struct CMUnitTest packed[] = {
		cmocka_unit_test(chains_of_many_gib),
		cmocka_unit_test(bad_ring_does_not_hold_the_core),
		cmocka_unit_test(chain_without_end),
		cmocka_unit_test(chain_too_long),
		cmocka_unit_test(ring_that_is_always_available),
		cmocka_unit_test(log_lines_are_limited),
	};
	const struct program program = {
		.name = "ring_limits",
		.split = PROGRAM_TESTS(split),
		.packed = PROGRAM_TESTS(packed),
	};

	return program_run(&program, argc, argv);
}
