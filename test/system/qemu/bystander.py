# SPDX-License-Identifier: BSD-3-Clause
"""A second guest on the same back-end, whose traffic must go on whatever happens to the first."""

import threading
import time

from errors import TestError

SAMPLE_SECONDS = 0.05
# Nothing in a back-end takes a tenth of that; a machine that runs other things may.
SILENCE_MAX_SECONDS = 3


class Bystander:
    """Samples its port's packets, both ways, from start() to stop()."""

    def __init__(self, vm, telemetry, port):
        self.vm = vm
        self._telemetry = telemetry
        self._port = port
        self._ending = threading.Event()
        self._thread = None
        self._error = None
        self.silence = 0.0      # the longest time without a packet, in seconds
        self.packets = 0

    def start(self):
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def check(self):
        """End the watch; raise if the traffic has ever paused. Returns a few words."""
        self.stop()
        if self._error:
            raise self._error
        if not self.packets:
            raise TestError("the other port passed no packet")
        if self.silence > SILENCE_MAX_SECONDS:
            raise TestError(f"the other port passed no packet for {self.silence:.1f} s")
        self.vm.check_content()
        return f"the other port passed {self.packets} packets, longest pause {self.silence:.2f} s"

    def stop(self):
        self._ending.set()
        if self._thread:
            self._thread.join(10)
        self._telemetry.close()

    def _run(self):
        try:
            first = last = self._telemetry.packets(self._port)
            moved = [time.monotonic()] * 2
            while not self._ending.wait(SAMPLE_SECONDS):
                now = time.monotonic()
                counts = self._telemetry.packets(self._port)
                for way in range(2):
                    self.silence = max(self.silence, now - moved[way])
                    if counts[way] != last[way]:
                        moved[way] = now
                last = counts
                self.packets = sum(last) - sum(first)
        except TestError as error:      # belongs to the thread that runs the test
            self._error = error
