# SPDX-License-Identifier: BSD-3-Clause
"""All runs of all rows, in turns, within the time."""
import os
import subprocess

from plan import Plan
from row import Row
from run import Refused, Runner

FAILURES = (RuntimeError, subprocess.TimeoutExpired, ValueError, OSError)   # of a run


class Comparison:
    def __init__(self, args, machine, back_ends, cells, watched):
        self.machine = machine
        self.back_ends = back_ends
        self.plan = Plan(args.turns, args.minutes, args.intervals, [b.overhead for b in back_ends], len(cells))
        self.runner = Runner(args.program, machine, watched)
        self.rows = [Row(cell, args.intervals, back_ends) for cell in cells]
        self.thrown_away = 0    # runs
        self.instructions = None    # a sentence and a table, where rates say nothing

    def run_once(self, back_end, cell, options):
        self.plan.done += 1
        return self.runner.run(back_end, cell, options)

    def run(self, back_end, cell):
        """One run in which each interval has a migration that nothing disturbed; the best of three if none has."""
        best = None
        for _ in range(3):
            run = self.run_once(back_end, cell, self.plan.options())
            if best is None or run.count() > best.count():
                best = run
            if run.complete() or self.machine.alone or not self.plan.has_time_for_all():
                break
            self.thrown_away += 1
        return best

    def measure(self, row):
        """One block of a row: A B B A."""
        block = {}
        for b in self.back_ends + self.back_ends[::-1]:
            self.plan.to_do -= 1
            if b.name in row.refused or b.name in row.errors:
                continue
            try:
                block.setdefault(b.name, []).append(self.run(b, row.cell))
            except Refused as reason:
                row.refused[b.name] = str(reason)
            except FAILURES as error:
                row.errors[b.name] = str(error)
        row.blocks.append(block)

    def measure_all(self):
        """Block by block through all rows, so that a row's blocks lie minutes apart; then the uncertain rows again."""
        plan = self.plan
        for turn in range(1, plan.turns + 1):
            for row in self.rows:
                if turn > 1 and not plan.has_time_for_a_block():
                    print(f'The time of {plan.minutes} minutes is over in turn {turn} of {plan.turns}.')
                    return
                self.measure(row)
                print(f'turn {turn}, {self.plan.left_told()} left: {row.line()}', flush=True)
        for row in self.uncertain():
            self.measure(row)
            print(f'again, {self.plan.left_told()} left: {row.line()}', flush=True)

    def uncertain(self):
        """Rows to repeat, one after the other, while there is time and none was repeated too often."""
        again = not self.machine.alone
        while again:
            again = False
            for row in self.rows:
                if row.names_done() and not row.good() and len(row.blocks) < 4 * self.plan.turns:
                    if not self.plan.has_time_for_a_block():
                        return
                    again = True
                    yield row

    def detail(self, cell, folder):
        """One migration of each back-end with all its pictures; not part of the figures."""
        for b in self.back_ends:
            try:
                self.run_once(b, cell, ['--report', os.path.join(folder, b.name)])
            except (Refused, *FAILURES) as error:
                print(f'{b.name}: no pictures of one migration: {error}')
