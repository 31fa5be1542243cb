#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does the example back-end survive front-ends and guests that are broken or hostile?

Each test has a vhost_blk of its own. Whatever a front-end does to it, the process lives,
a second, good front-end is served within a limit, and its end is an orderly one.

usage: run.py PATH/TO/vhost_blk [test ...]
"""

import fcntl
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

from frontend import (DATA, FLUSH, GET_CONFIG, GET_ID, HEADER, INDIRECT, IOERR, NEXT, OK,
                      READ_SECTORS, SET_MEM_TABLE, STATUS, USED, WRITE, WRITE_SECTORS, FrontEnd,
                      Guest, Refused)

START_SECONDS = 20
END_SECONDS = 10
TEST_SECONDS = 60
SHORT_SECONDS = 0.3     # long enough to be served if it is at all
DISK_SECTORS = 4096     # 2 MiB
MAX_FRONT_ENDS = 8
MAX_DATA = 126 * 8192


class Failed(Exception):
    """The back-end did what it must not."""


def check(condition, message):
    if not condition:
        raise Failed(message)


class BackEnd:
    def __init__(self, program, folder):
        self.socket = folder / "socket"
        self.log = folder / "log"
        disk = folder / "disk"
        with disk.open("wb") as file:
            for sector in range(DISK_SECTORS):
                file.write(struct.pack("<Q", sector) * 64)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "--no-huge", "--no-pci", "-m", "64", "--no-telemetry", "--no-shconf",
                 "--file-prefix", folder.name, "--", self.socket, disk],
                stdin=subprocess.PIPE, stdout=log, stderr=log,
                env=os.environ | {"RUNTIME_DIRECTORY": str(folder)})
        self.asked = 0
        self.idle_descriptors = 0       # how many it has without a front-end

    def wait_until_up(self):
        end = time.monotonic() + START_SECONDS
        while not self.socket.exists():
            self.check_alive()
            check(time.monotonic() < end, "not up in time")
            time.sleep(0.02)

    def check_alive(self):
        status = self.process.poll()
        check(status is None, f"vhost_blk is gone, status {status}")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def broken(self):
        """Requests and rings that it found broken."""
        self.type("stats")
        self.asked += 1
        end = time.monotonic() + START_SECONDS
        while True:
            found = re.findall(r"^reads=\d+ writes=\d+ broken=(\d+)$", self.log.read_text(),
                               re.MULTILINE)
            if len(found) == self.asked:
                return int(found[-1])
            check(time.monotonic() < end, "no counters")
            time.sleep(0.01)

    def says(self, text):
        return text in self.log.read_text(errors="replace")

    def quit(self):
        self.type("quit")
        try:
            status = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failed("vhost_blk does not quit") from None
        check(status == 0, f"the exit status is {status}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()


def serves_another(back_end):
    """A second front-end, beside whatever the first has left."""
    back_end.check_alive()
    guest, front_end = Guest(), FrontEnd(back_end.socket)
    front_end.set_up(guest)
    check(guest.request(READ_SECTORS, 7) == OK, "a good front-end is not served")
    check(guest.ram[DATA:DATA + 8] == struct.pack("<Q", 7), "it was served the wrong sector")
    check(front_end.interrupts() > 0, "it gets no interrupt")
    check(front_end.stop() == guest.next, "its ring stops at the wrong index")
    front_end.close()
    guest.close()


def connected(back_end):
    """A front-end whose queue is open: the interrupt says so, messages are answered before."""
    guest, front_end = Guest(), FrontEnd(back_end.socket)
    front_end.set_up(guest)
    check(front_end.interrupts() == 1, "no interrupt when the queue opened")
    return guest, front_end


def connected_with(back_end, call):
    """One with a call descriptor that is not as it should be."""
    guest, front_end = Guest(), FrontEnd(back_end.socket)
    front_end.set_up(guest, call)
    return guest, front_end


def test_requests(back_end):
    """All kinds, and interrupts: one when the queue opens, and for what is served."""
    guest, front_end = connected(back_end)
    check(guest.request(GET_ID) == OK and guest.ram[DATA:DATA + 9] == b"vhost_blk", "GET_ID")
    check(front_end.interrupts() == 1, "no interrupt for a request")
    guest.ram[DATA:DATA + 1024] = b"new data" * 128
    pieces = [(DATA, 512), (DATA + 512, 512)]
    check(guest.request(WRITE_SECTORS, 5, pieces) == OK, "a write")
    check(guest.request(FLUSH, 0, []) == OK, "a flush")
    guest.ram[DATA:DATA + 1024] = bytes(1024)
    check(guest.request(READ_SECTORS, 5, pieces) == OK, "a read")
    check(guest.ram[DATA:DATA + 1024] == b"new data" * 128, "what was written is not there")
    check(guest.request(READ_SECTORS, DISK_SECTORS) == IOERR, "a sector beyond the end")
    check(guest.request(READ_SECTORS, 0, [(DATA, 100)]) == IOERR, "a part of a sector")
    check(guest.request(77) not in (OK, None), "a request of no known type")
    # Once around the ring, and around the 16 bits of its index.
    for _ in range(300):
        check(guest.request(GET_ID) == OK, "one of many requests")
    check(front_end.stop() == guest.next, "the ring's index")
    guest.next = 0xfffe
    guest.words[USED // 2 + 1] = guest.next
    guest.show(guest.next)
    front_end.start(guest)
    for _ in range(4):
        check(guest.request(GET_ID) == OK, "a request where the index wraps")
    check(back_end.broken() == 0, "requests were taken for broken ones")


def test_config(back_end):
    """Descriptors that come with GET_CONFIG are closed."""
    guest, front_end = connected(back_end)
    fd = os.open("/dev/null", os.O_RDONLY)
    before = back_end.descriptors()
    for _ in range(20):
        answer = front_end.ask(GET_CONFIG, struct.pack("<III", 0, 60, 0) + bytes(60), [fd] * 8)
        capacity, size_max, seg_max = struct.unpack_from("<QII", answer, 12)
        check((capacity, size_max, seg_max) == (DISK_SECTORS, 8192, 126), "the configuration")
    os.close(fd)
    check(back_end.descriptors() <= before,
          f"{before} descriptors became {back_end.descriptors()}")
    check(guest.request(GET_ID) == OK, "it is not served any more")


def grow(back_end, part):
    """The ring grows behind the back of the check of its addresses."""
    guest = Guest(1 << 20)
    guest.entries = 1
    setattr(guest, part, guest.size - {"desc": 16, "avail": 6, "used": 12}[part])
    front_end = FrontEnd(back_end.socket)
    front_end.set_up(guest)
    guest.describe(0, HEADER, 16, 0)
    guest.offer(0)
    check(guest.wait(), "the small ring is not served")
    front_end.set_entries(32768)
    front_end.set_call(front_end.call)
    served = guest.used_index()
    for index in range(0, 32000, 1000):
        guest.show(index)
        time.sleep(0.002)
    back_end.check_alive()
    check(guest.used_index() == served, "a ring that leaves guest memory is served")
    check(back_end.says("not all in guest memory"), "nothing is said of it")
    guest.show(guest.next)
    front_end.set_entries(1)
    front_end.set_call(front_end.call)
    guest.offer(0)
    check(guest.wait(), "the ring is not served when it is small again")


def test_grown_descriptors(back_end):
    grow(back_end, "desc")


def test_grown_available(back_end):
    grow(back_end, "avail")


def test_grown_used(back_end):
    grow(back_end, "used")


def test_odd_rings(back_end):
    """0 entries, or no power of two, with everything else in place."""
    for entries in (0, 6):
        guest, front_end = connected(back_end)
        try:
            front_end.set_entries(entries)
            front_end.set_call(front_end.call)
            for index in range(1, 3000, 100):
                guest.show(index)
                time.sleep(0.001)
            check(guest.used_index() == 0, f"a ring of {entries} entries is served")
        except Refused:
            pass
        serves_another(back_end)


def test_index_jumps(back_end):
    """More is available than the ring holds."""
    guest, front_end = connected(back_end)
    check(guest.request(GET_ID) == OK, "not served")
    guest.show(guest.next + guest.entries + 1)
    time.sleep(SHORT_SECONDS)
    check(guest.used_index() == guest.next, "entries that cannot be there are served")
    check(back_end.broken() == 1, "it is not counted, or not once")
    guest.show(guest.next)
    front_end.set_call(front_end.call)
    check(guest.request(GET_ID) == OK, "not served after the queue was opened anew")


def test_broken_chains(back_end):
    """They come back, with nothing written; and are counted."""
    guest, _ = connected(back_end)
    chains = 0

    def offer(head=0):
        nonlocal chains
        guest.offer(head)
        check(guest.wait(), "a broken chain does not come back")
        check(guest.last_used() == (head, 0), "a broken chain was written to")
        chains += 1

    guest.describe(0, HEADER, 16, NEXT, 0)
    offer()                                                 # for ever
    guest.describe(0, HEADER, 16, NEXT, 1)
    for address, length, flags in ((guest.size, 1, WRITE), (guest.size - 1, 2, WRITE),
                                   ((1 << 64) - 1, 2, WRITE), (0, (1 << 32) - 1, WRITE),
                                   (DATA, 16, INDIRECT), (STATUS, 0, WRITE), (STATUS, 1, 0)):
        guest.describe(1, address, length, flags)
        offer()
    guest.describe(1, STATUS, 1, WRITE | NEXT, guest.entries)
    offer()
    offer(guest.entries)
    offer(0xffff)
    check(back_end.broken() == chains, "not all are counted")
    check(guest.request(GET_ID) == OK, "not served any more")


def test_long_requests(back_end):
    """A request has so many bytes and not more, even if the disk has them."""
    guest, _ = connected(back_end)
    most = [(DATA + 8192 * i, 8192) for i in range(126)]
    check(guest.request(READ_SECTORS, 0, most) == OK, "the longest request is refused")
    check(guest.ram[DATA + MAX_DATA - 8:DATA + MAX_DATA] ==
          struct.pack("<Q", MAX_DATA // 512 - 1), "not all of it was read")
    guest.ram[DATA:DATA + MAX_DATA + 512] = bytes(MAX_DATA + 512)
    check(guest.request(READ_SECTORS, 0, [(DATA, MAX_DATA + 512)]) == IOERR,
          "a longer request is served")
    check(guest.ram.find(b"\1", DATA, DATA + MAX_DATA + 512) < 0, "it was written all the same")
    # Much memory, of which nothing is there, in as many pieces as a request can have.
    huge, front_end = Guest(1 << 30, 1 << 20), FrontEnd(back_end.socket)
    front_end.set_up(huge)
    for kind in (READ_SECTORS, WRITE_SECTORS, FLUSH, GET_ID):
        check(huge.request(kind, 0, [(0x100000, 0x3ff00000)] * 126) is not None,
              "a huge request does not come back in time")
    check(os.fstat(huge.fd).st_blocks * 512 < 1 << 20, "a huge request was followed")
    check(huge.request(FLUSH, 0, [(0x100000, 0x3ff00000)] * 127) is None or
          back_end.broken() == 1, "a chain of 129 pieces was followed")
    check(guest.request(GET_ID) == OK, "the other front-end is not served any more")


def refuse_call(back_end, fd):
    """A call descriptor that is no eventfd: no request is served with it."""
    guest, front_end = connected_with(back_end, fd)
    check(guest.request(GET_ID, seconds=SHORT_SECONDS) is None, "it is served all the same")
    back_end.check_alive()
    serves_another(back_end)
    front_end.set_call(front_end.call)
    check(guest.wait(), "not served with a good descriptor either")
    check(front_end.stop() == guest.next, "the ring's index")
    check(back_end.says("no eventfd"), "nothing is said of it")


def test_call_without_reader(back_end):
    reader, writer = os.pipe()
    os.close(reader)
    refuse_call(back_end, writer)


def test_call_full_pipe(back_end):
    _, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, bytes(4096))
    except BlockingIOError:
        fcntl.fcntl(writer, fcntl.F_SETFL, 0)
    refuse_call(back_end, writer)


def test_call_other_files(back_end):
    """Files that have a name, one that looks like it, and those without a type."""
    named = back_end.socket.parent / "anon_inode:[eventfd]"
    one, other = socket.socketpair()
    with select.epoll() as epoll, one, other:
        for fd in (os.open("/dev/null", os.O_WRONLY), os.open(named, os.O_CREAT | os.O_RDWR),
                   os.memfd_create("[eventfd]"), one.fileno(), epoll.fileno()):
            refuse_call(back_end, fd)


def test_call_full_eventfd(back_end):
    """Whoever holds an eventfd can have writers wait: not the burst, nor the messages."""
    full = os.eventfd((1 << 32) - 1)
    os.write(full, struct.pack("<Q", (1 << 64) - 2 - ((1 << 32) - 1)))
    threads = back_end.threads()
    guest, front_end = connected_with(back_end, full)
    for _ in range(10):
        check(guest.request(GET_ID) == OK, "the guest is not served")
    serves_another(back_end)
    front_end.set_call(full)
    check(guest.request(GET_ID) == OK, "the guest is not served after a message")
    check(front_end.stop() == guest.next, "the ring's index")
    check(back_end.threads() == threads, "a thread is left")
    check(back_end.says("takes no interrupt"), "nothing is said of it")


def test_call_changes(back_end):
    """Each descriptor gets a signal, and none goes to one of before."""
    guest, front_end = connected(back_end)
    before, threads = back_end.descriptors(), back_end.threads()
    for _ in range(50):
        old, front_end.call = front_end.call, os.eventfd(0, os.EFD_NONBLOCK)
        front_end.set_call(front_end.call)
        os.eventfd_write(old, 1)
        os.eventfd_read(old)
        check(front_end.interrupts() == 1, "no signal to a new descriptor")
        check(guest.request(GET_ID) == OK, "not served")
        check(front_end.interrupts() == 1, "no interrupt")
        try:
            os.eventfd_read(old)
            raise Failed("an interrupt to a descriptor of before")
        except BlockingIOError:
            os.close(old)
    front_end.set_call(None)
    check(guest.request(GET_ID) == OK, "not served without interrupts")
    front_end.set_call(front_end.call)
    check(guest.request(GET_ID) == OK, "not served with interrupts again")
    check(back_end.descriptors() == before, "descriptors are left")
    check(back_end.threads() == threads, "threads are left")


def test_many_front_ends(back_end):
    """So many and not more; each place can be had again."""
    for _ in range(3):
        connections = [connected(back_end) for _ in range(MAX_FRONT_ENDS)]
        one_more = FrontEnd(back_end.socket)
        try:
            one_more.negotiate()
            raise Failed("one too many is served")
        except Refused:
            one_more.close()
        for guest, _ in connections:
            check(guest.request(GET_ID) == OK, "one of them is not served")
        before = back_end.descriptors()
        guest, front_end = connections.pop()
        front_end.close()
        end = time.monotonic() + START_SECONDS
        while back_end.descriptors() == before:
            check(time.monotonic() < end, "a connection that ended is not noticed")
            time.sleep(0.01)
        serves_another(back_end)
        for guest, front_end in connections:
            front_end.close()
            guest.close()
        connections.clear()
        end = time.monotonic() + START_SECONDS
        while back_end.descriptors() > back_end.idle_descriptors:
            check(time.monotonic() < end, "descriptors are left of connections that ended")
            time.sleep(0.02)


def test_refused_memory(back_end):
    """A memory table that is refused leaves the one before in force."""
    guest, front_end = connected(back_end)
    check(guest.request(GET_ID) == OK, "not served")
    try:
        check(not front_end.change(SET_MEM_TABLE, struct.pack("<II", 9, 0) + bytes(32 * 8)),
              "a table of 9 regions is taken")
        front_end.ask(GET_CONFIG, struct.pack("<III", 0, 8, 0) + bytes(8))
        check(guest.request(GET_ID) == OK, "not served after a table was refused")
    except Refused:
        pass


def test_truncated_memory(back_end):
    """The front-end takes its guest's memory away."""
    guest, _ = connected(back_end)
    check(guest.request(GET_ID) == OK, "not served")
    os.ftruncate(guest.fd, 0)
    time.sleep(SHORT_SECONDS)
    back_end.check_alive()


TESTS = {name.removeprefix("test_"): function for name, function in globals().items()
         if name.startswith("test_")}


def out_of_time(*_):
    raise Failed(f"not over after {TEST_SECONDS} seconds")


def run(program, name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vhost-blk-"))
    back_end = BackEnd(program, folder)
    signal.alarm(TEST_SECONDS)
    try:
        back_end.wait_until_up()
        back_end.idle_descriptors = back_end.descriptors()
        TESTS[name](back_end)
        serves_another(back_end)
        back_end.quit()
    except (Failed, Refused, OSError):
        traceback.print_exc(file=sys.stdout)
        print(back_end.log.read_text(errors="replace")[-3000:])
        return False
    finally:
        signal.alarm(0)
        back_end.kill()
        shutil.rmtree(folder)
    return True


def main():
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(TESTS):
        sys.exit(f"{__doc__}\ntests: {' '.join(TESTS)}")
    signal.signal(signal.SIGALRM, out_of_time)
    failed = 0
    for name in sys.argv[2:] or TESTS:
        good = run(sys.argv[1], name)
        failed += not good
        print(f"{'ok' if good else 'FAILED'}  {name}", flush=True)
    sys.exit(1 if failed else 0)


main()
