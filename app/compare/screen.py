# SPDX-License-Identifier: BSD-3-Clause
"""What fits a screen: how fast, what is lost, and whether that can be trusted."""
import statistics
import textwrap

import cores
import row_statistics as stats
from row import lines_of, rows_runs
from table import noise, summary

WIDTH = 120
HEAD = ['Mpps', 'migrating', 'kept', 'lost']


def ratio(row, name, interval):
    """Packet rate beside that of the first back-end, with a migration or (None) without: text, and median or None."""
    for state in cores.STATES:
        ratios, good = row.ratios(name, interval, state)
        span = stats.ratio_span(ratios)
        if span is not None:
            middle = statistics.median(ratios)
            return stats.as_text(span, middle, good, '{:.2f}'), middle
    return '-', None


def columns(row, interval, names):
    result = [row.title().replace(' buffers', '') + (f', {interval} ms' if len(row.intervals) > 1 else '')]
    for name in names:
        lost = str(row.lost(name)) if row.runs(name) else row.refused.get(name, 'failed')
        if row.counts(name, interval):
            result += [*row.rates_told(name, interval), row.kept_told(name, interval), lost]
        else:
            result += ['-', '-', '-', lost]
    return result + [ratio(row, name, i)[0] for name in names[1:] for i in (None, interval)]


def settings(rows, names):
    groups = [(name, HEAD) for name in names]
    groups += [(f'{name} / {names[0]}' if len(names) > 2 else f'/ {names[0]}', HEAD[:2]) for name in names[1:]]
    lines = [['ring, guest, buffers', *(text for _, head in groups for text in head)]]
    lines += [columns(row, interval, names) for row, interval in lines_of(rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    above, at = ' ' * widths[0], 1
    for name, head in groups:
        width = sum(widths[at:at + len(head)]) + 2 * (len(head) - 1)
        # A long name widens its group.
        widths[at] += max(0, len(name) - width)
        above += '  ' + name.center(max(width, len(name)), '-')
        at += len(head)
    text = ['  '.join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]).rstrip()
            for line in lines]
    return '\n'.join([above, *text])


def machine(comparison):
    told = comparison.machine.describe()
    runs = rows_runs(comparison.rows)
    if not comparison.runner.cores.known or not runs:
        return told
    near, far = (sum(run.cores.state() == state for run in runs) for state in cores.STATES)
    return f'{told}; of {len(runs)} runs {near} had cores near each other, {far} far apart'


def verdict(rows, names):
    """One sentence for each back-end but the first."""
    lines = []
    for name in names[1:]:
        medians = [middle for row, interval in lines_of(rows) for middle in [ratio(row, name, interval)[1]] if middle]
        lines.append(f'While the guest migrates, {name} moves {min(medians):.2f} to {max(medians):.2f} times the packets of '
                     f'{names[0]}.' if medians else
                     f'Whether {name} is faster than {names[0]} is not known: cores were taken.')
    return lines


def screen(comparison, names):
    rows = comparison.rows
    head = ['Million packets per second without and with a migration going on, what is kept of them, pages lost.',
            *textwrap.wrap(f'{machine(comparison)}.', WIDTH)]
    if any(row.counts(name, i) and row.waited(name) for row, i in lines_of(rows) for name in row.names_done()):
        head[0] += ' >: can do more, the guest was slower.'
    told = [*summary(rows, names), *verdict(rows, names), *textwrap.wrap(noise(rows), WIDTH)]
    if comparison.instructions:
        told.append(comparison.instructions[0])
    return '\n\n'.join(['\n'.join(head), settings(rows, names), '\n'.join(told)])
