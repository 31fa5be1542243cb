# SPDX-License-Identifier: BSD-3-Clause
"""Single bursts, which are seen only inside of the back-end: runs dirtylog-port-bench."""
import json
import os
import subprocess
import tempfile

import built

LIMIT = 1800    # seconds that a run may take at most


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
