# SPDX-License-Identifier: BSD-3-Clause
"""The table of all rows, what its columns mean, and a line for each back-end."""
import statistics

import row_statistics as stats
from row import lines_of

NOTES = '''off, on: million packets per second without and with a migration going on (medians, of runs with
cores near each other and for themselves where there are some, else far apart). both: what the guest
receives and what it sends, together. keeps: on / off, of each migration and the baselines just before
and after it (median). lost: pages of guest memory that did not arrive at the destination (most of all
runs). busy: % of its time in which the guest, and in which the back-end had work while migrating. >: the
guest's rate, since it was the slower side; the back-end can do more. counted: migrations that count, of
those measured: the others have baselines that differ by more than {halves:.0f} %, or something else took CPU time.
Two figures: not certain to {good:.0f} %, it lies between them (interval of the median, by ranks).
"-": too few count, since cores were taken; all that was measured is in bench.json.{others}'''


def table(rows, names):
    # What stands above a group of columns, and the columns.
    groups = [('', ['ring', '', 'guest', 'bytes', 'buffers', 'ms'])]
    groups += [(name, ['off', 'on', 'keeps', 'lost', 'busy']) for name in names]
    groups += [(f'/ {names[0]}, near', ['off', 'on']), ('far apart', ['off', 'on'])] * (len(names) - 1)
    groups += [('', ['counted', ''])]
    cells = [[text for _, columns in groups for text in columns]]
    cells += [row.columns(interval) for row, interval in lines_of(rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    above, column = [], 0
    for name, columns in groups:
        # A long name widens its group.
        width = sum(widths[column:column + len(columns)]) + 2 * (len(columns) - 1)
        widths[column] += max(0, len(name) - width)
        above.append(name.center(max(width, len(name))))
        column += len(columns)
    lines = ['  '.join([text.rjust(width) for text, width in zip(line[:-1], widths)] + line[-1:]).rstrip()
             for line in cells]
    lines[:1] = ['  '.join(above).rstrip(), lines[0]]
    lines.insert(2, '-' * max(len(line) for line in lines))
    return '\n'.join(lines)


def summary(rows, names):
    """One line per back-end: what it keeps, what it loses."""
    lines = []
    for name in names:
        done = [row for row in rows if row.runs(name)]
        if not done:
            reasons = sorted({row.refused[name] for row in rows if name in row.refused})
            reasons += ['failed'] * any(name in row.errors for row in rows)
            lines.append(f'{name}: no result' + (f' ({", ".join(reasons)})' if reasons else ''))
            continue
        counted = [each for each in lines_of(done) if each[0].counts(name, each[1])]
        kept = sorted(row.kept(name, interval) for row, interval in counted)
        losing = sum(1 for row in done if row.lost(name) > 0)
        pages = max(row.lost(name) for row in done)
        loss = (f'pages lost in {losing} of {len(done)} settings (up to {pages} of one guest)' if losing
                else f'no page lost in {len(done)} settings')
        keeps = (f'keeps {100 * kept[0]:.0f} to {100 * kept[-1]:.0f} % of its packet rate while it migrates '
                 f'(median {100 * statistics.median(kept):.0f} %)' if kept else
                 'packet rates: -, cores were taken')
        if 0 < len(kept) < len(lines_of(done)):
            keeps += f' in the {len(kept)} of {len(lines_of(done))} lines that count'
        lines.append(f'{name}: {keeps}; {loss}')
    return lines


def noise(rows):
    """A sentence where the machine spoilt most of the figures; else nothing."""
    lines = [(row, interval, name) for row, interval in lines_of(rows) for name in row.names_done()]
    spoilt = sum(not row.counts(name, interval) for row, interval, name in lines)
    if spoilt == 0:
        return ''
    return (f'THE MACHINE WAS TOO BUSY WITH OTHER THINGS for {spoilt} of {len(lines)} figures: they are "-". Lost pages count '
            'all the same.')


def notes(names):
    others = ''
    if len(names) > 1:
        others = (f'\n/ {names[0]}: ratio to {names[0]} of runs in turn with cores for themselves, near each other or far '
                  'apart\n(medians).')
    return NOTES.format(others=others, halves=100 * stats.HALVES, good=100 * stats.GOOD)
