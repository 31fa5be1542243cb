/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig/ring_rig.h"

#define LONGEST_BUFFERS UINT64_C(0x12000) /* of one packet */

static struct vnet_queue *
create_queue(struct rig *rig, uint16_t vring)
{
	struct vnet_queue *queue = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*queue));

	assert_non_null(queue);
	memset(queue, 0, sizeof(*queue));
	queue->vring = vring;
	queue->name = "port 7";
	queue->fault_log = &rig->fault_log;
	queue->mbuf_port = 7;
	queue->rx_config = rig->options.rx_config;
	dirtylog_add_queue(rig->dl, &queue->marker);
	return queue;
}

static void
create_side(struct rig *rig, struct rig_side *side, uint16_t vring, uint64_t gpa)
{
	side->queue = create_queue(rig, vring);
	side->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(side->call >= 0);
	ring_init(&side->ring, &rig->ram, gpa, rig->options.size, rig->options.start,
			rig_packed ? side->slots : NULL);
	side->model_used = side->ring.next_used;
	side->shown_used = side->ring.next_used;
	side->queue->next_avail = side->ring.next_used;
	side->queue->next_used = side->ring.next_used;
}

static void
create_memory(struct rig *rig, uint64_t high_len)
{
	struct dirtylog_region regions[3];
	unsigned int i;

	ram_add(&rig->ram, RIG_LOW, RIG_MIDDLE - RIG_LOW);
	ram_add(&rig->ram, RIG_MIDDLE, RIG_MIDDLE_END - RIG_MIDDLE);
	ram_add(&rig->ram, RIG_HIGH, high_len);
	for (i = 0; i < 3; i++) {
		regions[i].gpa = rig->ram.regions[i].gpa;
		regions[i].len = rig->ram.regions[i].len;
		regions[i].host = rig->ram.regions[i].host;
	}
	assert_int_equal(dirtylog_set_regions(rig->dl, regions, 3), 0);
	rig->mem = dirtylog_memory(rig->dl);
	assert_non_null(rig->mem);
}

static void
create_log(struct rig *rig, uint64_t end)
{
	struct dirtylog_shm *shm;

	assert_int_equal(frontend_log_create(&rig->log, (end - 1) / RAM_PAGE / 8 + 1), 0);
	assert_int_equal(dirtylog_shm_map(rig->log.fd, 0, rig->log.len, &shm), 0);
	assert_int_equal(dirtylog_set_log(rig->dl, shm), 0);
	dirtylog_shm_unref(shm);
}

static struct rte_mempool *
create_pool(const char *name, unsigned int n, uint16_t room)
{
	char unique[32];
	static unsigned int count;
	struct rte_mempool *pool;

	snprintf(unique, sizeof(unique), "%s%u", name, count++);
	pool = rte_pktmbuf_pool_create(unique, n, 0, 0, RTE_PKTMBUF_HEADROOM + room, SOCKET_ID_ANY);
	assert_non_null(pool);
	return pool;
}

struct rig *
rig_create(const struct rig_options *options)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	uint64_t ring_len = ring_footprint(options->size);
	uint64_t high_len = 2 * ring_len + RIG_HIGH_ROOM;

	assert_non_null(rig);
	rig->options = *options;
	rig->header_len = options->mergeable || options->version_1 ? 12 : 10;
	rig->random = 1;
	rig->cursor = RIG_MIDDLE - 5000;
	rig->high_room = RIG_HIGH + 2 * ring_len;
	assert_int_equal(dirtylog_create("rig", &rig->dl), 0);
	create_memory(rig, high_len);
	create_side(rig, &rig->to_guest, 0, RIG_HIGH);
	create_side(rig, &rig->from_guest, 1, RIG_HIGH + ring_len);
	create_log(rig, RIG_HIGH + high_len);
	assert_int_equal(dirtylog_set_logging(rig->dl, options->logging), 0);
	rig->pool = create_pool("pool", 512, 2048);
	rig->large = create_pool("large", 160, 10240);
	rig->small = create_pool("small", 8192, 200);
	rig_open(rig);
	return rig;
}

/* The ring's own pages, as the driver's port.c has them marked. */
static void
open_marked(struct rig *rig, struct rig_side *side)
{
	struct vnet_queue *queue = side->queue;
	struct ring_writer *ring = &side->ring;
	uint16_t no_notify = queue->event_idx ? 0 : VRING_USED_F_NO_NOTIFY;
	uint16_t disable = VRING_PACKED_EVENT_FLAG_DISABLE;

	side->index_gpa = rig_packed ? ring->desc : ring->used;
	assert_int_equal(
			dirtylog_open(rig->dl, &queue->marker, side->index_gpa,
					rig_packed ? 16U * queue->size :
						     4U + 8U * queue->size + 2U * queue->event_idx),
			0);
	if (!rig_packed) {
		/* The guest is told not to kick; closing the queue marks it at the latest. */
		assert_int_equal(queue->used->flags, no_notify);
		ram_write(&rig->ram, ring->used, &no_notify, sizeof(no_notify));
		return;
	}
	queue->event[0].bitmap = dirtylog_find(rig->dl, ring->used, &queue->event[0].offset);
	assert_int_equal(dirtylog_mark_gpa(rig->dl, ring->used, 4), 0);
	ram_expect(&rig->ram, ring->used + 2, &disable, sizeof(disable));
}

static void
open_side(struct rig *rig, struct rig_side *side)
{
	struct vnet_queue *queue = side->queue;
	struct ring_writer *ring = &side->ring;

	queue->desc = ram_host(&rig->ram, ring->desc);
	queue->avail = ram_host(&rig->ram, ring->avail);
	queue->used = ram_host(&rig->ram, ring->used);
	queue->size = rig->options.size;
	queue->mem = rig->mem;
	queue->packed = rig_packed;
	queue->mergeable = rig->options.mergeable;
	queue->event_idx = rig->options.event_idx;
	queue->header_len = rig->header_len;
	queue->call_fd = side->call;
	vnet_offload_open(queue, rig->options.features);
	assert_int_equal(rig_packed ? vnet_packed_start(queue) : vnet_split_start(queue), 0);
	open_marked(rig, side);
}

void
rig_open(struct rig *rig)
{
	open_side(rig, &rig->to_guest);
	open_side(rig, &rig->from_guest);
}

static void
close_side(struct rig *rig, struct rig_side *side)
{
	dirtylog_close(rig->dl, &side->queue->marker);
	side->index_pending = false;
	ram_accept(&rig->ram, side->index_gpa, DIRTYLOG_INDEX_LEN);
}

void
rig_close(struct rig *rig)
{
	close_side(rig, &rig->to_guest);
	close_side(rig, &rig->from_guest);
}

static void
destroy_side(struct rig *rig, struct rig_side *side)
{
	dirtylog_remove_queue(rig->dl, &side->queue->marker);
	free(side->queue);
	close(side->call);
}

static void
destroy_pool(struct rte_mempool *pool)
{
	/* No mbuf is lost, whatever a test did. */
	assert_int_equal(rte_mempool_in_use_count(pool), 0);
	rte_mempool_free(pool);
}

void
rig_destroy(struct rig *rig)
{
	destroy_side(rig, &rig->to_guest);
	destroy_side(rig, &rig->from_guest);
	dirtylog_destroy(rig->dl);
	assert_true(frontend_log_canary_alive(&rig->log));
	frontend_log_destroy(&rig->log);
	destroy_pool(rig->pool);
	destroy_pool(rig->large);
	destroy_pool(rig->small);
	ram_destroy(&rig->ram);
	free(rig);
}

uint64_t
rig_alloc(struct rig *rig, uint32_t len)
{
	uint64_t gpa = rig->cursor;

	if (gpa + len > RIG_MIDDLE_END)
		gpa = RAM_PAGE;
	rig->cursor = gpa + len;
	return gpa;
}

static void
add_buffer(struct rig *rig, struct rig_chain *chain, uint32_t len)
{
	struct guest_buffer *buffer = &chain->buffers[chain->nb_buffers++];

	buffer->gpa = rig_alloc(rig, len);
	buffer->len = len;
	/* A gap, so that a byte too many is seen. */
	rig->cursor += 1 + packet_random(&rig->random) % 64;
}

void
rig_offer(struct rig *rig, struct rig_side *side, uint32_t len, enum rig_shape shape,
		struct rig_chain *chain)
{
	enum chain_form form = FORM_DIRECT;
	uint64_t table;
	uint32_t n;

	chain->nb_buffers = 0;
	switch (shape) {
	case SHAPE_INDIRECT:
		form = FORM_INDIRECT;
		/* fall through */
	case SHAPE_ONE:
		add_buffer(rig, chain, len);
		break;
	case SHAPE_MIXED:
		form = rig_packed ? FORM_INDIRECT : FORM_MIXED;
		/* fall through */
	case SHAPE_HEADER_APART:
		add_buffer(rig, chain, rig->header_len);
		add_buffer(rig, chain, len - rig->header_len);
		break;
	default:
		if (shape == SHAPE_INDIRECT_PIECES)
			form = FORM_INDIRECT;
		while (len != 0) {
			n = 1 + (uint32_t)(packet_random(&rig->random) % 300);
			if (n > len || chain->nb_buffers == RTE_DIM(chain->buffers) - 1)
				n = len;
			add_buffer(rig, chain, n);
			len -= n;
		}
	}
	table = RTE_ALIGN_CEIL(rig_alloc(rig, 16 * (chain->nb_buffers + 1)), 16);
	chain->head = ring_describe(&side->ring, chain->buffers, chain->nb_buffers,
			side == &rig->to_guest, form, table);
	ring_add(&side->ring, chain->head);
}

/* Bytes into a chain, by the guest or, as expected, by the back-end. */
static void
put_bytes(struct rig *rig, const struct rig_chain *chain, uint32_t skip, const uint8_t *bytes,
		uint32_t len, bool by_guest)
{
	unsigned int i;

	for (i = 0; i < chain->nb_buffers && len != 0; i++) {
		const struct guest_buffer *buffer = &chain->buffers[i];
		uint32_t n;

		if (skip >= buffer->len) {
			skip -= buffer->len;
			continue;
		}
		n = RTE_MIN(len, buffer->len - skip);
		if (by_guest)
			ram_write(&rig->ram, buffer->gpa + skip, bytes, n);
		else
			ram_expect(&rig->ram, buffer->gpa + skip, bytes, n);
		bytes += n;
		len -= n;
		skip = 0;
	}
	assert_int_equal(len, 0);
}

void
rig_fill(struct rig *rig, const struct rig_chain *chain, uint32_t number, uint32_t len)
{
	static const uint8_t header[12];

	put_bytes(rig, chain, 0, header, rig->header_len, true);
	put_bytes(rig, chain, rig->header_len, packet_bytes(number, len), len, true);
}

static uint32_t
chain_len(const struct rig_chain *chain)
{
	uint32_t len = 0;
	unsigned int i;

	for (i = 0; i < chain->nb_buffers; i++)
		len += chain->buffers[i].len;
	return len;
}

/* A used descriptor in the place of the chain's first one; the others are as they were. */
static void
expect_used_desc(struct rig *rig, struct rig_side *side, uint64_t at, uint16_t id, uint32_t len)
{
	const uint16_t returned = 1 << VRING_PACKED_DESC_F_AVAIL | 1 << VRING_PACKED_DESC_F_USED;
	uint16_t i, flags = side->model_used & 0x8000 ? returned : 0;

	if (len != 0)
		flags |= VRING_DESC_F_WRITE;
	/* They are marked with it, all in one. */
	for (i = 0; i < side->ring.slots[id]; i++) {
		ram_accept(&rig->ram, ring_used_entry(&side->ring, side->model_used), 16);
		side->model_used = ring_step(&side->ring, side->model_used, 1);
	}
	ram_expect(&rig->ram, at + 8, &len, sizeof(len));
	ram_expect(&rig->ram, at + 12, &id, sizeof(id));
	ram_expect(&rig->ram, at + 14, &flags, sizeof(flags));
}

void
rig_expect_used(struct rig *rig, struct rig_side *side, uint16_t head, uint32_t len)
{
	struct vring_used_elem entry = { .id = head, .len = len };
	uint64_t at = ring_used_entry(&side->ring, side->model_used);

	if (!rig_packed) {
		ram_expect(&rig->ram, at, &entry, sizeof(entry));
		side->model_used++;
		return;
	}
	expect_used_desc(rig, side, at, head, len);
}

unsigned int
rig_expect_packet(struct rig *rig, const struct rig_chain *chains, uint32_t number, uint32_t len)
{
	static uint8_t bytes[12 + PACKET_MAX];
	uint32_t need = rig->header_len + len, done = 0;
	unsigned int n, nb_chains = 0;
	uint32_t room = 0;

	while (room < need)
		room += chain_len(&chains[nb_chains++]);
	memset(bytes, 0, 12);
	if (rig->header_len == 12)
		bytes[10] = (uint8_t)nb_chains; /* num_buffers, little-endian */
	memcpy(bytes + rig->header_len, packet_bytes(number, len), len);
	for (n = 0; n < nb_chains; n++) {
		uint32_t here = RTE_MIN(need - done, chain_len(&chains[n]));

		put_bytes(rig, &chains[n], 0, bytes + done, here, false);
		rig_expect_used(rig, &rig->to_guest, chains[n].head, here);
		done += here;
	}
	return nb_chains;
}

/*
 * The page of the index, or of a packed burst's first flags: stored by a burst
 * that returned buffers, marked by the next burst, whatever that one does.
 */
static void
expect_index(struct rig *rig, struct rig_side *side)
{
	if (side->index_pending)
		ram_accept(&rig->ram, side->index_gpa, DIRTYLOG_INDEX_LEN);
	side->index_pending = side->model_used != side->shown_used;
	if (!rig_packed)
		/* Stored, but not marked yet. */
		ram_write(&rig->ram, side->ring.used + 2, &side->model_used,
				sizeof(side->model_used));
	else if (side->index_pending && rig->options.logging)
		side->index_gpa = ring_used_entry(&side->ring, side->shown_used);
	side->shown_used = side->model_used;
}

/* The index as the burst left it, before the model stores its own. */
static void
check_index(struct rig_side *side)
{
	assert_int_equal(ring_used_index(&side->ring), side->model_used);
	assert_int_equal(side->queue->next_used, side->model_used);
	side->ring.next_used = side->model_used;
}

uint16_t
rig_transmit(struct rig *rig, struct rte_mbuf **pkts, uint16_t n)
{
	n = eth_dirtylog_tx(rig->to_guest.queue, pkts, n);
	check_index(&rig->to_guest);
	expect_index(rig, &rig->to_guest);
	return n;
}

uint16_t
rig_receive(struct rig *rig, struct rte_mempool *pool, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t i;

	rig->from_guest.queue->pool = pool;
	n = eth_dirtylog_rx(rig->from_guest.queue, pkts, n);
	for (i = 0; i < n; i++)
		assert_int_equal(pkts[i]->port, rig->from_guest.queue->mbuf_port);
	check_index(&rig->from_guest);
	expect_index(rig, &rig->from_guest);
	return n;
}

uint64_t
rig_log_errors(const struct rig *rig)
{
	uint64_t errors = 0, marked = 0, gpa;
	unsigned int i;

	for (i = 0; i < rig->ram.nb_regions; i++) {
		const struct ram_region *region = &rig->ram.regions[i];

		for (gpa = region->gpa; gpa < region->gpa + region->len; gpa += RAM_PAGE) {
			bool is_marked = frontend_log_test(&rig->log, gpa / RAM_PAGE);
			bool wanted = rig->options.logging && ram_is_written(&rig->ram, gpa);

			marked += is_marked;
			if (is_marked == wanted)
				continue;
			if (errors++ == 0)
				fprintf(stderr, "the page at GPA 0x%" PRIx64 " was %s\n", gpa,
						wanted ? "written and is not marked" :
							 "not written and is marked");
		}
	}
	if (frontend_log_count(&rig->log) != marked) {
		fprintf(stderr, "pages are marked that are no memory\n");
		errors += frontend_log_count(&rig->log) - marked;
	}
	return errors;
}

void
rig_check(struct rig *rig)
{
	assert_int_equal(ram_differences(&rig->ram), 0);
	assert_int_equal(rig_log_errors(rig), 0);
	frontend_log_clear(&rig->log);
	ram_forget_written(&rig->ram);
}

uint64_t
rig_interrupts(const struct rig_side *side)
{
	uint64_t count = 0;

	return read(side->call, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

uint64_t
rig_faults(const struct rig_side *side)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < VNET_NB_FAULTS; i++)
		sum += side->queue->stats.faults[i];
	return sum;
}
