# SPDX-License-Identifier: BSD-3-Clause
"""Packet rates of vhost-user-net back-ends while their guest migrates, side by side.

Each run starts a back-end, lets dirtylog-bench be its VMM and guest, and stops
it. In a run migrations and times without one alternate: what a back-end keeps
is taken from a migration and the two baselines beside it, and does not count
where these two disagree. Runs of the back-ends take turns A B B A, so that a
machine that drifts does so for all, and are compared only with each other where
the cores were in the same state (cores.py). Rows whose ratios are not certain
to 5 % are repeated while there is time, then marked.

Which back-ends: --back-end NAME (--list names them), or --back-end FILE for one of
your own, as doc/benchmark.md says; others are compared with the first.

  devtools/bench --quick                                   net_vhost and net_dirtylog, in 3 minutes
  devtools/bench --quick --back-end ovs --back-end ovs-door --direction both --minutes 6

A figure that does not count is "-": the machine was too busy, and the report says so.

Exit status: 0 something was measured, and what was not the back-end does not
offer (packed rings, say); 1 nothing was, or a run failed in another way; 2 wrong
usage; 130 or 143 it was interrupted or terminated: what was measured until then is
told. Lost pages are a result like others: they do not change it.
"""
import argparse
import re

import built
from back_end_file import DIRECTIONS


def parse(argv):
    p = argparse.ArgumentParser(prog='devtools/bench', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='8 settings, in under 3 minutes')
    p.add_argument('--report', metavar='DIR', help='folder for table and pictures (bench-report)',
                   default='bench-report')
    p.add_argument('--back-end', action='append', default=[], metavar='NAME|FILE',
                   help='one of the back-ends (net_vhost and net_dirtylog); NAME=COMMAND is a file with "start" alone')
    p.add_argument('--list', action='store_true', help='name the back-ends that come with this program, and stop')
    p.add_argument('--direction', default='rx,tx', metavar='LIST', help='of rx,tx,both as the guest sees it (rx,tx)')
    p.add_argument('--rows', metavar='WORDS', help='only rows whose title has all these words, such as "split rx 64"')
    p.add_argument('--turns', type=int, help='blocks A B B A per row, or more where needed (2)')
    p.add_argument('--minutes', type=float, help='time limit of the matrix (2.2 with --quick, 55 else); '
                   'figures of single bursts take half a minute or 3 beside it')
    p.add_argument('--cpus', help='CPUs of guest, back-end and, if there is a third, of the thread that moves pages: '
                   '0,1 or, sharing the guest CPU, 0,1,0')
    p.add_argument('--no-ports', action='store_true', help='leave out what is measured inside of the back-end')
    p.add_argument('--no-huge', action='store_true', help='no huge pages, even where there are enough free ones')
    p.add_argument('--program', metavar='PATH', help='dirtylog-bench')
    p.add_argument('--driver', metavar='PATH', help='librte_net_dirtylog.so')
    p.add_argument('--door', metavar='PATH', help='libdirtylog_vhost.so')
    args = p.parse_args(argv)
    args.wrong = p.error
    args.direction = args.direction.split(',')
    for direction in args.direction:
        if direction not in DIRECTIONS:
            p.error(f'--direction: "{direction}" is none of {", ".join(DIRECTIONS)}')
    if args.cpus and not re.fullmatch(r'\d+,\d+(,\d+)?', args.cpus):
        p.error(f'--cpus: "{args.cpus}" is not two or three numbers')
    args.turns = args.turns or 2
    args.intervals = (100,) if args.quick else (100, 1000)
    args.minutes = args.minutes or (2.2 if args.quick else 55)
    if not args.list:
        args.program = args.program or built.bench()
    return args
