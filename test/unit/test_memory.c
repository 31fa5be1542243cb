/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Shows what a memory table says of guest addresses and of host addresses, at
 * the ends of regions above all, and how long it is there.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "region_bitmap.h"
#include "test_program.h"

#include "dirtylog.h"

#define PAGE DIRTYLOG_PAGE_SIZE

/* With a gap between the two, and behind. */
static uint8_t memory_here[8 * PAGE];
#define LOW_LEN (4 * PAGE)
#define low (memory_here)
#define high (memory_here + 5 * PAGE)

/* Two regions that are neighbours for the guest, and not here; one at the end. */
static const struct dirtylog_region regions[] = {
	{ .gpa = 0, .len = LOW_LEN, .host = low },
	{ .gpa = LOW_LEN, .len = PAGE, .host = high + PAGE },
	{ .gpa = UINT64_MAX - PAGE + 1, .len = PAGE, .host = high },
};

static int
setup(void **state)
{
	struct dirtylog *dl;

	assert_int_equal(dirtylog_create("unit", &dl), 0);
	assert_null(dirtylog_memory(dl));
	assert_int_equal(dirtylog_set_regions(dl, regions, 3), 0);
	*state = dl;
	return 0;
}

static int
teardown(void **state)
{
	dirtylog_destroy(*state);
	return 0;
}

static void
the_table_is_handed_out(void **state)
{
	struct dirtylog_region other = { .gpa = 5 * PAGE, .len = PAGE, .bitmap = (void *)low };
	struct dirtylog *dl = *state;
	const struct dirtylog_memory *memory = dirtylog_memory(dl);
	uint32_t i;

	assert_int_equal(memory->nb_regions, 3);
	for (i = 0; i < 3; i++) {
		assert_int_equal(memory->regions[i].gpa, regions[i].gpa);
		assert_int_equal(memory->regions[i].len, regions[i].len);
		assert_ptr_equal(memory->regions[i].host, regions[i].host);
		assert_non_null(memory->regions[i].bitmap);
		assert_ptr_equal(memory->regions[i].bitmap, region_bitmap(dl, i));
	}
	/* One that is refused leaves the table as it is. */
	other.len = 0;
	assert_int_equal(dirtylog_set_regions(dl, &other, 1), -EINVAL);
	assert_ptr_equal(dirtylog_memory(dl), memory);
	other.len = PAGE;
	assert_int_equal(dirtylog_set_regions(dl, &other, 1), 0);
	memory = dirtylog_memory(dl);
	assert_int_equal(memory->nb_regions, 1);
	assert_int_equal(memory->regions[0].gpa, 5 * PAGE);
	assert_ptr_equal(memory->regions[0].bitmap, region_bitmap(dl, 0));
	assert_int_equal(dirtylog_set_regions(dl, NULL, 0), 0);
	assert_null(dirtylog_memory(dl));
	assert_int_equal(dirtylog_set_regions(dl, regions, 3), 0);
	assert_int_equal(dirtylog_reset(dl), 0);
	assert_null(dirtylog_memory(dl));
}

static void
guest_addresses(void **state)
{
	const struct dirtylog_memory *memory = dirtylog_memory(*state);
	const struct dirtylog_region *r = memory->regions, *hint = &r[0];

	assert_ptr_equal(dirtylog_memory_find(memory, 0, &hint), &r[0]);
	assert_ptr_equal(dirtylog_memory_find(memory, 4 * PAGE, &hint), &r[1]);
	assert_ptr_equal(hint, &r[1]);
	assert_null(dirtylog_memory_find(memory, 5 * PAGE, &hint));
	assert_ptr_equal(hint, &r[1]);
	assert_ptr_equal(dirtylog_memory_find(memory, UINT64_MAX, &hint), &r[2]);
	assert_ptr_equal(hint, &r[2]);
	assert_null(dirtylog_memory_find(memory, UINT64_MAX - PAGE, &hint));

	assert_ptr_equal(dirtylog_memory_find_range(memory, 0, 4 * PAGE, &hint), &r[0]);
	assert_null(dirtylog_memory_find_range(memory, 0, 4 * PAGE + 1, &hint));
	assert_null(dirtylog_memory_find_range(memory, 4 * PAGE - 1, 2, &hint));
	assert_null(dirtylog_memory_find_range(memory, PAGE, UINT32_MAX, &hint));
	assert_ptr_equal(dirtylog_memory_find_range(memory, UINT64_MAX, 1, &hint), &r[2]);
	assert_null(dirtylog_memory_find_range(memory, UINT64_MAX, 2, &hint));
	/* Nothing at all must be in a region too. */
	assert_ptr_equal(dirtylog_memory_find_range(memory, 4 * PAGE, 0, &hint), &r[1]);
	assert_null(dirtylog_memory_find_range(memory, 5 * PAGE, 0, &hint));

	assert_true(dirtylog_region_holds(&r[0], PAGE, 3 * PAGE));
	assert_false(dirtylog_region_holds(&r[0], PAGE, UINT64_MAX));

	assert_ptr_equal(dirtylog_region_host(&r[0], 7), low + 7);
	assert_ptr_equal(dirtylog_region_host(&r[1], 4 * PAGE + 7), high + PAGE + 7);
	assert_ptr_equal(dirtylog_region_host(&r[2], UINT64_MAX), high + PAGE - 1);
}

static void
host_addresses(void **state)
{
	const struct dirtylog_memory *memory = dirtylog_memory(*state);
	const struct dirtylog_region *r = memory->regions;
	uint64_t gpa = 1;

	assert_ptr_equal(dirtylog_memory_find_host(memory, low, LOW_LEN), &r[0]);
	assert_null(dirtylog_memory_find_host(memory, low, LOW_LEN + 1));
	assert_null(dirtylog_memory_find_host(memory, low + 1, UINT64_MAX));
	assert_ptr_equal(dirtylog_memory_find_host(memory, high + PAGE - 1, 1), &r[2]);
	assert_null(dirtylog_memory_find_host(memory, high + PAGE - 1, 2));
	assert_null(dirtylog_memory_find_host(memory, NULL, 1));

	assert_int_equal(dirtylog_memory_gpa(memory, high + PAGE + 7, &gpa), 0);
	assert_int_equal(gpa, 4 * PAGE + 7);
	assert_int_equal(dirtylog_memory_gpa(memory, high + PAGE - 1, &gpa), 0);
	assert_int_equal(gpa, UINT64_MAX);
	assert_int_equal(dirtylog_memory_gpa(memory, high + 2 * PAGE, &gpa), -EFAULT);
	assert_int_equal(dirtylog_memory_gpa(memory, NULL, &gpa), -EFAULT);
	assert_int_equal(gpa, UINT64_MAX);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_table_is_handed_out, setup, teardown),
		cmocka_unit_test_setup_teardown(guest_addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(host_addresses, setup, teardown),
	};

	return run_test_program(argc, argv, "memory", tests, NULL, NULL);
}
