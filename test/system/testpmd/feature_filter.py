# SPDX-License-Identifier: BSD-3-Clause
"""A relay between front-end and back-end that hides virtio features.

testpmd cannot ask for a legacy device or for one without indirect descriptors. So the
front-end connects here, every message goes on to the back-end as it is, with its file
descriptors, and only the back-end's answer to GET_FEATURES loses some bits.
"""

import array
import os
import socket
import struct
import threading

HEADER = struct.Struct("<III")    # request, flags, size of the payload
GET_FEATURES, SET_FEATURES, SET_MEM_TABLE = 1, 2, 5
SET_VRING_CALL, GET_PROTOCOL_FEATURES = 13, 15
PROTOCOL_STATUS = 1 << 16
VERSION = 1    # in the flags of each request
NO_FD = 1 << 8    # in SET_VRING_CALL, beside the ring's number
MAX_FDS = 8


class FeatureFilter:
    def __init__(self, listen_path, backend_path, hidden, legacy_accept=None):
        self._backend_path = backend_path
        self._hidden = {GET_FEATURES: hidden}
        if legacy_accept is not None:
            self._hidden[GET_PROTOCOL_FEATURES] = PROTOCOL_STATUS
        self._legacy_accept = legacy_accept
        self._sockets = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(listen_path)
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        for sock in [self._listener] + self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)    # wakes the thread that reads it
            except OSError:
                pass
            sock.close()

    def _serve(self):
        while True:
            try:
                front, _ = self._listener.accept()
            except OSError:
                return    # closed
            back = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                back.connect(self._backend_path)
            except OSError:
                front.close()
                back.close()
                continue
            self._sockets += [front, back]
            for relay in (self._to_backend, self._to_frontend):
                threading.Thread(target=self._run, args=(relay, front, back),
                                 daemon=True).start()

    def _run(self, relay, front, back):
        try:
            relay(front, back)
        except OSError:
            # One side is gone: the other shall see it.
            for sock in (front, back):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _to_backend(self, front, back):
        features_are_set = self._legacy_accept is None
        while True:
            message, fds = receive(front)
            request = HEADER.unpack_from(message)[0]
            if request == SET_FEATURES:
                features_are_set = True
            elif request == SET_MEM_TABLE and not features_are_set:
                features_are_set = True
                send_number(back, SET_FEATURES, self._legacy_accept)
                for ring in (0, 1):    # of one queue pair
                    send_number(back, SET_VRING_CALL, ring | NO_FD)
            send(back, message, fds)

    def _to_frontend(self, front, back):
        while True:
            message, fds = receive(back)
            request, _, size = HEADER.unpack_from(message)
            if request in self._hidden and size == 8:
                bits = struct.unpack_from("<Q", message, HEADER.size)[0]
                message = (message[:HEADER.size]
                           + struct.pack("<Q", bits & ~self._hidden[request]))
            send(front, message, fds)


def send(sock, message, fds):
    """One whole message; its file descriptors are the receiver's from now on."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([message], rights)
    for fd in fds:
        os.close(fd)


def send_number(sock, request, number):
    sock.sendall(HEADER.pack(request, VERSION, 8) + struct.pack("<Q", number))


def receive(sock):
    """One whole message and its file descriptors."""
    data, fds = b"", []
    need = HEADER.size
    while len(data) < need:
        part, ancillary, _, _ = sock.recvmsg(
            need - len(data), socket.CMSG_LEN(MAX_FDS * array.array("i").itemsize))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(content[:len(content) - len(content) % received.itemsize])
                fds += received
        if not part:
            raise OSError("the peer has closed the socket")
        data += part
        if len(data) == HEADER.size:
            need = HEADER.size + HEADER.unpack(data)[2]
    return data, fds
