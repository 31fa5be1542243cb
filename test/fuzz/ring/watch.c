/* SPDX-License-Identifier: BSD-3-Clause */

#include <inttypes.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "fail.h"
#include "ring/ram.h"
#include "ring/watch.h"

/* Beyond that, a burst may read and write what it wants. */
#define MAX_OFFERS 32768

#define WORDS ((RAM_NB_PAGES + RAM_NB_REGIONS + 1) * RAM_PAGE / 8)

/* Some of what a descriptor names. */
struct offer {
	uintptr_t at;
	size_t len;
	bool writable;
};

struct watch watch;

static struct watch_ring ring;
static bool shown;

/* Guest memory, while it is watched; else nothing. */
static uintptr_t window;
static size_t window_len;

static void
watch_memory(bool on)
{
	window = (uintptr_t)ram.start;
	window_len = on ? ram.len : 0;
}
static uint32_t generation; /* of bursts */

/* Words of guest memory as the burst read them last, if it did. */
static struct {
	uint64_t value;
	uint32_t generation;
} seen[WORDS];

static struct offer offers[MAX_OFFERS];
static size_t nb_offers, last_offer;
static bool too_many_offers;

static bool
area_holds(const struct watch_area *area, uintptr_t at, size_t len)
{
	uintptr_t offset = at - (uintptr_t)area->at;

	return offset < area->len && len <= area->len - offset;
}

static bool
is_of_ring(uintptr_t at, size_t len)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (at - (uintptr_t)ring.read[i].at < ring.read[i].len ||
				(uintptr_t)ring.read[i].at - at < len)
			return true;
	return false;
}

static void
add_offer(uint64_t gpa, uint32_t len, bool writable)
{
	unsigned int i;

	for (i = 0; i < RAM_NB_REGIONS; i++) {
		const struct ram_region *region = &ram.regions[i];
		uint64_t skip = gpa < region->gpa ? region->gpa - gpa : 0;
		uint64_t offset = gpa + skip - region->gpa;

		if (skip >= len || offset >= region->len)
			continue;
		if (nb_offers == MAX_OFFERS) {
			too_many_offers = true;
			return;
		}
		offers[nb_offers++] = (struct offer){
			.at = (uintptr_t)region->host + offset,
			.len = len - skip < region->len - offset ? len - skip :
								   region->len - offset,
			.writable = writable,
		};
		if (writable && is_of_ring(offers[nb_offers - 1].at, offers[nb_offers - 1].len))
			watch.ring_offered = true;
	}
}

/* Two words that follow each other can be a descriptor: an address, and what is behind it. */
static void
take_descriptor(size_t word)
{
	uint64_t tail;

	if (word + 1 >= WORDS || seen[word].generation != generation ||
			seen[word + 1].generation != generation)
		return;
	tail = seen[word + 1].value;
	add_offer(seen[word].value, (uint32_t)tail,
			tail >> (ring.packed ? 48 : 32) & VRING_DESC_F_WRITE);
}

static void
see_word(size_t word, uint64_t value)
{
	if (seen[word].generation == generation && seen[word].value == value)
		return;
	seen[word].generation = generation;
	seen[word].value = value;
	take_descriptor(word);
	if (word != 0)
		take_descriptor(word - 1);
}

static bool
is_offered(uintptr_t at, size_t len, bool writable)
{
	size_t i;

	if (too_many_offers)
		return true;
	/* Mostly in the same buffer as the last time, or the next one. */
	for (i = 0; i < nb_offers; i++) {
		const struct offer *offer = &offers[last_offer];

		if (at - offer->at < offer->len && len <= offer->len - (at - offer->at) &&
				(offer->writable || !writable))
			return true;
		last_offer = last_offer + 1 == nb_offers ? 0 : last_offer + 1;
	}
	return false;
}

static bool
touches_offer(uintptr_t at, size_t len)
{
	size_t i;

	if (is_offered(at, len, false))
		return true;
	for (i = 0; i < nb_offers; i++)
		if (at - offers[i].at < offers[i].len || offers[i].at - at < len)
			return true;
	return false;
}

void
watch_harvest(uint64_t *log)
{
	uint64_t logged = ram_logged(log);

	watch.dirty &= ~logged;
	watch.stored &= ~logged;
	memset(log, 0, RAM_LOG_LEN);
}

static void
change_now(uintptr_t at)
{
	const struct ram_region *region = ram_region_of(at);
	unsigned int i;

	watch_memory(false);
	for (i = 0; i < watch.nb_changes; i++) {
		struct watch_change *change = &watch.changes[i];

		if (change->at != watch.nb_reads)
			continue;
		switch (change->kind) {
		case CHANGE_THERE:
			if (region != NULL)
				ram_write(region->gpa + (at - (uintptr_t)region->host),
						change->bytes, change->len);
			break;
		case CHANGE_GPA:
			ram_write(change->gpa, change->bytes, change->len);
			break;
		case CHANGE_HARVEST:
			if (watch.log != NULL)
				watch_harvest(watch.log);
			break;
		}
		if (change->kind != CHANGE_HARVEST)
			watch.changed = true;
	}
	watch_memory(true);
}

static uint64_t
gpa_of(uintptr_t at)
{
	const struct ram_region *region = ram_region_of(at);

	return region == NULL ? UINT64_MAX : region->gpa + (at - (uintptr_t)region->host);
}

/* Before bytes of guest memory are read. */
static __attribute__((noinline)) void
on_guest_read(uintptr_t at, size_t len)
{
	unsigned int i;

	if (watch.nb_changes != 0)
		change_now(at);
	watch.nb_reads++;
	/* Descriptors are read in words. */
	if (len == 8 && at % 8 == 0)
		see_word((at - (uintptr_t)ram.start) / 8, *(const uint64_t *)at);
	for (i = 0; i < 3; i++)
		if (area_holds(&ring.read[i], at, len))
			return;
	/* rte_memcpy() reads whole lines of 16 bytes, and takes what it wants of them. */
	if (len == 16 && at % 16 == 0 && touches_offer(at, len))
		return;
	FUZZ_CHECK(is_offered(at, len, false),
			"%zu bytes are read at GPA 0x%" PRIx64 " that no descriptor names", len,
			gpa_of(at));
}

/* All that was written before is marked when the guest can see it. */
static void
check_shown(void)
{
	uint64_t missing;

	if (!watch.logging || watch.log == NULL)
		return;
	missing = watch.stored & ~ram_logged(watch.log);
	FUZZ_CHECK(missing == 0,
			"the guest sees buffers, and pages 0x%" PRIx64 " are not marked yet",
			missing);
}

/* Before bytes of guest memory are written. */
static __attribute__((noinline)) void
on_guest_write(uintptr_t at, size_t len)
{
	const struct ram_region *region = ram_region_of(at);
	uint64_t pages;
	unsigned int i;

	FUZZ_CHECK(region != NULL, "%zu bytes are written at %p, between the regions", len,
			(void *)at);
	pages = ram_pages(region, at, len);
	ram.touched |= pages;
	if (at == (uintptr_t)ring.shows) {
		if (!watch.ring_offered)
			check_shown();
		shown = true;
	}
	watch.stored |= pages;
	if (watch.logging)
		watch.dirty |= pages;
	for (i = 0; i < 2; i++)
		if (area_holds(&ring.written[i], at, len))
			return;
	FUZZ_CHECK(is_offered(at, len, true),
			"%zu bytes are written at GPA 0x%" PRIx64 " that no descriptor offers", len,
			gpa_of(at));
}

static uint64_t
page_of(const void *host)
{
	return ram_pages(ram_region_of((uintptr_t)host), (uintptr_t)host, 1);
}

void
watch_begin(const struct watch_ring *its_ring)
{
	ring = *its_ring;
	generation++;
	nb_offers = 0;
	last_offer = 0;
	too_many_offers = false;
	watch.work = 0;
	watch.nb_reads = 0;
	watch.stored = 0;
	watch.changed = false;
	watch.ring_offered = false;
	shown = false;
	watch_memory(true);
}

void
watch_end(bool marks)
{
	watch_memory(false);
	watch.nb_changes = 0;
	if (!marks)
		return;
	if (shown)
		watch.with_index = 0;
	watch.later = shown ? page_of(ring.shows) : watch.with_index;
	if (watch.logging && watch.log != NULL)
		watch_check_marked(watch.log, watch.later, "after a burst");
}

void
watch_check_marked(const uint64_t *log, uint64_t later, const char *when)
{
	uint64_t missing = watch.dirty & ~ram_logged(log) & ~later;

	FUZZ_CHECK(missing == 0, "%s: pages 0x%" PRIx64 " were written and are not marked", when,
			missing);
}

/* Called very often: mostly for what is no guest memory. */
static inline bool
is_guest_memory(const void *at, size_t len)
{
	watch.work += (len + 15) / 16;
	return __builtin_expect((uintptr_t)at - window < window_len, 0);
}

/* What the compiler calls: see clang's documentation of SanitizerCoverage. */
#define LOAD_AND_STORE(size) \
	void __sanitizer_cov_load##size(const void *at); \
	void __sanitizer_cov_store##size(const void *at); \
	void __sanitizer_cov_load##size(const void *at) \
	{ \
		if (is_guest_memory(at, size)) \
			on_guest_read((uintptr_t)at, size); \
	} \
	void __sanitizer_cov_store##size(const void *at) \
	{ \
		if (is_guest_memory(at, size)) \
			on_guest_write((uintptr_t)at, size); \
	}

LOAD_AND_STORE(1)
LOAD_AND_STORE(2)
LOAD_AND_STORE(4)
LOAD_AND_STORE(8)
LOAD_AND_STORE(16)

/* Copies, which the program is linked with --wrap for. */
void *__real___asan_memcpy(void *to, const void *from, size_t len);
void *__wrap___asan_memcpy(void *to, const void *from, size_t len);

void *
__wrap___asan_memcpy(void *to, const void *from, size_t len)
{
	if (len != 0) {
		if (is_guest_memory(from, len))
			on_guest_read((uintptr_t)from, len);
		if (is_guest_memory(to, len))
			on_guest_write((uintptr_t)to, len);
	}
	return __real___asan_memcpy(to, from, len);
}
