# SPDX-License-Identifier: BSD-3-Clause
"""Where this project's programs and its driver are."""
import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def find(patterns, what):
    found = [path for pattern in patterns for path in glob.glob(pattern)]
    if not found:
        sys.exit(f'bench: {what} is not built: run devtools/setup, or name it (--help)')
    return max(found, key=os.path.getmtime)


def bench():
    return find([f'{ROOT}/build*/app/bench/dirtylog-bench'], 'dirtylog-bench')


def driver(path):
    return path or find([f'{ROOT}/build*/drivers/net/dirtylog/librte_net_dirtylog.so'], 'net_dirtylog')


def door(path):
    return path or find([f'{ROOT}/build*/drivers/vhost/dirtylog/libdirtylog_vhost.so'], 'the door (libdirtylog_vhost.so)')


def beside(bench_path, folder, name):
    """Another program of the build that dirtylog-bench is of, or of the folder into which both are installed."""
    here = os.path.dirname(bench_path)
    found = [path for path in (os.path.join(here, '..', folder, name), os.path.join(here, name)) if os.path.exists(path)]
    return found[0] if found else None
