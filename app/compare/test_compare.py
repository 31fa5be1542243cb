#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""devtools/bench with a small back-end in Python: what it prints, its report, its exit status, and
that nothing is left of it when it is interrupted.

usage: test_compare.py PATH/TO/dirtylog-bench
       test_compare.py --back-end SOCKET FAULT    (what the runs start; FAULT "connects": no listener)
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'bench'))

from test_back_ends import BackEnd, SET_MEM_TABLE  # noqa: E402

# The name of the case, the back-end's fault, rows, exit status, what must be said, and what must not
CASES = [
    ('packed rings are not offered', '', 'rx 256', 0,
     ['toy: ', 'no page lost in 1 settings', 'toy: no packed ring'], ['failed']),
    ('the back-end connects', 'connects', 'split rx 256', 0, ['no page lost in 1 settings'], ['failed']),
    ('nothing was measured', '', 'packed rx 256', 1, ['toy: no result (no packed ring)'], ['failed']),
    ('a direction that it does not have', '', 'split tx 256', 1, ['toy: no result (no tx)'], ['failed']),
    ('marks nothing', 'marks nothing', 'split rx 256', 0, ['pages lost in 1 of 1 settings'], ['no page lost']),
    ('a run fails', f'refuses {SET_MEM_TABLE}', 'split rx 256', 1,
     ['toy: dirtylog-bench: SET_MEM_TABLE: the back-end refused', 'toy: no result (failed)'], ['keeps ']),
]
LIMIT = 120     # seconds


def command_of(program, folder, fault, rows):
    """devtools/bench, and the file of its back-end."""
    listens = 'front-end' if fault == 'connects' else 'back-end'
    path = os.path.join(folder, 'toy.conf')
    with open(path, 'w') as f:
        f.write('about = a small one in Python\n'
                f'start = {{python}} {os.path.abspath(__file__)} --back-end {{socket}}\n  "{fault}"\n'
                f'listens = {listens}\nrx = none\n')
    return [sys.executable, HERE, '--quick', '--no-huge', '--back-end', path, '--rows', rows, '--direction', 'rx,tx,both',
            '--turns', '1', '--minutes', '0.02', '--program', program, '--report', os.path.join(folder, 'report')]


def run_case(program, fault, rows, status, wanted, unwanted):
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        done = subprocess.run(command_of(program, folder, fault, rows), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=LIMIT)
        said = done.stdout
        if done.returncode != status:
            return f'exit status {done.returncode}, not {status}:\n{said}'
        # The table's heading names columns.
        told = said.replace('keeps: ', '').replace('on  keeps ', '')
        problems = [f'says "{w}"' for w in unwanted if w in told]
        problems += [f'does not say "{w}"' for w in wanted if w not in said]
        for name in ('report.md', 'report.html', 'report.txt', 'screen.txt', 'bench.json'):
            if not os.path.exists(os.path.join(folder, 'report', name)):
                problems.append(f'made no {name}')
        if not problems:
            with open(os.path.join(folder, 'report', 'bench.json')) as f:
                problems = check_json(json.load(f))
            with open(os.path.join(folder, 'report', 'screen.txt')) as f:
                problems += check_screen(f.read(), said)
        return '\n'.join(problems + [said]) if problems else None


def processes_with(word):
    """Whose environment or command line has it."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/cmdline', 'rb') as c, open(f'/proc/{pid}/environ', 'rb') as e:
                if word.encode() in c.read() + e.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def run_interrupted(program, number, status):
    """In the middle of its second turn; what it measured before is told, and nothing is left."""
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        scratch = os.path.join(folder, 'scratch')
        os.mkdir(scratch)
        command = command_of(program, folder, '', 'split rx 256')
        command[command.index('--turns') + 1], command[command.index('--minutes') + 1] = '50', '5'
        bench = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                 env={**os.environ, 'TMPDIR': scratch}, start_new_session=True)
        try:
            said = ''
            for line in bench.stdout:
                said += line
                if line.startswith('turn 1'):
                    break
            deadline = time.monotonic() + LIMIT
            while not os.listdir(scratch) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.5)
            # As a terminal does it, to all that it started in its own group
            (os.killpg if number == signal.SIGINT else os.kill)(bench.pid, number)
            said += bench.communicate(timeout=LIMIT)[0]
        finally:
            bench.kill()
        if bench.returncode != status:
            return f'exit status {bench.returncode}, not {status}:\n{said}'
        if 'no page lost in 1 settings' not in said or 'Traceback' in said:
            return f'does not tell what it measured:\n{said}'
        if os.listdir(scratch):
            return f'leaves {os.listdir(scratch)}'
        if processes_with(scratch):
            return f'leaves processes {processes_with(scratch)}'
    return None


def check_screen(text, said):
    """It is what the program ends with, and is small: the demo shows 8 settings and a guest in QEMU in 25 lines."""
    lines = text.splitlines()
    problems = [] if text in said else ['does not end with its screen']
    if len(lines) > 11:
        problems.append(f'its screen has {len(lines)} lines')
    return problems + [f'a line of its screen has {len(line)} columns' for line in lines if len(line) > 130]


def check_json(data):
    """The figures must follow from the migrations that stand beside them."""
    for row in data['rows']:
        for interval, result in row['intervals'].items():
            if 'toy' not in result['back_ends']:
                continue
            migrations = [m for block in row['blocks'] for run in block['toy'] for m in run['migrations'][interval]]
            if not migrations:
                return ['a result without a migration']
            for m in migrations:
                if abs(m['kept'] * (m['before'] + m['after']) / 2 - m['during']) > 1e-6:
                    return [f'kept is not during / mean of before and after: {m}']
    return []


def main():
    if sys.argv[1:2] == ['--back-end']:
        BackEnd(sys.argv[2], sys.argv[3], connects=sys.argv[3] == 'connects').run()
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failures = 0
    program = os.path.abspath(sys.argv[1])
    tests = [(name, run_case, case) for name, *case in CASES]
    tests += [('Ctrl-C', run_interrupted, (signal.SIGINT, 130)), ('SIGTERM', run_interrupted, (signal.SIGTERM, 143))]
    for name, function, case in tests:
        problem = function(program, *case)
        print(f'{"ok  " if problem is None else "FAIL"} {name}', flush=True)
        if problem is not None:
            print(problem)
            failures += 1
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
