/* SPDX-License-Identifier: BSD-3-Clause */

/* What libFuzzer calls of a fuzzer. */

#ifndef FUZZER_H
#define FUZZER_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* FUZZER_H */
