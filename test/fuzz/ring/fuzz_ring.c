/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The datapath against a guest made of the fuzzer's bytes: the first ones
 * choose the ring and what is negotiated, the others are steps: the guest
 * writes descriptors, tables, indices, packets or just bytes; the driver
 * receives or sends; something happens in the middle of the next burst; the
 * front-end does something about the log.
 */

#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_log.h>
#include <rte_mbuf.h>

#include "fail.h"
#include "fuzzer.h"
#include "input.h"
#include "rig/eal.h"
#include "ring/mbufs.h"
#include "ring/ram.h"
#include "ring/ring_rig.h"

#define MAX_STEPS 64

/* An input ends when it has made the datapath load and store this often: more, shorter ones find more. */
#define MAX_WORK 10000

#define PACKED_WRAP 0x8000U
#define PACKED_AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1U << VRING_PACKED_DESC_F_USED)

/* The longest packet that a guest can send: 64 KiB, a header and two tags. */
#define MAX_PACKET (UINT16_MAX + 14 + 8)

struct guest {
	bool packed;
	bool to_guest;
	uint16_t size;
	uint16_t header_len;
	uint64_t desc, avail, used;
	uint64_t buffer;    /* a good one, made last */
	uint16_t position;  /* the next available index; packed: place and wrap */
	uint16_t next_slot; /* of the table of a split ring, */
	uint16_t shown;     /* and the furthest index that the driver can have seen */
};

static struct guest guest;

static uint64_t
take_gpa(struct input *in)
{
	static const uint64_t bases[] = {
		RAM_A_GPA,
		RAM_A_GPA,
		RAM_B_GPA,
		RAM_C_GPA,
		/* Just before an end, and where there is nothing. */
		RAM_B_GPA - 64,
		RAM_C_GPA + RAM_C_LEN - 64,
	};
	uint8_t choice = input_u8(in);

	if (choice % 8 == 7)
		return choice & 0x80 ? input_u64(in) : RAM_B_GPA + RAM_B_PAGES * RAM_PAGE - 64;
	if (choice % 8 == 6)
		return guest.buffer;
	/* Whole numbers of 16 bytes are more often of use. */
	if (choice & 8)
		return bases[choice % 8] + input_u8(in);
	return bases[choice % 8] + (uint64_t)(input_u16(in) & (choice & 16 ? 0xffff : 0xfff0));
}

static uint32_t
take_len(struct input *in)
{
	static const uint32_t usual[] = {
		12,
		10,
		72,
		1526,
		2048,
		4096,
		9000,
		0,
		1,
		13,
		65535 + 12,
		0x11000,
		UINT32_MAX,
	};
	uint8_t choice = input_u8(in);

	if (choice < sizeof(usual) / sizeof(usual[0]))
		return usual[choice];
	if (choice < 128)
		return choice - sizeof(usual) / sizeof(usual[0]);
	return choice < 250 ? input_u16(in) : input_u32(in);
}

static uint16_t
step_packed(uint16_t position)
{
	uint16_t index = (position & 0x7fff) + 1;

	return index == guest.size ? (position & PACKED_WRAP) ^ PACKED_WRAP :
				     (uint16_t)(index | (position & PACKED_WRAP));
}

/* A descriptor, which in both kinds of rings has these four fields. */
static void
write_desc(uint64_t at, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc split = { .addr = addr, .len = len, .flags = flags, .next = next };
	struct vring_packed_desc packed = { .addr = addr, .len = len, .flags = flags, .id = next };

	if (guest.packed)
		ram_write(at, &packed, sizeof(packed));
	else
		ram_write(at, &split, sizeof(split));
}

/* The flags that make a packed descriptor available at a position. */
static uint16_t
available_at(uint16_t position)
{
	return position & PACKED_WRAP ? PACKED_AVAIL : PACKED_USED;
}

static void
add_head(uint16_t head)
{
	ram_write(guest.avail + 4 + 2 * (uint64_t)(guest.position % guest.size), &head, 2);
	guest.position++;
}

static void
show_index(void)
{
	ram_write(guest.avail + 2, &guest.position, 2);
}

/* A descriptor in the next place of a ring, or its table; a split one is not shown yet. */
static uint16_t
put_desc(uint64_t addr, uint32_t len, uint16_t flags)
{
	uint16_t slot;

	if (guest.packed) {
		slot = guest.position & 0x7fff;
		write_desc(guest.desc + slot * 16U, addr, len, flags | available_at(guest.position),
				slot);
		guest.position = step_packed(guest.position);
	} else {
		slot = guest.next_slot;
		guest.next_slot = (uint16_t)(slot + 1) % guest.size;
		write_desc(guest.desc + slot * 16U, addr, len, flags, guest.next_slot);
	}
	return slot;
}

/* Descriptors that the guest may use without running into the driver. */
static uint16_t
free_descs(void)
{
	uint16_t used = rig_state().next_used;
	int n;

	if (!guest.packed) {
		n = guest.size - (uint16_t)(guest.position - used);
	} else {
		n = (guest.position & 0x7fff) - (used & 0x7fff);
		if ((guest.position ^ used) & PACKED_WRAP)
			n += guest.size;
		n = guest.size - n;
	}
	return n < 0 || n > guest.size ? 0 : (uint16_t)n;
}

/* Good buffers, of one descriptor each or of several. */
static void
step_buffers(struct input *in)
{
	uint16_t write = guest.to_guest ? VRING_DESC_F_WRITE : 0;
	uint16_t n = input_u8(in) % 64 + 1;
	unsigned int pieces = input_u8(in) % 4 + 1, i;
	uint64_t gpa = take_gpa(in);
	uint32_t len = take_len(in);
	uint32_t stride = input_u8(in) * 64U;

	guest.buffer = gpa;
	while (n-- != 0 && free_descs() >= pieces) {
		uint16_t head = 0;

		for (i = 0; i < pieces; i++) {
			uint16_t slot = put_desc(gpa, len,
					write | (i + 1 < pieces ? VRING_DESC_F_NEXT : 0));

			head = i == 0 ? slot : head;
			gpa += stride;
		}
		if (!guest.packed)
			add_head(head);
	}
	if (!guest.packed)
		show_index();
}

/* Any descriptor. */
static void
step_desc(struct input *in)
{
	uint16_t slot = (uint16_t)(input_u8(in) % guest.size), flags = input_u8(in);
	uint64_t gpa = take_gpa(in);
	uint32_t len = take_len(in);
	uint16_t next = input_u8(in);

	/* Bits beyond those that are known. */
	if (flags & 0x40)
		flags |= (uint16_t)(next << 8);
	else if (guest.packed)
		flags = (flags & 7) |
				(flags & 8 ? 0 :
					     available_at(slot >= (guest.position & 0x7fff) ?
									     guest.position :
									     guest.position ^
											     PACKED_WRAP));
	write_desc(guest.desc + slot * 16U, gpa, len, flags, next);
}

/* An indirect table; with a descriptor for it, if wanted. */
static void
step_table(struct input *in)
{
	uint8_t choice = input_u8(in);
	uint16_t n = choice & 0x40 ? 1024 : input_u8(in) % 32 + 1, i;
	uint16_t flags = guest.to_guest ? VRING_DESC_F_WRITE : 0, slot;
	uint64_t table = take_gpa(in), gpa = take_gpa(in);
	uint32_t len = take_len(in), stride = input_u8(in) * 16U;

	if (!guest.packed)
		flags |= VRING_DESC_F_NEXT;
	if (choice & 1)
		flags ^= input_u8(in);
	for (i = 0; i < n; i++) {
		/* The last one has no next, but where one without an end is wanted. */
		if (i + 1 == n && !(choice & 2))
			flags &= (uint16_t)~VRING_DESC_F_NEXT;
		write_desc(table + i * 16U, gpa, len, flags, i + 1);
		gpa += stride;
	}
	if (!(choice & 4) || free_descs() == 0)
		return;
	slot = put_desc(table, n * 16U + (choice & 8 ? input_u8(in) : 0),
			VRING_DESC_F_INDIRECT | (choice & 16 ? input_u8(in) & 7 : 0));
	if (!guest.packed) {
		add_head(slot);
		show_index();
	}
}

/* Split: heads; packed: the next descriptors, whatever is in them. */
static void
step_available(struct input *in)
{
	uint8_t n = input_u8(in);
	uint16_t flags, slot;

	if (!guest.packed) {
		for (n %= 32; n != 0; n--)
			add_head(input_u8(in));
		show_index();
		return;
	}
	for (; n != 0; n--) {
		slot = guest.position & 0x7fff;
		memcpy(&flags, (uint8_t *)ram_host(guest.desc, 1) + slot * 16U + 14, 2);
		flags = (flags & 7) | available_at(guest.position);
		ram_write(guest.desc + slot * 16U + 14, &flags, 2);
		guest.position = step_packed(guest.position);
	}
}

static void
step_index(struct input *in)
{
	uint16_t step = input_u16(in);

	if (guest.packed) {
		guest.position = (uint16_t)(step % guest.size) | (step & PACKED_WRAP);
		return;
	}
	guest.position = (uint16_t)(guest.position + step);
	show_index();
}

static void
step_bytes(struct input *in)
{
	uint64_t gpa = take_gpa(in);
	uint8_t bytes[16];
	size_t n = input_u8(in) % sizeof(bytes) + 1;

	input_bytes(in, bytes, n);
	ram_write(gpa, bytes, n);
}

/* Beginnings of frames that headers and flags speak of. */
static const uint8_t frames[][64] = {
	/* IPv4, TCP */
	{ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64, 6,
			0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 2, 0x50,
			0x90 },
	/* IPv4, UDP */
	{ 1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17,
			0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0, 81, 0, 26 },
	/* IPv6, TCP */
	{ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0x05, 0xa0, 6,
			64, [53] = 2, [60] = 0 },
	/* A VLAN tag, IPv4 with options, TCP */
	{ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0x20, 5, 0x08, 0x00, 0x46, 0, 0x05, 0xdc,
			0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 0, 0, 80 },
	/* IPv6, a fragment header, UDP */
	{ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 60, 44,
			64, [53] = 2, [54] = 17 },
	/* IPv4, GRE, IPv4, TCP */
	{ 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0x05, 0xdc, 0, 0, 0x40, 0, 64,
			47, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0x08, 0x00, 0x45, 0, 0x05, 0xc8,
			0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 },
};

/* A frame with one byte of its own. */
static void
take_frame(struct input *in, uint8_t frame[64])
{
	uint8_t at;

	memcpy(frame, frames[input_u8(in) % (sizeof(frames) / sizeof(frames[0]))], 64);
	at = input_u8(in);
	frame[at % 64] = input_u8(in);
}

/* A packet that the guest sends, with its header. */
static void
step_packet(struct input *in)
{
	uint64_t gpa = take_gpa(in);
	struct virtio_net_hdr header = { .flags = input_u8(in), .gso_type = input_u8(in) };
	uint8_t frame[64];

	header.hdr_len = input_u8(in);
	header.gso_size = input_u16(in);
	header.csum_start = input_u8(in);
	header.csum_offset = input_u8(in);
	if (header.flags & 0x40) {
		header.csum_start = (uint16_t)(header.csum_start << 8);
		header.csum_offset = (uint16_t)(header.csum_offset << 8);
	}
	take_frame(in, frame);
	ram_write(gpa, &header, sizeof(header));
	ram_write(gpa + guest.header_len, frame, sizeof(frame));
}

/* What a driver that sends asks of its packets. */
struct shape {
	uint32_t len;
	uint32_t seg_len;
	bool small;
	bool shared;
	uint64_t ol_flags;
	uint8_t l2_len, l4_len;
	uint16_t l3_len, tso_segsz;
	uint8_t frame[64];
};

static void
take_offloads(struct input *in, struct shape *shape)
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
	uint8_t choice = input_u8(in);
	unsigned int i;

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (choice >> i & 1)
			shape->ol_flags |= flags[i];
	choice = input_u8(in);
	shape->l2_len = choice & 1 ? input_u8(in) & 0x7f : choice & 2 ? 18 : 14;
	shape->l3_len = choice & 4 ? input_u16(in) & 0x1ff : choice & 8 ? 40 : 20;
	shape->l4_len = choice & 16 ? input_u8(in) : choice & 32 ? 8 : 20;
	shape->tso_segsz = choice & 64 ? input_u16(in) : 1448;
	take_frame(in, shape->frame);
}

static void
take_shape(struct input *in, struct shape *shape)
{
	static const uint32_t lens[] = { 60, 64, 60, 60, 200, 1514 };
	static const uint32_t seg_lens[] = { UINT32_MAX, UINT32_MAX, 100, 1 };
	uint8_t choice = input_u8(in);

	memset(shape, 0, sizeof(*shape));
	shape->len = choice % 8 < 6     ? lens[choice % 8] :
			choice % 8 == 6 ? input_u8(in) + 1U :
					  input_u16(in) + 14U; /* to the longest that there is */
	shape->seg_len = seg_lens[choice >> 3 & 3];
	shape->small = choice & 0x20;
	shape->shared = choice & 0x40;
	memcpy(shape->frame, frames[0], sizeof(shape->frame));
	if (choice & 0x80)
		take_offloads(in, shape);
}

/* NULL: there is no mbuf. A packet for which there are not enough is shorter. */
static struct rte_mbuf *
make_packet(const struct shape *shape)
{
	struct rte_mbuf *pkt = rig_alloc(shape->small), *seg = pkt;
	uint32_t left = shape->len;

	if (pkt == NULL)
		return NULL;
	for (;;) {
		uint32_t n = RTE_MIN(RTE_MIN(left, shape->seg_len),
				(uint32_t)rte_pktmbuf_tailroom(seg));

		if (seg == pkt)
			memcpy(rte_pktmbuf_mtod(pkt, void *), shape->frame, RTE_MIN(n, 64U));
		seg->data_len = (uint16_t)n;
		pkt->pkt_len += n;
		left -= n;
		mbufs_hide_rest(seg);
		if (left == 0)
			break;
		seg->next = rig_alloc(shape->small);
		if (seg->next == NULL)
			break;
		seg = seg->next;
		pkt->nb_segs++;
	}
	pkt->ol_flags = shape->ol_flags;
	pkt->l2_len = shape->l2_len;
	pkt->l3_len = shape->l3_len;
	pkt->l4_len = shape->l4_len;
	pkt->tso_segsz = shape->tso_segsz;
	pkt->vlan_tci = 5;
	if (shape->shared)
		rte_pktmbuf_refcnt_update(pkt, 1);
	return pkt;
}

/* Those that were not taken are still whole. */
static void
drop_rest(struct rte_mbuf **pkts, uint16_t n, uint16_t done, struct rte_mbuf **shared)
{
	uint16_t i;

	for (i = done; i < n; i++)
		rte_pktmbuf_free(pkts[i]);
	for (i = 0; i < n; i++)
		if (shared[i] != NULL)
			rte_pktmbuf_free(shared[i]);
}

static uint16_t
send_burst(struct input *in, uint16_t n)
{
	struct rte_mbuf *pkts[RIG_BURST], *shared[RIG_BURST];
	struct shape shapes[2];
	uint16_t i, done;

	take_shape(in, &shapes[0]);
	take_shape(in, &shapes[1]);
	for (i = 0; i < n; i++) {
		pkts[i] = make_packet(&shapes[i % 2]);
		if (pkts[i] == NULL)
			break;
		shared[i] = shapes[i % 2].shared ? pkts[i] : NULL;
	}
	n = i;
	done = rig_burst(pkts, n);
	drop_rest(pkts, n, done, shared);
	return done;
}

/* A packet that an application gets is one that it can send on. */
static void
check_received(const struct rte_mbuf *pkt, bool linear)
{
	uint64_t long_ones = RTE_MBUF_F_RX_LRO | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG;
	const char *reason = "";

	FUZZ_CHECK(rte_mbuf_check(pkt, 1, &reason) == 0, "a received mbuf is bad: %s", reason);
	FUZZ_CHECK(pkt->pkt_len != 0 && pkt->pkt_len <= MAX_PACKET, "a packet of %u bytes",
			pkt->pkt_len);
	FUZZ_CHECK(pkt->port == RIG_PORT, "a packet of port %u", pkt->port);
	FUZZ_CHECK(!linear || pkt->nb_segs == 1, "a packet in %u segments", pkt->nb_segs);
	if (pkt->ol_flags & long_ones)
		FUZZ_CHECK(pkt->tso_segsz != 0, "segments of no length");
	if (pkt->ol_flags & (RTE_MBUF_F_TX_L4_MASK | long_ones))
		FUZZ_CHECK((uint32_t)pkt->l2_len + pkt->l3_len + pkt->l4_len <= pkt->pkt_len,
				"headers of %u, %u and %u bytes in a packet of %u", pkt->l2_len,
				pkt->l3_len, pkt->l4_len, pkt->pkt_len);
}

static uint16_t
receive_burst(struct input *in, uint16_t n, bool linear)
{
	struct rte_mbuf *pkts[RIG_BURST];
	uint8_t allowed = input_u8(in);
	uint16_t done, i;

	mbufs_allow(allowed < 128 ? UINT32_MAX : allowed - 128U);
	done = rig_burst(pkts, n);
	mbufs_allow(UINT32_MAX);
	for (i = 0; i < done; i++) {
		check_received(pkts[i], linear);
		rte_pktmbuf_free(pkts[i]);
	}
	return done;
}

/* The ring before a burst. */
static struct {
	struct vring_packed_desc packed[1024];
} before;

/* Each used descriptor is a buffer that was available, in the order of the ring. */
static void
check_packed_used(uint16_t from, uint16_t to)
{
	const struct vring_packed_desc *ring = ram_host(guest.desc, 1);
	uint16_t left = guest.size, at = from, first, flags, id;

	while (at != to) {
		first = at;
		do {
			const struct vring_packed_desc *desc = &before.packed[at & 0x7fff];

			flags = desc->flags;
			id = desc->id;
			FUZZ_CHECK(left-- != 0, "more than the ring is returned");
			/* Of a chain the first one says whose it is. */
			FUZZ_CHECK(at != first ||
							(flags & (PACKED_AVAIL | PACKED_USED)) ==
									available_at(at),
					"what was not available is returned");
			at = step_packed(at);
		} while (flags & VRING_DESC_F_NEXT);
		flags = ring[first & 0x7fff].flags & (PACKED_AVAIL | PACKED_USED);
		FUZZ_CHECK(ring[first & 0x7fff].id == id, "buffer %u is returned as %u", id,
				ring[first & 0x7fff].id);
		FUZZ_CHECK(flags == (first & PACKED_WRAP ? PACKED_AVAIL | PACKED_USED : 0),
				"a used descriptor has flags 0x%x", flags);
		FUZZ_CHECK(guest.to_guest || ring[first & 0x7fff].len == 0,
				"bytes are said to be written that are not");
	}
}

/* The same for a split ring; heads beyond its table are left out. */
static void
check_split_used(const struct rig_state *from, const struct rig_state *to)
{
	const struct vring_avail *avail = ram_host(guest.avail, 1);
	const struct vring_used *used = ram_host(guest.used, 1);
	uint16_t at = from->next_avail, i;

	FUZZ_CHECK((uint16_t)(to->next_avail - at) <= (uint16_t)(guest.shown - at),
			"%u buffers are taken where %u are available",
			(uint16_t)(to->next_avail - at), (uint16_t)(guest.shown - at));
	for (i = from->next_used; i != to->next_used; i++) {
		while (at != to->next_avail && avail->ring[at % guest.size] >= guest.size)
			at++;
		FUZZ_CHECK(at != to->next_avail, "more is returned than was taken");
		FUZZ_CHECK(used->ring[i % guest.size].id == avail->ring[at % guest.size],
				"head %u is returned as %u", avail->ring[at % guest.size],
				used->ring[i % guest.size].id);
		FUZZ_CHECK(guest.to_guest || used->ring[i % guest.size].len == 0,
				"bytes are said to be written that are not");
		at++;
	}
	for (; at != to->next_avail; at++)
		FUZZ_CHECK(avail->ring[at % guest.size] >= guest.size, "a buffer is not returned");
}

/*
 * An index that moves back is not seen by a driver that knows enough; one that
 * is too far ahead, when it has taken what it knows.
 */
static void
note_index(uint16_t next_avail)
{
	uint16_t n = (uint16_t)(((const struct vring_avail *)ram_host(guest.avail, 1))->idx -
			next_avail);
	uint16_t known = (uint16_t)(guest.shown - next_avail);

	if (n > known && n <= known + guest.size)
		guest.shown = (uint16_t)(next_avail + n);
}

static bool
overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a - b < b_len || b - a < a_len;
}

static uint64_t work; /* of this input */

static void
step_burst(struct input *in, bool linear)
{
	struct rig_state from = rig_state(), to;
	uint16_t n = input_u8(in) % (RIG_BURST + 1), done;

	if (guest.packed)
		memcpy(before.packed, ram_host(guest.desc, 1), guest.size * 16U);
	else
		note_index(from.next_avail);
	done = guest.to_guest ? send_burst(in, n) : receive_burst(in, n, linear);
	to = rig_state();
	work += watch.work;
	FUZZ_CHECK(done ==
					(to.packets - from.packets) +
							(guest.to_guest ? to.dropped - from.dropped :
									  0),
			"%u packets are not counted as such", done);
	/* Who writes to the ring meanwhile gets what he wants. */
	if (watch.changed || watch.ring_offered) {
		guest.shown = (uint16_t)(to.next_avail + guest.size);
		return;
	}
	if (guest.packed)
		check_packed_used(from.next_used, to.next_used);
	else if (!overlap(guest.avail, 6 + 2U * guest.size, guest.used, 6 + 8U * guest.size))
		check_split_used(&from, &to);
}

/* Something in the middle of the next burst. */
static void
step_change(struct input *in)
{
	struct watch_change *change = &watch.changes[watch.nb_changes];
	uint8_t choice = input_u8(in);

	if (watch.nb_changes == WATCH_MAX_CHANGES)
		return;
	watch.nb_changes++;
	change->at = choice & 0x80 ? input_u16(in) : choice & 0x1f;
	switch (choice >> 5 & 3) {
	case 0:
		change->kind = CHANGE_HARVEST;
		return;
	case 1:
		change->kind = CHANGE_GPA;
		change->gpa = take_gpa(in);
		break;
	default:
		change->kind = CHANGE_THERE;
	}
	change->len = input_u8(in) % sizeof(change->bytes) + 1;
	input_bytes(in, change->bytes, change->len);
}

/* The guest's wish for interrupts. */
static void
step_event(struct input *in)
{
	uint16_t words[2] = { input_u16(in), input_u8(in) };

	if (guest.packed)
		ram_write(guest.avail, words, 4);
	else if (words[1] & 1)
		ram_write(guest.avail, &words[0], 2);
	else
		ram_write(guest.avail + 4 + 2U * guest.size, &words[0], 2);
}

static void
choose_features(struct input *in, struct rig_config *config)
{
	static const uint8_t features[16] = {
		VIRTIO_NET_F_MRG_RXBUF,
		VIRTIO_RING_F_EVENT_IDX,
		VIRTIO_F_VERSION_1,
		VIRTIO_F_IN_ORDER,
		VIRTIO_RING_F_INDIRECT_DESC,
		VIRTIO_NET_F_CSUM,
		VIRTIO_NET_F_GUEST_CSUM,
		VIRTIO_NET_F_HOST_TSO4,
		VIRTIO_NET_F_HOST_TSO6,
		VIRTIO_NET_F_HOST_UFO,
		VIRTIO_NET_F_GUEST_TSO4,
		VIRTIO_NET_F_GUEST_TSO6,
		VIRTIO_NET_F_GUEST_UFO,
		VIRTIO_NET_F_GUEST_ECN,
		VIRTIO_NET_F_GSO,
		VIRTIO_F_ANY_LAYOUT,
	};
	uint16_t choice = input_u16(in);
	unsigned int i;

	for (i = 0; i < 16; i++)
		if (choice >> i & 1)
			config->features |= UINT64_C(1) << features[i];
}

static uint64_t
align(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/* One part behind the other, in a region of choice, or each somewhere. */
static void
choose_ring(struct input *in, struct rig_config *config)
{
	static const uint64_t places[] = { RAM_A_GPA, RAM_A_GPA + 4090, RAM_B_GPA, RAM_C_GPA };
	static const uint16_t sizes[] = { 256, 1, 2, 4, 8, 16, 32, 64, 128, 512, 1024 };
	bool packed = config->features >> VIRTIO_F_RING_PACKED & 1;
	uint8_t choice = input_u8(in);

	config->size = packed && choice & 0x80 ? (choice & 0x7f) + 1 :
						 sizes[choice % (sizeof(sizes) / sizeof(sizes[0]))];
	choice = input_u8(in);
	config->desc = align(places[choice & 3], 16);
	config->avail = config->desc + config->size * 16U;
	config->used = align(config->avail + (packed ? 4 : 6 + 2U * config->size), 4);
	if (choice & 4)
		config->desc = take_gpa(in);
	if (choice & 8)
		config->avail = take_gpa(in);
	if (choice & 16)
		config->used = take_gpa(in);
	config->start = choice & 32 ? input_u16(in) : choice & 64 ? 0xfff0 : 0;
	if (packed)
		config->start = (uint16_t)(config->start % config->size) |
				(choice & 128 ? 0 : PACKED_WRAP);
}

static void
choose(struct input *in, struct rig_config *config)
{
	uint8_t choice = input_u8(in);

	memset(config, 0, sizeof(*config));
	config->features = choice & 1 ? UINT64_C(1) << VIRTIO_F_RING_PACKED : 0;
	config->to_guest = choice & 2;
	config->logging = !(choice & 4);
	config->legacy_ol_flags = choice & 8;
	config->linear = choice & 16;
	config->ext_buffers = choice & 32;
	config->partial_checksums = choice & 64;
	config->strip_vlan = choice & 128;
	choose_features(in, config);
	config->pool = input_u8(in) % RIG_NB_POOLS;
	choose_ring(in, config);
}

/* Returns false if the ring has gone. */
static bool
step(struct input *in, const struct rig_config *config)
{
	switch (input_u8(in) % 18) {
	case 0:
	case 1:
		step_buffers(in);
		break;
	case 2:
		step_desc(in);
		break;
	case 3:
		step_table(in);
		break;
	case 4:
		step_available(in);
		break;
	case 5:
		step_index(in);
		break;
	case 6:
		step_bytes(in);
		break;
	case 7:
		step_packet(in);
		break;
	case 8:
	case 9:
		step_burst(in, config->linear);
		break;
	case 10:
	case 11:
		step_change(in);
		break;
	case 12:
		step_event(in);
		break;
	case 13:
		if (!config->to_guest)
			rig_enable_kicks(input_u8(in) & 1);
		break;
	case 14:
		rig_look();
		break;
	case 15:
		rig_log(input_u8(in) % RIG_NB_LOGS);
		break;
	case 16:
		if (!config->to_guest)
			rig_rarp(input_u8(in));
		break;
	case 17:
		guest.shown = rig_state().next_avail;
		return rig_reopen();
	}
	return true;
}

static void
run(struct input *in)
{
	struct rig_config config;
	bool open;
	int i;

	work = 0;
	choose(in, &config);
	open = rig_open(&config);
	guest = (struct guest){
		.packed = config.features >> VIRTIO_F_RING_PACKED & 1,
		.to_guest = config.to_guest,
		.size = config.size,
		.header_len = rig_state().header_len,
		.desc = config.desc,
		.avail = config.avail,
		.used = config.used,
		.position = config.start,
		.shown = config.start,
	};
	for (i = 0; i < MAX_STEPS && open && !input_ends(in) && work < MAX_WORK; i++)
		open = step(in, &config);
	/* Two more, so that nothing is left in the middle. */
	for (i = 0; i < 2 && open; i++)
		step_burst(in, config.linear);
	rig_finish();
	watch.nb_changes = 0;
	ram_reset();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	eal_start("fuzz_ring");
	atexit(eal_stop);
	rte_log_set_level_pattern("*", RTE_LOG_CRIT);
	rig_init();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .at = data, .end = data + size };

	run(&in);
	return 0;
}
