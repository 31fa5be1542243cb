/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Ethernet frames with TCP or UDP in IPv4 or IPv6, and a check of their
 * checksums that shares nothing with the driver: RFC 1071, byte by byte.
 */

#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_MAX 66000U

struct frame_kind {
	bool ipv6;
	bool udp;
	bool tagged;    /* with a VLAN tag, of FRAME_VLAN */
	bool extended;  /* IPv4 options, or an extension header of IPv6 */
	bool congested; /* CWR in TCP's flags */
};

#define FRAME_VLAN 0x2abc

struct frame {
	struct frame_kind kind;
	uint32_t len;
	uint32_t l2_len;
	uint32_t l3_len;
	uint32_t l4_len;
	uint8_t bytes[FRAME_MAX];
};

/* Make a frame whose checksums are right, with `payload` bytes that follow from `number`. */
void frame_make(struct frame *frame, struct frame_kind kind, uint32_t number, uint32_t payload);

/* Where in the frame the checksum of TCP or UDP is. */
uint32_t frame_checksum_at(const struct frame *frame);

/* Make that checksum partial, as a guest leaves it to its device. */
void frame_make_partial(struct frame *frame);

/* Whether all checksums of a frame are right, as its own headers say. */
bool frame_is_sound(const uint8_t *bytes, uint32_t len);

/* The guest's part: complete the checksum that a virtio-net header speaks of. */
void frame_complete(uint8_t *bytes, uint32_t len, uint32_t start, uint32_t offset);

/* Put a tag in behind the addresses, or take the first one out. */
void frame_insert_tag(struct frame *frame, uint16_t tci);
void frame_remove_tag(struct frame *frame);

#endif /* FRAME_H */
