/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the datapath logs, and when: the page of the used index (or of a packed
 * burst's first flags), marks before it is stored, nothing with logging off. And
 * that the comparison which all these tests rest on sees a mark that is missing.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "host_page.h"
#include "rig/program.h"
#include "rig/ring_rig.h"

/* Entries of such a ring, from this index on, are not in the index' page. */
#define FAR_SIZE 1024
#define FAR_START 600

static const struct rig_options far_ring = {
	.size = FAR_SIZE, .start = FAR_START, .version_1 = true, .mergeable = true, .logging = true
};

/* One packet into the guest, with buffers for it. */
static void
send_one(struct rig *rig, uint32_t number, uint32_t len)
{
	struct rig_chain chains[8];
	struct rte_mbuf *pkt = packet_mbuf(rig->large, number, len, 0, false);
	unsigned int i;

	for (i = 0; i * 1526 < len + 12; i++)
		rig_offer(rig, &rig->to_guest, 1526, SHAPE_ONE, &chains[i]);
	ring_publish(&rig->to_guest.ring);
	rig_expect_packet(rig, chains, number, len);
	assert_int_equal(rig_transmit(rig, &pkt, 1), 1);
}

/* One packet out of it. */
static void
receive_one(struct rig *rig, uint32_t number, uint32_t len)
{
	struct rte_mbuf *pkt;
	struct rig_chain chain;

	rig_offer(rig, &rig->from_guest, 12 + len, SHAPE_ONE, &chain);
	rig_fill(rig, &chain, number, len);
	rig_expect_used(rig, &rig->from_guest, chain.head, 0);
	ring_publish(&rig->from_guest.ring);
	assert_int_equal(rig_receive(rig, rig->large, &pkt, 1), 1);
	assert_true(packet_is(pkt, number, len));
	rte_pktmbuf_free(pkt);
}

static bool
index_is_marked(const struct rig *rig, const struct rig_side *side)
{
	return frontend_log_test(&rig->log, side->index_gpa / RAM_PAGE);
}

/* A packed ring's burst marks the page before it stores the flags, and the next one again. */
static void
check_index_after_burst(const struct rig *rig, const struct rig_side *side)
{
	assert_int_equal(index_is_marked(rig, side), rig_packed);
}

/* The page of the index is marked by the next burst, also by an idle one. */
static void
index_by_next_burst(void **state)
{
	struct rig *rig = rig_create(&far_ring);
	struct rte_mbuf *pkt;

	(void)state;
	send_one(rig, 1, 9000);
	check_index_after_burst(rig, &rig->to_guest);
	rig_check(rig);
	assert_int_equal(rig_transmit(rig, NULL, 0), 0);
	assert_true(index_is_marked(rig, &rig->to_guest));
	rig_check(rig);

	receive_one(rig, 2, 1000);
	check_index_after_burst(rig, &rig->from_guest);
	rig_check(rig);
	assert_int_equal(rig_receive(rig, rig->pool, &pkt, 1), 0);
	assert_true(index_is_marked(rig, &rig->from_guest));
	rig_check(rig);

	/* Two bursts in a row: the second one marks for the first. */
	send_one(rig, 3, 60);
	send_one(rig, 4, 60);
	assert_true(index_is_marked(rig, &rig->to_guest));
	rig_check(rig);
	/* An idle burst leaves nothing for the next one. */
	rig_transmit(rig, NULL, 0);
	rig_check(rig);
	rig_transmit(rig, NULL, 0);
	rig_check(rig);
	assert_false(ram_is_written(&rig->ram, rig->to_guest.index_gpa));
	rig_close(rig);
	rig_destroy(rig);
}

/* Entries behind the end of the ring and at its start, none of them by the index' mark. */
static void
entries_that_wrap(void **state)
{
	struct rig_options options = far_ring;
	struct rig *rig;

	(void)state;
	options.start = FAR_SIZE - 3;
	rig = rig_create(&options);
	send_one(rig, 1, 9000);
	/* Its page is the ring's first one: of the split index, of the packed descriptors. */
	assert_true(frontend_log_test(&rig->log, rig->to_guest.ring.desc / RAM_PAGE) ||
			index_is_marked(rig, &rig->to_guest));
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

/* Or when the queue closes, also if no burst came. */
static void
index_by_close(void **state)
{
	struct rig *rig = rig_create(&far_ring);

	(void)state;
	/* A packed ring's event area, when it opened. */
	assert_int_equal(frontend_log_test(&rig->log, rig->to_guest.ring.used / RAM_PAGE),
			rig_packed);
	send_one(rig, 1, 60);
	rig_check(rig);
	rig_close(rig);
	assert_true(index_is_marked(rig, &rig->to_guest));
	/* used->flags were written when it opened. */
	assert_true(index_is_marked(rig, &rig->from_guest));
	rig_check(rig);
	rig_destroy(rig);
}

/* Logging goes off, by message: the index of the last burst is in the log. */
static void
index_by_end_of_logging(void **state)
{
	struct rig *rig = rig_create(&far_ring);

	(void)state;
	send_one(rig, 1, 3000);
	rig_check(rig);
	assert_int_equal(dirtylog_set_logging(rig->dl, false), 0);
	assert_true(index_is_marked(rig, &rig->to_guest));
	frontend_log_clear(&rig->log);
	rig->options.logging = false;
	rig->to_guest.index_pending = false;
	send_one(rig, 2, 3000);
	send_one(rig, 3, 3000);
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

/* Logging goes on and off while packets flow. */
static void
logging_on_and_off(void **state)
{
	struct rig_options options = { .size = 256, .version_1 = true, .mergeable = true };
	struct rig *rig = rig_create(&options);
	struct dirtylog_shm *shm;
	uint32_t i;

	(void)state;
	for (i = 0; i < 300; i++) {
		if (i % 10 == 5) {
			/* A front-end sends the log anew for each migration. */
			assert_int_equal(dirtylog_shm_map(rig->log.fd, 0, rig->log.len, &shm), 0);
			assert_int_equal(dirtylog_set_log(rig->dl, shm), 0);
			dirtylog_shm_unref(shm);
			assert_int_equal(dirtylog_set_logging(rig->dl, true), 0);
			rig->options.logging = true;
			rig->to_guest.index_pending = false;
			rig->from_guest.index_pending = false;
		} else if (i % 10 == 0) {
			assert_int_equal(dirtylog_set_logging(rig->dl, false), 0);
			rig->options.logging = false;
			frontend_log_clear(&rig->log);
		}
		send_one(rig, i, 60 + 29 * i);
		receive_one(rig, i, 60 + 29 * i);
		rig_check(rig);
	}
	rig_close(rig);
	rig_destroy(rig);
}

/* Bursts whose buffers are scattered over more words than a batch has. */
static void
more_words_than_a_batch(void **state)
{
	struct rig_options options = { .size = 256, .logging = true };
	struct rig *rig = rig_create(&options);
	struct rte_mbuf *pkts[200];
	struct rig_chain chains[200];
	unsigned int i;

	(void)state;
	/* Only a few words here, but visited in turns: neighbours never merge. */
	for (i = 0; i < 200; i++) {
		struct guest_buffer buffer = {
			.gpa = i % 2 == 0 ? 0x1000 + 0x700 * i : rig->high_room + 0x400 * i,
			.len = 600,
		};

		chains[i].buffers[0] = buffer;
		chains[i].nb_buffers = 1;
		chains[i].head = ring_describe(&rig->to_guest.ring, &buffer, 1, true, FORM_DIRECT,
				0);
		ring_add(&rig->to_guest.ring, chains[i].head);
		pkts[i] = packet_mbuf(rig->pool, i, 500, 0, false);
		rig_expect_packet(rig, &chains[i], i, 500);
	}
	ring_publish(&rig->to_guest.ring);
	assert_int_equal(rig_transmit(rig, pkts, 200), 200);
	rig_check(rig);
	rig_close(rig);
	rig_destroy(rig);
}

/* The negative control: the comparison must see what is wrong. */
static void
comparison_sees_faults(void **state)
{
	struct rig *rig = rig_create(&far_ring);
	uint64_t written = 0, gpa, first = 0;
	unsigned int i;

	(void)state;
	send_one(rig, 1, 9000);
	assert_int_equal(rig_log_errors(rig), 0);
	for (i = 0; i < rig->ram.nb_regions; i++) {
		const struct ram_region *region = &rig->ram.regions[i];

		for (gpa = region->gpa; gpa < region->gpa + region->len; gpa += RAM_PAGE) {
			if (!ram_is_written(&rig->ram, gpa))
				continue;
			written++;
			first = gpa;
			/* Each single mark is missed when it is not there. */
			rig->log.bytes[gpa / RAM_PAGE / 8] ^= (uint8_t)(1 << (gpa / RAM_PAGE % 8));
			assert_int_equal(rig_log_errors(rig), 1);
			rig->log.bytes[gpa / RAM_PAGE / 8] ^= (uint8_t)(1 << (gpa / RAM_PAGE % 8));
		}
	}
	assert_true(written >= 4);
	/* A mark too many: of a page, and of what is no memory. */
	rig->log.bytes[0] |= 1;
	assert_int_equal(rig_log_errors(rig), 1);
	rig->log.bytes[0] &= 0xfe;
	rig->log.bytes[RIG_MIDDLE_END / RAM_PAGE / 8 + 5] = 1;
	assert_int_equal(rig_log_errors(rig), 1);
	rig->log.bytes[RIG_MIDDLE_END / RAM_PAGE / 8 + 5] = 0;
	/* A byte that nobody was to write. */
	*(uint8_t *)ram_host(&rig->ram, first) ^= 1;
	assert_int_equal(ram_differences(&rig->ram), 1);
	*(uint8_t *)ram_host(&rig->ram, first) ^= 1;
	rig_check(rig);

	/* A datapath that throws its marks away misses all of them. */
	assert_int_equal(dirtylog_set_logging(rig->dl, false), 0);
	frontend_log_clear(&rig->log);
	rig->to_guest.index_pending = false;
	send_one(rig, 2, 9000);
	written = 0;
	for (i = 0; i < rig->ram.nb_regions; i++)
		for (gpa = 0; gpa < rig->ram.regions[i].len / RAM_PAGE; gpa++)
			written += rig->ram.regions[i].written[gpa];
	assert_int_equal(rig_log_errors(rig), written);
	rig_close(rig);
	rig_destroy(rig);
}

/*
 * Promise 1. The page of the used index is read-only: the driver's store traps,
 * and at that moment the log is copied. In a packed ring it is the page of the
 * burst's first descriptor, which is the last one of its page: the burst
 * stores there once.
 */
static struct {
	uint8_t *page;
	const struct frontend_log *log;
	uint8_t copy[1 << 20];
	unsigned int traps;
} trap;

static void
on_store(int signal, siginfo_t *info, void *context)
{
	uint8_t *at = info->si_addr;

	(void)context;
	if (at < trap.page || at >= trap.page + RAM_PAGE)
		abort();
	(void)signal;
	trap.traps++;
	memcpy(trap.copy, trap.log->bytes, trap.log->len);
	mprotect(trap.page, RAM_PAGE, PROT_READ | PROT_WRITE);
}

static void
trap_next_index(struct rig *rig, struct rig_side *side)
{
	trap.page = ram_host(&rig->ram,
			rig_packed ? ring_used_entry(&side->ring, side->model_used) &
							~(RAM_PAGE - 1) :
				     side->ring.used);
	trap.log = &rig->log;
	trap.traps = 0;
	assert_true(rig->log.len <= sizeof(trap.copy));
	assert_int_equal(mprotect(trap.page, RAM_PAGE, PROT_READ), 0);
}

/* The model has the page written by now; it was read-only before the store. */
static void
check_trapped(struct rig *rig)
{
	assert_int_equal(trap.traps, 1);
	assert_true(memcmp(trap.copy, rig->log.bytes, rig->log.len) == 0);
	rig_check(rig);
}

static void
marks_before_index_of(enum rig_shape shape)
{
	struct rig_options options = far_ring;
	struct rte_mbuf *pkts[32];
	struct rig_chain chains[32];
	struct rig *rig;
	unsigned int i;

	if (rig_packed)
		options.start = 2 * RAM_PAGE / 16 - 1;
	rig = rig_create(&options);
	/* Nothing is in the log by chance, and no index is pending. */
	rig_transmit(rig, NULL, 0);
	rig_check(rig);
	assert_int_equal(frontend_log_count(&rig->log), 0);
	for (i = 0; i < 32; i++) {
		rig_offer(rig, &rig->to_guest, 1526, shape, &chains[i]);
		pkts[i] = packet_mbuf(rig->large, i, 1514, 0, false);
	}
	ring_publish(&rig->to_guest.ring);
	trap_next_index(rig, &rig->to_guest);
	for (i = 0; i < 32; i++)
		rig_expect_packet(rig, &chains[i], i, 1514);
	assert_int_equal(rig_transmit(rig, pkts, 32), 32);
	check_trapped(rig);

	for (i = 0; i < 32; i++) {
		rig_offer(rig, &rig->from_guest, 1526, shape, &chains[i]);
		rig_fill(rig, &chains[i], i, 1514);
	}
	ring_publish(&rig->from_guest.ring);
	trap_next_index(rig, &rig->from_guest);
	for (i = 0; i < 32; i++)
		rig_expect_used(rig, &rig->from_guest, chains[i].head, 0);
	assert_int_equal(rig_receive(rig, rig->pool, pkts, 32), 32);
	rte_pktmbuf_free_bulk(pkts, 32);
	check_trapped(rig);
	rig_close(rig);
	rig_destroy(rig);
}

static void
marks_before_index(void **state)
{
	struct sigaction action = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO }, before;

	(void)state;
	if (host_page() != RAM_PAGE) {
		print_message("a page of this kernel has more of the ring than its index\n");
		skip();
	}
	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	marks_before_index_of(SHAPE_ONE);
	marks_before_index_of(SHAPE_PIECES);
	marks_before_index_of(SHAPE_INDIRECT_PIECES);
	sigaction(SIGSEGV, &before, NULL);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_by_next_burst),
		cmocka_unit_test(entries_that_wrap),
		cmocka_unit_test(index_by_close),
		cmocka_unit_test(index_by_end_of_logging),
		cmocka_unit_test(logging_on_and_off),
		cmocka_unit_test(more_words_than_a_batch),
		cmocka_unit_test(comparison_sees_faults),
		cmocka_unit_test(marks_before_index),
	};
	const struct program program = {
		.name = "ring_marks",
		.split = PROGRAM_TESTS(tests),
		.packed = PROGRAM_TESTS(tests),
	};

	return program_run(&program, argc, argv);
}
