#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per packet of the bursts of vhost ports, counted by valgrind.

usage: instructions.py --port-bench PROGRAM --driver NAME=SO [--driver NAME2=SO2] [options]

SO is a librte_net_dirtylog.so, or the word net_vhost: the stock driver. With two drivers the
table has their ratio, second to first.

  --json FILE      the figures
  --quick          fewer cells
  --bursts N       per cell (512)
  --cells PATTERN  of RING/DIRECTION/SIZE/BURST/LOG/BUFFERS, such as 'packed/rx/64/*/on/random' (*)

BUFFERS are ring (one behind the other), random (scattered), or table (as ring, each an indirect
table of two descriptors: its header, and the rest).

Counted is rte_eth_tx_burst (direction rx, the guest's) or rte_eth_rx_burst (tx) with all that it
calls, in the steady state: each page has its mark already. The figures are the same in each run,
however busy the machine is: a change of the driver shows in them that no time would tell from
noise. They are no times: what waits for memory counts no more than what does not. Valgrind's CPU
has no AVX-512, and libc's memcpy is the one for such a CPU; DPDK runs there without any option.

Exit status: 77 where valgrind is missing.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT = 1800    # seconds for one driver
KEYS = ('ring', 'direction', 'size', 'burst', 'log', 'order')
SKIP = 77


def parse():
    usage, description = __doc__.split('usage: ')[1].split('\n\n', 1)
    parser = argparse.ArgumentParser(usage=usage, description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--port-bench', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--driver', action='append', required=True, help=argparse.SUPPRESS)
    parser.add_argument('--json', help=argparse.SUPPRESS)
    parser.add_argument('--quick', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--bursts', type=int, default=512, help=argparse.SUPPRESS)
    parser.add_argument('--cells', default='*', help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.drivers = []
    for text in args.driver:
        name, _, so = text.partition('=')
        if not name or not so or name in dict(args.drivers):
            parser.error(f"--driver: '{text}' is not NAME=SO with a name of its own")
        if so != 'net_vhost' and not os.path.isfile(so):
            parser.error(f"--driver: there is no file '{so}'")
        args.drivers.append((name, so))
    if len(args.drivers) > 2:
        parser.error('--driver: two at most are compared')
    return args


def dumped(folder, n):
    """What valgrind counted in each of n cells: a numbered file each."""
    counts = []
    for i in range(1, n + 1):
        with open(os.path.join(folder, f'callgrind.{i}'), encoding='utf-8') as f:
            counts.append(int(re.search(r'^totals: (\d+)$', f.read(), re.MULTILINE).group(1)))
    if os.path.exists(os.path.join(folder, f'callgrind.{n + 1}')):
        raise RuntimeError(f'valgrind counted more than the {n} cells that the program tells of')
    return counts


def count(args, so):
    """The program's cells of one driver, with their instructions."""
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, 'json')
        # Collects within the bursts only: neither what the guest does counts, nor other threads.
        command = ['valgrind', '--tool=callgrind', '--toggle-collect=count_burst_*',
                   '--dump-before=count_cell_end', f'--callgrind-out-file={folder}/callgrind',
                   os.path.abspath(args.port_bench), '--mode', 'count', '--no-huge', '--json', result,
                   '--bursts', str(args.bursts), '--cells', args.cells]
        command += ['--quick'] if args.quick else []
        command += ['--port', 'net_vhost'] if so == 'net_vhost' else \
            ['--port', 'net_dirtylog', '--driver', os.path.abspath(so)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT,
                              env={**os.environ, 'TMPDIR': folder})
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if not line.startswith('==')]
            raise RuntimeError('\n'.join(said) or done.stderr or f'exit status {done.returncode}')
        with open(result, encoding='utf-8') as f:
            cells = json.load(f)['count']
        for cell, instructions in zip(cells, dumped(folder, len(cells))):
            if cell['packets'] != cell['bursts'] * cell['burst'] or instructions == 0:
                raise RuntimeError(f'bursts were not full, or not counted ({instructions}): {cell}')
            cell['instructions'] = instructions
        return cells


def per_packet(cell):
    return cell['instructions'] / cell['packets']


def table(names, columns):
    lines = [('ring', 'dir', 'size', 'burst', 'log', 'buffers', *names, *(['ratio'] if len(names) == 2 else []))]
    for row in zip(*columns):
        if len({tuple(c[k] for k in KEYS) for c in row}) != 1:
            raise RuntimeError(f'not the same cells: {row}')
        c = row[0]
        figures = [per_packet(x) for x in row]
        lines.append((c['ring'], c['direction'], c['size'], c['burst'], 'on' if c['log'] else 'off', c['order'],
                      *(f'{x:.1f}' for x in figures),
                      *([f'{figures[1] / figures[0]:.3f}'] if len(figures) == 2 else [])))
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(lines[0]))]
    return '\n'.join('  '.join(str(x).rjust(w) for x, w in zip(line, widths)) for line in lines)


def main():
    args = parse()
    if shutil.which('valgrind') is None:
        print('valgrind is not installed: no instructions are counted', file=sys.stderr)
        return SKIP
    names = [name for name, _ in args.drivers]
    try:
        columns = [count(args, so) for _, so in args.drivers]
        print('Instructions per packet')
        print(table(names, columns))
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
        print(e, file=sys.stderr)
        return 1
    if args.json:
        with open(args.json, 'w', encoding='utf-8') as f:
            json.dump({'drivers': [{'name': name, 'so': so, 'cells': cells}
                                   for (name, so), cells in zip(args.drivers, columns)]}, f, indent=1)
            f.write('\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
