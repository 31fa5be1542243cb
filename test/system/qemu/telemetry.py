# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's telemetry socket: the counters of a running testpmd."""

import json
import socket

from errors import TestError


class Telemetry:
    """One connection, for one thread."""

    def __init__(self, name, path):
        self._name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(10)
        try:
            self._socket.connect(str(path))
            self._socket.recv(16384)    # a greeting
        except OSError as error:
            self._socket.close()
            raise TestError(f"{name}: no telemetry: {error}") from None

    def packets(self, port):
        """(out of the guest, into the guest)"""
        stats = self._ask(f"/ethdev/stats,{port}")
        return stats["ipackets"], stats["opackets"]

    def close(self):
        self._socket.close()

    def _ask(self, question):
        try:
            self._socket.send(question.encode())
            answer = json.loads(self._socket.recv(65536))
        except (OSError, ValueError) as error:
            raise TestError(f"{self._name}: testpmd gave no counters: {error}") from None
        return answer[question.partition(",")[0]]
