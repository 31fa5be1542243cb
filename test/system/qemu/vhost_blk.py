# SPDX-License-Identifier: BSD-3-Clause
"""One vhost-blk, the example back-end: a RAM disk that a VM uses as vhost-user-blk."""

import os
import re
import subprocess
import time

from errors import TestError
from process import Process

START_SECONDS = 20
ANSWER_SECONDS = 5
PILE_UP_SECONDS = 0.5       # all of the guest's workers wait for an answer by then


class VhostBlk:
    """Has what migrations ask of a back-end. It serves requests from the start."""

    def __init__(self, name, program, socket, disk, folder):
        self.name = name
        self.sockets = [socket]
        if not os.access(program, os.X_OK):
            raise TestError(f"no program at {program}: build it, or name it by --vhost-blk")
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        self.process = Process(name, [
            program, "--lcores", f"0@({cpus})", "--no-huge", "-m", "64", "--no-pci",
            "--file-prefix", f"{folder.name}-{name}", "--", socket, disk],
            folder / f"{name}.log", {"RUNTIME_DIRECTORY": folder}, stdin=subprocess.PIPE)
        self._asked = 0

    def wait_until_up(self):
        deadline = time.monotonic() + START_SECONDS
        while not self.sockets[0].exists():
            if self.process.poll() is not None:
                raise TestError(f"vhost-blk ended at start, status {self.process.returncode}")
            if time.monotonic() > deadline:
                raise TestError(f"vhost-blk not up after {START_SECONDS} seconds")
            time.sleep(0.05)

    def echo(self):
        self._type("go")

    def before_flood(self):
        """Let the guest's requests pile up."""
        self._type("hold")
        time.sleep(PILE_UP_SECONDS)

    def flood(self):
        """Serve what has piled up."""
        self._type("go")

    def counters(self):
        """Requests served (writes, reads): data out of the guest, into the guest."""
        self._type("stats")
        self._asked += 1
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            answers = re.findall(r"^reads=(\d+) writes=(\d+) broken=(\d+)$",
                                 self.process.log.read_text(errors="replace"), re.MULTILINE)
            if len(answers) >= self._asked:
                break
            self.check_alive()
            if time.monotonic() > deadline:
                raise TestError(f"{self.name}: no counters after {ANSWER_SECONDS} seconds")
            time.sleep(0.005)
        reads, writes, broken = map(int, answers[-1])
        if broken:
            raise TestError(f"{self.name}: {broken} of the guest's requests were broken")
        return writes, reads

    def _type(self, line):
        try:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise TestError(f"{self.name}: vhost-blk is gone") from None

    def check_alive(self):
        if self.process.poll() is not None:
            raise TestError(f"{self.name}: vhost-blk ended, status {self.process.returncode}")

    def quit(self):
        """An orderly end: a back-end that crashes or hangs in it is a failure."""
        self.check_alive()
        self._type("quit")
        if not self.process.wait(15):
            raise TestError(f"{self.name}: vhost-blk did not quit")
        if self.process.returncode != 0:
            raise TestError(f"{self.name}: vhost-blk's exit status is {self.process.returncode}")

    def stop(self):
        self.process.kill()
