/* SPDX-License-Identifier: BSD-3-Clause */

/* A finding that no sanitizer sees: say what it is, and stop as for one. */

#ifndef FUZZ_FAIL_H
#define FUZZ_FAIL_H

#include <stdio.h>
#include <stdlib.h>

#define FUZZ_FAIL(...) \
	do { \
		fprintf(stderr, "FINDING: " __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} while (0)

#define FUZZ_CHECK(condition, ...) \
	do { \
		if (!(condition)) \
			FUZZ_FAIL(__VA_ARGS__); \
	} while (0)

#endif /* FUZZ_FAIL_H */
