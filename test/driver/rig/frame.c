/* SPDX-License-Identifier: BSD-3-Clause */

#include <string.h>

#include "rig/frame.h"
#include "rig/packet.h"

#define TCP 6
#define UDP 17

static void
put16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static uint32_t
get16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static uint32_t
sum(const uint8_t *bytes, uint32_t len, uint32_t start)
{
	uint64_t total = start;
	uint32_t i;

	for (i = 0; i < len; i++)
		total += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (total > 0xffff)
		total = (total >> 16) + (total & 0xffff);
	return (uint32_t)total;
}

/* Of the pseudo-header; addresses are neighbours in both versions. */
static uint32_t
pseudo(const uint8_t *addresses, uint32_t nb_bytes, uint8_t protocol, uint32_t len)
{
	return sum(addresses, nb_bytes, protocol + (len >> 16) + (len & 0xffff));
}

static uint8_t
fill_ip(struct frame *frame, uint8_t *ip, uint32_t l4_and_payload)
{
	uint8_t protocol = frame->kind.udp ? UDP : TCP;
	uint32_t i;

	memset(ip, 0, frame->l3_len);
	if (!frame->kind.ipv6) {
		ip[0] = (uint8_t)(0x40 | frame->l3_len / 4);
		put16(ip + 2, frame->l3_len + l4_and_payload);
		put16(ip + 4, 0x1234);
		ip[8] = 64;
		ip[9] = protocol;
		memcpy(ip + 12, "\x0a\x00\x00\x01\xc0\xa8\xff\xfe", 8);
		for (i = 20; i < frame->l3_len; i++)
			ip[i] = 1; /* no operation */
		put16(ip + 10, ~sum(ip, frame->l3_len, 0));
		return protocol;
	}
	ip[0] = 0x60;
	put16(ip + 4, frame->l3_len - 40 + l4_and_payload);
	ip[6] = frame->kind.extended ? 0 : protocol; /* hop-by-hop options */
	ip[7] = 64;
	for (i = 8; i < 40; i++)
		ip[i] = (uint8_t)(i * 37);
	if (frame->kind.extended) {
		ip[40] = protocol;
		ip[42] = 1; /* padding */
		ip[43] = 4;
	}
	return protocol;
}

void
frame_make(struct frame *frame, struct frame_kind kind, uint32_t number, uint32_t payload)
{
	uint8_t *at = frame->bytes, *l4;
	uint8_t protocol;
	uint32_t len, partial;

	frame->kind = kind;
	frame->l2_len = kind.tagged ? 18 : 14;
	frame->l3_len = kind.ipv6 ? 40 : 20;
	if (kind.extended)
		frame->l3_len += kind.ipv6 ? 8 : 4;
	frame->l4_len = kind.udp ? 8 : 32;
	len = frame->l4_len + payload;
	memcpy(at, "\x52\x54\x00\x00\x00\x01\x52\x54\x00\x00\x00\x02", 12);
	at += 12;
	if (kind.tagged) {
		put16(at, 0x8100);
		put16(at + 2, FRAME_VLAN);
		at += 4;
	}
	put16(at, kind.ipv6 ? 0x86dd : 0x0800);
	at += 2;
	protocol = fill_ip(frame, at, len);
	l4 = at + frame->l3_len;
	memset(l4, 0, frame->l4_len);
	put16(l4, 0x8001);
	put16(l4 + 2, 9);
	if (kind.udp) {
		put16(l4 + 4, len);
	} else {
		l4[12] = (uint8_t)(frame->l4_len / 4 << 4);
		l4[13] = (uint8_t)(0x18 | (kind.congested ? 0x80 : 0));
		memset(l4 + 20, 1, frame->l4_len - 20);
	}
	memcpy(l4 + frame->l4_len, packet_bytes(number, payload), payload);
	frame->len = (uint32_t)(l4 - frame->bytes) + len;
	partial = pseudo(at + (kind.ipv6 ? 8 : 12), kind.ipv6 ? 32 : 8, protocol, len);
	len = ~sum(l4, len, partial) & 0xffff;
	put16(frame->bytes + frame_checksum_at(frame), len == 0 && kind.udp ? 0xffff : len);
}

uint32_t
frame_checksum_at(const struct frame *frame)
{
	return frame->l2_len + frame->l3_len + (frame->kind.udp ? 6 : 16);
}

void
frame_make_partial(struct frame *frame)
{
	const uint8_t *ip = frame->bytes + frame->l2_len;

	put16(frame->bytes + frame_checksum_at(frame),
			pseudo(ip + (frame->kind.ipv6 ? 8 : 12), frame->kind.ipv6 ? 32 : 8,
					frame->kind.udp ? UDP : TCP,
					frame->len - frame->l2_len - frame->l3_len));
}

bool
frame_is_sound(const uint8_t *bytes, uint32_t len)
{
	const uint8_t *ip = bytes + 12, *addresses;
	uint32_t l3_len, l4_len, nb_bytes;
	uint8_t protocol;

	while (get16(ip) == 0x8100)
		ip += 4;
	ip += 2;
	if (get16(ip - 2) == 0x0800) {
		l3_len = 4U * (ip[0] & 0xf);
		l4_len = get16(ip + 2) - l3_len;
		protocol = ip[9];
		addresses = ip + 12;
		nb_bytes = 8;
		if (sum(ip, l3_len, 0) != 0xffff)
			return false;
	} else {
		l3_len = 40;
		l4_len = get16(ip + 4);
		protocol = ip[6];
		addresses = ip + 8;
		nb_bytes = 32;
		if (protocol == 0) {
			protocol = ip[40];
			l3_len += 8U + 8U * ip[41];
			l4_len -= 8U + 8U * ip[41];
		}
	}
	if ((protocol != TCP && protocol != UDP) || (uint32_t)(ip - bytes) + l3_len + l4_len > len)
		return false;
	/* 0 says that there is none, which is not what was asked for. */
	if (protocol == UDP && get16(ip + l3_len + 6) == 0)
		return false;
	return sum(ip + l3_len, l4_len, pseudo(addresses, nb_bytes, protocol, l4_len)) == 0xffff;
}

void
frame_complete(uint8_t *bytes, uint32_t len, uint32_t start, uint32_t offset)
{
	uint32_t value = ~sum(bytes + start, len - start, 0) & 0xffff;

	put16(bytes + start + offset, value == 0 ? 0xffff : value);
}

void
frame_insert_tag(struct frame *frame, uint16_t tci)
{
	memmove(frame->bytes + 16, frame->bytes + 12, frame->len - 12);
	put16(frame->bytes + 12, 0x8100);
	put16(frame->bytes + 14, tci);
	frame->len += 4;
	frame->l2_len += 4;
}

void
frame_remove_tag(struct frame *frame)
{
	memmove(frame->bytes + 12, frame->bytes + 16, frame->len - 16);
	frame->len -= 4;
	frame->l2_len -= 4;
}
