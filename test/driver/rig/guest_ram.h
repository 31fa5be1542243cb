/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Guest memory as a test sees it: some regions, each between two inaccessible
 * pages, and beside each an image of what it should contain. The guest's own
 * writes go to both; what the back-end is expected to write goes to the image
 * only, and its pages are noted. Comparing the two then shows every byte that
 * was written wrongly, not at all, or where nothing was to be written; and the
 * notes are the pages that a log must show, no more and no less.
 *
 * Not app/vmm/guest_ram.h, the benchmarks' guest: tests share no code with them,
 * so that a mistake there is not taken for right here.
 */

#ifndef GUEST_RAM_H
#define GUEST_RAM_H

#include <stdbool.h>
#include <stdint.h>

#define RAM_PAGE UINT64_C(4096)
#define RAM_MAX_REGIONS 4

struct ram_region {
	uint64_t gpa; /* whole pages, as is len */
	uint64_t len;
	int fd; /* of the memory, for a front-end to hand over */
	uint8_t *host;
	uint8_t *image;
	bool *written; /* per page: the back-end was expected to write there */
};

struct guest_ram {
	unsigned int nb_regions;
	struct ram_region regions[RAM_MAX_REGIONS];
};

/* Add a region of `len` zeroed bytes. */
void ram_add(struct guest_ram *ram, uint64_t gpa, uint64_t len);

void ram_destroy(struct guest_ram *ram);

/* The host address of a GPA; fails the test if there is no memory. */
void *ram_host(struct guest_ram *ram, uint64_t gpa);

/* The guest's processor writes. A range may cross adjacent regions. */
void ram_write(struct guest_ram *ram, uint64_t gpa, const void *data, uint64_t len);

/* The guest's processor is going to write: to the image only. */
void ram_foresee(struct guest_ram *ram, uint64_t gpa, const void *data, uint64_t len);

void ram_read(struct guest_ram *ram, uint64_t gpa, void *data, uint64_t len);

/* The back-end is expected to have written. */
void ram_expect(struct guest_ram *ram, uint64_t gpa, const void *data, uint64_t len);

/* The back-end is expected to have written, whatever it was. */
void ram_accept(struct guest_ram *ram, uint64_t gpa, uint64_t len);

/*
 * Compare memory and image. Returns the number of pages that differ; the first
 * one is described on stderr.
 */
uint64_t ram_differences(const struct guest_ram *ram);

/* Whether the page of a GPA has been expected to be written. */
bool ram_is_written(const struct guest_ram *ram, uint64_t gpa);

/* Forget which pages were. */
void ram_forget_written(struct guest_ram *ram);

#endif /* GUEST_RAM_H */
