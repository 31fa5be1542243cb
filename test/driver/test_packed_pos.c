/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Where a packed ring stands, told from its descriptors alone: a driver and a
 * device use a ring at random, and after each step the place that is found
 * must be the device's, whatever the front-end says. With chains nothing is
 * concluded. Bursts are cut off at every length, and what they took is returned.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash_recovery.h"
#include "test_program.h"

#define WRAP 0x8000U
#define AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define USED (1U << VRING_PACKED_DESC_F_USED)

/* The driver's or the device's place. */
struct side {
	uint16_t index;
	bool wrap;
};

static void
step(struct side *side, uint16_t size)
{
	if (++side->index == size) {
		side->index = 0;
		side->wrap = !side->wrap;
	}
}

static struct vnet_queue *
make_queue(uint16_t size)
{
	struct vnet_queue *queue = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof(*queue));

	assert_non_null(queue);
	memset(queue, 0, sizeof(*queue));
	queue->size = size;
	queue->packed = true;
	queue->packed_desc = calloc(size, sizeof(*queue->packed_desc));
	assert_non_null(queue->packed_desc);
	return queue;
}

static void
destroy_queue(struct vnet_queue *queue)
{
	free(queue->packed_desc);
	free(queue);
}

static void
make_available(struct vnet_queue *queue, struct side *driver, uint16_t flags)
{
	queue->packed_desc[driver->index].flags = (uint16_t)(flags | (driver->wrap ? AVAIL : USED));
	step(driver, queue->size);
}

static void
make_used(struct vnet_queue *queue, struct side *device)
{
	queue->packed_desc[device->index].flags = device->wrap ? AVAIL | USED : 0;
	step(device, queue->size);
}

static uint16_t
position(const struct side *side)
{
	return side->index | (side->wrap ? WRAP : 0);
}

/* Where the ring was left, of which nothing is cut off; -1: it does not tell. */
static int
recover(const struct vnet_queue *queue, uint16_t told)
{
	struct vnet_packed_left left;
	int ret = vnet_recover_packed_pos(queue, told, &left);

	assert_int_equal(left.nb_cut, 0);
	return ret < 0 ? -1 : left.pos;
}

/* Whether the positions are one descriptor apart: the ring may say that or not. */
static bool
one_apart(uint16_t one, uint16_t other, uint16_t size)
{
	struct side a = { one & ~WRAP, one & WRAP }, b = { other & ~WRAP, other & WRAP };

	step(&a, size);
	step(&b, size);
	return position(&a) == other || position(&b) == one;
}

static void
place_is_found(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 7, 64, 250 };
	unsigned int i, n;

	(void)state;
	srandom(1);
	for (i = 0; i < RTE_DIM(sizes); i++) {
		struct vnet_queue *queue = make_queue(sizes[i]);
		struct side driver = { 0, true }, device = { 0, true };
		uint16_t ahead = 0; /* descriptors that the device has */

		for (n = 0; n < 50U * sizes[i]; n++) {
			uint16_t told = (uint16_t)(random() % sizes[i] | (random() % 2 ? WRAP : 0));

			uint16_t right = position(&device);
			int got = recover(queue, told);

			assert_true(got == right ||
					(got == told && one_apart(told, right, sizes[i])));
			if (ahead < sizes[i] && random() % 2) {
				make_available(queue, &driver,
						random() % 2 ? VRING_DESC_F_WRITE :
							       VRING_DESC_F_INDIRECT);
				ahead++;
			} else if (ahead > 0) {
				make_used(queue, &device);
				ahead--;
			}
		}
		destroy_queue(queue);
	}
}

static void
chains_prove_nothing(void **state)
{
	struct vnet_queue *queue = make_queue(8);
	struct side driver = { 0, true }, device = { 0, true };

	(void)state;
	make_available(queue, &driver, VRING_DESC_F_NEXT);
	make_available(queue, &driver, VRING_DESC_F_NEXT);
	make_available(queue, &driver, 0);
	/* Its first descriptor is returned, the others stay as they are. */
	make_used(queue, &device);
	assert_int_equal(recover(queue, 3 | WRAP), 3 | WRAP);
	destroy_queue(queue);
}

/*
 * A buffer of two descriptors is returned: the first one's flags are overwritten,
 * the second one's are not, so no chain is seen. The front-end is right.
 */
static void
chain_of_two_proves_nothing(void **state)
{
	struct vnet_queue *queue = make_queue(8);
	struct side driver = { 0, true }, device = { 0, true };
	unsigned int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		make_available(queue, &driver, 0);
		make_used(queue, &device);
	}
	make_available(queue, &driver, VRING_DESC_F_NEXT);
	make_available(queue, &driver, 0);
	make_used(queue, &device);
	step(&device, 8);
	assert_int_equal(recover(queue, position(&device)), position(&device));
	destroy_queue(queue);
}

/* The front-end is one behind: where it says, a buffer was returned in this very round. */
static void
one_behind_is_proved(void **state)
{
	struct vnet_queue *queue = make_queue(8);
	struct side driver = { 0, true }, device = { 0, true };
	uint16_t stale;

	(void)state;
	make_available(queue, &driver, 0);
	make_used(queue, &device);
	stale = position(&device);
	make_available(queue, &driver, 0);
	make_used(queue, &device);
	assert_int_equal(recover(queue, stale), position(&device));
	destroy_queue(queue);
}

/* The ring when a burst is cut off that has stored n used descriptors and not shown them. */
static struct side
cut_off(struct vnet_queue *queue, struct side device, uint16_t n)
{
	step(&device, queue->size);
	while (n-- > 0)
		make_used(queue, &device);
	return device;
}

/* What the guest's driver, which is where the device was, finds returned. */
static uint16_t
count_returned(const struct vnet_queue *queue, struct side driver)
{
	uint16_t n;

	for (n = 0; n < queue->size; n++, step(&driver, queue->size)) {
		uint16_t flags = queue->packed_desc[driver.index].flags;

		if ((flags & (AVAIL | USED)) != (driver.wrap ? AVAIL | USED : 0))
			break;
	}
	return n;
}

static void
check_cut_off(const struct vnet_queue *queue, struct side device, uint16_t told, uint16_t n)
{
	struct vnet_queue *copy = make_queue(queue->size);
	struct vnet_packed_left left;
	struct side end;
	uint16_t i;

	memcpy(copy->packed_desc, queue->packed_desc, queue->size * sizeof(*copy->packed_desc));
	for (i = 0; i < queue->size; i++) {
		copy->packed_desc[i].len = 100U + i;
		copy->packed_desc[i].id = i;
	}
	end = cut_off(copy, device, n);
	assert_int_equal(vnet_recover_packed_pos(copy, told, &left), 0);
	/* The front-end is believed: what looks cut off is then the tail of a buffer of two. */
	if (told == position(&end)) {
		assert_int_equal(left.pos, told);
		assert_int_equal(left.nb_cut, 0);
		destroy_queue(copy);
		return;
	}
	assert_int_equal(left.pos, position(&end));
	assert_int_equal(left.cut, position(&device));
	assert_int_equal(left.nb_cut, n + 1);
	vnet_return_cut_off(copy, &left);
	assert_int_equal(count_returned(copy, device), n + 1);
	for (i = 0; i < queue->size; i++) {
		bool cut = (i + queue->size - device.index) % queue->size <= n;

		assert_int_equal(copy->packed_desc[i].id, i);
		assert_int_equal(copy->packed_desc[i].len, cut ? 0 : 100U + i);
	}
	destroy_queue(copy);
}

/* Bursts of every length are cut off anywhere, and the front-end says anything. */
static void
cut_off_bursts_are_returned(void **state)
{
	static const uint16_t sizes[] = { 2, 3, 4, 7, 32 };
	unsigned int i, n;
	uint16_t at;

	(void)state;
	srandom(2);
	for (i = 0; i < RTE_DIM(sizes); i++) {
		struct vnet_queue *queue = make_queue(sizes[i]);
		struct side driver = { 0, true }, device = { 0, true };
		uint16_t ahead = 0; /* descriptors that the device has */

		for (n = 0; n < 20U * sizes[i]; n++) {
			uint16_t cut;

			for (cut = 1; cut < ahead; cut++)
				for (at = 0; at < 2 * sizes[i]; at++)
					check_cut_off(queue, device,
							at % sizes[i] | (at < sizes[i] ? WRAP : 0),
							cut);
			if (ahead < sizes[i] && random() % 3) {
				make_available(queue, &driver, VRING_DESC_F_WRITE);
				ahead++;
			} else if (ahead > 0) {
				make_used(queue, &device);
				ahead--;
			}
		}
		destroy_queue(queue);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(place_is_found),
		cmocka_unit_test(chains_prove_nothing),
		cmocka_unit_test(chain_of_two_proves_nothing),
		cmocka_unit_test(one_behind_is_proved),
		cmocka_unit_test(cut_off_bursts_are_returned),
	};

	return run_test_program(argc, argv, "packed_pos", tests, NULL, NULL);
}
