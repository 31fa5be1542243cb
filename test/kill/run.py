#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Back-ends and front-ends killed (SIGKILL) at random moments of a migration under traffic.

Back-end killed: it is started anew, the front-end comes back as QEMU does (LOG_ALL
from the beginning, the log last), packets pass again, the migration ends, and then
source and destination are equal page by page. Some are killed a second time, while
they are being recovered from the first.

Front-end killed: the next one is served, and some of them migrate to the end; no
descriptor, shared mapping, thread or huge page is left in the back-end; the guest of
another port loses no packet meanwhile.

No packet is damaged in either.
"""
import argparse
import collections
import glob
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from process import Failure, Process, held

READY_S = 90        # a back-end starts, on a machine that has other things to do
DONE_S = 180        # a migration ends, whatever was killed in it
SETTLED_S = 30      # the back-end gives back what a dead front-end had
MIGRATION_MS = 30
BEYOND = 1.2        # kills are spread over so much of what a migration took without them
AGAIN = 0.25        # of the back-ends that come after one that was killed are killed too
WHOLE_EVERY = 5     # of the front-ends are not killed
MAPS_SLACK = 16     # private mappings: the allocator's own
FAILURES_SHOWN = 10


class Case:
    """One setting, and the kills done with it."""

    def __init__(self, options, side, ring, base, placement, folder):
        self.options = options
        self.side, self.ring, self.base, self.placement = side, ring, base, placement
        self.folder = folder
        self.sockets = [folder / 'port0', folder / 'port1']
        self.random = random.Random(f'{options.seed} {self.name()}')
        self.backend = None
        self.count = collections.Counter()
        self.failures = []
        self.serial = 0
        self.connections = 0    # of the back-end that runs, at most
        # seconds, as measured: from a front-end's start to its migration, and to its end
        self.connects = self.migrates = 0.0

    def name(self):
        base = f'-base={self.base}' if self.ring == 'packed' else ''
        return f'{self.side}/{self.ring}{base}/{self.placement}'

    def program(self, name):
        return self.options.build / 'test/kill' / name

    def start_backend(self):
        ports = self.sockets if self.side == 'frontend' else self.sockets[:1]
        gap = self.options.gap_us or self.random.choice([20, 100, 300, 1000])
        self.serial += 1
        self.backend = Process(
            [self.program('kill-backend'), '--driver', self.options.driver, '--placement',
             self.placement, '--gap-us', gap, *ports], self.folder, f'backend-{self.serial}')
        self.connections = 1    # a front-end that comes back
        self.backend.wait_for('ready', READY_S)

    def end_backend(self):
        """What it said of the guest's packets is judged: each connection may begin anywhere."""
        if self.backend is None:
            return
        if self.backend.process.poll() is not None:
            raise Failure(f'{self.backend.name} ended by itself: status '
                          f'{self.backend.process.returncode}{self.backend.said()}')
        self.backend.kill()
        backend, self.backend = self.backend, None
        gaps = len(re.findall('^gap', backend.text, re.M))
        said = backend.said()
        backend.close()
        for path in glob.glob(f'{self.folder}/dpdk/kill-{backend.pid}*'):
            shutil.rmtree(path, ignore_errors=True)
        if 'damaged' in said:
            raise Failure(f'{backend.name}: a damaged packet{said}')
        if gaps > self.connections:
            raise Failure(f'{backend.name}: {gaps} gaps in the numbers of the guests\' packets, '
                          f'{self.connections} connections{said}')

    def start_vmm(self, socket=0, *arguments, **more):
        self.serial += 1
        self.connections += 1
        command = [self.program('kill-vmm'), '--socket', self.sockets[socket], '--ms', MIGRATION_MS,
                   '--base', self.base, *arguments]
        if self.ring == 'packed':
            command.append('--packed')
        return Process(command, self.folder, f'vmm-{self.serial}', **more)

    def judge(self, vmm, status):
        """A front-end that came to its end."""
        values = dict(re.findall(r'(\w+)=(\d+)', vmm.text))
        for key in ('differing', 'damaged', 'lost', 'late', 'empty', 'reconnects'):
            self.count[key] += int(values.get(key, 0))
        if int(values.get('differing', 0)) > 0:
            self.count['with loss'] += 1
        if status != 0:
            raise Failure(f'{vmm.name}: status {status}{vmm.said()}')

    def whole_migration(self):
        """Nobody is killed; says how long it takes."""
        vmm = self.start_vmm()
        try:
            vmm.wait_for('migrating', DONE_S)
            began = time.monotonic()
            self.judge(vmm, vmm.wait(DONE_S))
            self.connects = began - vmm.began
            self.migrates = time.monotonic() - began
        finally:
            vmm.close()

    def a_moment(self):
        return self.random.uniform(0, BEYOND * self.migrates)

    def kill_backend(self):
        """One migration in which the back-end is killed once or twice. False: it was too late."""
        if self.backend is None:
            self.start_backend()
            self.whole_migration()
        vmm = self.start_vmm()
        try:
            vmm.wait_for('migrating', DONE_S)
            time.sleep(self.a_moment())
            vmm.read(0)
            if not re.search('^(good|bad)', vmm.text, re.M):
                self.end_backend()
                self.start_backend()
                if self.random.random() < AGAIN:
                    time.sleep(self.a_moment())
                    self.end_backend()
                    self.start_backend()
            status = vmm.wait(DONE_S)
            reconnects = int((re.findall(r'reconnects=(\d+)', vmm.text) or [1])[0])
            self.count['second kills'] += reconnects > 1
            self.judge(vmm, status)
        finally:
            vmm.close()
        # Machines are faster and slower from time to time.
        self.migrates *= 1.02 if reconnects > 0 else 0.8
        return reconnects > 0

    def kill_frontend(self):
        """One front-end, killed between its first connection and its end. False: it was too late."""
        if self.count['kills'] >= self.count['whole'] * WHOLE_EVERY:
            self.count['whole'] += 1
            self.whole_migration()
            return False
        vmm = self.start_vmm()
        try:
            # A quarter of them while they connect.
            if self.random.random() < 0.25:
                time.sleep(self.random.uniform(0, self.connects))
            else:
                vmm.wait_for('migrating', DONE_S)
                time.sleep(self.a_moment())
            in_time = vmm.process.poll() is None
            vmm.kill()
            self.backend.read(0)
            self.count['in migration'] += 'migrating' in vmm.text
        finally:
            vmm.close()
        return in_time

    def check_left_over(self, before):
        deadline = time.monotonic() + SETTLED_S
        while True:
            now, maps = held(self.backend.pid)
            if now == before[0] and maps <= before[1] + MAPS_SLACK:
                return
            if time.monotonic() > deadline:
                raise Failure(f'left over in the back-end: {now}, {maps} mappings; '
                              f'before {before[0]}, {before[1]}')
            time.sleep(0.01)

    def frontend_kills(self, kills):
        self.start_backend()
        neighbour = self.start_vmm(1, '--traffic', stdin=subprocess.PIPE)
        try:
            neighbour.wait_for('migrating', DONE_S)
            self.whole_migration()
            time.sleep(0.1)
            before = held(self.backend.pid)
            tries = 0
            while self.count['kills'] < kills and tries < 3 * kills + 10:
                tries += 1
                self.one(self.kill_frontend)
                self.one(lambda: self.check_left_over(before))
            self.whole_migration()
            neighbour.process.stdin.close()
            self.judge(neighbour, neighbour.wait(DONE_S))
        finally:
            neighbour.close()

    def one(self, what):
        try:
            self.count['kills'] += what() is True
        except Failure as failure:
            self.failures.append(str(failure))
            if len(self.failures) <= FAILURES_SHOWN:
                print(f'  {self.name()} kill {self.count["kills"] + 1}: {failure}', flush=True)
            if self.side == 'backend':
                self.count['kills'] += 1

    def backend_kills(self, kills):
        tries = 0
        while self.count['kills'] < kills and tries < 3 * kills + 10:
            tries += 1
            self.one(self.kill_backend)
            if self.options.expect_loss and self.count['with loss'] > 0:
                return

    def run(self, kills):
        began = time.monotonic()
        try:
            if self.side == 'backend':
                self.backend_kills(kills)
            else:
                self.frontend_kills(kills)
            self.end_backend()
        except Failure as failure:
            self.failures.append(str(failure))
            print(f'  {self.name()}: {failure}', flush=True)
        finally:
            if self.backend is not None:
                self.backend.close()
        if self.count['kills'] < kills and not self.options.expect_loss:
            self.failures.append(f'{self.count["kills"]} kills instead of {kills}')
        passed = self.count['with loss'] > 0 if self.options.expect_loss else not self.failures
        kinds = ', '.join(f'{n} {kind}' for kind, n in sorted(self.count.items()) if kind != 'kills')
        print(f'{"ok    " if passed else "FAILED"} {self.name()}: {self.count["kills"]} kills, '
              f'{len(self.failures)} failures, {time.monotonic() - began:.0f} s; {kinds}', flush=True)
        return passed


def parse():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=1000, help='of each side, over all settings')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--side', choices=['backend', 'frontend', 'both'], default='both')
    parser.add_argument('--ring', choices=['split', 'packed', 'both'], default='both')
    parser.add_argument('--base', choices=['qemu', 'right', 'both'], default='both',
                        help='where the front-end says that a packed ring stands after a kill: as '
                        'QEMU, which does not know, or as it is')
    parser.add_argument('--placement', choices=['direct', 'staged', 'both'], default='both')
    parser.add_argument('--gap-us', type=int, default=0,
                        help='between two bursts of the back-end; default: changes')
    parser.add_argument('--build', type=pathlib.Path, default=root / 'build')
    parser.add_argument('--driver', type=pathlib.Path)
    parser.add_argument('--expect-loss', action='store_true',
                        help='a negative control: each setting ends, and passes, with the first '
                        'migration that loses pages')
    options = parser.parse_args()
    if options.driver is None:
        options.driver = options.build / 'drivers/net/dirtylog/librte_net_dirtylog.so'
    options.driver = options.driver.resolve()
    return options


def cases(options, side):
    """Each setting once: ring, base, placement."""
    rings = ['split', 'packed'] if options.ring == 'both' else [options.ring]
    bases = ['qemu', 'right'] if options.base == 'both' else [options.base]
    placements = ['staged', 'direct'] if options.placement == 'both' else [options.placement]
    return [(ring, base, placement) for placement in placements for ring in rings
            for base in (bases if ring == 'packed' and side == 'backend' else bases[:1])]


def main():
    # Who is told to end ends its processes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended by a signal'))
    options = parse()
    sides = ['backend', 'frontend'] if options.side == 'both' else [options.side]
    passed = failed = kills = 0
    began = time.monotonic()
    for side in sides:
        settings = cases(options, side)
        for number, setting in enumerate(settings):
            share = options.kills // len(settings) + (number < options.kills % len(settings))
            if share == 0:
                continue
            with tempfile.TemporaryDirectory(prefix='dirtylog-kill-') as folder:
                case = Case(options, side, *setting, pathlib.Path(folder))
                good = case.run(share)
            passed += good
            failed += not good
            kills += case.count['kills'] + case.count['second kills']
    print(f'{kills} kills with seed {options.seed} in {time.monotonic() - began:.0f} s')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 0 if failed == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
