#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What is told of made-up runs: figures, what is not told, and whose they are."""
import types
import unittest

import cores
from matrix import matrix
from row import Row
from row_statistics import Pair
from screen import screen
from table import table

INTERVAL = 100
NAMES = ['first', 'second']


class Cores:
    def state(self):
        return cores.NEAR


def a_run(rate, kept, lost=0, busy=1.0, counted=4):
    every = [Pair(rate, rate * kept, rate, 0.0)] * 4
    return types.SimpleNamespace(
        cores=Cores(), all_pairs={INTERVAL: every}, pairs={INTERVAL: every[:counted]}, lost=lost, guest_busy=0.5,
        back_end_busy=busy, complete=lambda: counted > 0, off=lambda: rate, on=lambda interval: rate * kept,
        useful=lambda interval: every)


def told(first, second):
    """The line of one setting, and all of the screen. Each block has two runs of both."""
    cell = matrix(True, ['both'])[0]
    row = Row(cell, (INTERVAL,), [types.SimpleNamespace(name=name) for name in NAMES])
    row.blocks = [{'first': [first] * 2, 'second': [second] * 2} for _ in range(2)]
    comparison = types.SimpleNamespace(
        rows=[row], instructions=None, machine=types.SimpleNamespace(describe=lambda: 'a machine'),
        runner=types.SimpleNamespace(cores=types.SimpleNamespace(known=True)))
    text = screen(comparison, NAMES)
    line = next(line for line in text.splitlines() if line.startswith(cell.ring))
    return line.split()[5:], text + table([row], NAMES)


class Screen(unittest.TestCase):
    def test_figures(self):
        line, text = told(a_run(10, 0.8, lost=2), a_run(20, 0.9))
        self.assertEqual(line, ['10.00', '8.00', '80.0%', '2', '20.00', '18.00', '90.0%', '0', '2.00', '2.25'])
        self.assertIn('second moves 2.25 to 2.25 times the packets of first', text)
        self.assertIn('first: keeps 80 to 80 %', text)
        self.assertIn('pages lost in 1 of 1 settings (up to 2 of one guest)', text)
        for word in ('TOO BUSY', '>', '~'):
            self.assertNotIn(word, text)

    def test_nothing_counts(self):
        """Rates that nobody may rely on are not told at all; lost pages are."""
        line, text = told(a_run(10, 1.29, counted=0), a_run(20, 0.9, lost=1, counted=0))
        self.assertEqual(line, ['-', '-', '-', '0', '-', '-', '-', '1', '-', '-'])
        self.assertIn('first: packet rates: -, cores were taken; no page lost in 1 settings', text)
        self.assertIn('TOO BUSY WITH OTHER THINGS for 2 of 2 figures', text)
        self.assertNotIn('129', text)

    def test_the_guest_was_slower(self):
        line, text = told(a_run(10, 0.8), a_run(20, 0.9, busy=0.7))
        self.assertEqual(line[:2] + line[4:6], ['10.00', '8.00', '>20.00', '>18.00'])
        self.assertIn('>: can do more', text)


if __name__ == '__main__':
    unittest.main()
