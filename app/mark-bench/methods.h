/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The ways to mark that are compared. Each marks the same buffers, in the same
 * bursts, in the same log, inlined into its own loop.
 */

#ifndef METHODS_H
#define METHODS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "dirtylog.h"

/* Marks of one burst, as many as a datapath has packets. */
#define BURST 32

/* Buffers lie in slots of this size, two in a page, as guests lay out 2 KiB buffers. */
#define SLOT_SHIFT 11
/* A full Ethernet frame and a virtio-net header: one page is written. */
#define BUFFER_LEN 1526

/* What all threads mark in. */
struct guest {
	uint8_t *log; /* the log's bytes, from GPA 0 on */
	uint64_t log_len;
	uint64_t nb_pages; /* one region, from GPA 0 on */
	struct dirtylog *dl;
	const struct dirtylog_bitmap *bitmap; /* on the same log */
	pthread_rwlock_t lock;                /* for the method that takes one */
};

/* An entry of the cache that is searched. */
struct cached_word {
	uint32_t offset;
	uint64_t bits;
};

/* One thread's, that is one virtqueue's, own. */
struct queue {
	struct dirtylog_marker marker;
	struct guest *guest;
	uint32_t nb_cached;
	struct cached_word cache[BURST];
} __attribute__((aligned(RTE_CACHE_LINE_SIZE)));

enum method_id {
	METHOD_MARKER,
	METHOD_MARK_ONLY,
	METHOD_BYTE_OR,
	METHOD_LOCK_BYTE_OR,
	METHOD_SEARCHED_CACHE,
	METHOD_PLAIN_OR,
	METHOD_PLAIN_STORE,
	NB_METHODS
};

struct method {
	const char *name;
	const char *what;
	bool loses_marks; /* not atomic: only there to compare with */
	/* Mark `nb` buffers, a multiple of BURST; each is a number of a slot. */
	void (*run)(struct queue *queue, const uint32_t *slots, uint32_t nb);
};

extern const struct method methods[NB_METHODS];

#endif
