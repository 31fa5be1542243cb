# SPDX-License-Identifier: BSD-3-Clause
"""One live migration under traffic, watched round by round, and its verdict."""

import dataclasses
import threading
import time

from errors import Inconclusive, TestError
from oracle import Ram

MIB = 1 << 20
ROUNDS_MIN = 4              # dirty syncs before the migration may end
FAST = 48 * MIB             # bandwidth, bytes per second
# Less than the traffic dirties, so that the migration does not converge by itself. Times the
# downtime limit of 1 ms it is less than a page: QEMU ends only if a dirty sync finds no page.
SLOW = 3 * MIB
CRAWL = MIB // 16
FINAL = 1024 * MIB
SLOW_BELOW = 12 * MIB       # when so much remains, go on slowly
FAST_ABOVE = 24 * MIB       # the first pass, a boot of the guest: not worth the time
POLL_SECONDS = 0.03
CHANGED_MIN = 100           # pages: fewer would prove little
CHANGED_LITTLE_MIN = 10
LATE_MIN = 200


@dataclasses.dataclass
class Round:
    """The moment at which a dirty sync was seen."""
    number: int
    out_of_guest: int
    into_guest: int


@dataclasses.dataclass
class Verdict:
    pages: int
    differing: list         # guest physical addresses
    changed: int            # pages that changed after the first pass
    late: list | None       # addresses of pages written after the guest's CPUs had stopped
    dimm_start: int | None  # address of the DIMM, if there is one
    rounds: int
    resent: int             # pages that were sent again after the first pass
    downtime_ms: int
    seconds: float

    def text(self):
        late = "" if self.late is None else f", {len(self.late)} after the CPUs stopped"
        return (f"{self.rounds} rounds, {self.changed} pages changed after the first pass{late}; "
                f"{self.pages} compared, {len(self.differing)} differ")

    def numbers(self):
        """For a machine to read."""
        late = None if self.late is None else len(self.late)
        return {**dataclasses.asdict(self), "late": late, "differing": len(self.differing)}


class Migration:
    """Source and target are VMs, back-ends have counters(); `socket_path` carries the stream.

    progress  called with (Migration, QEMU's answer to query-migrate) at each poll.
    steady    bandwidth from start to end, for a guest that writes some dozens of pages again
              and again: fewer bytes in a tenth of a second, by which QEMU measures, than
              these are. Else a round is over before the guest has run, and QEMU ends.
    """

    def __init__(self, source, source_backend, target, socket_path, progress=None, steady=None):
        self.source = source
        self.target = target
        self.backend = source_backend
        self.rounds = []
        self.late_error = None
        self._uri = f"unix:{socket_path}"
        self._progress = progress
        self._source_ram = Ram(source)
        self._target_ram = Ram(target)
        self.writes_little = steady is not None
        self._pace = steady or FAST
        self._paced = not steady
        self._first_pass = None
        self._first_pass_pages = 0
        self._before_late = None
        self._late_lock = threading.Lock()
        self._info = {}

    def close(self):
        self._source_ram.close()
        self._target_ram.close()

    def start(self):
        self._started = time.monotonic()
        self._set(max_bandwidth=self._pace, downtime_limit=1)
        self.source.qmp.command("migrate", uri=self._uri)

    def poll_until(self, done, seconds, what):
        """Watch the migration until done()."""
        deadline = time.monotonic() + seconds
        while not done():
            self._poll()
            if self._info["status"] == "completed":
                if self.writes_little:  # nothing was dirty: check() says what that proves
                    return
                raise TestError(f"{what}: the migration ended before, "
                                f"after {len(self.rounds)} dirty syncs")
            if time.monotonic() > deadline:
                raise TestError(f"{what}: not within {seconds} seconds; migration {self._info}")
            time.sleep(POLL_SECONDS)

    def run_rounds(self, count=ROUNDS_MIN):
        """Let `count` dirty syncs more pass, with traffic both ways between any two of them."""
        first = len(self.rounds)
        self.poll_until(lambda: len(self.rounds) > first + count, 60, f"{count} dirty syncs")
        for one, two in zip(self.rounds[first:], self.rounds[first + 1:]):
            if two.out_of_guest == one.out_of_guest or two.into_guest == one.into_guest:
                raise TestError(f"no traffic between dirty syncs {one.number} and {two.number}")

    def hold_round(self):
        """Nearly stand still: no dirty sync, and so no end, while the guest may be silent."""
        self._paced = False
        self._set(max_bandwidth=CRAWL)

    def release_round(self):
        self._paced = True
        self._set(max_bandwidth=self._pace)

    def cancel(self):
        self.source.qmp.command("migrate_cancel")
        deadline = time.monotonic() + 10
        while (status := self.source.qmp.command("query-migrate")["status"]) != "cancelled":
            if time.monotonic() > deadline:
                raise TestError(f"migration not cancelled after 10 seconds: {status}")
            time.sleep(POLL_SECONDS)

    def allow_postcopy(self):
        """To be called before start()."""
        for vm in (self.source, self.target):
            vm.qmp.command("migrate-set-capabilities",
                           capabilities=[{"capability": "postcopy-ram", "state": True}])

    def finish(self, relays=(), postcopy_bandwidth=None):
        """Let the migration converge. Through the relays, the back-end floods the stopped guest.

        postcopy_bandwidth  do not converge, switch to postcopy; bytes per second for the pages
                            that nobody waits for, 0: as fast as can be
        """
        for relay in relays:
            relay.before_stop = self._write_late
        if relays:
            self.backend.before_flood()
        self._paced = False
        if postcopy_bandwidth is None:
            self._set(max_bandwidth=FINAL, downtime_limit=300)
        else:
            self._set(max_bandwidth=FINAL, max_postcopy_bandwidth=postcopy_bandwidth)
            self.source.qmp.command("migrate-start-postcopy")
        deadline = time.monotonic() + 40
        while self._info.get("status") != "completed":
            if time.monotonic() > deadline:
                raise TestError(f"migration does not end: {self._info}")
            time.sleep(POLL_SECONDS)
            self._poll()
        if self.late_error:
            raise self.late_error

    def verdict(self):
        """Compare. The target has not run an instruction yet, and its back-end has no queue."""
        self.source.wait_for_status("postmigrate", 10)
        self.target.wait_for_status("paused", 10)
        ram = self._info["ram"]
        late = None
        if self._before_late:
            late = self._addresses(self._source_ram.changed_since(self._before_late))
        differing = self._addresses(self._source_ram.differing(self._target_ram))
        return Verdict(
            pages=self._source_ram.pages(), differing=differing, late=late,
            dimm_start=self.source.dimm_start,
            changed=len(self._source_ram.changed_since(self._first_pass)),
            rounds=ram["dirty-sync-count"],
            resent=ram["normal"] + ram["duplicate"] - self._first_pass_pages,
            downtime_ms=self._info["downtime"], seconds=self._info["total-time"] / 1000)

    def _addresses(self, pages):
        return [self.source.guest_address(*page) for page in pages]

    def _set(self, **parameters):
        self.source.qmp.command("migrate-set-parameters", **parameters)

    def _poll(self):
        self._info = self.source.qmp.command("query-migrate")
        status = self._info.get("status")
        if status in ("failed", "cancelled"):
            raise TestError(f"migration {status}: {self._info.get('error-desc', 'no reason given')}")
        ram = self._info.get("ram")
        if ram and self._paced:
            self._set_pace(ram["remaining"])
        if ram and (not self.rounds or ram["dirty-sync-count"] > self.rounds[-1].number):
            self.rounds.append(Round(ram["dirty-sync-count"],
                                     *self.backend.counters()))
            if ram["dirty-sync-count"] >= 2 and not self._first_pass:
                self._first_pass_pages = ram["normal"] + ram["duplicate"]
                self._first_pass = self._source_ram.snapshot()
        if self._progress:
            self._progress(self, self._info)

    def _set_pace(self, remaining):
        pace = SLOW if remaining < SLOW_BELOW else FAST if remaining > FAST_ABOVE else self._pace
        if pace != self._pace:
            self._pace = pace
            self._set(max_bandwidth=pace)

    def _write_late(self):
        """Called by a relay while QEMU waits: the CPUs have stopped, no ring has."""
        with self._late_lock:
            if self._before_late:
                return
            try:
                self._before_late = self._source_ram.snapshot()
                _, start = _, last = self.backend.counters()
                self.backend.flood()
                deadline = time.monotonic() + 3
                while time.monotonic() < deadline:
                    time.sleep(0.1)     # until the rings take no more
                    _, now = self.backend.counters()
                    if now == last and now > start:
                        break
                    last = now
            except Exception as error:  # belongs to the thread that runs the test
                self.late_error = error


def check(verdict, writes_little=False):
    """Raise if pages differ, or if the comparison could not have shown it."""
    if verdict.differing:
        raise PagesDiffer(verdict)
    if verdict.rounds <= ROUNDS_MIN:
        raise Inconclusive(f"only {verdict.rounds} dirty syncs")
    if verdict.changed < (CHANGED_LITTLE_MIN if writes_little else CHANGED_MIN):
        raise Inconclusive(f"only {verdict.changed} pages changed after the first pass")
    if verdict.late is not None and len(verdict.late) < LATE_MIN:
        raise Inconclusive(f"only {len(verdict.late)} pages were written after the CPUs had stopped")


class PagesDiffer(TestError):
    SHOWN = 8

    def __init__(self, verdict):
        addresses = " ".join(f"{each:#x}" for each in verdict.differing[:self.SHOWN])
        more = " ..." if len(verdict.differing) > self.SHOWN else ""
        super().__init__(f"{verdict.text()}: {addresses}{more}")
        self.verdict = verdict
