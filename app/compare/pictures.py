# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of the table, by gnuplot: rates with and without a migration, and what is kept."""
import os
import shutil
import subprocess

DARK = ['#6b7785', '#1f5fa8', '#c8641e', '#3a8a3a', '#8a5fa8']
LIGHT = ['#c9d0d8', '#8db4de', '#ecb48c', '#a6d3a6', '#cbb3de']
STYLE = '''reset
set datafile missing '?'
set style data histogram
set style histogram clustered gap 1.2
set style fill solid noborder
set boxwidth 0.95
set rmargin 14
set xtics rotate by -35 noenhanced scale 0
set grid ytics lc rgb "#d0d0d0"
set yrange [0:*]
set xlabel 'ring (without mergeable buffers), direction of the guest, packet size, buffers (Ki: random order)' noenhanced
set key tmargin center horizontal noenhanced'''


def plot_lines(rows):
    """Those that fit a picture: without mergeable or tables, at the shortest interval, with a figure that counts."""
    return [(row, row.intervals[0]) for row in rows
            if not (row.cell.mergeable or row.cell.tables) and
            any(row.counts(name, row.intervals[0]) for name in row.names_done())]


def data(lines, names):
    text = '# row' + ''.join(f', {n} off, {n} on, {n} keeps' for n in names) + '\n'
    for row, interval in lines:
        c = row.cell
        buffers = c.buffers if c.buffers < 1024 else f'{c.buffers // 1024}Ki'
        text += f'"{c.ring} {c.direction} {c.size}B {buffers}"'
        for name in names:
            text += (f' {row.off(name):.4f} {row.on(name, interval):.4f} {100 * row.kept(name, interval):.2f}'
                     if row.counts(name, interval) else ' ? ? ?')
        text += '\n'
    return text


def plots(lines, names):
    """What is plotted, of rates and of what is kept."""
    rates, kept = [], []
    for i, name in enumerate(names):
        lacks = sorted({row.refused[name] for row, _ in lines if name in row.refused})
        lacks = f' ({", ".join(lacks)})' if lacks else ''
        rates += [f"'bench.dat' using {2 + 3 * i}:xtic(1) lc rgb '{LIGHT[i % 5]}' title '{name}, no migration'",
                  f"'' using {3 + 3 * i} lc rgb '{DARK[i % 5]}' title '{name}, migrating'"]
        kept.append(f"'bench.dat' using {4 + 3 * i}:xtic(1) lc rgb '{DARK[i % 5]}' title '{name}{lacks}'")
    return ', '.join(rates), ', '.join(kept)


def script(lines, names):
    rates, kept = plots(lines, names)
    width = max(900, 70 * len(lines) + 150)
    interval = lines[0][1]
    commands = []
    for kind, terminal in (('svg', f"svg size {width},560 dynamic font 'sans-serif,13' background rgb 'white'"),
                           ('png', f"pngcairo size {width},560 font 'sans,11' background rgb 'white'")):
        commands += [
            f'set terminal {terminal}', STYLE, f"set output 'rates.{kind}'",
            f"set title 'Packet rate, {' and '.join(names)}, a harvest each {interval} ms' noenhanced",
            "set ylabel 'million packets per second'", f'plot {rates}',
            f"set title 'What is kept of the packet rate while the guest migrates, a harvest each {interval} ms'",
            f"set output 'keeps.{kind}'", "set ylabel '% of the rate without migration'",
            "set arrow from graph 0, first 100 to graph 1, first 100 nohead lc rgb '#808080'",
            f'plot {kept}', 'unset arrow',
        ]
    return '\n'.join(commands) + '\n'


def draw(folder, rows, names):
    """The names of the pictures that were drawn."""
    lines = plot_lines(rows)
    if not lines:
        return []
    for name, text in (('bench.dat', data(lines, names)), ('bench.gp', script(lines, names))):
        with open(os.path.join(folder, name), 'w') as f:
            f.write(text)
    if shutil.which('gnuplot') is None:
        print('bench: no gnuplot here: the report has no pictures')
        return []
    subprocess.run(['gnuplot', 'bench.gp'], cwd=folder, timeout=60, check=True)
    return ['keeps', 'rates']
