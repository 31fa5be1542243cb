/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Guest memory, small enough to be looked at after each burst: three regions
 * with inaccessible pages between them. A and B are neighbours for the guest
 * only; C is far away, lies in two words of a log, and is no whole number of
 * pages long.
 *
 * A set of pages is a word with a bit for each page, in the order of the
 * regions.
 */

#ifndef FUZZ_RAM_H
#define FUZZ_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAM_PAGE 4096U

#define RAM_NB_REGIONS 3
#define RAM_A_PAGES 20U
#define RAM_B_PAGES 8U
#define RAM_C_PAGES 8U
#define RAM_NB_PAGES (RAM_A_PAGES + RAM_B_PAGES + RAM_C_PAGES)

#define RAM_A_GPA UINT64_C(0)
#define RAM_B_GPA (RAM_A_GPA + RAM_A_PAGES * RAM_PAGE)
#define RAM_C_GPA (UINT64_C(127) * RAM_PAGE) /* its second page begins a word of the log */
#define RAM_C_LEN ((RAM_C_PAGES - 1) * RAM_PAGE + 1000)

/* Bytes of a log that covers it; no multiple of 8. */
#define RAM_LOG_LEN ((RAM_C_GPA + RAM_C_LEN - 1) / RAM_PAGE / 8 + 1)

struct ram_region {
	uint64_t gpa;
	uint64_t len;
	uint8_t *host;
	unsigned int first_page; /* of a set */
};

struct ram {
	uint8_t *start; /* of what all regions lie in */
	size_t len;
	struct ram_region regions[RAM_NB_REGIONS];
	uint64_t touched; /* pages that are not all zero */
};

extern struct ram ram;

void ram_init(void);

/* All zero again. */
void ram_reset(void);

/* The guest writes; what is no memory is left out. */
void ram_write(uint64_t gpa, const void *data, size_t len);

/* The host address of bytes in one region, or NULL. */
void *ram_host(uint64_t gpa, size_t len);

/* The region of a host address, or NULL. */
const struct ram_region *ram_region_of(uintptr_t host);

/* The pages of bytes that begin in a region; beyond it there are none. */
uint64_t ram_pages(const struct ram_region *region, uintptr_t host, size_t len);

/* The pages that a log shows, given as words from GPA 0 on. */
uint64_t ram_logged(const uint64_t *log);

#endif /* FUZZ_RAM_H */
