#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mode count of dirtylog-port-bench: its JSON is complete; and a cell of it in valgrind, where there is one.

usage: test_count.py PATH/TO/dirtylog-port-bench PATH/TO/librte_net_dirtylog.so
"""
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile

DRIVERS = ['net_vhost', 'net_dirtylog']
INSTRUCTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'instructions.py')


def run(folder, *command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, 'TMPDIR': folder})


def check_count(cells, drivers, sizes, bursts, n):
    wanted = itertools.product(drivers, ('split', 'packed'), ('rx', 'tx'), sizes, bursts, (False, True),
                               ('ring', 'random', 'table'))
    keys = ('driver', 'ring', 'direction', 'size', 'burst', 'log', 'order')
    assert sorted(tuple(c[k] for k in keys) for c in cells) == sorted(wanted), cells
    for c in cells:
        # The guest always has as many buffers as are wanted, or packets: no burst is short.
        assert c['bursts'] == n and c['packets'] == n * c['burst'], c


def test_count(folder, program, driver):
    for args, *what in ((['--bursts', '20'], DRIVERS, (64, 1518), (1, 4, 32), 20),
                        (['--quick', '--bursts', '3', '--port', 'net_dirtylog'], DRIVERS[1:], (64,), (1, 32), 3)):
        done = run(folder, program, '--driver', driver, '--mode', 'count', '--no-huge', *args)
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout)
        assert data['complete']
        check_count(data['count'], *what)
        print(f'ok   count: {len(data["count"])} cells')


def test_wrong_usage(folder, program, driver):
    for args, status in ((['--bursts', '0'], 2), (['--port', 'net_null'], 2), (['--cells', 'none'], 1)):
        done = run(folder, program, '--driver', driver, '--mode', 'count', '--no-huge', *args)
        assert done.returncode == status and args[0] in done.stderr, (args, done)
    for args in ([], ['--driver', driver], ['--driver', 'name=/nonexistent.so']):
        done = run(folder, INSTRUCTIONS, '--port-bench', program, *args)
        assert done.returncode == 2 and '--driver' in done.stderr and not done.stdout, (args, done)
    print('ok   wrong usage')


def test_instructions(folder, program, driver):
    """A cell of each driver, and of one of them three times: the same to the instruction."""
    if shutil.which('valgrind') is None:
        print('skip instructions: valgrind is not installed')
        return
    counts = []
    for first in 'net_vhost', driver:
        told = os.path.join(folder, 'instructions.json')
        done = run(folder, INSTRUCTIONS, '--port-bench', program, '--driver', f'one={first}', '--driver',
                   f'other={driver}', '--cells', 'packed/rx/64/4/on/random', '--json', told)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 3 and 'ratio' in done.stdout, done.stdout
        with open(told, encoding='utf-8') as f:
            drivers = json.load(f)['drivers']
        os.unlink(told)
        assert [d['name'] for d in drivers] == ['one', 'other'], drivers
        for d in drivers:
            cell, = d['cells']
            # Fewer let no packet through, and more would be no count of bursts alone.
            assert 20 < cell['instructions'] / cell['packets'] < 5000, cell
            counts.append(cell['instructions'])
    assert counts[1] == counts[2] == counts[3], counts
    print(f'ok   instructions: {counts}')


def main():
    program, driver = (os.path.abspath(path) for path in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        for test in test_count, test_wrong_usage, test_instructions:
            test(folder, program, driver)
        assert not os.listdir(folder), os.listdir(folder)


main()
