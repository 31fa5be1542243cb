#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""devtools/bench with a small back-end in Python: what it prints, its report, its exit status.

usage: test_compare.py PATH/TO/dirtylog-bench
       test_compare.py --back-end SOCKET FAULT    (what the runs start)
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'bench'))

from test_back_ends import BackEnd, SET_MEM_TABLE  # noqa: E402

# The name of the case, the back-end's fault, rows, exit status, what must be said, and what must not
CASES = [
    ('packed rings are not offered', '', 'rx 256', 0,
     ['toy keeps', 'no page lost in 1 settings', 'toy: no packed ring'], ['failed']),
    ('nothing was measured', '', 'packed rx 256', 1, ['toy: no result (no packed ring)'], ['failed']),
    ('marks nothing', 'marks nothing', 'split rx 256', 0, ['pages lost in 1 of 1 settings'], ['no page lost']),
    ('a run fails', f'refuses {SET_MEM_TABLE}', 'split rx 256', 1,
     ['toy: dirtylog-bench: SET_MEM_TABLE: the back-end refused', 'toy: failed'], ['keeps ']),
]


def run_case(program, fault, rows, status, wanted, unwanted):
    with tempfile.TemporaryDirectory(prefix='dirtylog-bench.') as folder:
        command = [sys.executable, HERE, '--quick', '--no-huge', '--only', 'toy',
                   '--back-end', f'toy={sys.executable} {os.path.abspath(__file__)} --back-end {{socket}} "{fault}"',
                   '--rows', rows, '--turns', '1', '--minutes', '0.02', '--program', program, '--report', folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        said = done.stdout
        if done.returncode != status:
            return f'exit status {done.returncode}, not {status}:\n{said}'
        # The table's heading names columns.
        told = said.replace('keeps: ', '').replace('on  keeps ', '')
        problems = [f'says "{w}"' for w in unwanted if w in told]
        problems += [f'does not say "{w}"' for w in wanted if w not in said.replace('toy: keeps', 'toy keeps')]
        for name in ('report.md', 'report.txt', 'bench.json'):
            if not os.path.exists(os.path.join(folder, name)):
                problems.append(f'made no {name}')
        if not problems:
            with open(os.path.join(folder, 'bench.json')) as f:
                problems = check_json(json.load(f))
        return '\n'.join(problems + [said]) if problems else None


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
        BackEnd(sys.argv[2], sys.argv[3]).run()
        return
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failures = 0
    for name, *case in CASES:
        problem = run_case(os.path.abspath(sys.argv[1]), *case)
        print(f'{"ok  " if problem is None else "FAIL"} {name}', flush=True)
        if problem is not None:
            print(problem)
            failures += 1
    sys.exit(1 if failures else 0)


if __name__ == '__main__':
    main()
