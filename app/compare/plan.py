# SPDX-License-Identifier: BSD-3-Clause
"""How the time is spent: turns, migrations in a run, and what is left."""
import time

OVERHEAD = 1.2          # seconds that a run takes beside its migrations, or as a back-end's file says
BASELINE = 0.1          # seconds of each
MIGRATION = 0.2         # seconds, rounded up to whole intervals
COPY = 0.06             # seconds of a first copy, beside it
RESERVE = 0.2           # share of the time that is kept for rows that must be repeated
MOST_PAIRS = 8          # migrations per run and interval


class Plan:
    def __init__(self, turns, minutes, intervals, overheads, nb_cells):
        """overheads: of each back-end, 0 where it is the usual one"""
        nb_back_ends = len(overheads)
        self.turns = turns
        self.minutes = minutes
        self.intervals = intervals
        self.nb_back_ends = nb_back_ends
        self.overhead = sum(max(OVERHEAD, seconds) for seconds in overheads) / max(1, nb_back_ends)
        self.began = time.monotonic()
        self.to_do = turns * 2 * nb_cells * nb_back_ends    # runs that will be made if there is time
        self.done = 0                                       # runs that were made, with those not planned
        self.pairs = self.room()

    def room(self):
        """How many migrations each run has room for, if all turns are to fit into the time."""
        each = self.minutes * 60 * (1 - RESERVE) / self.to_do - self.overhead
        pair = sum(BASELINE + COPY + max(MIGRATION, interval / 1000) for interval in self.intervals)
        return min(MOST_PAIRS, max(2, round(each / pair)))

    def options(self):
        """What dirtylog-bench is told: in each run all intervals, in turn."""
        return ['--interval', ','.join(map(str, self.intervals)), '--cancel', str(self.pairs * len(self.intervals)),
                '--warmup', '0.15', '--baseline', str(BASELINE), '--time', str(MIGRATION)]

    def passed(self):
        return time.monotonic() - self.began

    def left(self):
        return self.minutes * 60 - self.passed()

    def left_told(self):
        return f'{max(0.0, self.left()) / 60:.1f} min'

    def seconds_per_run(self):
        return self.passed() / max(1, self.done)

    def has_time_for_all(self):
        return self.left() >= self.to_do * self.seconds_per_run()

    def has_time_for_a_block(self):
        return self.left() >= 2 * self.seconds_per_run() * self.nb_back_ends
