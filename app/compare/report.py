# SPDX-License-Identifier: BSD-3-Clause
"""The report: a folder with the table, the pictures and all figures."""
import json
import os
import time

import pictures
import port_bench
import row_statistics as stats
from row import lines_of, rows_runs
from screen import screen
from table import notes, table


def as_text(comparison, names, ports):
    """All tables."""
    rows = comparison.rows
    parts = [screen(comparison, names), table(rows, names), notes(names), comparison.runner.cores.told(rows_runs(rows))]
    if ports:
        parts.append(port_bench.tables(ports))
    return '\n\n'.join(parts)


def as_json(comparison, ports):
    return {'machine': comparison.machine.describe(),
            'back_ends': {b.name: {'about': b.about, 'start': b.template} for b in comparison.back_ends},
            'rows': [row.json() for row in comparison.rows], 'ports': ports}


def head(comparison):
    rows, plan = comparison.rows, comparison.plan
    measured, counted = (sum(n) for n in zip(*(row.migrations(i) for row, i in lines_of(rows))))
    return (f'{time.strftime("%Y-%m-%d %H:%M")}, {plan.passed() / 60:.1f} minutes. {measured} migrations were measured, {counted} '
            f'count: of the others the baselines before and after differ by more than {100 * stats.HALVES:.0f} %, or '
            f'something else took CPU time. {comparison.thrown_away} of {plan.done} runs were repeated for that. '
            f'{comparison.runner.cores.told(rows_runs(rows))} doc/benchmark.md says more.\n\n')


def one_migration(folder, names, cell):
    """The pictures that dirtylog-bench itself drew."""
    drawn = [n for n in names if os.path.exists(os.path.join(folder, n, 'rate.svg'))]
    if not drawn:
        return ''
    text = ('## One migration in detail\n\n'
            f'{cell.title()}: packet rate over time, time between two returns of buffers, dirty pages per round.\n\n')
    for name in drawn:
        text += f'### {name}\n\n' + ''.join(f'![{name}, {p}]({name}/{p}.svg)\n' for p in ('rate', 'gaps', 'dirty')) + '\n'
    return text


def as_markdown(comparison, names, ports, drawn, details, command):
    rows = comparison.rows
    text = f'# Packet rates of vhost-user-net back-ends during live migration\n\n```\n{screen(comparison, names)}\n```\n\n'
    text += ''.join(f'![{picture}]({picture}.svg)\n\n' for picture in drawn)
    text += f'## How it was measured\n\n{head(comparison)}## All figures\n\n```\n{table(rows, names)}\n```\n\n{notes(names)}\n\n'
    for row in rows:
        text += ''.join(f'* {row.title()}: {name}: {error}\n' for name, error in row.errors.items())
    text += details
    if ports:
        text += f'## Inside of the back-end\n\n```\n{port_bench.tables(ports)}\n```\n\n'
    return text + f'Made by `{command}`.\n'


def store(folder, name, text):
    with open(os.path.join(folder, name), 'w') as f:
        f.write(text)


def write(folder, comparison, names, ports, headline, command):
    """headline: the setting of which there is one migration in detail."""
    store(folder, 'screen.txt', screen(comparison, names) + '\n')
    store(folder, 'report.txt', as_text(comparison, names, ports) + '\n')
    store(folder, 'bench.json', json.dumps(as_json(comparison, ports), indent=1))
    drawn = pictures.draw(folder, comparison.rows, names)
    details = one_migration(folder, names, headline)
    store(folder, 'report.md', as_markdown(comparison, names, ports, drawn, details, command))
