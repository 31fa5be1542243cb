# SPDX-License-Identifier: BSD-3-Clause
"""Offloads that testpmd's commands turn on; what arrives is checked here, by RFC 1071."""

import random
import struct

import packets
import rig as r
from command_tests import expect

ADDRESSES = bytes.fromhex("520000000001" "520000000002")
TCP, UDP = 6, 17
TAG_IN, TAG_OUT = 0x123, 77
RX_CHECKSUMS = "--rx-offloads=0xc"


def ones_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def layers(frame):
    """Where IP and TCP or UDP begin, the protocol, the pseudo-header."""
    ip = 14 if frame[12:14] != b"\x81\0" else 18
    if frame[ip - 2:ip] == b"\x08\0":
        l4 = ip + 4 * (frame[ip] & 15)
        return ip, l4, frame[ip + 9], (
            frame[ip + 12:ip + 20] + struct.pack(">HH", frame[ip + 9], len(frame) - l4))
    return ip, ip + 40, frame[ip + 6], (
        frame[ip + 8:ip + 40] + struct.pack(">II", len(frame) - ip - 40, frame[ip + 6]))


def is_right(frame):
    ip, l4, _, pseudo = layers(frame)
    return (ones_sum(pseudo + frame[l4:]) == 0xffff
            and (frame[ip] >> 4 == 6 or ones_sum(frame[ip:l4]) == 0xffff))


def with_checksum(frame, value=None):
    """The frame with this checksum, or with what belongs there."""
    _, l4, protocol, pseudo = layers(frame)
    field = l4 + (16 if protocol == TCP else 6)
    if value is None:
        cleared = frame[l4:field] + b"\0\0" + frame[field + 2:]
        value = 0xffff - ones_sum(pseudo + cleared) or 0xffff
    return frame[:field] + struct.pack(">H", value) + frame[field + 2:]


def frames(tag=None):
    """Sound frames of both versions and protocols, of many lengths."""
    source, made = random.Random(1), []
    for size in range(0, 8000, 37):
        for protocol in (TCP, UDP):
            for version in (4, 6):
                payload = source.randbytes(size)
                if protocol == TCP:
                    l4 = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x10, 5, 0, 0)
                else:
                    l4 = struct.pack(">HHHH", 1, 2, 8 + size, 0)
                length = len(l4) + size
                if version == 4:
                    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, protocol, 0)
                    head += source.randbytes(8)
                    head = head[:10] + struct.pack(">H", 0xffff - ones_sum(head)) + head[12:]
                else:
                    head = struct.pack(">IHBB", 6 << 28, length, protocol, 64)
                    head += source.randbytes(32)
                kind = b"" if tag is None else struct.pack(">HH", 0x8100, tag)
                kind += b"\x08\0" if version == 4 else b"\x86\xdd"
                made.append(with_checksum(ADDRESSES + kind + head + l4 + payload))
    return made


def transfer(rig, sent, backend, packed=0):
    """What comes back of these frames."""
    source, sink = rig.path("in.pcap"), rig.path("out.pcap")
    packets.write(source, sent)
    frontend = rig.frontend([source], [sink], virtio=f"packed_vq={packed}", start=False)
    frontend.wait_link(True, r.VIRTIO)
    frontend.command("start")
    rig.wait_until(lambda: len(packets.read(sink)) >= len(sent), frontend,
                   f"{len(sent)} packets did not come back")
    frontend.quit()
    backend.quit()
    return packets.read(sink)


def csum_engine(rig, where, packed=0):
    """set fwd csum, csum set; the guest takes no partial checksums, so they come from software"""
    backend = rig.backend(extra=[RX_CHECKSUMS], start=False)
    backend.command("port stop 0")
    for what in ("ip", "tcp", "udp"):
        expect(backend.command(f"csum set {what} {where} 0"), rf"checksum offload is {where}")
    backend.command("csum mac-swap off 0")
    backend.command("port start 0")
    backend.command("set fwd csum retry")
    backend.command("start")
    good = frames()
    assert all(is_right(frame) for frame in good)
    sent = [with_checksum(frame, 0x5a5a) for frame in good]
    got = transfer(rig, sent, backend, packed)
    wrong = [number for number, frame in enumerate(got) if not is_right(frame)]
    if wrong:
        raise r.Failed(f"{len(wrong)} of {len(got)} checksums are wrong, first that of "
                       f"packet {wrong[0]}, {len(got[wrong[0]])} bytes")
    if [with_checksum(frame, 0x5a5a) for frame in got] != sent:
        raise r.Failed("something other than the checksums has changed")


def vlan_tags(rig, packed=0):
    """vlan set strip, tx_vlan set: one tag is taken out, another one put in"""
    backend = rig.backend(start=False)
    backend.command("port stop 0")
    backend.command(f"tx_vlan set 0 {TAG_OUT}")
    backend.command("port start 0")
    backend.command("vlan set strip on 0")
    expect(backend.command("show port info 0"), r"strip on")
    backend.command("set fwd macswap retry")
    backend.command("start")
    tag = struct.pack(">HH", 0x8100, TAG_OUT)
    got = transfer(rig, frames(TAG_IN), backend, packed)
    wanted = [frame[6:12] + frame[:6] + tag + frame[16:] for frame in frames(TAG_IN)]
    text = packets.difference(wanted, got)
    if text:
        raise r.Failed(text)


def capabilities(rig):
    """Offloads turn on and off at run time; what there is no such offload for is refused."""
    backend = rig.backend(start=False)
    expect(backend.command("show port 0 rx_offload capabilities"),
           "VLAN_STRIP", "UDP_CKSUM", "TCP_CKSUM")
    expect(backend.command("show port 0 tx_offload capabilities"), "VLAN_INSERT", "MULTI_SEGS",
           "UDP_CKSUM", "TCP_CKSUM", "IPV4_CKSUM", "TCP_TSO")
    backend.command("port stop 0")
    for option in ("rx_offload vlan_strip", "rx_offload tcp_cksum", "tx_offload vlan_insert",
                   "tx_offload tcp_cksum", "tx_offload tcp_tso"):
        for switch in ("on", "off"):
            backend.command(f"port config 0 {option} {switch}")
    expect(backend.command("tso set 1400 0"), "segment size for non-tunneled packets is 1400")
    # testpmd refuses it itself from 24.11 on, before that the start of the port fails.
    refused = "doesn't support offload" in backend.command("port config 0 rx_offload tcp_lro on")
    if "doesn't match Rx offloads" not in backend.command("port start 0") and not refused:
        raise r.Failed("an offload that there is not was accepted")
    backend.command("port config 0 rx_offload tcp_lro off")
    backend.command("port start 0")
    expect(backend.command("show port info 0"), "Link status: down")
    backend.quit()


def tests():
    return [("offload_csum_hw", lambda rig: csum_engine(rig, "hw")),
            ("offload_csum_sw", lambda rig: csum_engine(rig, "sw")),
            ("offload_csum_hw_packed", lambda rig: csum_engine(rig, "hw", packed=1)),
            ("offload_vlan_tags", vlan_tags),
            ("offload_vlan_tags_packed", lambda rig: vlan_tags(rig, packed=1)),
            ("offload_capabilities", capabilities)]
