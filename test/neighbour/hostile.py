#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A hostile front-end and its guest: one kind of harm for some seconds.

  hostile.py --list
  hostile.py SOCKET KIND SECONDS [--seed N]

It prints one line: how often it did what. What a kind does is said by its function.
Three things are not among the kinds, since librte_vhost does not withstand them, whoever
serves the port (doc/security.md, "What remains"): half a message, and replies that nobody
reads, hold its thread, and so the control of every port; descriptors that come with the
number of a virtqueue that no device has stay open. The first is a control: half_message.
"""
import argparse
import array
import contextlib
import fcntl
import mmap
import os
import random
import select
import socket
import struct
import sys
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD = range(1, 8)
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = range(8, 12)
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = range(12, 15)
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = range(15, 19)
SET_INFLIGHT_FD = 32

MRG_RXBUF, LOG_ALL, INDIRECT, EVENT_IDX, PROTOCOL, VERSION_1, PACKED = (
    1 << bit for bit in (15, 26, 28, 29, 30, 32, 34))
PROTOCOL_FEATURES = 1 << 0 | 1 << 1 | 1 << 3     # MQ, LOG_SHMFD, REPLY_ACK

VERSION, REPLY, NEED_REPLY = 1, 4, 8
NO_FD = 1 << 8
USER = 0x7000_0000_0000     # where the front-end says that it has the guest's memory

MIB = 1 << 20
PAGE = 4096
F_NEXT, F_WRITE, F_INDIRECT, F_AVAIL, F_USED = 1, 2, 4, 1 << 7, 1 << 15
ANSWER_S = 5


class Gone(Exception):
    """The back-end has closed the connection, as it may after such messages."""


def memfd(size):
    fd = os.memfd_create('guest', os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd


class FrontEnd:
    """A connection. Everything that it opens is closed with it."""

    def __init__(self, path):
        self.fds = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ANSWER_S)
        try:
            self.socket.connect(str(path))
        except OSError as error:
            self.close()
            raise Gone from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def keep(self, fd):
        self.fds.append(fd)
        return fd

    def send(self, request, payload=b'', fds=(), flags=0, size=None):
        header = struct.pack('<III', request, VERSION | flags, len(payload) if size is None else size)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        try:
            self.socket.sendmsg([header + payload], rights)
        except OSError as error:
            raise Gone from error

    def receive(self):
        """A reply's request and payload."""
        try:
            header = self.socket.recv(12, socket.MSG_WAITALL)
            if len(header) < 12:
                raise Gone
            request, _, size = struct.unpack('<III', header)
            return request, self.socket.recv(size, socket.MSG_WAITALL) if size else b''
        except OSError as error:
            raise Gone from error

    def drain(self):
        """Reads what is there, so that no reply waits for room."""
        try:
            while select.select([self.socket], [], [], 0)[0]:
                if not self.socket.recv(65536):
                    raise Gone
        except OSError as error:
            raise Gone from error

    def get(self, request):
        self.send(request)
        return struct.unpack('<Q', self.receive()[1][:8])[0]

    def ask(self, request, payload, fds=()):
        """Whether the back-end says that it did it."""
        self.send(request, payload, fds, NEED_REPLY)
        return self.receive()[1][:8] == bytes(8)

    def settle(self):
        """All that was sent is handled when this returns."""
        self.get(GET_FEATURES)

    def hello(self, features):
        offered = self.get(GET_FEATURES)
        self.send(SET_OWNER)
        self.get(GET_PROTOCOL_FEATURES)
        self.send(SET_PROTOCOL_FEATURES, struct.pack('<Q', PROTOCOL_FEATURES))
        self.features(features & offered)

    def features(self, features):
        self.send(SET_FEATURES, struct.pack('<Q', features | PROTOCOL | VERSION_1))

    def memory(self, fd, size):
        return self.ask(SET_MEM_TABLE, struct.pack('<IIQQQQ', 1, 0, 0, size, USER, 0), [fd])

    def log(self, fd, size):
        self.send(SET_LOG_BASE, struct.pack('<QQ', size, 0), [fd])
        self.receive()


class Ring:
    """One virtqueue in guest memory, from a page on: descriptors, driver's part, device's part."""

    def __init__(self, frontend, index, size, at, packed):
        self.frontend, self.index, self.size, self.packed = frontend, index, size, packed
        self.desc = at
        self.avail = at + size * 16
        self.used = (self.avail + 6 + size * 2 + PAGE - 1) // PAGE * PAGE
        self.end = (self.used + 6 + size * 8 + PAGE - 1) // PAGE * PAGE
        self.call = frontend.keep(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        self.kick = frontend.keep(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    def start(self, logged=False):
        state, send = struct.Struct('<II').pack, self.frontend.send
        send(SET_VRING_NUM, state(self.index, self.size))
        send(SET_VRING_BASE, state(self.index, 0x80008000 if self.packed else 0))
        send(SET_VRING_ADDR, struct.pack('<IIQQQQ', self.index, int(logged), USER + self.desc,
                                         USER + self.used, USER + self.avail, self.used))
        send(SET_VRING_CALL, struct.pack('<Q', self.index), [self.call])
        send(SET_VRING_KICK, struct.pack('<Q', self.index), [self.kick])
        send(SET_VRING_ENABLE, state(self.index, 1))

    def stop(self):
        self.frontend.send(GET_VRING_BASE, struct.pack('<II', self.index, 0))
        self.frontend.receive()


class Guest:
    """A front-end with memory and two rings, not started yet."""

    def __init__(self, frontend, size, ring_size, packed, features=0):
        self.frontend, self.size = frontend, size
        self.fd = frontend.keep(memfd(size))
        self.map = mmap.mmap(self.fd, size)
        frontend.hello(features | MRG_RXBUF | (PACKED if packed else 0))
        if not frontend.memory(self.fd, size):
            raise Gone
        self.rings = []
        self.full = {}  # what fill() writes, by the ring's index
        at = 0
        for index in range(2):
            self.rings.append(Ring(frontend, index, ring_size, at, packed))
            at = self.rings[-1].end
        self.buffers = (at + 0xffff) & ~0xffff

    def start(self, logged=False):
        for ring in self.rings:
            ring.start(logged)
        self.frontend.settle()

    def buffers_of(self, ring):
        """The parts of a ring full of buffers of a page: its descriptors, and its heads."""
        room = (self.size - self.buffers) // PAGE
        length, write = (1600, F_WRITE) if ring.index == 0 else (76, 0)
        table = b''.join(
            struct.pack('<QIHH', self.buffers + i % room * PAGE, length, i if ring.packed else write,
                        write | F_AVAIL if ring.packed else 0) for i in range(ring.size))
        return table, b'' if ring.packed else struct.pack(f'<{ring.size}H', *range(ring.size))

    def show(self, ring, index):
        self.map[ring.avail + 2:ring.avail + 4] = struct.pack('<H', index & 0xffff)

    def fill(self):
        """Both rings full of buffers of a page."""
        for ring in self.rings:
            if ring.index not in self.full:
                self.full[ring.index] = self.buffers_of(ring)
            table, heads = self.full[ring.index]
            self.map[ring.desc:ring.desc + len(table)] = table
            if heads:
                self.map[ring.avail + 4:ring.avail + 4 + len(heads)] = heads
                self.show(ring, ring.size)


class Harm:
    """What all kinds have: where to, how long, chance, and a count of what was done."""

    def __init__(self, path, seconds, seed):
        self.path = path
        self.end = time.monotonic() + seconds
        self.random = random.Random(seed)
        self.count = {'connections': 0}

    def goes_on(self):
        return time.monotonic() < self.end

    def add(self, what, n=1):
        self.count[what] = self.count.get(what, 0) + n

    @contextlib.contextmanager
    def connection(self):
        """A front-end, for a body that the back-end may cut short."""
        frontend = None
        try:
            frontend = FrontEnd(self.path)
            self.add('connections')
            yield frontend
        except Gone:
            self.add('ended by the back-end')
        finally:
            if frontend is not None:
                frontend.close()

    # ---- messages ----

    def some_fds(self, frontend):
        """Descriptors of all kinds, up to eight; closed with the connection."""
        fds = []
        for _ in range(self.random.choice([0, 1, 1, 1, 2, 8])):
            kind = self.random.randrange(5)
            if kind == 0:
                fds.append(os.eventfd(0, os.EFD_CLOEXEC))
            elif kind == 1:
                read_end, write_end = os.pipe()
                os.close(self.random.choice([read_end, write_end]))
                fds.append(read_end if self.is_open(read_end) else write_end)
            elif kind == 2:
                fds.append(memfd(self.random.choice([0, PAGE - 1, PAGE, MIB])))
            elif kind == 3:
                fds.append(os.open('/dev/zero', os.O_RDWR | os.O_CLOEXEC))
            else:
                fds.append(socket.socket(socket.AF_UNIX).detach())
        for fd in fds:
            frontend.keep(fd)
        return fds

    @staticmethod
    def is_open(fd):
        try:
            os.fstat(fd)
            return True
        except OSError:
            return False

    def some_number(self):
        return self.random.choice([0, 1, 2, 3, 7, 255, 256, 257, 0x7fff, 0x8000, 0xffff, 0x10000,
                                   0xffffffff, self.random.getrandbits(32)])

    def some_address(self):
        return self.random.choice([0, 1, PAGE, USER, USER + PAGE, USER + MIB - 1, USER + 4 * MIB,
                                   (1 << 64) - PAGE, (1 << 64) - 1, self.random.getrandbits(64)])

    def memory_table(self):
        n = self.random.choice([0, 1, 1, 2, 8, 9, self.some_number()])
        regions = b''.join(struct.pack(
            '<QQQQ', self.some_address() & ~USER,
            self.random.choice([0, 1, PAGE, 4 * MIB, 1 << 40, (1 << 64) - PAGE]),
            self.some_address(), self.random.choice([0, 1, PAGE, (1 << 64) - PAGE]))
            for _ in range(min(n, 8)))
        return struct.pack('<II', n, 0) + regions

    def message(self):
        """A request with a payload of its kind, or of any."""
        request = self.random.choice([
            SET_FEATURES, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR,
            SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR,
            SET_PROTOCOL_FEATURES, SET_VRING_ENABLE, RESET_OWNER, GET_FEATURES, GET_QUEUE_NUM,
            self.random.randrange(19, 45), self.random.getrandbits(32)])
        if request == SET_MEM_TABLE:
            return request, self.memory_table()
        if request == SET_VRING_ADDR:
            return request, struct.pack('<II', self.some_number(), self.random.getrandbits(2)) + \
                b''.join(struct.pack('<Q', self.some_address()) for _ in range(4))
        if request == SET_LOG_BASE:
            return request, struct.pack('<QQ', self.random.choice([0, 1, PAGE, 32 * MIB, 1 << 63]),
                                        self.random.choice([0, 0, 1, PAGE, 1 << 63]))
        if request in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE):
            return request, struct.pack('<II', self.some_number(), self.some_number())
        if request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
            return request, struct.pack('<Q', self.random.randrange(512))
        if request in (SET_FEATURES, SET_PROTOCOL_FEATURES):
            return request, struct.pack('<Q', self.random.getrandbits(64))
        return request, self.random.randbytes(self.random.choice([0, 4, 8, 16, 40, 200]))

    @staticmethod
    def names_no_virtqueue(request, payload):
        return request == SET_INFLIGHT_FD or request in (
            SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE) and \
            struct.unpack('<I', payload[:4])[0] > 255

    def messages(self):
        """Messages of every number, wrong in every field, with descriptors of every kind."""
        while self.goes_on():
            with self.connection() as frontend:
                if self.random.random() < 0.7:
                    guest = Guest(frontend, 4 * MIB, 256, self.random.random() < 0.5)
                    guest.fill()
                    guest.start()
                for _ in range(40):
                    request, payload = self.message()
                    fds = [] if self.names_no_virtqueue(request, payload) else self.some_fds(frontend)
                    frontend.send(request, payload, fds,
                                  self.random.choice([0, NEED_REPLY]))
                    self.add('messages')
                    frontend.drain()
                # A size that is not what follows: then the end, or the thread would wait for more.
                frontend.send(self.random.randrange(1, 45), b'x' * self.random.randrange(20),
                              size=self.random.choice([1, 100, 4000, 0xffffffff]))

    # ---- rings ----

    def bad_rings(self):
        """Rings of both kinds full of chance, which changes while they are polled."""
        while self.goes_on():
            with self.connection() as frontend:
                packed = self.random.random() < 0.5
                guest = Guest(frontend, 4 * MIB, 256, packed, INDIRECT | EVENT_IDX)
                guest.fill()
                guest.start()
                end = guest.rings[1].end
                for _ in range(300):
                    if not self.goes_on():
                        break
                    at = self.random.randrange(0, end - 512, 2)
                    guest.map[at:at + 512] = self.random.choice([
                        self.random.randbytes(512), bytes(512), b'\xff' * 512,
                        struct.pack('<QIHH', self.random.randrange(4 * MIB), self.some_number(),
                                    self.random.randrange(256), self.random.randrange(8)) * 32])
                    for ring in guest.rings:
                        guest.show(ring, self.random.getrandbits(16))
                    self.add('changes')
                    time.sleep(0.0005)

    def huge_rings(self):
        """32,768 entries that all name one table of 1,024 pieces of 4 MiB, logged, opened again and again."""
        size = 32768
        while self.goes_on():
            with self.connection() as frontend:
                guest = Guest(frontend, 16 * MIB, size, False, INDIRECT)
                table = b''.join(struct.pack('<QIHH', guest.buffers, 4 * MIB, F_WRITE | F_NEXT, i + 1)
                                 for i in range(1023)) + struct.pack('<QIHH', guest.buffers, 1, F_WRITE, 0)
                at = guest.size - MIB
                guest.map[at:at + len(table)] = table
                for ring in guest.rings:
                    guest.map[ring.desc:ring.desc + 16] = struct.pack('<QIHH', at, len(table), F_INDIRECT, 0)
                    guest.show(ring, size)
                frontend.features(MRG_RXBUF | INDIRECT | LOG_ALL)
                guest.start(logged=True)
                log = frontend.keep(memfd(PAGE))
                for _ in range(20):
                    frontend.log(log, PAGE)
                    for ring in guest.rings:
                        ring.stop()
                        ring.start(logged=True)
                        self.add('openings')
                    frontend.settle()
                    if not self.goes_on():
                        break

    def endless_chains(self):
        """Chains that go on to the end of a ring of 32,768 (packed) or in a circle (split)."""
        size = 32768
        while self.goes_on():
            with self.connection() as frontend:
                packed = self.random.random() < 0.5
                guest = Guest(frontend, 16 * MIB, size, packed)
                for ring in guest.rings:
                    flags = F_NEXT | (F_WRITE if ring.index == 0 else 0) | (F_AVAIL if packed else 0)
                    guest.map[ring.desc:ring.desc + 16 * size] = b''.join(
                        struct.pack('<QIHH', guest.buffers, 1, i if packed else flags,
                                    flags if packed else (i + 1) % size) for i in range(size))
                    if not packed:
                        guest.show(ring, size)
                guest.start()
                for i in range(500):
                    # The guest has moved: what waited is looked at again.
                    for ring in guest.rings:
                        at = ring.desc + 16 * (size - 1 - i)
                        guest.map[at:at + 16] = guest.map[at:at + 16]
                        if not packed:
                            guest.show(ring, size + i)
                    self.add('moves')
                    time.sleep(0.001)
                    if not self.goes_on():
                        break

    # ---- descriptors ----

    def blocking_calls(self):
        """Call and kick descriptors with full counters, that block who writes or reads them."""
        while self.goes_on():
            with self.connection() as frontend:
                packed = self.random.random() < 0.5
                guest = Guest(frontend, 4 * MIB, 256, packed)
                guest.start()
                for _ in range(200):
                    for ring in guest.rings:
                        for fd in (ring.call, ring.kick):
                            flags = fcntl.fcntl(fd, fcntl.F_GETFL)
                            fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
                            with contextlib.suppress(BlockingIOError):
                                os.eventfd_read(fd)
                            with contextlib.suppress(BlockingIOError):
                                os.eventfd_write(fd, (1 << 64) - 2)
                            fcntl.fcntl(fd, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
                        self.add('counters filled')
                    guest.fill()
                    time.sleep(0.001)
                    if not self.goes_on():
                        break

    def mask_storm(self):
        """Call descriptors exchanged as fast as they are taken, as if vectors were masked and unmasked."""
        while self.goes_on():
            with self.connection() as frontend:
                guest = Guest(frontend, 4 * MIB, 256, False)
                guest.start()
                fds = [frontend.keep(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)) for _ in range(2)]
                for _ in range(20):
                    guest.fill()
                    for i in range(100):
                        for ring in guest.rings:
                            frontend.send(SET_VRING_CALL, struct.pack('<Q', ring.index), [fds[i % 2]])
                        if i % 10 == 0:
                            frontend.send(SET_VRING_CALL, struct.pack('<Q', 0 | NO_FD))
                        self.add('exchanges', 2)
                    frontend.settle()
                    if not self.goes_on():
                        break

    def storm(self):
        """Connections, up to six at a time, that end at any step."""
        held = []
        while self.goes_on():
            try:
                frontend = FrontEnd(self.path)
                self.add('connections')
                held.append(frontend)
                step = self.random.randrange(5)
                if step > 0:
                    frontend.settle()
                if step > 1:
                    guest = Guest(frontend, 4 * MIB, 256, self.random.random() < 0.5)
                    guest.fill()
                if step > 2:
                    guest.start()
                if step > 3:
                    frontend.features(LOG_ALL)
            except Gone:
                self.add('ended by the back-end')
            while len(held) > self.random.randrange(7):
                held.pop(self.random.randrange(len(held))).close()
        for frontend in held:
            frontend.close()

    # ---- memory ----

    def truncated(self):
        """Guest memory and log cut, or with holes punched, while rings run and marks are made."""
        while self.goes_on():
            with self.connection() as frontend:
                packed = self.random.random() < 0.5
                guest = Guest(frontend, 4 * MIB, 256, packed)
                guest.fill()
                frontend.features(MRG_RXBUF | LOG_ALL | (PACKED if packed else 0))
                guest.start(logged=True)
                log = frontend.keep(memfd(PAGE))
                frontend.log(log, PAGE)
                time.sleep(self.random.uniform(0, 0.002))
                what = self.random.choice(['log', 'memory', 'both'])
                if what != 'memory':
                    os.ftruncate(log, 0)
                if what != 'log':
                    guest.map.close()
                    os.ftruncate(guest.fd, self.random.choice([0, PAGE, guest.buffers, 2 * MIB]))
                self.add('files cut')
                time.sleep(self.random.uniform(0, 0.005))
                frontend.settle()
                if self.random.random() < 0.5:
                    for ring in guest.rings:
                        ring.stop()

    def lost_pages(self):
        """Rings of 32,768 buffers, each on a page of its own, of a file that ends while they are used."""
        size = 32768
        while self.goes_on():
            with self.connection() as frontend:
                packed = self.random.random() < 0.5
                guest = Guest(frontend, 136 * MIB, size, packed)
                guest.fill()
                guest.start()
                for i in range(20):
                    time.sleep(0.001)
                    os.ftruncate(guest.fd, guest.buffers)
                    self.add('pages lost', (guest.size - guest.buffers) // PAGE)
                    time.sleep(0.003)
                    os.ftruncate(guest.fd, guest.size)
                    # librte_vhost does not map a table anew that is as the one before.
                    frontend.memory(guest.fd, guest.size - (i + 1) % 2 * PAGE)
                    for ring in guest.rings:
                        ring.stop()
                    guest.fill()
                    guest.start()
                    if not self.goes_on():
                        break


    # ---- what must be seen ----

    def half_message(self):
        """Half a message for half a second: nobody's messages are answered meanwhile."""
        while self.goes_on():
            with self.connection() as frontend:
                frontend.send(SET_FEATURES, size=8)
                self.add('half messages')
                time.sleep(0.5)


KINDS = ['messages', 'bad_rings', 'huge_rings', 'endless_chains', 'blocking_calls', 'mask_storm',
         'storm', 'truncated', 'lost_pages']


def main():
    if sys.argv[1:] == ['--list']:
        for kind in KINDS:
            print(f'{kind:16} {getattr(Harm, kind).__doc__}')
        return 0
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('socket')
    parser.add_argument('kind', choices=[*KINDS, 'half_message'])
    parser.add_argument('seconds', type=float)
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    harm = Harm(options.socket, options.seconds, f'{options.seed} {options.kind}')
    getattr(harm, options.kind)()
    print('done ' + ', '.join(f'{n:,} {what}' for what, n in harm.count.items() if n > 0))
    return 0


if __name__ == '__main__':
    sys.exit(main())
