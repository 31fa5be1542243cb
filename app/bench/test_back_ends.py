#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does dirtylog-bench see what a back-end does wrong?

A small vhost-user-net back-end in Python (split rings, slow) behaves well, or
breaks one rule; the benchmark must say which, with the right exit status, and
never hang.

usage: test_back_ends.py PATH/TO/dirtylog-bench [case ...]
"""
import array
import mmap
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE, SET_LOG_BASE = 1, 2, 3, 5, 6
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = 15, 16, 17, 18
F_LOG_ALL, F_PROTOCOL, F_VERSION_1 = 1 << 26, 1 << 30, 1 << 32
P_MQ, P_LOG_SHMFD, P_REPLY_ACK = 1, 2, 8
REPLY, NEED_REPLY = 4, 8
PACKET = bytes(12) + bytes(range(64))


class Gone(Exception):
    """The connection is over."""


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)
    return listener


class Ring:
    def __init__(self):
        self.num = self.last = 0
        self.desc = self.avail = self.used = self.log = 0
        self.enabled = False


class BackEnd:
    """Fills the guest's receive ring 0. `fault` names the rule that it breaks."""

    def __init__(self, path, fault, connects=False):
        self.fault = fault
        self.path = path
        self.listener = None
        if not connects:
            self.listener = listen(path)
        self.regions = []               # guest address, size, user address, map
        self.rings = [Ring(), Ring()]
        self.features = 0
        self.log = self.log_fd = self.old_log = None
        self.packets = self.marks = 0
        self.late, self.late_since = set(), None
        self.logged_since = None
        self.stopped_pages = set()
        self.was_disabled = False

    # --- memory ---

    def at_user(self, address):
        for _, size, user, memory in self.regions:
            if user <= address < user + size:
                return memory, address - user
        raise KeyError(hex(address))

    def at_guest(self, address):
        for guest, size, _, memory in self.regions:
            if guest <= address < guest + size:
                return memory, address - guest
        raise KeyError(hex(address))

    # --- marks ---

    def set_bits(self, log, pages):
        # Not atomic against a harvest, so bits could be lost or stay too long: one
        # byte is read and written within microseconds, and only this thread sets bits.
        for page in pages:
            log[page // 8] |= 1 << page % 8

    def mark(self, address, length):
        if not self.features & F_LOG_ALL or self.log is None or length == 0:
            return
        pages = set(range(address // 4096, (address + length - 1) // 4096 + 1))
        self.marks += 1
        if self.fault == 'marks nothing':
            return
        if self.fault == 'forgets a page' and not self.was_disabled:
            # By its number, not by chance: however slow this back-end is, it writes some of them.
            pages = {page for page in pages if page % 64 != 5}
        if self.fault == 'marks in the old log' and self.old_log is not None:
            self.set_bits(self.old_log, pages)
            return
        if self.fault == 'marks late and not at the stop':
            self.late |= pages
            if self.late_since is None:
                self.late_since = time.monotonic()
            return
        if self.fault == 'marks after the stop':
            self.stopped_pages |= pages
        self.set_bits(self.log, pages)

    # --- the datapath ---

    def poll(self):
        ring = self.rings[0]
        if not ring.enabled or not ring.used or self.fault == 'sends nothing':
            return
        avail, a = self.at_user(ring.avail)
        used, u = self.at_user(ring.used)
        desc, d = self.at_user(ring.desc)
        idx, = struct.unpack_from('@H', avail, a + 2)
        first = ring.last
        for _ in range(min(16, (idx - ring.last) & 0xffff)):
            head, = struct.unpack_from('<H', avail, a + 4 + 2 * (ring.last % ring.num))
            address, length, _, _ = struct.unpack_from('<QIHH', desc, d + 16 * head)
            memory, at = self.at_guest(address)
            memory[at:at + len(PACKET)] = PACKET
            self.mark(address, len(PACKET))
            used_len = len(PACKET)
            self.packets += 1
            if self.packets > 700:
                if self.fault == 'returns a stranger':
                    head = ring.num + 7
                elif self.fault == 'returns twice':
                    head = 3 if self.packets % 4 else head
                elif self.fault == 'too long':
                    used_len = length + 1
                elif self.fault == 'too short':
                    used_len = 5
            struct.pack_into('<II', used, u + 4 + 8 * (ring.last % ring.num), head, used_len)
            self.mark(ring.log + 4 + 8 * (ring.last % ring.num), 8)
            ring.last = (ring.last + 1) & 0xffff
        if ring.last != first:
            ahead = 1000 if self.fault == 'index runs ahead' and self.packets > 700 else 0
            # Both bytes at once; pack_into() would write zeros first.
            with memoryview(used) as view, view.cast('H') as halves:
                halves[u // 2 + 1] = (ring.last + ahead) & 0xffff
            self.mark(ring.log, 4)

    # --- the protocol ---

    def receive(self):
        fds = array.array('i')
        head, ancillary, _, _ = self.connection.recvmsg(12, socket.CMSG_SPACE(32))
        if len(head) < 12:
            raise Gone
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        request, flags, size = struct.unpack('<III', head)
        payload = b''
        while len(payload) < size:
            more = self.connection.recv(size - len(payload))
            if not more:
                raise Gone
            payload += more
        return request, flags, payload, list(fds)

    def reply(self, request, payload):
        if self.fault == f'silent at {request}':
            return
        if self.fault == f'another reply to {request}':
            request += 1
        if self.fault == f'huge reply to {request}':
            payload = bytes(4000)
        self.connection.sendall(struct.pack('<III', request, 1 | REPLY, len(payload)) + payload)

    def map_regions(self, payload, fds):
        count, = struct.unpack_from('<I', payload)
        self.regions = []
        for i, fd in zip(range(count), fds):
            guest, size, user, offset = struct.unpack_from('<QQQQ', payload, 8 + 32 * i)
            self.regions.append((guest, size, user, mmap.mmap(fd, size, offset=offset)))

    def handle(self, request, flags, payload, fds):
        answer = None
        if self.fault == f'dies at {request}':
            raise Gone
        if request == GET_FEATURES:
            answer = struct.pack('<Q', F_LOG_ALL | F_PROTOCOL | F_VERSION_1)
        elif request == GET_PROTOCOL_FEATURES:
            offered = P_MQ | P_LOG_SHMFD | P_REPLY_ACK
            if self.fault == 'no LOG_SHMFD':
                offered = P_MQ
            if self.fault == 'no REPLY_ACK':
                offered = P_LOG_SHMFD
            answer = struct.pack('<Q', offered)
        elif request == GET_QUEUE_NUM:
            answer = struct.pack('<Q', 1)
        elif request == SET_FEATURES:
            self.features, = struct.unpack('<Q', payload)
        elif request == SET_MEM_TABLE:
            self.map_regions(payload, fds)
        elif request == SET_LOG_BASE:
            size, offset = struct.unpack('<QQ', payload)
            self.old_log = self.log
            self.log = mmap.mmap(fds[0], (size + 4095) // 4096 * 4096, offset=offset)
            self.logged_since = time.monotonic()
            answer = payload if self.fault == 'replies as to Cloud Hypervisor' else b''
        elif request in (SET_VRING_NUM, SET_VRING_BASE, SET_VRING_ENABLE):
            index, value = struct.unpack('<II', payload)
            ring = self.rings[index]
            if request == SET_VRING_NUM:
                ring.num = value
            elif request == SET_VRING_BASE:
                ring.last = value
            else:
                ring.enabled = bool(value)
                self.was_disabled |= not value
        elif request == SET_VRING_ADDR:
            index, _, desc, used, avail, log = struct.unpack('<IIQQQQ', payload)
            ring = self.rings[index]
            ring.desc, ring.used, ring.avail, ring.log = desc, used, avail, log
        elif request == GET_VRING_BASE:
            index, _ = struct.unpack('<II', payload)
            self.rings[index].enabled = False
            base = self.rings[index].last + (3 if self.fault == 'wrong base' else 0)
            answer = struct.pack('<II', index, base)
        for fd in fds:
            os.close(fd)
        if answer is not None:
            self.reply(request, answer)
        elif flags & NEED_REPLY:
            refused = self.fault == f'refuses {request}'
            self.reply(request, struct.pack('<Q', int(refused)))

    def timed_faults(self):
        """What goes wrong some time after logging began."""
        if self.late and not self.was_disabled and time.monotonic() - self.late_since > 0.06:
            self.set_bits(self.log, self.late)
            self.late, self.late_since = set(), None
        if self.logged_since is None or time.monotonic() - self.logged_since < 0.15:
            return
        if self.fault == 'dies in the rounds':
            raise Gone
        if self.fault == 'stalls in the rounds':
            for ring in self.rings:
                ring.enabled = False
        if self.fault == 'talks unasked':
            self.reply(GET_FEATURES, bytes(8))
            self.fault = ''

    def connect(self):
        """The first one to the socket, or to that of the front-end once it is there."""
        if self.listener is not None:
            self.listener.settimeout(10)
            return self.listener.accept()[0]
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end = time.monotonic() + 10
        while True:
            try:
                connection.connect(self.path)
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.01)

    def run(self):
        self.connection = self.connect()
        stopped = False
        try:
            while True:
                if select.select([self.connection], [], [], 0)[0]:
                    message = self.receive()
                    self.handle(*message)
                    stopped |= message[0] == GET_VRING_BASE
                self.timed_faults()
                if stopped:
                    self.set_bits(self.log, self.stopped_pages)
                self.poll()
        except (Gone, ConnectionError):
            pass
        finally:
            self.connection.close()
            if self.listener is not None:
                self.listener.close()


# name of the fault, exit status, what the output must say, further options
CASES = [
    ('', 0, 'no page lost', []),
    ('no REPLY_ACK', 0, 'no page lost', []),
    ('', 0, 'no page lost', ['--log-swap', 'same', '--swap-interval', '30']),
    ('', 0, 'no page lost', ['--log-swap', 'qemu', '--swap-interval', '30']),
    ('', 0, 'no page lost', ['--log-swap', 'ch', '--interval', '30']),
    ('', 0, 'no page lost', ['--cancel', '2', '--time', '0.1']),
    ('', 0, 'no page lost', ['--regions', '4', '--buffers', '2000', '--order', 'random', '--spread',
                             '--ram', '64']),
    ('', 0, 'no page lost', ['--poison', '--buffers', '700']),
    # Each buffer is used once before anything counts.
    ('', 0, r'"warm-up": [^\n]*\n *"rx": {"packets": ([2-9]\d{3}|\d{5,})', ['--buffers', '2000', '--json', '-']),
    ('', 0, r'rounds \(converged\)', ['--converge', '200']),
    ('', 0, 'NOT converged', ['--converge', '0', '--max-rounds', '3', '--bandwidth', '10']),
    ('replies as to Cloud Hypervisor', 0, 'reply of 16 bytes', ['--log-swap', 'ch', '--log-reply', '16']),
    ('', 3, 'SET_LOG_BASE: the reply has 0 bytes', ['--log-reply', '16']),
    ('', 1, r'ignored \d+ harvested pages\nPAGES LOST', ['--drop-marks-test']),
    ('marks nothing', 1, r'[1-9]\d* differ.*marks: [1-9]', []),
    ('forgets a page', 1, r'marks: [1-9]\d* missing', ['--buffers', '3000', '--buffer-size', '4096', '--interval', '20']),
    ('marks in the old log', 1, r'[1-9]\d* in a log after its end', ['--log-swap', 'same']),
    ('marks late and not at the stop', 1, r'PAGES LOST', []),
    ('marks after the stop', 1, r'[1-9]\d* after the stop of the rings', []),
    ('no LOG_SHMFD', 5, 'does not offer LOG_SHMFD', []),
    ('', 5, 'does not offer VIRTIO_F_RING_PACKED', ['--ring', 'packed']),
    ('', 5, 'does not offer VIRTIO_NET_F_MQ', ['--queue-pairs', '2']),
    ('sends nothing', 3, 'first packets: the back-end sent the guest no packet for 1000 ms', []),
    ('stalls in the rounds', 3, 'rounds of the migration: the back-end sent the guest no packet',
     ['--time', '3']),
    ('dies in the rounds', 3, 'rounds of the migration: the back-end closed the connection', []),
    ('talks unasked', 3, 'rounds of the migration: .* message that nobody asked for', []),
    (f'dies at {GET_FEATURES}', 3, 'GET_FEATURES: the back-end closed', []),
    (f'dies at {SET_MEM_TABLE}', 3, 'SET_MEM_TABLE: the back-end closed', []),
    (f'dies at {SET_LOG_BASE}', 3, 'SET_LOG_BASE: the back-end closed', []),
    (f'dies at {GET_VRING_BASE}', 3, 'GET_VRING_BASE, ring 0: the back-end closed', []),
    (f'silent at {GET_FEATURES}', 3, 'GET_FEATURES: no reply within 1000 ms', []),
    (f'silent at {SET_MEM_TABLE}', 3, 'SET_MEM_TABLE: no reply', []),
    (f'silent at {SET_LOG_BASE}', 3, 'SET_LOG_BASE: no reply', []),
    (f'silent at {SET_VRING_ENABLE}', 3, 'SET_VRING_ENABLE, ring 0: no reply', []),
    (f'silent at {GET_VRING_BASE}', 3, 'GET_VRING_BASE, ring 0: no reply', []),
    (f'refuses {SET_MEM_TABLE}', 3, 'SET_MEM_TABLE: the back-end refused', []),
    (f'refuses {SET_VRING_ADDR}', 3, 'SET_VRING_ADDR, ring 0: the back-end refused', []),
    (f'another reply to {GET_VRING_BASE}', 3, 'GET_VRING_BASE, ring 0: the back-end sent no reply to it', []),
    (f'huge reply to {SET_LOG_BASE}', 3, 'SET_LOG_BASE: the reply has 4000 bytes', []),
    ('wrong base', 3, 'GET_VRING_BASE, ring 0: the back-end stopped at', []),
    ('returns a stranger', 3, 'ring 0 .*descriptor 263, which was never posted', []),
    ('returns twice', 3, 'ring 0 .*descriptor 3, which was never posted', []),
    ('index runs ahead', 3, 'ring 0 .*the used index went', []),
    ('too long', 3, 'ring 0 .*with length 2049', []),
    ('too short', 3, 'ring 0 .*with length 5', []),
]


def run_case(program, fault, status, pattern, options):
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        path = os.path.join(folder, 's')
        back_end = BackEnd(path, fault)
        thread = threading.Thread(target=back_end.run, daemon=True)
        thread.start()
        command = [program, '--socket', path, '--timeout', '1', '--warmup', '0', '--baseline', '0.1',
                   '--time', '0.4', '--interval', '50'] + options
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=30, text=True)
        except subprocess.TimeoutExpired:
            return 'hangs'
        thread.join(5)
        if thread.is_alive():
            return ('the back-end still waits, for a connection or on one that was left open; '
                    f'exit status {done.returncode}:\n{done.stdout}')
    if done.returncode != status:
        return f'exit status {done.returncode}, not {status}:\n{done.stdout}'
    if not re.search(pattern, done.stdout, re.DOTALL):
        return f'the output does not say "{pattern}":\n{done.stdout}'
    return None


# --- with --server: what is at the socket's path before ---

def a_file(path):
    with open(path, 'w') as f:
        f.write('precious')


def a_folder(path):
    os.mkdir(path)


def a_live_socket(path):
    return listen(path)


def a_socket_of_packets(path):
    """Nobody can connect to it as to a stream, but somebody has it."""
    taken = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    taken.bind(path)
    return taken


def a_link_to_a_dead_socket(path):
    a_dead_socket(path + '.target')
    os.symlink(path + '.target', path)


def a_dead_socket(path):
    listen(path).close()


def nothing(_):
    pass


# What is there, exit status, what the output must say
SERVER_CASES = [
    (a_file, 2, 'there is a file that is no socket'),
    (a_folder, 2, 'there is a file that is no socket'),
    (a_link_to_a_dead_socket, 2, 'there is a file that is no socket'),
    (a_live_socket, 2, 'in use'),
    (a_socket_of_packets, 2, 'in use'),
    (a_dead_socket, 0, 'no page lost'),
    (nothing, 0, 'no page lost'),
]


def run_server_case(program, prepare, status, pattern):
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        path = os.path.join(folder, 's')
        owner = prepare(path)
        before = os.lstat(path) if status != 0 else None
        thread = threading.Thread(target=BackEnd(path, '', connects=True).run, daemon=True)
        if status == 0:
            thread.start()
        command = [program, '--server', '--socket', path, '--timeout', '5', '--warmup', '0', '--baseline', '0.1',
                   '--time', '0.1', '--interval', '50']
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, text=True)
        except subprocess.TimeoutExpired:
            return 'hangs'
        if done.returncode != status:
            return f'exit status {done.returncode}, not {status}:\n{done.stdout}'
        if not re.search(pattern, done.stdout):
            return f'the output does not say "{pattern}":\n{done.stdout}'
        if before is None:
            thread.join(5)
            return 'leaves its socket' if os.path.lexists(path) else None
        if not os.path.lexists(path) or not os.path.samestat(before, os.lstat(path)):
            return 'removed what was there'
        if prepare is a_file and os.path.getsize(path) != len('precious'):
            return 'wrote to the file'
        if owner is not None:
            owner.close()
    return None


def run_signal_case(program, number):
    """Ended while it waits for a back-end, it takes its socket away."""
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        path = os.path.join(folder, 's')
        bench = subprocess.Popen([program, '--server', '--socket', path, '--timeout', '30'], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not os.path.exists(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        bench.send_signal(number)
        try:
            status = bench.wait(20)
        except subprocess.TimeoutExpired:
            bench.kill()
            return 'does not end'
        if status != -number:
            return f'exit status {status}'
        return 'leaves its socket' if os.path.lexists(path) else None


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    wanted = sys.argv[2:]
    failures = 0
    for prepare, status, pattern in SERVER_CASES:
        name = f'--server where there is {prepare.__name__.replace("_", " ")}'
        if wanted and not any(w in name for w in wanted):
            continue
        problem = run_server_case(sys.argv[1], prepare, status, pattern)
        print(f'{"ok  " if problem is None else "FAIL"} {name}', flush=True)
        if problem is not None:
            print(problem)
            failures += 1
    for number in (signal.SIGINT, signal.SIGTERM):
        name = f'--server, {number.name}'
        if wanted and not any(w in name for w in wanted):
            continue
        problem = run_signal_case(sys.argv[1], number)
        print(f'{"ok  " if problem is None else f"FAIL {problem}:"} {name}', flush=True)
        failures += problem is not None
    for fault, status, pattern, options in CASES:
        name = ' '.join([fault or 'behaves well'] + options)
        if wanted and not any(w in name for w in wanted):
            continue
        problem = run_case(sys.argv[1], fault, status, pattern, options)
        print(f'{"ok  " if problem is None else "FAIL"} {name}', flush=True)
        if problem is not None:
            print(problem)
            failures += 1
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
