# SPDX-License-Identifier: BSD-3-Clause
"""Packets with random content, in pcap files."""

import random
import struct

FILE_HEADER = struct.Struct("<IHHiIII")
PACKET_HEADER = struct.Struct("<IIII")
MAGIC_MICROSECONDS = 0xa1b2c3d4
MAGIC_NANOSECONDS = 0xa1b23c4d
LINKTYPE_ETHERNET = 1


def write_random(path, sizes, seed):
    """Write one packet of random bytes per size. Same seed, same packets."""
    source = random.Random(seed)
    write(path, (source.randbytes(size) for size in sizes))


def write(path, packets):
    with open(path, "wb") as file:
        file.write(FILE_HEADER.pack(MAGIC_MICROSECONDS, 2, 4, 0, 0, 65535, LINKTYPE_ETHERNET))
        for packet in packets:
            file.write(PACKET_HEADER.pack(0, 0, len(packet), len(packet)))
            file.write(packet)


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < FILE_HEADER.size:
        return []    # nothing was written yet
    if FILE_HEADER.unpack_from(data)[0] not in (MAGIC_MICROSECONDS, MAGIC_NANOSECONDS):
        raise ValueError(f"{path} is no pcap file of this machine")
    packets = []
    position = FILE_HEADER.size
    while position + PACKET_HEADER.size <= len(data):
        length = PACKET_HEADER.unpack_from(data, position)[2]
        position += PACKET_HEADER.size
        if position + length > len(data):
            break    # its writer was stopped in the middle
        packets.append(data[position:position + length])
        position += length
    return packets


def difference(sent, received):
    """None when both are the same packets in the same order, else a sentence."""
    if sent == received:
        return None
    for number, (before, after) in enumerate(zip(sent, received)):
        if before == after:
            continue
        text = f"packet {number} of {len(sent)}: sent {len(before)} bytes, got {len(after)}"
        if after in sent:
            return text + f", which is packet {sent.index(after)}: lost, twice or out of order"
        for offset, (a, b) in enumerate(zip(before, after)):
            if a != b:
                return text + f", first other byte at {offset}"
        return text + ", same up to the shorter end"
    return f"sent {len(sent)} packets, got {len(received)}"
