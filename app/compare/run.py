# SPDX-License-Identifier: BSD-3-Clause
"""One run: a back-end is started, dirtylog-bench is its VMM and guest, and what it said."""
import json
import re
import statistics
import subprocess
import tempfile

import proc
import row_statistics as stats

NOISE = 0.02            # share of time that others may take from a datapath thread
RUN_LIMIT = 120         # seconds
UNSUPPORTED = 5         # exit status of dirtylog-bench
# Features that a back-end may lack, as the table tells it.
FEATURES = {'VIRTIO_F_RING_PACKED': 'no packed ring', 'VIRTIO_NET_F_MRG_RXBUF': 'no mergeable buffers',
            'VIRTIO_RING_F_INDIRECT_DESC': 'no indirect tables', 'LOG_SHMFD': 'no migration',
            'VHOST_F_LOG_ALL': 'no migration'}


class Refused(Exception):
    """The back-end does not offer what a cell of the matrix needs: that is no failure."""


class Run:
    """What one run said."""

    def __init__(self, data, cell, noise, limit, watch):
        self.noise = noise
        self.cores = watch
        self.all_pairs = stats.pairs(data['slices'], cell.ways())
        self.pairs = {interval: [p for p in pairs if noise <= limit and p.agrees(limit)]
                      for interval, pairs in self.all_pairs.items()}
        memory = data['memory']
        self.lost = memory['differing']
        self.missing = memory['marks_missing'] + memory['marks_in_old_log'] + memory['marks_after_stop']
        rounds = data['phases']['rounds']
        self.guest_busy = rounds['guest_busy']
        self.back_end_busy = 1 - max(rounds[way]['back_end_waited'] for way in cell.ways())
        self.features = data['features']

    def complete(self):
        return bool(self.pairs) and all(self.pairs.values())

    def count(self):
        return sum(len(p) for p in self.pairs.values())

    def useful(self, interval):
        """Pairs that were not disturbed; all where each was."""
        return self.pairs.get(interval) or self.all_pairs.get(interval, [])

    def off(self):
        return statistics.median(p.off for i in self.all_pairs for p in self.useful(i))

    def on(self, interval):
        return statistics.median(p.during for p in self.useful(interval))

    def json(self):
        return {
            'migrations': {interval: [{'before': p.before, 'during': p.during, 'after': p.after, 'kept': p.kept,
                                       'away_differs': p.away, 'used': p in self.pairs[interval]} for p in pairs]
                           for interval, pairs in self.all_pairs.items()},
            'pages_lost': self.lost, 'marks_missing': self.missing, 'guest_busy': self.guest_busy,
            'back_end_busy': self.back_end_busy, 'back_end_kept_waiting': self.noise,
            'cores': self.cores.state(), 'cores_seen': self.cores.seen,
        }


class Runner:
    """Makes runs: with one program, on one machine."""

    def __init__(self, program, machine, watched):
        self.program = program
        self.machine = machine
        self.cores = watched

    def command(self, back_end, cell):
        command = [
            self.program, '--socket', back_end.socket, '--label', back_end.name, '--quiet',
            '--json', '-', '--timeout', '10', '--ring', cell.ring, '--direction', cell.direction,
            '--size', str(cell.size), *(['--server'] if back_end.connects else []), '--buffers', str(cell.buffers), '--cpus', str(self.machine.guest),
        ]
        if cell.buffers > 256:
            command += ['--order', 'random']
        if cell.mergeable:
            command += ['--mergeable']
        if cell.tables:
            command += ['--tables']
        if self.machine.huge:
            command += ['--hugepages']
        if self.machine.mover is not None:
            command += ['--mover-cpu', str(self.machine.mover)]
        return command

    def run(self, back_end, cell, options):
        if back_end.lacks(cell):
            raise Refused(back_end.lacks(cell))
        watch = self.cores.watch()
        with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
            try:
                back_end.start(self.machine, folder, cell)
                before = proc.delays(back_end.process.pid)
                done = subprocess.run(self.command(back_end, cell) + options, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, timeout=RUN_LIMIT)
                after = proc.delays(back_end.process.pid)
            finally:
                back_end.stop()
        watch.end()
        if done.returncode == UNSUPPORTED:
            lacks = re.search(r'does not offer (\w+)', done.stderr)
            raise Refused(FEATURES.get(lacks[1], f'no {lacks[1]}') if lacks else done.stderr.strip())
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr.strip())
        # On one CPU nothing counts; where guest and mover share one, the guest is meant to be away.
        limit = -1 if self.machine.alone else NOISE if self.machine.quiet else 1.0
        return Run(json.loads(done.stdout), cell, proc.worst_delay(before, after), limit, watch)
