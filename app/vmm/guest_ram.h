/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The guest's memory: one run of addresses here, up to eight regions with holes
 * between them in guest physical addresses. An offset counts from its beginning.
 */
#ifndef GUEST_RAM_H
#define GUEST_RAM_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_RAM_MAX_REGIONS 8
#define PAGE_SIZE 4096u
#define PAGE_SHIFT 12

struct guest_ram_config {
	unsigned int mib; /* 0: as much as buffers and rings need, at least 16 */
	unsigned int regions;
	unsigned int hole_mib; /* guest addresses without memory, between two regions */
	bool one_file;         /* all regions, at offsets; else one each */
	bool hugepages;
	bool destination; /* memory beside it to which a migration copies */
	uint64_t cut;     /* bytes by which the last of them is shorter */
	uint64_t plug;    /* bytes of one more region, to be plugged later; 0: none */
};

struct ram_region {
	uint64_t gpa;
	uint64_t offset;
	uint64_t size;
	int fd;
	uint64_t file_offset;
};

struct guest_ram {
	uint8_t *reserved; /* addresses for source, which is aligned */
	uint64_t reserved_size;
	uint8_t *source;      /* what back-end and guest write */
	uint8_t *destination; /* what the migration copied */
	uint64_t size;        /* of all regions */
	uint64_t first_size;  /* of those that the guest has from the beginning */
	unsigned int n_regions;
	unsigned int n_first; /* regions that the guest has from the beginning */
	struct ram_region regions[GUEST_RAM_MAX_REGIONS];
	uint64_t allocated; /* guest_ram_alloc() gave away what lies below */
};

/* need: bytes that buffers and rings will take. */
int guest_ram_create(struct guest_ram *ram, const struct guest_ram_config *c, uint64_t need);
void guest_ram_destroy(struct guest_ram *ram);

/* Whole pages of their own; the offset, or 0 when RAM is full (nothing lies at 0). */
uint64_t guest_ram_alloc(struct guest_ram *ram, uint64_t size, uint64_t align);

uint64_t guest_ram_gpa(const struct guest_ram *ram, uint64_t offset);
/* The offset of an address, or UINT64_MAX when no region holds it. */
uint64_t guest_ram_offset(const struct guest_ram *ram, uint64_t gpa);
/* Pages of guest physical addresses, holes included, of the first n regions. */
uint64_t guest_ram_gpa_pages(const struct guest_ram *ram, unsigned int n_regions);

#endif
