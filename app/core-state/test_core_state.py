#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause

"""dirtylog-core-state tells of each CPU and of each two, and what it cannot follow. No figure is judged."""

import os
import subprocess
import sys


def run(*args):
    return subprocess.run([sys.argv[1], *args], capture_output=True, text=True, timeout=60)


cpus = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))]
told = run(*cpus)
lines = [line.split() for line in told.stdout.splitlines()]
assert told.returncode == 0 and not told.stderr, told
pairs = [f'{a}-{b}' for a, b in zip(cpus, cpus[1:])]
assert [line[0] for line in lines] == cpus + pairs, told
assert all(0 < float(line[1]) < 100 for line in lines[:len(cpus)]), told
assert all(float(line[1]) > 0 for line in lines[len(cpus):]), told
assert run(cpus[0], cpus[0]).stdout.count('\n') == 2

for args, code, word in (((), 2, "usage"), (("x",), 2, '"x"'), (("",), 2, '""'), (("99999",), 2, '"99999"'),
                         (("1023",), 1, "CPU 1023")):
    refused = run(*args)
    assert refused.returncode == code and word in refused.stderr and not refused.stdout, (args, refused)
