/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What a front-end can pass: files of all kinds, made once. Inputs change them;
 * they are as they were for the next input.
 */

#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum files_index {
	FILE_LOW, /* guest memory, as front-ends make it */
	FILE_HIGH,
	FILE_LOG,      /* a log, sealed as QEMU's */
	FILE_LOG_OPEN, /* one that its owner can truncate */
	FILE_EMPTY,    /* of no length, at first */
	FILE_SPARSE,   /* long, and empty */
	FILE_READ_ONLY,
	FILE_HUGE, /* in huge pages; where there are none, like FILE_EMPTY */
	FILE_CALL, /* event descriptors */
	FILE_KICK,
	FILE_CALL_FULL, /* a write to it has to wait */
	FILE_SEMAPHORE,
	FILE_PIPE,   /* without a reader */
	FILE_SOCKET, /* whose peer is gone */
	FILE_NULL,
	FILE_EPOLL,
	FILE_FOLDER,
	FILE_PROC, /* of no length, as far as can be seen, and readable */
	NB_FILES
};

#define FILE_LOW_LEN UINT64_C(0x40000)
#define FILE_HIGH_LEN UINT64_C(0x20000)
#define FILE_LOG_LEN UINT64_C(0x2000)
#define FILE_SPARSE_LEN (UINT64_C(16) << 30)
#define FILE_HUGE_LEN (UINT64_C(2) << 20)

void files_init(void);

int files_fd(uint8_t index);

/* The guest writes to its memory; not beyond a file's end. */
void files_write(enum files_index index, uint64_t offset, const void *data, size_t len);

enum files_change {
	FILES_SHORTEN, /* to a length */
	FILES_PUNCH,   /* a hole from there on */
	FILES_SEAL,
	FILES_FLAGS, /* O_NONBLOCK on or off */
	FILES_COUNT, /* an event descriptor counts up to there */
	NB_FILES_CHANGES
};

void files_change(uint8_t index, enum files_change change, uint64_t value);

/* As they were. */
void files_reset(void);

#endif /* FUZZ_FILES_H */
