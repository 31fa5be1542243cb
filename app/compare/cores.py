# SPDX-License-Identifier: BSD-3-Clause
"""The state of the cores that guest and back-end run on.

Which core a virtual CPU is changes for seconds or minutes, and no clock of the guest
system tells. It may be shared with somebody else's: a back-end that keeps its core busy
loses up to half of its rate then, one that waits for memory loses little. And the two
may be near each other or far apart: a line of memory takes several times as long then,
which is most of what a ring costs. So two back-ends are compared in the same state only.
dirtylog-core-state says which, just before and just after each run.
"""
import collections
import subprocess

import built

NEAR = 'near'       # before and after; both have their cores for themselves
FAR = 'far'
SHARED = 'shared'   # one of the cores is, before or after
MOVED = 'moved'     # near before and far after, or the other way round
STATES = (NEAR, FAR)  # in which back-ends are compared
NARROW = 0.8        # of the width seen at best: below, a neighbour is at work
DISTANT = 3         # times the least distance seen: above, they are far apart
LIMIT = 10          # seconds


class Cores:
    def __init__(self, program, guest, back_end):
        self.cpus = [str(guest), str(back_end)]
        self.program = built.beside(program, 'core-state', 'dirtylog-core-state')
        self.widest = 0.0
        self.nearest = float('inf')
        self.known = self.program is not None
        if not self.known:
            print('bench: no dirtylog-core-state beside dirtylog-bench: not seen whether cores are shared or far apart')

    def look(self):
        """The widths of the guest's core and the back-end's, and nanoseconds from one to the other and back."""
        if not self.known:
            return [1.0, 1.0], 1.0
        told = subprocess.run([self.program, *self.cpus], capture_output=True, text=True, timeout=LIMIT, check=True)
        values = [float(line.split()[1]) for line in told.stdout.splitlines()]
        widths, distance = values[:2], values[2] if len(values) > 2 else 1.0
        self.widest = max(self.widest, *widths)
        self.nearest = min(self.nearest, distance)
        return widths, distance

    def watch(self):
        return Watch(self)

    def told(self, runs):
        if not self.known:
            return 'Whether cores were shared with neighbours, or far apart, is not known.'
        n = collections.Counter(run.cores.state() for run in runs)
        seen = [[distance for run in runs if run.cores.state() == state for _, distance in run.cores.seen]
                for state in STATES]
        near, far = (f' ({min(d):.0f} to {max(d):.0f} ns there and back)' if d else '' for d in seen)
        return (f'Guest and back-end had cores for themselves that are near each other{near} in {n[NEAR]} of {len(runs)} '
                f'runs, and that are far apart{far} in {n[FAR]}; a neighbour shared one in {n[SHARED]}; in {n[MOVED]} they '
                f'moved.')


class Watch:
    """The cores before and after a run. What it means can change while a wider or nearer one was not seen yet."""

    def __init__(self, cores):
        self.cores = cores
        self.seen = [cores.look()]

    def end(self):
        self.seen.append(self.cores.look())

    def state(self):
        if any(width < NARROW * self.cores.widest for widths, _ in self.seen for width in widths):
            return SHARED
        far = {distance > DISTANT * self.cores.nearest for _, distance in self.seen}
        return MOVED if len(far) > 1 else FAR if far.pop() else NEAR
