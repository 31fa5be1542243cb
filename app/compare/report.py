# SPDX-License-Identifier: BSD-3-Clause
"""The report: a folder with the table, the pictures and all figures."""
import json
import os
import time

import pictures
import port_bench
import row_statistics as stats
from page import Page
from row import lines_of, rows_runs
from screen import screen
from table import notes, table


def as_text(comparison, names, ports):
    """All tables."""
    rows = comparison.rows
    parts = [screen(comparison, names), table(rows, names), notes(names), comparison.runner.cores.told(rows_runs(rows))]
    if comparison.instructions:
        parts.append(comparison.instructions[1])
    if ports:
        parts.append(port_bench.tables(ports))
    return '\n\n'.join(parts)


def as_json(comparison, ports):
    return {'machine': comparison.machine.describe(),
            'back_ends': {b.name: {'about': b.about, 'start': b.template} for b in comparison.back_ends},
            'rows': [row.json() for row in comparison.rows], 'ports': ports}


def how(comparison):
    rows, plan = comparison.rows, comparison.plan
    measured, counted = (sum(n) for n in zip(*(row.migrations(i) for row, i in lines_of(rows))))
    return (f'{time.strftime("%Y-%m-%d %H:%M")}, {plan.passed() / 60:.1f} minutes. {measured} migrations were measured, {counted} '
            f'count: of the others the baselines before and after differ by more than {100 * stats.HALVES:.0f} %, or '
            f'something else took CPU time. {comparison.thrown_away} of {plan.done} runs were repeated for that. '
            f'{comparison.runner.cores.told(rows_runs(rows))} doc/benchmark.md says more.')


def one_migration(page, folder, names, cell):
    """The pictures that dirtylog-bench itself drew."""
    drawn = [n for n in names if os.path.exists(os.path.join(folder, n, 'rate.svg'))]
    if not drawn:
        return
    page.heading('One migration in detail')
    page.text(f'{cell.title()}: packet rate over time, time between two returns of buffers, dirty pages per round.')
    for name in drawn:
        page.heading(name, 3)
        for picture in ('rate', 'gaps', 'dirty'):
            page.picture(f'{name}/{picture}.svg', f'{name}, {picture}')


def make_page(folder, comparison, names, ports, headline, command):
    """The screen and two pictures; how it was measured; all figures."""
    rows = comparison.rows
    page = Page('Packet rates of vhost-user-net back-ends during live migration')
    page.block(screen(comparison, names))
    for picture in pictures.draw(folder, rows, names):
        page.picture(f'{picture}.svg', picture)
    page.heading('How it was measured')
    page.text(how(comparison))
    page.text(f'Made by: {command}')
    one_migration(page, folder, names, headline)
    page.heading('All figures')
    page.block(table(rows, names))
    page.text(notes(names))
    for row in rows:
        for name, error in row.errors.items():
            page.text(f'{row.title()}: {name}: {error}')
    if comparison.instructions:
        page.heading('Instructions instead of time')
        page.block(comparison.instructions[1])
    if ports:
        page.heading('Inside of the back-end')
        page.block(port_bench.tables(ports))
    return page


def store(folder, name, text):
    with open(os.path.join(folder, name), 'w') as f:
        f.write(text)


def write(folder, comparison, names, ports, headline, command):
    """headline: the setting of which there is one migration in detail."""
    store(folder, 'screen.txt', screen(comparison, names) + '\n')
    store(folder, 'report.txt', as_text(comparison, names, ports) + '\n')
    store(folder, 'bench.json', json.dumps(as_json(comparison, ports), indent=1))
    page = make_page(folder, comparison, names, ports, headline, command)
    store(folder, 'report.md', page.markdown())
    store(folder, 'report.html', page.html(folder))
