# SPDX-License-Identifier: BSD-3-Clause
"""The far end of QEMU's own virtio-net: sends every frame back with its MAC addresses swapped."""

import contextlib
import socket
import threading


class Echo:
    """Has a back-end's counters, so that a migration can watch it the same way."""

    def __init__(self, local, remote):
        self._remote = str(remote)
        self._in = self._out = 0
        self._echoing = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(local))
        self._socket.settimeout(0.2)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def echo(self):
        self._echoing = True

    def idle(self):
        self._echoing = False

    def counters(self):
        return self._in, self._out

    def check_alive(self):
        pass

    def quit(self):
        pass

    def stop(self):
        self._ending.set()
        self._thread.join(5)
        self._socket.close()

    def _run(self):
        while not self._ending.is_set():
            try:
                frame = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not self._echoing:
                continue
            self._in += 1
            # the guest's QEMU may be gone or slow: a lost frame is no error
            with contextlib.suppress(OSError):
                self._socket.sendto(frame[6:12] + frame[:6] + frame[12:], self._remote)
                self._out += 1
