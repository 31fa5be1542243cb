# SPDX-License-Identifier: BSD-3-Clause
"""One migration under traffic, shown live, with three lines at the end."""

import sys
import time

from errors import TestError
from migration import ROUNDS_MIN
from oracle import PAGE
from vm import MIB, Topology

FRAMES_PER_SECOND = 3000
MEASURE_SECONDS = 4
SHOW_SECONDS = 0.25
RESUME_SECONDS = 20


def demo(lab):
    """Raises TestError if pages differ or the guest does not go on."""
    topology = Topology(frames_per_second=FRAMES_PER_SECOND)
    display = Display(sys.stdout)

    display.say("booting the guest")
    source_backend = lab.backend("a", topology)
    source = lab.vm("a", topology, "vhost")
    source_backend.echo()
    source.run()
    source.wait_for_traffic(boots=1)
    target_backend = lab.backend("b", topology)
    target = lab.vm("b", topology, "vhost", incoming=True)
    before = _measure(source_backend, display, "before")

    migration = lab.migration(source, source_backend, "b", target, progress=display.progress)
    during = Meter(source_backend)
    display.meter = during
    migration.start()
    migration.run_rounds(ROUNDS_MIN)
    during.hold()               # what follows contains the downtime, which has its own line
    migration.finish()
    display.say("comparing all of the guest's RAM, which no CPU has touched yet")
    verdict = migration.verdict()
    lab.verdicts.append(verdict)
    source.stop()
    source_backend.quit()

    display.say("resuming the guest on the other side")
    target_backend.echo()
    target.run()
    target.wait_for_traffic(RESUME_SECONDS)
    after = _measure(target_backend, display, "after")
    damaged = sum(bad for vm in (source, target) for _, _, bad in vm.traffic().values())
    target.stop()
    target_backend.quit()
    display.end()

    summary = (f"A guest in QEMU migrated under traffic: {verdict.rounds} rounds in {verdict.seconds:.1f} s, downtime "
               f"{verdict.downtime_ms} ms; {verdict.pages} pages compared, {len(verdict.differing)} differ.\n"
               f"Packets per second into it / out of it: {before.text()} before, {during.text()} during, "
               f"{after.text()} after.\n"
               f"Packets with wrong content: {damaged}; dirty pages sent again: {verdict.resent}.")
    if verdict.differing or damaged:
        raise TestError(f"the guest did not arrive as it left\n{summary}")
    return summary


class Meter:
    """Packets per second of a back-end since the meter was made, until it is held."""

    def __init__(self, backend):
        self._backend = backend
        self._began = self._last = (time.monotonic(), *backend.counters())
        self._held = None

    def hold(self):
        self._held = self._rates(self._began)

    def text(self):
        return "{:,.0f} / {:,.0f}".format(
            *(self._held or self._rates(self._began)))

    def since_last(self):
        rates = self._rates(self._last)
        self._last = (time.monotonic(), *self._backend.counters())
        return rates

    def _rates(self, start):
        seconds = max(time.monotonic() - start[0], 1e-3)
        out_of_guest, into_guest = self._backend.counters()
        return (into_guest - start[2]) / seconds, (out_of_guest - start[1]) / seconds


class Display:
    """One line that is written over on a terminal; elsewhere a line per second."""

    def __init__(self, stream):
        self.meter = None
        self._stream = stream
        self._live = stream.isatty()
        self._next = 0

    def say(self, text):
        self._write(text)
        self._next = 0

    def progress(self, migration, info):
        ram = info.get("ram")
        if not ram or not self._due():
            return
        count = ram["dirty-sync-count"]
        phase = "first pass" if count < 2 else f"round {count}"
        self._write(f"migrating, {phase:10}  {self._pps()}  dirty pages "
                    f"{ram['remaining'] // PAGE:6,}  remaining {ram['remaining'] / MIB:6.1f} MiB")

    def measuring(self, phase):
        if self._due():
            self._write(f"{phase:21} {self._pps()}")

    def end(self):
        if self._live:
            self._stream.write("\r\033[K")

    def _pps(self):
        return "pps in {:6,.0f} out {:6,.0f}".format(*self.meter.since_last())

    def _due(self):
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + (SHOW_SECONDS if self._live else 1)
        return True

    def _write(self, text):
        self._stream.write(f"\r\033[K{text}" if self._live else f"{text}\n")
        self._stream.flush()


def _measure(backend, display, phase):
    meter = display.meter = Meter(backend)
    end = time.monotonic() + MEASURE_SECONDS
    while time.monotonic() < end:
        time.sleep(0.1)
        display.measuring(phase)
    meter.hold()
    return meter

