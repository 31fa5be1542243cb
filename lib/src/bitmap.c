/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Views, in this file from top to bottom:
 *
 *     making one    on a log, or on staging memory of our own
 *     transfers     marks move or are copied from a view to another; of staging
 *                   only the lines that its summary names are looked at
 *     marks         made and counted by control threads
 */

#include <errno.h>
#include <stdlib.h>

#include <rte_common.h>

#include "bitmap.h"
#include "diag.h"
#include "numa_node.h"
#include "shm.h"

/*
 * Bytes of a bitmap that are populated when it is made, on a thread that many
 * devices share: those of 2 TiB of guest memory. More come when they are marked.
 */
#define POPULATE_LIMIT (UINT64_C(64) << 20)

/* Words from the one with the view's first page to the one with its last. */
static uint64_t
view_nb_words(const struct dirtylog_view *view)
{
	return (view->start + view->len - 1) / DIRTYLOG_WORD_SPAN + 1;
}

/* The bits of word `index` of a view that are pages of bytes [offset, offset + len). */
static uint64_t
word_mask(const struct dirtylog_view *view, uint64_t index, uint64_t offset, uint64_t len)
{
	uint64_t first = (view->start + offset) >> DIRTYLOG_PAGE_SHIFT;
	uint64_t last = (view->start + offset + len - 1) >> DIRTYLOG_PAGE_SHIFT;
	uint64_t mask = UINT64_MAX;

	if (first / 64 == index)
		mask &= UINT64_MAX << (first % 64);
	if (last / 64 == index)
		mask &= UINT64_MAX >> (63 - last % 64);
	return mask;
}

/* ---- making one ---- */

static int
check_region(uint64_t gpa, uint64_t len)
{
	if (len == 0)
		return -EINVAL;
	return gpa + (len - 1) < gpa ? -EOVERFLOW : 0;
}

/* Takes over the caller's reference on shm, also on failure. */
static int
view_new(struct dirtylog_shm *shm, uint64_t first_word, uint64_t gpa, uint64_t len,
		uint64_t *summary, struct dirtylog_view **out)
{
	struct dirtylog_whole_view *whole = malloc(sizeof(*whole));
	struct dirtylog_view *view;
	uint64_t begin = first_word * sizeof(uint64_t);
	uint64_t end;
	int ret = -ENOMEM;

	if (whole == NULL)
		goto fail;
	whole->shm = shm;
	whole->gpa = gpa;
	view = &whole->view;
	view->words = (uint64_t *)shm->addr + first_word;
	view->start = gpa % DIRTYLOG_WORD_SPAN;
	view->len = len;
	view->summary = summary;
	/* The last word may reach over the end of the log, never of its page. */
	end = summary != NULL ? shm->len :
				RTE_MIN(begin + view_nb_words(view) * sizeof(uint64_t), shm->len);
	ret = dirtylog_shm_populate(shm, begin, RTE_MIN(end - begin, POPULATE_LIMIT));
	if (ret < 0)
		goto fail;
	*out = view;
	return 0;
fail:
	free(whole);
	dirtylog_shm_unref(shm);
	return ret;
}

int
dirtylog_view_create(struct dirtylog_shm *shm, uint64_t gpa, uint64_t len,
		struct dirtylog_view **view)
{
	int ret = check_region(gpa, len);

	if (ret < 0)
		return ret;
	if (((gpa + (len - 1)) >> DIRTYLOG_PAGE_SHIFT) / 8 >= shm->len)
		return -ERANGE;
	return view_new(dirtylog_shm_ref(shm), gpa / DIRTYLOG_WORD_SPAN, gpa, len, NULL, view);
}

/*
 * Ask for the pages of a staging bitmap, before they are there, on the nodes
 * of the guest memory they stand for. `skipped`: the guest memory that the
 * first word stands for and that lies before the region.
 */
static void
bind_words(struct dirtylog_shm *shm, uint64_t nb_words, uint64_t skipped, const void *host,
		uint64_t len)
{
	uint64_t words_per_page = shm->page_size / sizeof(uint64_t);
	uint64_t word;

	for (word = 0; word < nb_words; word += words_per_page) {
		uint64_t begin = word * DIRTYLOG_WORD_SPAN;
		uint64_t end = (word + words_per_page) * DIRTYLOG_WORD_SPAN - skipped;

		begin = begin < skipped ? 0 : begin - skipped;
		end = RTE_MIN(end, len);
		dirtylog_numa_prefer((uint64_t *)shm->addr + word, shm->page_size,
				dirtylog_numa_node_of((const char *)host + begin, end - begin));
	}
}

static int
new_staging(uint64_t gpa, uint64_t len, const void *host, bool huge, struct dirtylog_view **view)
{
	uint64_t skipped = gpa % DIRTYLOG_WORD_SPAN;
	uint64_t lines, nb_words, size;
	struct dirtylog_shm *shm;
	int ret;

	/* Whole lines of words, then whole words of their summary. */
	lines = (skipped + (len - 1)) / (DIRTYLOG_WORD_SPAN * DIRTYLOG_LINE_WORDS) + 1;
	nb_words = lines * DIRTYLOG_LINE_WORDS;
	size = (nb_words + (lines + 63) / 64) * sizeof(uint64_t);
	/* Huge pages that are not there when they are marked are a SIGBUS, and ours to avoid. */
	ret = dirtylog_shm_alloc(size, huge && size <= POPULATE_LIMIT, &shm);
	if (ret < 0)
		return ret;
	if (host != NULL && dirtylog_numa_present())
		bind_words(shm, nb_words, skipped, host, len);
	return view_new(shm, 0, gpa, len, (uint64_t *)shm->addr + nb_words, view);
}

int
dirtylog_view_create_staging(uint64_t gpa, uint64_t len, const void *host,
		struct dirtylog_view **view)
{
	static bool warned;
	bool huge = !dirtylog_numa_spans_nodes(host, len);
	int ret = check_region(gpa, len);

	if (ret < 0)
		return ret;
	ret = new_staging(gpa, len, host, huge, view);
	if (ret != -ENOMEM || !huge)
		return ret;
	/* Huge pages that were promised and not given: a limit of the cgroup. */
	ret = new_staging(gpa, len, host, false, view);
	if (ret == 0 && !__atomic_exchange_n(&warned, true, __ATOMIC_RELAXED))
		DIRTYLOG_DIAG(WARNING,
				"no huge pages to be had for staging bitmaps:"
				" normal pages are used");
	return ret;
}

void
dirtylog_view_free(struct dirtylog_view *view)
{
	if (view == NULL)
		return;
	dirtylog_shm_unref(dirtylog_view_shm(view));
	free(view); /* the first member of the whole */
}

/* ---- transfers ---- */

/* What two views have in common, and what becomes of it. */
struct transfer {
	struct dirtylog_view *from;
	struct dirtylog_view *to;
	bool clear;
	uint64_t offset; /* where the common range begins in `from`, in bytes */
	uint64_t len;    /* bytes of the common range; 0: there is none */
	uint64_t shift;  /* index of a word in `to`, less its index in `from` */
};

static struct transfer
common_range(struct dirtylog_view *from, struct dirtylog_view *to, bool clear)
{
	uint64_t from_gpa = dirtylog_view_gpa(from), to_gpa = dirtylog_view_gpa(to);
	uint64_t begin = RTE_MAX(from_gpa, to_gpa);
	uint64_t last = RTE_MIN(from_gpa + (from->len - 1), to_gpa + (to->len - 1));

	return (struct transfer){
		.from = from,
		.to = to,
		.clear = clear,
		.offset = begin - from_gpa,
		.shift = from_gpa / DIRTYLOG_WORD_SPAN - to_gpa / DIRTYLOG_WORD_SPAN,
		.len = begin > last ? 0 : last - begin + 1,
	};
}

/* Transfer the words of `from` with the indexes [i, end), page by page. */
static uint64_t
transfer_words(const struct transfer *transfer, uint64_t i, uint64_t end)
{
	uint64_t pages = 0;

	for (; i < end; i++) {
		uint64_t *from = &transfer->from->words[i];
		uint64_t *to = &transfer->to->words[i + transfer->shift];
		uint64_t bits = __atomic_load_n(from, __ATOMIC_RELAXED);

		if (bits == 0)
			continue;
		bits &= word_mask(transfer->from, i, transfer->offset, transfer->len);
		if (bits == 0)
			continue;
		/*
		 * Cleared here before it is set there, both sequentially consistent:
		 * a marker that still found the bit set here did so before the
		 * clear, hence its data is visible to who harvests it there. In the
		 * other order it could rely on a bit that is already gone.
		 */
		if (transfer->clear)
			bits &= __atomic_fetch_and(from, ~bits, __ATOMIC_SEQ_CST);
		bits &= ~__atomic_fetch_or(to, bits, __ATOMIC_SEQ_CST);
		if (transfer->to->summary != NULL)
			dirtylog_view_summarise(transfer->to, to);
		pages += (uint64_t)__builtin_popcountll(bits);
	}
	return pages;
}

/*
 * Lines that a summary named. Dirty lines are far apart: they are collected and
 * fetched before the first one is looked at, so as not to wait for each.
 */
#define NB_NAMED 32
struct named_lines {
	unsigned int nb;
	struct {
		uint64_t begin, end; /* words */
	} lines[NB_NAMED];
};

static void
name_line(const struct transfer *transfer, struct named_lines *named, uint64_t begin, uint64_t end)
{
	__builtin_prefetch(&transfer->from->words[begin], 1);
	__builtin_prefetch(&transfer->to->words[begin + transfer->shift], 1);
	named->lines[named->nb].begin = begin;
	named->lines[named->nb].end = end;
	named->nb++;
}

static uint64_t
transfer_named(const struct transfer *transfer, struct named_lines *named)
{
	uint64_t pages = 0;
	unsigned int i;

	/*
	 * Full fence: orders the clear of the summary before the loads of the
	 * words, which an exchange of two instructions (Arm) does not.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = 0; i < named->nb; i++)
		pages += transfer_words(transfer, named->lines[i].begin, named->lines[i].end);
	named->nb = 0;
	return pages;
}

/* The words [first, end) of a staging view, by its summary. */
static uint64_t
transfer_lines(const struct transfer *transfer, uint64_t first, uint64_t end)
{
	struct dirtylog_view *from = transfer->from;
	uint64_t last_line = (end - 1) / DIRTYLOG_LINE_WORDS;
	bool all_common = transfer->len == from->len;
	struct named_lines named = { .nb = 0 };
	uint64_t pages = 0, s;

	for (s = first / DIRTYLOG_LINE_WORDS / 64; s <= last_line / 64; s++) {
		uint64_t lines = __atomic_load_n(&from->summary[s], __ATOMIC_RELAXED);

		if (lines == 0)
			continue;
		/* Cleared before the words are read: see dirtylog_view_summarise(). */
		if (transfer->clear)
			lines = __atomic_exchange_n(&from->summary[s], 0, __ATOMIC_SEQ_CST);
		for (; lines != 0; lines &= lines - 1) {
			uint64_t line = s * 64 + (uint64_t)__builtin_ctzll(lines);
			uint64_t word = line * DIRTYLOG_LINE_WORDS;
			uint64_t begin = RTE_MAX(word, first);
			uint64_t stop = RTE_MIN(word + DIRTYLOG_LINE_WORDS, end);

			if (begin < stop)
				name_line(transfer, &named, begin, stop);
			if (named.nb == NB_NAMED)
				pages += transfer_named(transfer, &named);
			/* Bits outside of the common range stay, and must be found again. */
			if (transfer->clear && !all_common)
				dirtylog_view_summarise(from, &from->words[word]);
		}
	}
	return pages + transfer_named(transfer, &named);
}

static uint64_t
view_transfer(struct dirtylog_view *from, struct dirtylog_view *to, bool clear)
{
	struct transfer transfer = common_range(from, to, clear);
	uint64_t first, end;

	if (transfer.len == 0)
		return 0;
	first = (from->start + transfer.offset) / DIRTYLOG_WORD_SPAN;
	end = (from->start + transfer.offset + transfer.len - 1) / DIRTYLOG_WORD_SPAN + 1;
	return from->summary == NULL ? transfer_words(&transfer, first, end) :
				       transfer_lines(&transfer, first, end);
}

uint64_t
dirtylog_view_move(struct dirtylog_view *from, struct dirtylog_view *to)
{
	return view_transfer(from, to, true);
}

void
dirtylog_view_copy(struct dirtylog_view *from, struct dirtylog_view *to)
{
	view_transfer(from, to, false);
}

/* ---- marks ---- */

void
dirtylog_view_mark(struct dirtylog_view *view, uint64_t offset, uint64_t len)
{
	uint64_t i, last;

	if (len == 0 || offset >= view->len)
		return;
	len = RTE_MIN(len, view->len - offset);
	last = (view->start + offset + len - 1) / DIRTYLOG_WORD_SPAN;
	/* Orders the data writes before the marks: harvested, the page must be whole. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (i = (view->start + offset) / DIRTYLOG_WORD_SPAN; i <= last; i++) {
		__atomic_fetch_or(&view->words[i], word_mask(view, i, offset, len),
				__ATOMIC_SEQ_CST);
		if (view->summary != NULL)
			dirtylog_view_summarise(view, &view->words[i]);
	}
}

uint64_t
dirtylog_view_count(const struct dirtylog_view *view)
{
	uint64_t i, dirty = 0;

	for (i = 0; i < view_nb_words(view); i++)
		dirty += (uint64_t)__builtin_popcountll(
				__atomic_load_n(&view->words[i], __ATOMIC_RELAXED) &
				word_mask(view, i, 0, view->len));
	return dirty;
}
