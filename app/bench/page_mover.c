/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "cycles.h"
#include "page_mover.h"

#define SWEEP_WORDS 16   /* log words per step: each may cost a miss of the cache */
#define LIMITED_NS 50000 /* pause of a thread that the bandwidth limit holds up */
#define SCAN_WORDS 128   /* words of our own bitmaps per step */

int
page_mover_create(struct page_mover *m, struct guest_ram *ram)
{
	*m = (struct page_mover){ .ram = ram, .random = 88172645463325252ull };
	m->words = (guest_ram_gpa_pages(ram, ram->n_regions) + 63) / 64;
	m->dirty = calloc(m->words, sizeof(*m->dirty));
	m->guest_wrote = calloc(m->words, sizeof(*m->guest_wrote));
	m->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	m->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (m->dirty == NULL || m->guest_wrote == NULL || m->done_fd < 0 || m->wake_fd < 0) {
		warn("bitmaps of the migration");
		return -ENOMEM;
	}
	return 0;
}

void
page_mover_reset_counts(struct page_mover *m)
{
	m->log_pages = m->guest_pages = m->stray_pages = m->copied_pages = m->dropped_pages = 0;
}

void
page_mover_wake(struct page_mover *m)
{
	const uint64_t one = 1;

	if (write(m->wake_fd, &one, sizeof(one)) != sizeof(one))
		warn("waking the thread that moves pages");
}

void
page_mover_wait(struct page_mover *m)
{
	const struct timespec pause = { .tv_nsec = LIMITED_NS };
	uint64_t count;

	if (__atomic_load_n(&m->job, __ATOMIC_ACQUIRE) != MOVER_IDLE)
		nanosleep(&pause, NULL); /* the bandwidth limit */
	else if (read(m->wake_fd, &count, sizeof(count)) != sizeof(count))
		warn("thread that moves pages");
}

static void
begin(struct page_mover *m, enum mover_job job)
{
	m->at = 0;
	m->copied_in_job = 0;
	m->drop_seen = 0;
	m->copy_started_ns = now_ns();
	__atomic_store_n(&m->job, job, __ATOMIC_RELEASE);
	page_mover_wake(m);
}

void
page_mover_sweep(struct page_mover *m, const struct dirty_log *log)
{
	m->log = log;
	begin(m, MOVER_SWEEP);
}

void
page_mover_take_guest(struct page_mover *m)
{
	begin(m, MOVER_TAKE_GUEST);
}

void
page_mover_copy(struct page_mover *m)
{
	begin(m, MOVER_COPY);
}

static bool
end(struct page_mover *m)
{
	const uint64_t one = 1;

	__atomic_store_n(&m->job, MOVER_IDLE, __ATOMIC_RELEASE);
	return write(m->done_fd, &one, sizeof(one)) == sizeof(one);
}

/* The destination is not read again: keep it out of the caches that the guest uses. */
static void
copy_page(uint8_t *to, const uint8_t *from)
{
#ifdef __SSE2__
	const __m128i *f = (const __m128i *)(const void *)from;
	__m128i *t = (__m128i *)(void *)to;
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / sizeof(*f); i += 4) {
		__m128i a = _mm_load_si128(f + i), b = _mm_load_si128(f + i + 1);
		__m128i c = _mm_load_si128(f + i + 2), d = _mm_load_si128(f + i + 3);

		_mm_stream_si128(t + i, a);
		_mm_stream_si128(t + i + 1, b);
		_mm_stream_si128(t + i + 2, c);
		_mm_stream_si128(t + i + 3, d);
	}
	_mm_sfence();
#else
	memcpy(to, from, PAGE_SIZE);
#endif
}

/* Chooses one of all newly marked pages, each with the same chance. */
static void
consider_dropping(struct page_mover *m, uint64_t word, uint64_t fresh)
{
	for (; fresh != 0; fresh &= fresh - 1) {
		m->random ^= m->random << 13;
		m->random ^= m->random >> 7;
		m->random ^= m->random << 17;
		if (m->random % ++m->drop_seen == 0)
			m->drop_page = word * 64 + (unsigned int)__builtin_ctzll(fresh);
	}
}

static bool
sweep_step(struct page_mover *m)
{
	uint64_t words = dirty_log_words(m->log), stop = m->at + SWEEP_WORDS, bits;

	for (; m->at < words && m->at < stop; m->at++) {
		bits = dirty_log_take(m->log, m->at);
		if (bits == 0)
			continue;
		m->log_pages += (unsigned int)__builtin_popcountll(bits);
		if (m->at >= m->words) {
			m->stray_pages += (unsigned int)__builtin_popcountll(bits);
			continue;
		}
		if (m->drop)
			consider_dropping(m, m->at, bits & ~m->dirty[m->at]);
		m->dirty[m->at] |= bits;
		if (m->marked != NULL)
			m->marked[m->at] |= bits;
	}
	if (m->at < words)
		return true;
	if (m->drop && m->drop_seen > 0) {
		m->dirty[m->drop_page / 64] &= ~(1ull << m->drop_page % 64);
		m->dropped_pages++;
	}
	return end(m);
}

static bool
take_guest_step(struct page_mover *m)
{
	uint64_t stop = m->at + SCAN_WORDS, bits;

	for (; m->at < m->words && m->at < stop; m->at++) {
		if (__atomic_load_n(&m->guest_wrote[m->at], __ATOMIC_RELAXED) == 0)
			continue;
		bits = __atomic_exchange_n(&m->guest_wrote[m->at], 0, __ATOMIC_SEQ_CST);
		m->guest_pages += (unsigned int)__builtin_popcountll(bits);
		m->dirty[m->at] |= bits;
	}
	return m->at < m->words ? true : end(m);
}

static bool
copy_step(struct page_mover *m)
{
	uint64_t stop = m->at + SCAN_WORDS, offset, allowed;
	unsigned int bit;

	if (m->bytes_per_second != 0) {
		allowed = (uint64_t)((double)(now_ns() - m->copy_started_ns) * 1e-9 *
				(double)m->bytes_per_second);
		if (m->copied_in_job * PAGE_SIZE >= allowed)
			return false;
	}
	while (m->at < m->words && m->dirty[m->at] == 0 && m->at < stop)
		m->at++;
	if (m->at == m->words)
		return end(m);
	if (m->dirty[m->at] == 0)
		return true;
	bit = (unsigned int)__builtin_ctzll(m->dirty[m->at]);
	m->dirty[m->at] &= m->dirty[m->at] - 1;
	offset = guest_ram_offset(m->ram, (m->at * 64 + bit) << PAGE_SHIFT);
	if (offset == UINT64_MAX) {
		m->stray_pages++;
		return true;
	}
	copy_page(m->ram->destination + offset, m->ram->source + offset);
	m->copied_pages++;
	m->copied_in_job++;
	return true;
}

bool
page_mover_step(struct page_mover *m)
{
	switch (__atomic_load_n(&m->job, __ATOMIC_ACQUIRE)) {
	case MOVER_SWEEP:
		return sweep_step(m);
	case MOVER_TAKE_GUEST:
		return take_guest_step(m);
	case MOVER_COPY:
		return copy_step(m);
	default:
		return false;
	}
}

void
page_mover_all_dirty(struct page_mover *m)
{
	const struct ram_region *r;
	uint64_t page;
	unsigned int i;

	for (i = 0; i < m->ram->n_regions; i++) {
		r = &m->ram->regions[i];
		for (page = r->gpa / PAGE_SIZE; page < (r->gpa + r->size) / PAGE_SIZE; page++)
			m->dirty[page / 64] |= 1ull << page % 64;
	}
}

void
page_mover_none_dirty(struct page_mover *m)
{
	memset(m->dirty, 0, m->words * sizeof(*m->dirty));
	memset(m->guest_wrote, 0, m->words * sizeof(*m->guest_wrote));
}

uint64_t
page_mover_count_dirty(const struct page_mover *m)
{
	uint64_t n = 0, i;

	for (i = 0; i < m->words; i++)
		n += (unsigned int)__builtin_popcountll(m->dirty[i]);
	return n;
}
