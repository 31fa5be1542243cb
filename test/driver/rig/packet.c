/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "rig/packet.h"

uint64_t
packet_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

const uint8_t *
packet_bytes(uint32_t number, uint32_t len)
{
	static __thread uint64_t words[PACKET_MAX / 8 + 1];
	uint64_t state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	uint32_t i;

	for (i = 0; i < len / 8 + 1; i++)
		words[i] = packet_random(&state);
	return (const uint8_t *)words;
}

struct rte_mbuf *
packet_mbuf(struct rte_mempool *pool, uint32_t number, uint32_t len, uint32_t segment,
		bool with_holes)
{
	const uint8_t *bytes = packet_bytes(number, len);
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool), *tail = mbuf;
	uint32_t done = 0;

	if (mbuf == NULL)
		return NULL;
	if (segment == 0)
		segment = len;
	for (;;) {
		uint32_t n = RTE_MIN(RTE_MIN(segment, len - done),
				(uint32_t)rte_pktmbuf_tailroom(tail));

		if (with_holes && mbuf->nb_segs % 3 == 2)
			n = 0;
		memcpy(rte_pktmbuf_mtod(tail, void *), bytes + done, n);
		tail->data_len = (uint16_t)n;
		done += n;
		if (done == len)
			break;
		tail->next = rte_pktmbuf_alloc(pool);
		if (tail->next == NULL) {
			rte_pktmbuf_free(mbuf);
			return NULL;
		}
		tail = tail->next;
		mbuf->nb_segs++;
	}
	mbuf->pkt_len = len;
	return mbuf;
}

bool
packet_is(const struct rte_mbuf *mbuf, uint32_t number, uint32_t len)
{
	const uint8_t *bytes = packet_bytes(number, len);
	const char *reason;
	uint32_t done = 0;

	if (rte_mbuf_check(mbuf, 1, &reason) < 0 || mbuf->pkt_len != len || mbuf->ol_flags != 0)
		return false;
	for (; mbuf != NULL; mbuf = mbuf->next) {
		if (memcmp(rte_pktmbuf_mtod(mbuf, const void *), bytes + done, mbuf->data_len) != 0)
			return false;
		done += mbuf->data_len;
	}
	return done == len;
}
