/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "rig/scribble.h"

#define SIZE SCRIBBLE_SIZE
#define TABLES 0x40000 /* GPA of tables, and of garbage that is taken for some */
#define NB_TABLES 64
#define TABLE_LEN 64 /* entries */

/* A number that is often a valid one, often nearly. */
static uint64_t
random_gpa(uint64_t *random, const struct rig *rig)
{
	static const uint64_t borders[] = { RIG_LOW, RIG_MIDDLE, RIG_MIDDLE_END, RIG_HIGH, 0 };
	uint64_t end = rig->high_room + RIG_HIGH_ROOM;
	uint64_t x = packet_random(random);

	switch (x % 8) {
	case 0:
		return packet_random(random);
	case 1:
		return borders[(x >> 8) % RTE_DIM(borders)] + (x >> 32) % 512 - 256;
	case 2:
		/* Near the end, or in what comes before it: the rings, the other one's too. */
		return (x >> 60) % 2 == 0 ? end + (x >> 32) % 512 - 256 :
					    RIG_HIGH + (x >> 32) % (end - RIG_HIGH);
	case 3:
		return TABLES + (x >> 32) % NB_TABLES * TABLE_LEN * 16;
	default:
		return (x >> 16) % RIG_MIDDLE_END;
	}
}

static uint32_t
random_len(uint64_t *random)
{
	uint64_t x = packet_random(random);

	switch (x % 8) {
	case 0:
		return (uint32_t)(x >> 32);
	case 1:
		return (uint32_t)((x >> 32) % 16);
	case 2:
		return (uint32_t)((x >> 32) % TABLE_LEN) * 16;
	case 3:
		return (uint32_t)((x >> 32) % 0x14000);
	default:
		return (uint32_t)((x >> 32) % 4096);
	}
}

/* What guests and applications ask for, sensible or not. */
static struct virtio_net_hdr
random_header(uint64_t *random)
{
	static const uint8_t types[] = { 0, 1, 3, 4, 0x81, 0x83, 0x84, 5 };
	uint64_t x = packet_random(random);
	struct virtio_net_hdr header = {
		.flags = x % 4 == 0 ? (uint8_t)(x >> 8) : x % 2,
		.gso_type = x % 64 == 1 ? (uint8_t)(x >> 16) : types[(x >> 16) % 8],
		.hdr_len = (uint16_t)((x >> 24) % 80),
		.gso_size = (uint16_t)((x >> 32) % 1500),
		.csum_start = (uint16_t)((x >> 40) % 8 == 0 ? x >> 48 : 34 + (x >> 48) % 24),
		.csum_offset = (uint16_t)((x >> 43) % 8 == 0 ? x >> 50 : 6 + x % 2 * 10),
	};

	return header;
}

void
scribble_mbuf(struct rte_mbuf *mbuf, uint64_t *random)
{
	static const uint64_t flags[] = {
		RTE_MBUF_F_TX_TCP_CKSUM,
		RTE_MBUF_F_TX_UDP_CKSUM,
		RTE_MBUF_F_TX_SCTP_CKSUM,
		RTE_MBUF_F_TX_IP_CKSUM,
		RTE_MBUF_F_TX_TCP_SEG,
		RTE_MBUF_F_TX_UDP_SEG,
		RTE_MBUF_F_TX_VLAN,
		RTE_MBUF_F_TX_IPV4,
	};
	uint64_t x = packet_random(random);
	unsigned int i;

	for (i = 0; i < RTE_DIM(flags); i++)
		if (x >> i & 1)
			mbuf->ol_flags |= flags[i];
	mbuf->l2_len = (x >> 8) % 4 == 0 ? (x >> 16) & 0x7f : 14;
	mbuf->l3_len = (x >> 10) % 4 == 0 ? (x >> 24) & 0x1ff : 20 + (x >> 12) % 2 * 20;
	mbuf->l4_len = (x >> 13) % 4 == 0 ? (x >> 34) & 0xff : 20;
	mbuf->tso_segsz = (uint16_t)(x >> 48);
}

void
scribble_packets(struct rig *rig, const struct rig_side *side, uint64_t *random, unsigned int n)
{
	static const uint8_t beginning[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0, 0x45, 0,
		0, 100, 0, 0, 0, 0, 64, 6 };

	while (n-- != 0 && rig->options.features != 0) {
		struct vring_desc *desc = ram_host(&rig->ram,
				side->ring.desc + packet_random(random) % SIZE * 16);
		uint64_t addr = __atomic_load_n(&desc->addr, __ATOMIC_RELAXED);
		struct virtio_net_hdr header = random_header(random);

		if (addr > RIG_MIDDLE - 4096)
			continue;
		memcpy(ram_host(&rig->ram, addr), &header, sizeof(header));
		memcpy(ram_host(&rig->ram, addr + rig->header_len), beginning, sizeof(beginning));
	}
}

static struct vring_desc
random_desc(uint64_t *random, const struct rig *rig)
{
	uint64_t x = packet_random(random);
	struct vring_desc desc = {
		.addr = random_gpa(random, rig),
		.len = random_len(random),
		.flags = (uint16_t)(x % 16 == 0 ? x >> 16 : (x >> 16) % 8),
		.next = (uint16_t)(x % 8 == 1 ? x >> 48 : (x >> 48) % SIZE),
	};

	return desc;
}

/*
 * As a descriptor of a packed ring: mostly available, as far as can be said of
 * a ring that somebody polls.
 */
static struct vring_desc
make_packed(const struct vring_desc *desc, const struct rig_side *side, uint16_t slot)
{
	uint16_t place = __atomic_load_n(&side->queue->next_used, __ATOMIC_RELAXED);
	bool wrap = (slot >= (place & 0x7fff)) == (place >> 15);
	struct vring_packed_desc packed = {
		.addr = desc->addr, .len = desc->len, .id = desc->next, .flags = desc->flags
	};
	struct vring_desc raw;

	if (desc->next % 16 != 0) {
		packed.flags &= (uint16_t) ~(1 << VRING_PACKED_DESC_F_AVAIL |
				1 << VRING_PACKED_DESC_F_USED);
		packed.flags |= 1 << (wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);
	}
	memcpy(&raw, &packed, sizeof(raw));
	return raw;
}

static void
store_desc(struct rig *rig, uint64_t gpa, const struct vring_desc *desc)
{
	const uint64_t *from = (const void *)desc;
	uint64_t *to = ram_host(&rig->ram, gpa);

	/* As a guest's processor does: in words, not at once. */
	__atomic_store_n(&to[0], from[0], __ATOMIC_RELAXED);
	__atomic_store_n(&to[1], from[1], __ATOMIC_RELAXED);
}

/* One chain that has no end. */
static void
chain_all(struct rig *rig, const struct rig_side *side)
{
	struct vring_desc desc = { .addr = 0x1000,
		.len = 1,
		.next = 1,
		.flags = VRING_DESC_F_NEXT | (side == &rig->to_guest ? VRING_DESC_F_WRITE : 0) };
	struct vring_desc packed;
	uint16_t slot;

	for (slot = 0; slot < SIZE; slot++) {
		packed = make_packed(&desc, side, slot);
		store_desc(rig, side->ring.desc + slot * 16U, &packed);
	}
}

void
scribble_ring(struct rig *rig, struct rig_side *side, uint64_t *random, unsigned int n)
{
	uint16_t *avail = ram_host(&rig->ram, side->ring.avail);

	while (n-- != 0) {
		struct vring_desc desc = random_desc(random, rig);
		uint64_t x = packet_random(random);

		if (rig_packed) {
			uint16_t slot = (uint16_t)((x >> 8) % SIZE);

			/* Chains without an end stop it: now and then, for some bursts. */
			if (x % 2048 == 1)
				chain_all(rig, side);
			if (x >> 40 & 3)
				desc.flags &= (uint16_t)~VRING_DESC_F_NEXT;
			desc = make_packed(&desc, side, slot);
			store_desc(rig,
					x % 4 == 0 ? TABLES + (x >> 8) % (NB_TABLES * TABLE_LEN) * 16 :
						     side->ring.desc + slot * 16U,
					&desc);
			continue;
		}

		if (x % 4 == 0)
			store_desc(rig, TABLES + (x >> 8) % (NB_TABLES * TABLE_LEN) * 16, &desc);
		else
			store_desc(rig, side->ring.desc + (x >> 8) % SIZE * 16, &desc);
		if (x % 64 == 1) {
			/* Loops are too rare when left to chance. */
			desc.addr %= RIG_MIDDLE;
			desc.len = 1;
			desc.flags = VRING_DESC_F_NEXT |
					(side == &rig->to_guest ? VRING_DESC_F_WRITE : 0);
			desc.next = (x >> 8) % SIZE;
			store_desc(rig, side->ring.desc + desc.next * 16U, &desc);
		}
		x = packet_random(random);
		__atomic_store_n(&avail[2 + (x >> 8) % SIZE],
				(uint16_t)(x % 64 == 0 ? x >> 48 : (x >> 48) % SIZE),
				__ATOMIC_RELAXED);
	}
}

/* The next `n` descriptors of a packed ring become available, whatever is in them. */
static void
make_available(struct rig *rig, struct rig_side *side, unsigned int n)
{
	uint16_t place = __atomic_load_n(&side->queue->next_used, __ATOMIC_RELAXED);

	for (; n-- != 0; place = ring_step(&side->ring, place, 1)) {
		uint16_t *flags = ram_host(&rig->ram, ring_used_entry(&side->ring, place) + 14);
		uint16_t shape = __atomic_load_n(flags, __ATOMIC_RELAXED) & 0x7f;

		__atomic_store_n(flags,
				shape |
						1 << (place >> 15 ? VRING_PACKED_DESC_F_AVAIL :
								    VRING_PACKED_DESC_F_USED),
				__ATOMIC_RELEASE);
	}
}

void
scribble_index(struct rig *rig, struct rig_side *side, uint64_t *random)
{
	uint16_t *index = ram_host(&rig->ram, side->ring.avail + 2);
	uint64_t x = packet_random(random);

	if (rig_packed) {
		make_available(rig, side, (unsigned int)((x >> 48) % (SIZE + 1)));
		return;
	}
	__atomic_store_n(index,
			(uint16_t)(x % 64 == 0 ? x >> 48 :
						 side->queue->next_avail + (x >> 48) % (SIZE + 1)),
			__ATOMIC_RELEASE);
}
