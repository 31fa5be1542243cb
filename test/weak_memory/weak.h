/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a model of this folder has, and what its threads may call.
 *
 * A model runs the library's own code. That code, and the model's, is compiled as for
 * ThreadSanitizer: each atomic operation, fence and plain access is then a call, which
 * explore.cpp answers. It has relacy choose what happens: which thread goes on, and
 * which of its values a load finds that C++11 lets it find.
 *
 * Memory from weak_alloc() is what threads share. Atomic operations on it are explored, as
 * far as more than one thread makes some there. Of plain accesses it is checked that no
 * two race; so is the use of memory that was freed.
 */

#ifndef WEAK_H
#define WEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEAK_MAX_THREADS 3

/* What is broken in the code, where it runs. */
enum weak_break {
	WEAK_NOTHING,
	WEAK_FENCE, /* fences are left out */
	WEAK_LOAD,  /* loads are relaxed */
	WEAK_STORE, /* stores, and operations that load and store, are relaxed */
	WEAK_RMW,   /* operations that load and store do it one after the other */
};

/* The right model, or one with a fault that must be found. */
struct weak_variant {
	const char *name; /* NULL: behind the last one */
	bool holds;       /* else a fault must be found */
	enum weak_break broken;
	const char *function;  /* in which that is broken */
	int choice;            /* what the model itself does otherwise: weak_choice() */
	unsigned int switches; /* of a thread that could go on, at most; 0: any number */
};

struct weak_model {
	const char *name;
	unsigned int nb_threads;
	void (*prepare)(void); /* before the threads; all they see is there */
	void (*threads[WEAK_MAX_THREADS])(void);
	void (*check)(void);                 /* after them; NULL: nothing */
	const struct weak_variant *variants; /* the first one is right */
};

/* `choice` of the variant that runs. */
int weak_choice(void);

/* One of the numbers 0 to n - 1; all are tried. */
unsigned int weak_any(unsigned int n);

/* Zeroed shared memory, aligned to a cache line. */
void *weak_alloc(size_t len);

/* From now on an access to it is a fault; so is one that nothing orders before. */
void weak_free(void *addr, size_t len);

/* A fault if it does not hold. */
void weak_require(bool holds, const char *what);

/* Another thread's turn: in a loop that waits. */
void weak_pause(void);

/* Have a full fence executed by every thread, wherever it is: what membarrier(2) does. */
void weak_membarrier(void);

#ifdef __cplusplus
}
#endif

#endif /* WEAK_H */
