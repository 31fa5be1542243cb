# SPDX-License-Identifier: BSD-3-Clause
"""A line of the table: what all runs of one setting say together."""
import statistics

import cores
import row_statistics as stats


BOTTLENECK = 0.9    # share of its time in which a back-end must have had work for a rate to be its own


class Row:
    """A cell of the matrix: blocks of runs of all back-ends. It has a line per harvest interval."""

    def __init__(self, cell, intervals, back_ends):
        self.cell = cell
        self.intervals = intervals
        self.names = [b.name for b in back_ends]
        self.blocks = []
        self.refused = {}
        self.errors = {}

    def runs(self, name):
        if name in self.refused or name in self.errors:
            return []
        return [run for block in self.blocks for run in block.get(name, []) if run.all_pairs]

    def names_done(self):
        return [name for name in self.names if self.runs(name)]

    def typical(self, name):
        """The runs that rates are told of: of the first state that all back-ends had, or all where there is none."""
        for state in cores.STATES:
            if all(any(run.cores.state() == state for run in self.runs(n)) for n in self.names_done()):
                return [run for run in self.runs(name) if run.cores.state() == state]
        return self.runs(name)

    def off(self, name):
        return statistics.median(run.off() for run in self.typical(name))

    def on(self, name, interval):
        return statistics.median(run.on(interval) for run in self.typical(name))

    def kept(self, name, interval):
        return statistics.median(p.kept for run in self.runs(name) for p in run.useful(interval))

    def kept_good(self, name, interval):
        return stats.kept_is_good(self.counted(name, interval))

    def ratios(self, name, interval=None, state=cores.NEAR):
        """To the first back-end, of runs in turn with cores in the same state: while migrating, or without an
        interval not. Then: do they count?"""
        def rates(name):
            return [run.off() if interval is None else run.on(interval) for run in self.runs(name)
                    if run.complete() and run.cores.state() == state]

        ratios = stats.ratios_in_turn(rates(self.names[0]), rates(name))
        return ratios, stats.ratio_is_good(ratios)

    def counted(self, name, interval):
        """What it kept, of migrations that count, by run."""
        return [[p.kept for p in run.pairs.get(interval, [])] for run in self.runs(name)]

    def counts(self, name, interval):
        """Whether its figures may be told."""
        return stats.kept_span(self.counted(name, interval)) is not None

    def kept_told(self, name, interval):
        span = stats.kept_span(self.counted(name, interval))
        percent = [100 * value for value in span] if span else None
        return stats.as_text(percent, 100 * self.kept(name, interval), self.kept_good(name, interval), '{:.1f}') + '%' * bool(span)

    def good(self):
        names = self.names_done()
        others = [n for n in names[1:] if names[0] == self.names[0]]
        return (all(self.kept_good(n, i) for n in names for i in self.intervals) and
                all(self.ratios_good(n, i) for n in others for i in (None, *self.intervals)))

    def ratios_good(self, name, interval):
        """In one state at least; a single one of another state does not matter."""
        told = [self.ratios(name, interval, state) for state in cores.STATES]
        return any(good for _, good in told) and all(good or len(ratios) < 2 for ratios, good in told)

    def waited(self, name):
        """Whether the guest was the slower side: then its rate is told, and the back-end can do more."""
        return statistics.median(run.back_end_busy for run in self.runs(name)) < BOTTLENECK

    def rates_told(self, name, interval):
        return [f'{">" if self.waited(name) else ""}{rate:.2f}' for rate in (self.off(name), self.on(name, interval))]

    def lost(self, name):
        return max(run.lost for run in self.runs(name))

    def migrations(self, interval):
        """How many were measured, and how many of these count."""
        runs = [run for name in self.names for run in self.runs(name)]
        return (sum(len(run.all_pairs.get(interval, [])) for run in runs),
                sum(len(run.pairs.get(interval, [])) for run in runs))

    def title(self):
        return self.cell.title()

    def columns(self, interval):
        c = self.cell
        result = [c.ring, 'mrg' if c.mergeable else 'tables' if c.tables else '', c.direction, str(c.size),
                  c.buffers_named().replace('random', 'rnd'), str(interval)]
        for name in self.names:
            runs = self.runs(name)
            lost = str(self.lost(name)) if runs else '-'
            if not self.counts(name, interval):
                result += ['-', '-', '-', lost, '-']
                continue
            result += [*self.rates_told(name, interval), self.kept_told(name, interval), lost,
                       f'{100 * statistics.median(r.guest_busy for r in runs):.0f}/'
                       f'{100 * statistics.median(r.back_end_busy for r in runs):.0f}']
        for name in self.names[1:]:
            for state in cores.STATES:
                for i in (None, interval):
                    ratios, good = self.ratios(name, i, state)
                    result.append(stats.as_text(stats.ratio_span(ratios), statistics.median(ratios or [0]), good, '{:.2f}'))
        measured, counted = self.migrations(interval)
        return result + [f'{counted}/{measured}', ', '.join(self.remarks(interval))]

    def remarks(self, interval):
        told = [f'{name}: {why}' for name, why in self.refused.items()] + [f'{name}: failed' for name in self.errors]
        if not all(self.counts(name, interval) for name in self.names_done()):
            told.append('-: cores were taken')
        return told

    def line(self):
        parts = []
        for name in self.names:
            if name in self.errors or name in self.refused:
                parts.append(f'{name}: {self.errors.get(name) or self.refused[name]}')
            elif self.runs(name):
                told = [(f'{self.on(name, i):.2f}', self.kept_told(name, i)) if self.counts(name, i) else ('-', '-')
                        for i in self.intervals]
                on, kept = (', '.join(each) for each in zip(*told))
                off = f'{self.off(name):.2f}' if self.counts(name, self.intervals[0]) else '-'
                parts.append(f'{name} {off} -> {on} Mpps (keeps {kept}, {self.lost(name)} pages lost)')
        return f'{self.title()}: {"; ".join(parts)}'

    def json(self):
        return {
            'cell': self.cell._asdict(), 'refused': self.refused, 'errors': self.errors,
            'intervals': {interval: {
                'back_ends': {name: {'off': self.off(name), 'on': self.on(name, interval),
                                     'kept': self.kept(name, interval), 'good': self.kept_good(name, interval),
                                     'pages_lost': self.lost(name)} for name in self.names_done()},
                'ratios': {name: {state: {'off': self.ratios(name, None, state),
                                          'on': self.ratios(name, interval, state)}
                                  for state in cores.STATES}
                           for name in self.names_done() if name != self.names[0]},
            } for interval in self.intervals},
            'blocks': [{name: [run.json() for run in runs] for name, runs in block.items()}
                       for block in self.blocks],
        }


def rows_runs(rows):
    return [run for row in rows for name in row.names for run in row.runs(name)]


def lines_of(rows):
    return [(row, interval) for row in rows for interval in row.intervals]
