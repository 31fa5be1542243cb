# SPDX-License-Identifier: BSD-3-Clause
"""Whether guest and back-end have their cores for themselves.

A virtual CPU may share its core with somebody else's, for seconds or minutes, and no
clock of the guest system tells. A back-end that keeps its core busy loses up to half of
its rate then, one that waits for memory loses little; so two back-ends are compared in
the same state only. dirtylog-core-width says which, just before and just after each run,
by what the cores can do.
"""
import collections
import os
import subprocess

ALONE = 'alone'     # guest and back-end, before and after
SHARED = 'shared'   # the back-end's core, before and after, whatever the guest's was
OTHER = 'other'     # it changed, or only the guest's was shared
STATES = (ALONE, SHARED)
NARROW = 0.8        # of the width seen at best: below, a neighbour is at work
LIMIT = 10          # seconds


class Cores:
    def __init__(self, program, guest, back_end):
        self.cpus = [str(guest), str(back_end)]
        self.program = os.path.join(os.path.dirname(program), '..', 'core-width', 'dirtylog-core-width')
        self.widest = 0.0
        self.known = os.path.exists(self.program)
        if not self.known:
            print('bench: no dirtylog-core-width beside dirtylog-bench: not seen whether cores are shared')

    def widths(self):
        """Of the guest's core and the back-end's."""
        if not self.known:
            return [1.0, 1.0]
        told = subprocess.run([self.program, *self.cpus], capture_output=True, text=True, timeout=LIMIT, check=True)
        widths = [float(line.split()[1]) for line in told.stdout.splitlines()]
        self.widest = max(self.widest, *widths)
        return widths

    def watch(self):
        return Watch(self)

    def told(self, runs):
        if not self.known:
            return 'Whether cores were shared with neighbours is not known.'
        n = collections.Counter(run.cores.state() for run in runs)
        return (f'Guest and back-end had their cores for themselves in {n[ALONE]} of {len(runs)} runs; a neighbour shared '
                f"the back-end's in {n[SHARED]}; in {n[OTHER]} only the guest's, or that changed.")


class Watch:
    """The cores before and after a run. What it means can change while a wider core was not seen yet."""

    def __init__(self, cores):
        self.cores = cores
        self.widths = [cores.widths()]

    def end(self):
        self.widths.append(self.cores.widths())

    def state(self):
        narrow = [[width < NARROW * self.cores.widest for width in both] for both in self.widths]
        if not any(map(any, narrow)):
            return ALONE
        return SHARED if all(back_end for _, back_end in narrow) else OTHER
