# SPDX-License-Identifier: BSD-3-Clause
"""Single bursts, which are seen only inside of the back-end: runs dirtylog-port-bench."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import built

LIMIT = 1800    # seconds that a run may take at most
COUNT_LIMIT = 300


def run(program, driver, machine, quick):
    """All modes, in about half a minute or three."""
    command = [program, '--seconds', '5' if quick else '32', '--json', '-', '--driver', os.path.abspath(driver),
               '--cpus', f'{machine.guest},{machine.back_end}']
    command += ['--quick'] if quick else []
    command += [] if machine.huge else ['--no-huge']
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT,
                              env={**os.environ, 'TMPDIR': folder})
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f'exit status {done.returncode}')
    return json.loads(done.stdout)


def measure(args, machine, names):
    """What it measured, or None where that is not wanted, not built or failed; and whether it failed."""
    if args.no_ports or not {'net_vhost', 'net_dirtylog'} <= set(names):
        return None, False
    program = built.beside(args.program, 'port-bench', 'dirtylog-port-bench')
    if program is None:
        print('bench: no dirtylog-port-bench beside dirtylog-bench: no figures of single bursts')
        return None, False
    print('\nSingle bursts, inside of the back-end ...', flush=True)
    try:
        return run(program, built.driver(args.driver), machine, args.quick), False
    except (RuntimeError, subprocess.TimeoutExpired, ValueError, OSError) as error:
        print(f'dirtylog-port-bench: {error}')
        return None, True


def count_instructions(program, driver, folder):
    """A table, and the ratios in it."""
    path = os.path.join(folder, 'json')
    command = [sys.executable, f'{built.ROOT}/app/port-bench/instructions.py', '--port-bench', program,
               '--driver', 'net_vhost=net_vhost', '--driver', f'net_dirtylog={driver}', '--quick', '--bursts', '64',
               '--cells', '*/*/64/32/*/*', '--json', path]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=COUNT_LIMIT,
                          env={**os.environ, 'TMPDIR': folder})
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    with open(path, encoding='utf-8') as f:
        stock, own = ([cell['instructions'] / cell['packets'] for cell in driver['cells']] for driver in json.load(f)['drivers'])
    return done.stdout.rstrip(), [b / a for a, b in zip(stock, own)]


def instructions(args, names):
    """What does not depend on how busy the machine is, of both drivers: a sentence and a table, or None."""
    program = built.beside(args.program, 'port-bench', 'dirtylog-port-bench')
    if args.no_ports or not {'net_vhost', 'net_dirtylog'} <= set(names) or program is None or shutil.which('valgrind') is None:
        return None
    print('\nOther things took the cores: instructions are counted, too ...', flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
            told, ratios = count_instructions(program, built.driver(args.driver), folder)
    except (RuntimeError, subprocess.TimeoutExpired, ValueError, OSError) as error:
        print(f'instructions.py: {error}')
        return None
    return (f'Instructions per packet, which no neighbour changes: net_dirtylog needs {min(ratios):.2f} to {max(ratios):.2f} times '
            'those of net_vhost.', told)
