# SPDX-License-Identifier: BSD-3-Clause
"""Back-ends side by side: devtools/bench, which is python3 app/compare. options.py says what it does."""
import os
import signal
import sys

import back_end
import options
import ports
import report
from comparison import Comparison
from cores import Cores
from machine import Machine
from matrix import matrix
from screen import screen
from table import noise


class Terminated(Exception):
    """As an exception, so that the back-end is stopped on the way out."""


def terminate(*_):
    raise Terminated


# Exit status by what ended the runs early
ENDS = {KeyboardInterrupt: 130, Terminated: 143}


def choose_cells(args):
    words = (args.rows or '').split()
    return [cell for cell in matrix(args.quick, args.direction) if all(w in cell.title() for w in words)]


def choose_headline(cells):
    """The setting of which one migration is told in detail."""
    preferred = [c for c in cells if (c.ring, c.size, c.direction) == ('split', 64, 'rx') and c.buffers > 256]
    return (preferred or cells)[0]


def begin(args, machine, comparison, names):
    print(machine.describe())
    if not machine.huge:
        print('Fewer than 400 huge pages of 2 MiB are free, or not wanted: rates are lower than with them.')
    if taken := machine.noise():
        print(f'SOMETHING ELSE USES {taken} right now: most of what is measured will not count.')
    print(f'{len(comparison.rows)} settings, {args.turns} blocks of turns or more, {comparison.plan.pairs} migrations '
          f'per turn and harvest interval: {", ".join(names)}\n', flush=True)


def measure(args, machine, comparison, names, headline):
    """Figures of single bursts, whether they failed, and the exit status of an early end or None."""
    try:
        comparison.measure_all()
        comparison.detail(headline, args.report)
        told, failed = ports.measure(args, machine, names)
        if noise(comparison.rows):
            comparison.instructions = ports.instructions(args, names)
        return told, failed, None
    except tuple(ENDS) as end:
        print(f'\nbench: {"interrupted" if isinstance(end, KeyboardInterrupt) else "terminated"}; what was measured until then:')
        return None, False, ENDS[type(end)]


def main():
    signal.signal(signal.SIGTERM, terminate)
    args = options.parse(sys.argv[1:])
    if args.list:
        print(back_end.describe())
        return 0
    machine = Machine([int(c) for c in args.cpus.split(',')] if args.cpus else None, not args.no_huge)
    back_ends = back_end.choose(args)
    names = [b.name for b in back_ends]
    cells = choose_cells(args)
    if not cells:
        args.wrong(f'--rows: no setting has all of "{args.rows}" in its title')
    headline = choose_headline(cells)
    try:
        os.makedirs(args.report, exist_ok=True)
        report.store(args.report, 'report.txt', '')     # rather now than after all runs
    except OSError as error:
        sys.exit(f'bench: --report: {error}')

    watched = Cores(args.program, machine.guest, machine.back_end)
    comparison = Comparison(args, machine, back_ends, cells, watched)
    begin(args, machine, comparison, names)
    told, ports_failed, ended = measure(args, machine, comparison, names, headline)
    comparison.rows = [row for row in comparison.rows if row.blocks]    # all, but for an early end
    if not comparison.rows:
        print('nothing')
        return ended
    print('\n' + screen(comparison, names))
    report.write(args.report, comparison, names, told, headline, ' '.join(['devtools/bench'] + sys.argv[1:]))
    print(f'Report: {os.path.join(args.report, "report.html")}, and all tables; the same in Markdown beside it')
    rows = comparison.rows
    failed = ports_failed or any(row.errors for row in rows) or not any(row.names_done() for row in rows)
    return ended or (1 if failed else 0)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except tuple(ENDS) as end:
        sys.exit(ENDS[type(end)])
