/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "host_page.h"
#include "rig/guest_ram.h"

void
ram_add(struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	struct ram_region *region = &ram->regions[ram->nb_regions++];
	uint8_t *reserved;

	assert_true(ram->nb_regions <= RAM_MAX_REGIONS);
	region->gpa = gpa;
	region->len = len;
	region->fd = memfd_create("guest-ram", MFD_CLOEXEC);
	assert_true(region->fd >= 0);
	assert_int_equal(ftruncate(region->fd, (off_t)len), 0);
	reserved = mmap(NULL, len + 2 * host_page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(reserved, MAP_FAILED);
	region->host = mmap(reserved + host_page(), len, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_FIXED, region->fd, 0);
	assert_ptr_equal(region->host, reserved + host_page());
	region->image = calloc(1, len);
	region->written = calloc(len / RAM_PAGE, sizeof(region->written[0]));
	assert_non_null(region->image);
	assert_non_null(region->written);
}

void
ram_destroy(struct guest_ram *ram)
{
	unsigned int i;

	for (i = 0; i < ram->nb_regions; i++) {
		struct ram_region *region = &ram->regions[i];

		munmap(region->host - host_page(), region->len + 2 * host_page());
		close(region->fd);
		free(region->image);
		free(region->written);
	}
	ram->nb_regions = 0;
}

static struct ram_region *
find(const struct guest_ram *ram, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < ram->nb_regions; i++)
		if (gpa - ram->regions[i].gpa < ram->regions[i].len)
			return (struct ram_region *)&ram->regions[i];
	fail_msg("the test uses GPA 0x%" PRIx64 ", which is no memory", gpa);
	return NULL;
}

/* What is done to a range, one region at a time. */
enum access { ACCESS_WRITE, ACCESS_FORESEE, ACCESS_READ, ACCESS_EXPECT, ACCESS_ACCEPT };

static void
walk(struct guest_ram *ram, enum access access, uint64_t gpa, uint8_t *data, uint64_t len)
{
	while (len != 0) {
		struct ram_region *region = find(ram, gpa);
		uint64_t offset = gpa - region->gpa;
		uint64_t n = len < region->len - offset ? len : region->len - offset;
		uint64_t page;

		if (access == ACCESS_READ)
			memcpy(data, region->host + offset, n);
		if (access == ACCESS_WRITE)
			memcpy(region->host + offset, data, n);
		if (access == ACCESS_WRITE || access == ACCESS_FORESEE || access == ACCESS_EXPECT)
			memcpy(region->image + offset, data, n);
		if (access == ACCESS_ACCEPT)
			memcpy(region->image + offset, region->host + offset, n);
		if (access == ACCESS_EXPECT || access == ACCESS_ACCEPT)
			for (page = offset / RAM_PAGE; page <= (offset + n - 1) / RAM_PAGE; page++)
				region->written[page] = true;
		gpa += n;
		len -= n;
		if (data != NULL)
			data += n;
	}
}

void *
ram_host(struct guest_ram *ram, uint64_t gpa)
{
	const struct ram_region *region = find(ram, gpa);

	return region->host + (gpa - region->gpa);
}

void
ram_write(struct guest_ram *ram, uint64_t gpa, const void *data, uint64_t len)
{
	walk(ram, ACCESS_WRITE, gpa, (uint8_t *)(uintptr_t)data, len);
}

void
ram_foresee(struct guest_ram *ram, uint64_t gpa, const void *data, uint64_t len)
{
	walk(ram, ACCESS_FORESEE, gpa, (uint8_t *)(uintptr_t)data, len);
}

void
ram_read(struct guest_ram *ram, uint64_t gpa, void *data, uint64_t len)
{
	walk(ram, ACCESS_READ, gpa, data, len);
}

void
ram_expect(struct guest_ram *ram, uint64_t gpa, const void *data, uint64_t len)
{
	walk(ram, ACCESS_EXPECT, gpa, (uint8_t *)(uintptr_t)data, len);
}

void
ram_accept(struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	walk(ram, ACCESS_ACCEPT, gpa, NULL, len);
}

uint64_t
ram_differences(const struct guest_ram *ram)
{
	uint64_t differences = 0, offset, at;
	unsigned int i;

	for (i = 0; i < ram->nb_regions; i++) {
		const struct ram_region *region = &ram->regions[i];

		if (memcmp(region->host, region->image, region->len) == 0)
			continue;
		for (offset = 0; offset < region->len; offset += RAM_PAGE) {
			if (memcmp(region->host + offset, region->image + offset, RAM_PAGE) == 0)
				continue;
			if (differences++ != 0)
				continue;
			for (at = offset; region->host[at] == region->image[at]; at++)
				;
			fprintf(stderr, "GPA 0x%" PRIx64 " is 0x%02x, not 0x%02x\n",
					region->gpa + at, region->host[at], region->image[at]);
		}
	}
	return differences;
}

bool
ram_is_written(const struct guest_ram *ram, uint64_t gpa)
{
	const struct ram_region *region = find(ram, gpa);

	return region->written[(gpa - region->gpa) / RAM_PAGE];
}

void
ram_forget_written(struct guest_ram *ram)
{
	unsigned int i;

	for (i = 0; i < ram->nb_regions; i++)
		memset(ram->regions[i].written, 0,
				ram->regions[i].len / RAM_PAGE *
						sizeof(ram->regions[i].written[0]));
}
