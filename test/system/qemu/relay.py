# SPDX-License-Identifier: BSD-3-Clause
"""A relay on a vhost-user socket: lets a test act between QEMU's messages to the back-end."""

import os
import select
import socket
import struct
import threading
import time

HEADER = struct.Struct("<III")      # request, flags, size
LOG = struct.Struct("<QQ")          # size, offset
SET_LOG_BASE = 6
VRING_STATE = struct.Struct("<II")  # index, number
GET_VRING_BASE = 11
SET_VRING_ENABLE = 18
FDS_MAX = 8


class Relay:
    """Forwards every message with its file descriptors, for one connection after the other.

    before_stop  called once, before the first message after it was set that stops a ring
                 (GET_VRING_BASE; a disk's ring is disabled before): the guest's CPUs have
                 stopped by then, the back-end still writes.
    steal_log    hand the back-end a log of our own instead of QEMU's (a negative control).
    backend_connects    the back-end is the one that connects, to a socket of ours.
    """

    def __init__(self, path, backend_path, trace, steal_log=False, backend_connects=False):
        self.before_stop = None
        self.stolen = 0
        self._backend_path = str(backend_path)
        self._steal_log = steal_log
        self._trace = open(trace, "w", buffering=1)
        self._listener = _listen(path)
        self._backend_listener = _listen(backend_path) if backend_connects else None
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        os.write(self._wake_write, b"x")
        self._thread.join(10)
        self._listener.close()
        if self._backend_listener:
            self._backend_listener.close()
        self._trace.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self):
        while self._readable(self._listener):
            front, _ = self._listener.accept()
            back = self._backend()
            with front, back:
                try:
                    if not self._backend_listener:
                        back.connect(self._backend_path)
                    while source := self._readable(front, back):
                        if source is front:
                            self._forward(front, back, True)
                        else:
                            self._forward(back, front, False)
                except (OSError, EOFError) as error:    # no back-end yet, or no more
                    print(f"closed: {error}", file=self._trace)

    def _backend(self):
        if self._backend_listener and self._readable(self._backend_listener):
            return self._backend_listener.accept()[0]
        return socket.socket(socket.AF_UNIX)

    def _readable(self, *sockets):
        """The first socket with something to read, None once stop() was called."""
        ready = select.select([self._wake_read, *sockets], [], [])[0]
        return None if self._wake_read in ready else ready[0]

    def _forward(self, source, target, to_backend):
        head, fds = _receive(source, HEADER.size)
        request, flags, size = HEADER.unpack(head)
        payload, more = _receive(source, size) if size else (b"", [])
        fds += more
        try:
            if to_backend and request == SET_LOG_BASE and self._steal_log and fds:
                os.close(fds[0])
                fds[0] = os.memfd_create("stolen-log")
                os.ftruncate(fds[0], sum(LOG.unpack(payload)))
                self.stolen += 1
            if to_backend and self.before_stop and _stops_ring(request, payload):
                act, self.before_stop = self.before_stop, None
                act()
            print(f"{time.monotonic():.3f} {'>' if to_backend else '<'} request {request} "
                  f"flags {flags} size {size} fds {len(fds)}", file=self._trace)
            socket.send_fds(target, [head + payload], fds)
        finally:
            for fd in fds:
                os.close(fd)


def _listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    return listener


def _stops_ring(request, payload):
    return request == GET_VRING_BASE or (
        request == SET_VRING_ENABLE and VRING_STATE.unpack(payload)[1] == 0)


def _receive(source, size):
    data, fds = b"", []
    while len(data) < size:
        part, new, _, _ = socket.recv_fds(source, size - len(data), FDS_MAX)
        fds += new
        if not part:
            for fd in fds:
                os.close(fd)
            raise EOFError("end of stream")
        data += part
    return data, fds
