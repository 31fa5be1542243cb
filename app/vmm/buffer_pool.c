/* SPDX-License-Identifier: BSD-3-Clause */
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buffer_pool.h"

#define CHUNK (2ull << 20) /* buffers are carved out of so much RAM at a time */

/* One per run and always the same, so that two runs use buffers in the same order. */
static uint64_t
random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void
shuffle(uint64_t *v, uint64_t n, uint64_t *random)
{
	uint64_t i, j, t;

	for (i = n; i > 1; i--) {
		j = random_next(random) % i;
		t = v[i - 1];
		v[i - 1] = v[j];
		v[j] = t;
	}
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t
buffer_pools_need(const struct buffer_config *c, unsigned int n)
{
	uint64_t per_chunk = CHUNK / c->size;
	uint64_t all = (uint64_t)c->n * n;

	return all % per_chunk * c->size + all / per_chunk * CHUNK + PAGE_SIZE;
}

/* Offsets of places for buffers: as many as wanted or, spread, as many as RAM holds. */
static uint64_t *
find_places(struct guest_ram *ram, const struct buffer_config *c, uint64_t want, uint64_t *found)
{
	uint64_t room = c->spread ? ram->first_size / c->size : want;
	uint64_t *places = malloc(room * sizeof(*places));
	uint64_t n = 0, chunk, bytes, at;

	if (places == NULL)
		return NULL;
	while (n < room) {
		bytes = (room - n) * c->size;
		if (bytes > CHUNK)
			bytes = CHUNK;
		chunk = guest_ram_alloc(ram, bytes, PAGE_SIZE);
		if (chunk == 0)
			break;
		for (at = 0; n < room && at + c->size <= bytes; at += c->size)
			places[n++] = chunk + at;
	}
	*found = n;
	return places;
}

/* A UDP packet in place: whatever back-end forwards it finds nothing to complain about. */
static void
write_packet(uint8_t *p, uint32_t len, uint32_t number)
{
	static const uint8_t header[] = {
		0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x00, /* Ethernet */
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, /* IPv4 */
		0x30, 0x39, 0, 9, 0, 0, 0, 0, /* UDP, no checksum */
	};
	uint32_t sum = 0, i;

	memset(p, 0, NET_HEADER_LEN);
	p += NET_HEADER_LEN;
	memcpy(p, header, sizeof(header));
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	p[38] = (uint8_t)((len - 34) >> 8);
	p[39] = (uint8_t)(len - 34);
	for (i = 14; i < 34; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	p[24] = (uint8_t)(sum >> 8);
	p[25] = (uint8_t)sum;
	/* Contents differ from packet to packet: a lost page of a receiver then shows. */
	for (i = sizeof(header); i < len; i++)
		p[i] = (uint8_t)(number >> (i % 4 * 8)) ^ (uint8_t)i;
}

/* Simple IMIX: 7 small, 4 middle, 1 large. */
static uint32_t
packet_size(const struct buffer_config *c, uint32_t number)
{
	static const uint8_t order[12] = { 0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0 };
	static const uint16_t sizes[3] = { 64, 594, 1518 };

	return c->packet_size == IMIX ? sizes[order[number % 12]] : c->packet_size;
}

int
buffer_pools_create(struct buffer_pool *pools, const bool *sent, unsigned int n,
		struct guest_ram *ram, const struct buffer_config *c)
{
	uint64_t random = 1, want = (uint64_t)c->n * n, found, *places;
	uint32_t i, len;
	unsigned int k;

	memset(pools, 0, n * sizeof(*pools));
	places = find_places(ram, c, want, &found);
	if (places == NULL || found < want) {
		warnx("guest memory holds %llu buffers of %u bytes, %llu are wanted",
				places == NULL ? 0ull : (unsigned long long)found, c->size,
				(unsigned long long)want);
		free(places);
		return -ENOMEM;
	}
	if (c->spread)
		shuffle(places, found, &random);
	for (k = 0; k < n; k++) {
		struct buffer_pool *p = &pools[k];
		uint64_t *mine = places + (uint64_t)k * c->n;

		if (c->order == ORDER_RANDOM)
			shuffle(mine, c->n, &random);
		else
			qsort(mine, c->n, sizeof(*mine), compare);
		p->fifo = malloc(c->n * sizeof(*p->fifo));
		if (p->fifo == NULL) {
			warn("buffers");
			free(places);
			return -ENOMEM;
		}
		p->size = c->n;
		for (i = 0; i < c->n; i++) {
			len = c->size;
			if (sent[k]) {
				len = packet_size(c, i);
				write_packet(ram->source + mine[i], len, i + k * c->n);
				len += NET_HEADER_LEN;
			}
			buffer_put(p, BUFFER(guest_ram_gpa(ram, mine[i]), len));
		}
	}
	free(places);
	return 0;
}
