/* SPDX-License-Identifier: BSD-3-Clause */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <rte_common.h>

#include "dirtylog_bitmap.h"

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
		struct dirtylog_view **out)
{
	struct dirtylog_view *view = malloc(sizeof(*view));
	uint64_t begin = first_word * sizeof(uint64_t);
	uint64_t end;
	int ret = -ENOMEM;

	if (view == NULL)
		goto fail;
	view->shm = shm;
	view->words = (uint64_t *)shm->addr + first_word;
	view->start = gpa % DIRTYLOG_WORD_SPAN;
	view->len = len;
	view->gpa = gpa;
	/* The last word may reach over the end of the log, never of its page. */
	end = RTE_MIN(begin + view_nb_words(view) * sizeof(uint64_t), shm->len);
	ret = dirtylog_shm_populate(shm, begin, end - begin);
	if (ret < 0)
		goto fail;
	*out = view;
	return 0;
fail:
	free(view);
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
	return view_new(dirtylog_shm_ref(shm), gpa / DIRTYLOG_WORD_SPAN, gpa, len, view);
}

int
dirtylog_view_create_staging(uint64_t gpa, uint64_t len, struct dirtylog_view **view)
{
	uint64_t words = ((gpa % DIRTYLOG_WORD_SPAN) + (len - 1)) / DIRTYLOG_WORD_SPAN + 1;
	struct dirtylog_shm *shm;
	int ret = check_region(gpa, len);

	if (ret < 0)
		return ret;
	ret = dirtylog_shm_alloc(words * sizeof(uint64_t), &shm);
	if (ret < 0)
		return ret;
	return view_new(shm, 0, gpa, len, view);
}

void
dirtylog_view_free(struct dirtylog_view *view)
{
	if (view == NULL)
		return;
	dirtylog_shm_unref(view->shm);
	free(view);
}

/* What both views have in common goes from one to the other, page by page. */
static uint64_t
view_transfer(struct dirtylog_view *from, struct dirtylog_view *to, bool clear)
{
	uint64_t begin = RTE_MAX(from->gpa, to->gpa);
	uint64_t last = RTE_MIN(from->gpa + (from->len - 1), to->gpa + (to->len - 1));
	uint64_t pages = 0, gpa_word;

	if (begin > last)
		return 0;
	for (gpa_word = begin / DIRTYLOG_WORD_SPAN; gpa_word <= last / DIRTYLOG_WORD_SPAN;
			gpa_word++) {
		uint64_t i = gpa_word - from->gpa / DIRTYLOG_WORD_SPAN;
		uint64_t j = gpa_word - to->gpa / DIRTYLOG_WORD_SPAN;
		uint64_t bits = __atomic_load_n(&from->words[i], __ATOMIC_RELAXED);

		bits &= word_mask(from, i, begin - from->gpa, last - begin + 1);
		if (bits == 0)
			continue;
		/*
		 * Cleared here before it is set there, both sequentially consistent:
		 * a marker that still found the bit set here did so before the
		 * clear, hence its data is visible to who harvests it there. In the
		 * other order it could rely on a bit that is already gone.
		 */
		if (clear)
			bits &= __atomic_fetch_and(&from->words[i], ~bits, __ATOMIC_SEQ_CST);
		__atomic_fetch_or(&to->words[j], bits, __ATOMIC_SEQ_CST);
		pages += (uint64_t)__builtin_popcountll(bits);
	}
	return pages;
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
	for (i = (view->start + offset) / DIRTYLOG_WORD_SPAN; i <= last; i++)
		__atomic_fetch_or(&view->words[i], word_mask(view, i, offset, len),
				__ATOMIC_SEQ_CST);
}

int
dirtylog_bitmap_create(struct dirtylog_epoch *epoch, uint64_t len,
		struct dirtylog_bitmap **out)
{
	struct dirtylog_bitmap *bitmap;
	int ret;

	if (len == 0)
		return -EINVAL;
	bitmap = calloc(1, sizeof(*bitmap));
	if (bitmap == NULL)
		return -ENOMEM;
	ret = -pthread_mutex_init(&bitmap->lock, NULL);
	if (ret < 0) {
		free(bitmap);
		return ret;
	}
	bitmap->len = len;
	bitmap->refs = 1;
	bitmap->epoch = epoch;
	*out = bitmap;
	return 0;
}

struct dirtylog_bitmap *
dirtylog_bitmap_ref(struct dirtylog_bitmap *bitmap)
{
	__atomic_fetch_add(&bitmap->refs, 1, __ATOMIC_RELAXED);
	return bitmap;
}

void
dirtylog_bitmap_unref(struct dirtylog_bitmap *bitmap)
{
	/* Acq_rel: every user's last access comes before the free. */
	if (bitmap == NULL || __atomic_sub_fetch(&bitmap->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	/* Without a view too: a burst that began before may look for one. */
	dirtylog_epoch_sync(bitmap->epoch);
	dirtylog_view_free(bitmap->view);
	pthread_mutex_destroy(&bitmap->lock);
	free(bitmap);
}

struct dirtylog_view *
dirtylog_bitmap_exchange(struct dirtylog_bitmap *bitmap, struct dirtylog_view *view)
{
	struct dirtylog_view *old;

	pthread_mutex_lock(&bitmap->lock);
	old = bitmap->view;
	/* Release: the view's fields are written before a marker can find it. */
	__atomic_store_n(&bitmap->view, view, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&bitmap->lock);
	return old;
}

void
dirtylog_bitmap_replace(struct dirtylog_bitmap *bitmap, struct dirtylog_view *view)
{
	struct dirtylog_view *old = dirtylog_bitmap_exchange(bitmap, view);

	if (old == NULL)
		return;
	dirtylog_epoch_sync(bitmap->epoch);
	dirtylog_view_free(old);
}

bool
dirtylog_bitmap_dirty_at(struct dirtylog_bitmap *bitmap, uint64_t offset)
{
	const struct dirtylog_view *view;
	bool dirty = false;

	pthread_mutex_lock(&bitmap->lock);
	view = bitmap->view;
	if (view != NULL && offset < view->len) {
		uint64_t page = (view->start + offset) >> DIRTYLOG_PAGE_SHIFT;
		uint64_t word = __atomic_load_n(&view->words[page / 64], __ATOMIC_RELAXED);

		dirty = (word >> (page % 64)) & 1;
	}
	pthread_mutex_unlock(&bitmap->lock);
	return dirty;
}

void
dirtylog_bitmap_dump(struct dirtylog_bitmap *bitmap, FILE *stream)
{
	const struct dirtylog_view *view;
	uint64_t i, dirty = 0;

	pthread_mutex_lock(&bitmap->lock);
	view = bitmap->view;
	fprintf(stream, "bitmap of %" PRIu64 " bytes", bitmap->len);
	if (view == NULL) {
		fprintf(stream, ": no view, marks are no-ops\n");
	} else {
		for (i = 0; i < view_nb_words(view); i++)
			dirty += (uint64_t)__builtin_popcountll(
				__atomic_load_n(&view->words[i], __ATOMIC_RELAXED) &
				word_mask(view, i, 0, view->len));
		fprintf(stream, ": GPA 0x%" PRIx64 ", %" PRIu64 " pages dirty, view at %p"
				" in a log of %" PRIu64 " bytes, pages of %" PRIu64 "\n",
				view->gpa, dirty, (void *)view->words, view->shm->len,
				view->shm->page_size);
	}
	pthread_mutex_unlock(&bitmap->lock);
}
