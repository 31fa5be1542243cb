# SPDX-License-Identifier: BSD-3-Clause
"""Where this project's programs and its driver are."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def built(path):
    """In build/: other folders have builds for other DPDKs, with sanitizers, without optimisation."""
    found = f'{ROOT}/build/{path}'
    if not os.path.exists(found):
        sys.exit(f'bench: {found} is not built: README.md says how; or name another (--help)')
    return found


def bench():
    return built('app/bench/dirtylog-bench')


def driver(path):
    return path or built('drivers/net/dirtylog/librte_net_dirtylog.so')


def door(path):
    return path or built('drivers/vhost/dirtylog/libdirtylog_vhost.so')


def beside(bench_path, folder, name):
    """Another program of the build that dirtylog-bench is of, or of the folder into which both are installed."""
    here = os.path.dirname(bench_path)
    found = [path for path in (os.path.join(here, '..', folder, name), os.path.join(here, name)) if os.path.exists(path)]
    return found[0] if found else None
