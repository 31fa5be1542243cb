# SPDX-License-Identifier: BSD-3-Clause
"""One dpdk-testpmd with a vhost-user vdev per NIC: the back-end under test."""

import json
import os
import socket
import subprocess
import time

from errors import TestError
from process import Process

START_SECONDS = 20
FLOOD_FRAME = 1518


class Backend:
    """Forwarding is off until echo() or flood() is called."""

    def __init__(self, name, testpmd, vdev, driver, sockets, queues, folder):
        self.name = name
        self.sockets = sockets
        prefix = f"{folder.name}-{name}"
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        command = [testpmd, "--lcores", f"0@({cpus}),1@({cpus})", "--no-huge", "-m", "256",
                   "--no-pci", "--file-prefix", prefix]
        if driver:
            command += ["-d", driver]
        for index, path in enumerate(sockets):
            command += ["--vdev", f"{vdev}{index},iface={path},queues={queues}"]
        command += ["--", "-i", "--port-topology=loop", "--nb-cores=1", "--no-flush-rx",
                    f"--rxq={queues}", f"--txq={queues}", "--total-num-mbufs=32768"]
        self.process = Process(name, command, folder / f"{name}.log",
                               {"RUNTIME_DIRECTORY": folder}, stdin=subprocess.PIPE)
        self._ports = range(len(sockets))
        self._telemetry_path = folder / "dpdk" / prefix / "dpdk_telemetry.v2"
        self._telemetry = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._telemetry.settimeout(10)

    def wait_until_up(self):
        deadline = time.monotonic() + START_SECONDS
        # testpmd makes the vhost sockets after the telemetry socket
        while not all(os.path.exists(path) for path in self.sockets):
            if self.process.poll() is not None:
                raise TestError(f"testpmd ended at start, status {self.process.returncode}")
            if time.monotonic() > deadline:
                raise TestError(f"testpmd not up after {START_SECONDS} seconds")
            time.sleep(0.05)
        try:
            self._telemetry.connect(str(self._telemetry_path))
            self._telemetry.recv(16384)     # a greeting
        except OSError as error:
            raise TestError(f"{self.name}: no telemetry: {error}") from None

    def echo(self):
        """Send every frame back with its MAC addresses swapped."""
        self._forward("macswap")

    def before_flood(self):
        """Nothing: frames are made when they are sent."""

    def flood(self):
        """Send frames into the guest as fast as its rings take them."""
        self._forward("flowgen", f"set txpkts {FLOOD_FRAME}")

    def _forward(self, mode, *more):
        self._type("stop", f"set fwd {mode}", *more, "start")

    def idle(self):
        self._type("stop")

    def counters(self):
        """Packets (out of the guest, into the guest), of all ports together."""
        stats = [self._ask(f"/ethdev/stats,{port}") for port in self._ports]
        return (sum(each["ipackets"] for each in stats), sum(each["opackets"] for each in stats))

    def _ask(self, question):
        try:
            self._telemetry.send(question.encode())
            answer = json.loads(self._telemetry.recv(65536))
        except (OSError, ValueError) as error:
            raise TestError(f"{self.name}: testpmd gave no counters: {error}") from None
        return answer[question.partition(",")[0]]

    def _type(self, *lines):
        try:
            self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise TestError(f"{self.name}: testpmd is gone") from None

    def check_alive(self):
        if self.process.poll() is not None:
            raise TestError(f"{self.name}: testpmd ended, status {self.process.returncode}")

    def quit(self):
        """An orderly end: a back-end that crashes or hangs in it is a failure."""
        self.check_alive()
        self._type("stop", "quit")
        if not self.process.wait(15):
            raise TestError(f"{self.name}: testpmd did not quit")
        if self.process.returncode != 0:
            raise TestError(f"{self.name}: testpmd's exit status is {self.process.returncode}")

    def stop(self):
        self._telemetry.close()
        self.process.kill()
