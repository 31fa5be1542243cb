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


def choose_cells(args):
    words = (args.rows or '').split()
    return [cell for cell in matrix(args.quick) if all(w in cell.title() for w in words)]


def choose_headline(cells):
    """The setting of which one migration is told in detail."""
    preferred = [c for c in cells if (c.ring, c.size, c.direction) == ('split', 64, 'rx') and c.buffers > 256]
    return (preferred or cells)[0]


def begin(args, machine, comparison, names):
    print(machine.describe())
    if not machine.huge:
        print('Fewer than 400 huge pages of 2 MiB are free, or not wanted: rates are lower than with them.')
    print(f'{len(comparison.rows)} settings, {args.turns} blocks of turns or more, {comparison.plan.pairs} migrations '
          f'per turn and harvest interval: {", ".join(names)}\n', flush=True)


def main():
    # As an exception, so that the back-end is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('bench: terminated'))
    args = options.parse(sys.argv[1:])
    machine = Machine([int(c) for c in args.cpus.split(',')] if args.cpus else None, not args.no_huge)
    back_ends = back_end.choose(args)
    names = [b.name for b in back_ends]
    cells = choose_cells(args)
    if not cells or not back_ends:
        sys.exit('bench: nothing to measure')
    headline = choose_headline(cells)
    os.makedirs(args.report, exist_ok=True)

    watched = Cores(args.program, machine.guest, machine.back_end)
    comparison = Comparison(args, machine, back_ends, cells, watched)
    begin(args, machine, comparison, names)
    comparison.measure_all()
    comparison.detail(headline, args.report)
    told, ports_failed = ports.measure(args, machine, names)
    print('\n' + report.as_text(comparison, names, told))
    report.write(args.report, comparison, names, told, headline, ' '.join(['devtools/bench'] + sys.argv[1:]))
    print(f'Report: {os.path.join(args.report, "report.md")}')
    rows = comparison.rows
    failed = ports_failed or any(row.errors for row in rows) or not any(row.names_done() for row in rows)
    sys.exit(1 if failed else 0)


if __name__ == '__main__':
    main()
