# SPDX-License-Identifier: BSD-3-Clause
"""One dpdk-testpmd with a vhost-user vdev per NIC: the back-end under test."""

import os
import re
import subprocess
import time

from errors import TestError
from process import Process
from telemetry import Telemetry

START_SECONDS = 20
FLOOD_FRAME = 1518
# Whole, or what is left of it after lines that another thread printed in the midst of it
PROMPT = re.compile(r"testpmd>|^[tespmd]{0,7}>", re.MULTILINE)


class Backend:
    """Forwarding is off until echo() or flood() is called.

    bystander    socket of one more port, which counters() leaves out
    devargs      more device arguments of the other ports
    lock_memory  testpmd's mlockall(2), its default
    mode         testpmd's forward mode of echo()
    port_topology which port a frame goes out of: that it came in by (loop), or the other one (paired)
    """

    def __init__(self, name, testpmd, vdev, driver, sockets, queues, folder, bystander=None,
                 devargs="", lock_memory=True, mode="macswap", port_topology="loop"):
        self.name = name
        self.sockets = sockets
        self._mode = mode
        prefix = f"{folder.name}-{name}"
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        command = [testpmd, "--lcores", f"0@({cpus}),1@({cpus})", "--no-huge", "-m", "256",
                   "--no-pci", "--file-prefix", prefix]
        if driver:
            command += ["-d", driver]
        self._vdevs = [(f"{vdev}{index}", f"iface={path},queues={queues}{devargs}")
                       for index, path in enumerate(sockets)]
        if bystander:
            self._vdevs.append((f"{vdev}{len(sockets)}", f"iface={bystander},queues={queues}"))
        for device, arguments in self._vdevs:
            command += ["--vdev", f"{device},{arguments}"]
        command += ["--", "-i", f"--port-topology={port_topology}", "--nb-cores=1", "--no-flush-rx",
                    f"--rxq={queues}", f"--txq={queues}", "--total-num-mbufs=32768"]
        if not lock_memory:
            command.append("--no-mlockall")
        self.process = Process(name, command, folder / f"{name}.log",
                               {"RUNTIME_DIRECTORY": folder}, stdin=subprocess.PIPE)
        self._ports = range(len(sockets))
        self._telemetry_path = folder / "dpdk" / prefix / "dpdk_telemetry.v2"
        self._telemetry = None

    def wait_until_up(self):
        # the prompt comes last: the vhost sockets exist by then
        self._wait(lambda: PROMPT.search(self.process.log.read_text(errors="replace")),
                   "give a prompt")
        self._telemetry = self.telemetry()

    def telemetry(self):
        """A connection for another thread."""
        return Telemetry(self.name, self._telemetry_path)

    def wait_for_words(self, words):
        """Wait until testpmd has printed that."""
        self._wait(lambda: words in self.process.log.read_text(errors="replace"), f"say '{words}'")

    def _wait(self, done, what):
        deadline = time.monotonic() + START_SECONDS
        while not done():
            self.check_alive()
            if time.monotonic() > deadline:
                raise TestError(f"{self.name}: testpmd did not {what} in {START_SECONDS} seconds")
            time.sleep(0.05)

    def echo(self):
        """Send every frame back with its MAC addresses swapped, or what the mode is."""
        self._forward(self._mode)

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
        both = [self._telemetry.packets(port) for port in self._ports]
        return tuple(map(sum, zip(*both)))

    def remove_port(self, index):
        """Unplug the port while the other one passes packets."""
        others = ",".join(str(port) for port in range(len(self._vdevs)) if port != index)
        self._type("stop", f"set portlist {others}", "start", f"port stop {index}",
                   f"port close {index}", f"device detach {self._vdevs[index][0]}")
        self._wait(lambda: not os.path.exists(self.sockets[index]), "close the port")

    def add_port(self, index):
        """Plug it in again."""
        everything = ",".join(map(str, range(len(self._vdevs))))
        self._type(f"port attach {','.join(self._vdevs[index])}", f"port start {index}", "stop",
                   f"set portlist {everything}", "start")
        self._wait(lambda: os.path.exists(self.sockets[index]), "open the port")

    def say_frames(self):
        """From now on testpmd prints the headers of each frame that leaves the guest."""
        self._type("set verbose 1")

    def kill(self):
        """No end in good order: SIGKILL."""
        self.check_alive()
        self.process.kill()

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
        if self._telemetry:
            self._telemetry.close()
        self.process.kill()
