/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_ram.h"

#define MIB (1ull << 20)
#define REGION_ALIGN (2 * MIB)  /* a huge page */
#define PLUG_GAP (1024 * MIB)   /* of guest addresses, before a region that is plugged */
#define LOWEST_OFFSET PAGE_SIZE /* page 0 stays free: 0 means "none" */

static uint64_t
align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/* A file of guest memory, mapped at `at`. */
static int
map_file(uint8_t *at, uint64_t size, uint64_t file_offset, int fd)
{
	void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd,
			(off_t)file_offset);

	if (p == MAP_FAILED) {
		warn("mapping %llu MiB of guest memory", (unsigned long long)(size / MIB));
		return -ENOMEM;
	}
	return 0;
}

static int
create_file(uint64_t size, bool hugepages)
{
	int fd = memfd_create("guest-ram", MFD_CLOEXEC | (hugepages ? MFD_HUGETLB : 0u));

	if (fd < 0) {
		warn("memfd_create");
		return -errno;
	}
	if (ftruncate(fd, (off_t)size) != 0) {
		warn("guest memory of %llu MiB", (unsigned long long)(size / MIB));
		close(fd);
		return -ENOMEM;
	}
	return fd;
}

/* Sizes and guest addresses of the regions. */
static void
lay_out(struct guest_ram *ram, const struct guest_ram_config *c, uint64_t size)
{
	uint64_t gpa = 0, offset = 0, left = size;
	unsigned int i;

	for (i = 0; i < c->regions; i++) {
		struct ram_region *r = &ram->regions[i];

		r->size = i + 1 == c->regions ? left : align_up(size / c->regions, REGION_ALIGN);
		r->gpa = gpa;
		r->offset = offset;
		r->file_offset = c->one_file ? offset : 0;
		offset += r->size;
		left -= r->size;
		gpa += r->size + c->hole_mib * MIB;
	}
	ram->n_regions = c->regions;
	ram->regions[c->regions - 1].size -= c->cut;
	offset -= c->cut;
	ram->first_size = offset;
	ram->n_first = ram->n_regions;
	if (c->plug != 0) {
		ram->regions[ram->n_regions++] = (struct ram_region){
			.gpa = gpa + PLUG_GAP,
			.offset = offset,
			.size = c->plug,
			.file_offset = c->one_file ? offset : 0,
		};
		offset += c->plug;
	}
	ram->size = offset;
}

int
guest_ram_create(struct guest_ram *ram, const struct guest_ram_config *c, uint64_t need)
{
	uint64_t size = align_up(need + LOWEST_OFFSET, REGION_ALIGN);
	unsigned int i;
	int ret;

	*ram = (struct guest_ram){ .allocated = LOWEST_OFFSET };
	for (i = 0; i < GUEST_RAM_MAX_REGIONS; i++)
		ram->regions[i].fd = -1;
	/* A buffer must not lie across two regions: leave room to step over each end. */
	size += c->regions * REGION_ALIGN;
	if (size < 16 * MIB)
		size = 16 * MIB;
	if (c->mib != 0) {
		if (c->mib * MIB < size) {
			warnx("%u MiB of guest memory are too few: buffers and rings need %llu MiB",
					c->mib, (unsigned long long)(size / MIB));
			return -EINVAL;
		}
		size = align_up(c->mib * MIB, REGION_ALIGN);
	}
	lay_out(ram, c, size);

	/* Whole units: the last region may be shorter, but is mapped to its unit's end. */
	ram->reserved_size = align_up(ram->size, REGION_ALIGN) + REGION_ALIGN;
	ram->reserved = mmap(NULL, ram->reserved_size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram->reserved == MAP_FAILED) {
		ram->reserved = NULL;
		warn("address space for guest memory");
		return -ENOMEM;
	}
	/* Huge pages can be mapped at their own alignment only. */
	ram->source = (uint8_t *)align_up((uintptr_t)ram->reserved, REGION_ALIGN);
	for (i = 0; i < ram->n_regions; i++) {
		struct ram_region *r = &ram->regions[i];

		if (i == 0 || !c->one_file)
			r->fd = create_file(
					align_up(c->one_file ? ram->size : r->size, REGION_ALIGN),
					c->hugepages);
		else
			r->fd = ram->regions[0].fd;
		if (r->fd < 0)
			return r->fd;
		ret = map_file(ram->source + r->offset, align_up(r->size, REGION_ALIGN),
				r->file_offset, r->fd);
		if (ret < 0)
			return ret;
	}

	if (!c->destination)
		return 0;
	/* Populated now, so that no page fault lies in the measurement. */
	ram->destination = mmap(NULL, ram->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram->destination == MAP_FAILED) {
		ram->destination = NULL;
		warn("memory of the destination");
		return -ENOMEM;
	}
	madvise(ram->destination, ram->size, MADV_HUGEPAGE);
	/* Nothing may look as if it had arrived: not zero, which fresh memory holds. */
	memset(ram->destination, 0x5a, ram->size);
	return 0;
}

void
guest_ram_destroy(struct guest_ram *ram)
{
	unsigned int i;

	if (ram->destination != NULL)
		munmap(ram->destination, ram->size);
	if (ram->reserved != NULL)
		munmap(ram->reserved, ram->reserved_size);
	for (i = 0; i < ram->n_regions; i++)
		if (ram->regions[i].fd >= 0 && (i == 0 || ram->regions[i].fd != ram->regions[0].fd))
			close(ram->regions[i].fd);
	*ram = (struct guest_ram){ 0 };
}

/* The region that holds an offset. */
static const struct ram_region *
region_of(const struct guest_ram *ram, uint64_t offset)
{
	unsigned int i;

	for (i = 0; i < ram->n_regions; i++)
		if (offset - ram->regions[i].offset < ram->regions[i].size)
			return &ram->regions[i];
	return NULL;
}

uint64_t
guest_ram_alloc(struct guest_ram *ram, uint64_t size, uint64_t align)
{
	uint64_t offset = align_up(ram->allocated, align < PAGE_SIZE ? PAGE_SIZE : align);
	const struct ram_region *r;

	size = align_up(size, PAGE_SIZE);
	for (;;) {
		if (offset + size > ram->first_size)
			return 0;
		r = region_of(ram, offset);
		if (offset + size <= r->offset + r->size)
			break;
		offset = r->offset + r->size;
	}
	ram->allocated = offset + size;
	return offset;
}

uint64_t
guest_ram_gpa(const struct guest_ram *ram, uint64_t offset)
{
	const struct ram_region *r = region_of(ram, offset);

	return r->gpa + (offset - r->offset);
}

uint64_t
guest_ram_offset(const struct guest_ram *ram, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < ram->n_regions; i++)
		if (gpa - ram->regions[i].gpa < ram->regions[i].size)
			return ram->regions[i].offset + (gpa - ram->regions[i].gpa);
	return UINT64_MAX;
}

uint64_t
guest_ram_gpa_pages(const struct guest_ram *ram, unsigned int n_regions)
{
	const struct ram_region *r = &ram->regions[n_regions - 1];

	return (r->gpa + r->size) / PAGE_SIZE;
}
