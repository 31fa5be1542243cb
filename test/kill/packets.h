/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packets of both directions, such that whoever gets one can tell whether it is
 * whole, who made it and which one it is.
 */
#ifndef PACKETS_H
#define PACKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Of the guest: it sends packets 0 to n - 1 in turn, as app/vmm/buffer_pool.c writes them. */
#define GUEST_BUFFERS 8192u
#define GUEST_PACKET_SIZE 256u
#define GUEST_HEADERS_LEN 42u

/* Of the back-end. */
#define HOST_HEADER_LEN 22u /* Ethernet, writer, number */
#define HOST_MIN_LEN 64u
#define HOST_LEN_SPREAD 1400u
#define HOST_BURST 32u

static inline uint32_t
host_packet_len(uint32_t number)
{
	return HOST_MIN_LEN + number * 7u % HOST_LEN_SPREAD;
}

static inline void
host_packet_write(uint8_t *p, uint32_t writer, uint32_t number)
{
	/* Ethernet for local experiments. */
	static const uint8_t header[14] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5 };

	memcpy(p, header, sizeof(header));
	memcpy(p + 14, &writer, sizeof(writer));
	memcpy(p + 18, &number, sizeof(number));
	memset(p + HOST_HEADER_LEN, (int)(number ^ writer) & 0xff,
			host_packet_len(number) - HOST_HEADER_LEN);
}

/* False: it was damaged. */
static inline bool
host_packet_read(const uint8_t *p, uint32_t len, uint32_t *writer, uint32_t *number)
{
	uint32_t i;

	if (len < HOST_MIN_LEN)
		return false;
	memcpy(writer, p + 14, sizeof(*writer));
	memcpy(number, p + 18, sizeof(*number));
	if (host_packet_len(*number) != len || p[12] != 0x88 || p[13] != 0xb5)
		return false;
	for (i = HOST_HEADER_LEN; i < len; i++)
		if (p[i] != (uint8_t)(*number ^ *writer))
			return false;
	return true;
}

/* False: it was damaged. */
static inline bool
guest_packet_read(const uint8_t *p, uint32_t len, uint32_t *number)
{
	uint32_t i;

	if (len != GUEST_PACKET_SIZE)
		return false;
	/* Byte i is byte i % 4 of the number, changed by i: so the first four say which it is. */
	*number = 0;
	for (i = GUEST_HEADERS_LEN; i < GUEST_HEADERS_LEN + 4; i++)
		*number |= (uint32_t)(p[i] ^ (uint8_t)i) << (i % 4 * 8);
	for (; i < len; i++)
		if (p[i] != (uint8_t)((uint8_t)(*number >> (i % 4 * 8)) ^ (uint8_t)i))
			return false;
	return true;
}

#endif
