/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>
#include <sys/mman.h>

#include <sanitizer/asan_interface.h>

#include "fail.h"
#include "ring/ram.h"

struct ram ram;

void
ram_init(void)
{
	static const struct {
		uint64_t gpa, len;
		unsigned int first_page, nb_pages;
	} layout[RAM_NB_REGIONS] = {
		{ RAM_A_GPA, RAM_A_PAGES * RAM_PAGE, 0, RAM_A_PAGES },
		{ RAM_B_GPA, RAM_B_PAGES * RAM_PAGE, RAM_A_PAGES, RAM_B_PAGES },
		{ RAM_C_GPA, RAM_C_LEN, RAM_A_PAGES + RAM_B_PAGES, RAM_C_PAGES },
	};
	uint8_t *at;
	unsigned int i;

	ram.len = (RAM_NB_PAGES + RAM_NB_REGIONS + 1) * RAM_PAGE;
	ram.start = mmap(NULL, ram.len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FUZZ_CHECK(ram.start != MAP_FAILED, "no guest memory");
	at = ram.start + RAM_PAGE;
	for (i = 0; i < RAM_NB_REGIONS; i++) {
		struct ram_region *region = &ram.regions[i];
		size_t whole = layout[i].nb_pages * RAM_PAGE;

		region->gpa = layout[i].gpa;
		region->len = layout[i].len;
		region->host = at;
		region->first_page = layout[i].first_page;
		FUZZ_CHECK(mprotect(at, whole, PROT_READ | PROT_WRITE) == 0, "no guest memory");
		ASAN_POISON_MEMORY_REGION(at + region->len, whole - region->len);
		at += whole + RAM_PAGE;
	}
}

void
ram_reset(void)
{
	unsigned int i;

	for (i = 0; i < RAM_NB_REGIONS && ram.touched != 0; i++) {
		struct ram_region *region = &ram.regions[i];
		size_t offset;

		for (offset = 0; offset < region->len; offset += RAM_PAGE) {
			size_t left = region->len - offset;

			if (ram.touched >> (region->first_page + offset / RAM_PAGE) & 1)
				memset(region->host + offset, 0, left < RAM_PAGE ? left : RAM_PAGE);
		}
	}
	ram.touched = 0;
}

void
ram_write(uint64_t gpa, const void *data, size_t len)
{
	const uint8_t *from = data;
	unsigned int i;

	for (i = 0; i < RAM_NB_REGIONS; i++) {
		struct ram_region *region = &ram.regions[i];
		uint64_t skip = gpa < region->gpa ? region->gpa - gpa : 0;
		uint64_t offset = gpa + skip - region->gpa, n;

		if (skip >= len || offset >= region->len)
			continue;
		n = len - skip < region->len - offset ? len - skip : region->len - offset;
		memcpy(region->host + offset, from + skip, n);
		ram.touched |= ram_pages(region, (uintptr_t)region->host + offset, n);
	}
}

void *
ram_host(uint64_t gpa, size_t len)
{
	unsigned int i;

	for (i = 0; i < RAM_NB_REGIONS; i++) {
		struct ram_region *region = &ram.regions[i];
		uint64_t offset = gpa - region->gpa;

		if (offset < region->len && len <= region->len - offset)
			return region->host + offset;
	}
	return NULL;
}

const struct ram_region *
ram_region_of(uintptr_t host)
{
	unsigned int i;

	for (i = 0; i < RAM_NB_REGIONS; i++)
		if (host - (uintptr_t)ram.regions[i].host < ram.regions[i].len)
			return &ram.regions[i];
	return NULL;
}

uint64_t
ram_pages(const struct ram_region *region, uintptr_t host, size_t len)
{
	uint64_t offset = host - (uintptr_t)region->host;
	uint64_t last = offset + len - 1 < region->len ? offset + len - 1 : region->len - 1;

	return (UINT64_C(2) << (region->first_page + last / RAM_PAGE)) -
			(UINT64_C(1) << (region->first_page + offset / RAM_PAGE));
}

uint64_t
ram_logged(const uint64_t *log)
{
	uint64_t near = log[0] & ((UINT64_C(1) << (RAM_A_PAGES + RAM_B_PAGES)) - 1);
	uint64_t far = log[1] >> 63 | (log[2] & ((UINT64_C(1) << (RAM_C_PAGES - 1)) - 1)) << 1;

	return near | far << (RAM_A_PAGES + RAM_B_PAGES);
}
