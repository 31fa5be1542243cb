# SPDX-License-Identifier: BSD-3-Clause
"""A vhost-user-blk front-end and its guest: as good, or as bad, as it is told to be."""

import array
import mmap
import os
import socket
import struct
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES = 15, 16
SET_VRING_ENABLE, GET_CONFIG = 18, 24
VERSION, NEED_REPLY = 1, 8
LOG_ALL, REPLY_ACK, CONFIG = 1 << 26, 1 << 3, 1 << 9
NO_FD = 1 << 8

ANSWER_SECONDS = 5
USER = 0x7000_0000_0000         # where the front-end has mapped its guest
DESC, AVAIL, USED = 0x1000, 0x2000, 0x3000
HEADER, STATUS, DATA = 0x8000, 0x8100, 0x10000
NEXT, WRITE, INDIRECT = 1, 2, 4
READ_SECTORS, WRITE_SECTORS, FLUSH, GET_ID = 0, 1, 4, 8
OK, IOERR = 0, 1


class Refused(Exception):
    """The back-end has closed the connection, or did not answer in time."""


class Guest:
    """Memory with one split ring in it."""

    def __init__(self, size=4 << 20, mapped=None):
        self.size = size
        self.fd = os.memfd_create("guest")
        os.ftruncate(self.fd, size)
        self.ram = mmap.mmap(self.fd, mapped or size)
        # For what both ends look at: 16 bits at once, which struct does not promise.
        self.words = memoryview(self.ram).cast("H")
        self.entries = 256
        self.desc, self.avail, self.used = DESC, AVAIL, USED
        self.next = 0

    def close(self):
        self.words.release()
        self.ram.close()
        os.close(self.fd)

    def describe(self, index, address, length, flags, following=0):
        struct.pack_into("<QIHH", self.ram, self.desc + 16 * index, address, length, flags,
                         following)

    def offer(self, head):
        """Make one chain available."""
        self.words[self.avail // 2 + 2 + self.next % self.entries] = head
        self.next = (self.next + 1) & 0xffff
        self.show(self.next)

    def show(self, index):
        self.words[self.avail // 2 + 1] = index

    def used_index(self):
        return self.words[self.used // 2 + 1]

    def last_used(self):
        """(id, len) of the newest used entry."""
        at = self.used + 4 + 8 * ((self.next - 1) % self.entries)
        return struct.unpack_from("<II", self.ram, at)

    def wait(self, seconds=ANSWER_SECONDS):
        """Whether all that was offered came back."""
        end = time.monotonic() + seconds
        while self.used_index() != self.next:
            if time.monotonic() > end:
                return False
            time.sleep(0.001)
        return True

    def offer_request(self, kind, sector, pieces):
        """`pieces` of data: (address, length)."""
        write = WRITE if kind in (READ_SECTORS, GET_ID) else 0
        struct.pack_into("<IIQ", self.ram, HEADER, kind, 0, sector)
        self.ram[STATUS] = 0xff
        self.describe(0, HEADER, 16, NEXT, 1)
        for index, (address, length) in enumerate(pieces, 1):
            self.describe(index, address, length, NEXT | write, index + 1)
        self.describe(len(pieces) + 1, STATUS, 1, WRITE)
        self.offer(0)

    def request(self, kind, sector=0, pieces=((DATA, 512),), seconds=ANSWER_SECONDS):
        """The status byte, or None: it did not come back."""
        self.offer_request(kind, sector, pieces)
        return self.ram[STATUS] if self.wait(seconds) else None


class FrontEnd:
    """A connection. Messages that change something are acknowledged, so they are over."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_SECONDS)
        self.socket.connect(str(path))
        self.call = os.eventfd(0, os.EFD_NONBLOCK)
        self.kick = os.eventfd(0, os.EFD_NONBLOCK)

    def close(self):
        self.socket.close()
        os.close(self.call)
        os.close(self.kick)

    def send(self, request, payload=b"", fds=(), flags=VERSION):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.socket.sendmsg([struct.pack("<III", request, flags, len(payload)), payload],
                                ancillary)
        except OSError as error:
            raise Refused(f"message {request}: {error}") from None

    def receive(self):
        try:
            data, ancillary, _, _ = self.socket.recvmsg(4096, 4096)
        except OSError as error:
            raise Refused(f"no answer: {error}") from None
        for _, _, fds in ancillary:
            for fd in array.array("i", fds[:len(fds) // 4 * 4]):
                os.close(fd)
        if len(data) < 12:
            raise Refused("the connection was closed")
        return data[12:]

    def ask(self, request, payload=b"", fds=()):
        self.send(request, payload, fds)
        return self.receive()

    def change(self, request, payload=b"", fds=()):
        """Whether the back-end says that it did it."""
        self.send(request, payload, fds, VERSION | NEED_REPLY)
        return struct.unpack("<Q", self.receive())[0] == 0

    def negotiate(self):
        features, = struct.unpack("<Q", self.ask(GET_FEATURES))
        self.send(SET_OWNER)
        offered, = struct.unpack("<Q", self.ask(GET_PROTOCOL_FEATURES))
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", offered & (REPLY_ACK | CONFIG)))
        self.change(SET_FEATURES, struct.pack("<Q", features & ~LOG_ALL))
        return features

    def share(self, guest):
        return self.change(SET_MEM_TABLE, struct.pack("<IIQQQQ", 1, 0, 0, guest.size, USER, 0),
                           [guest.fd])

    def set_entries(self, entries):
        return self.change(SET_VRING_NUM, struct.pack("<II", 0, entries))

    def set_call(self, fd):
        """Also closes the queue and opens it again."""
        return self.change(SET_VRING_CALL, struct.pack("<Q", NO_FD if fd is None else 0),
                           [] if fd is None else [fd])

    def start(self, guest, call=-1):
        """`call`: another descriptor than the front-end's own, or None: none."""
        self.set_entries(guest.entries)
        self.change(SET_VRING_BASE, struct.pack("<II", 0, guest.next))
        self.change(SET_VRING_ADDR, struct.pack("<IIQQQQ", 0, 0, USER + guest.desc,
                                                USER + guest.used, USER + guest.avail, 0))
        self.set_call(self.call if call == -1 else call)
        self.change(SET_VRING_KICK, struct.pack("<Q", 0), [self.kick])
        self.change(SET_VRING_ENABLE, struct.pack("<II", 0, 1))

    def set_up(self, guest, call=-1):
        self.negotiate()
        self.share(guest)
        self.start(guest, call)

    def stop(self):
        """The index of the ring."""
        return struct.unpack("<II", self.ask(GET_VRING_BASE, struct.pack("<II", 0, 0)))[1]

    def interrupts(self, seconds=ANSWER_SECONDS):
        """What the call descriptor counted since the last time, waiting for at least one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                return os.eventfd_read(self.call)
            except BlockingIOError:
                time.sleep(0.001)
        return 0
