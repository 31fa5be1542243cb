/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The fuzzer's bytes, taken from the front. Behind the end there are zeroes,
 * so that each prefix of an input is an input.
 */

#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

static inline bool
input_ends(const struct input *in)
{
	return in->at == in->end;
}

static inline uint8_t
input_u8(struct input *in)
{
	return input_ends(in) ? 0 : *in->at++;
}

static inline uint16_t
input_u16(struct input *in)
{
	uint16_t low = input_u8(in);

	return (uint16_t)(low | input_u8(in) << 8);
}

static inline uint32_t
input_u32(struct input *in)
{
	uint32_t low = input_u16(in);

	return low | (uint32_t)input_u16(in) << 16;
}

static inline uint64_t
input_u64(struct input *in)
{
	uint64_t low = input_u32(in);

	return low | (uint64_t)input_u32(in) << 32;
}

static inline void
input_bytes(struct input *in, uint8_t *to, size_t len)
{
	while (len-- != 0)
		*to++ = input_u8(in);
}

#endif /* FUZZ_INPUT_H */
