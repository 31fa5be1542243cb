#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Functional tests of a vhost vdev in dpdk-testpmd, with net_virtio_user as front-end."""

import argparse
import os
import shutil
import signal
import sys
import time

import command_tests
import content_tests
import isolation_tests
import lifecycle_tests
import offload_tests
import stats_tests
from rig import Failed, Rig, Skipped
from testpmd import TestpmdError

SECONDS_PER_TEST = 90


class TookTooLong(Exception):
    pass


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vdev", default="net_dirtylog", metavar="NAME",
                        help="the back-end's driver: net_dirtylog (default) or net_vhost")
    parser.add_argument("--driver", default="none", metavar="PATH",
                        help="the driver's .so, or 'none' for one that DPDK brings (default)")
    parser.add_argument("--testpmd", default="dpdk-testpmd", metavar="PATH",
                        help="of another DPDK: the one the driver was built for; its libraries "
                             "must be found, by LD_LIBRARY_PATH for one")
    parser.add_argument("--rings", default="split,packed", metavar="KINDS",
                        help="split, packed, or split,packed (default)")
    parser.add_argument("--memory", choices=["auto", "huge", "normal"], default="auto",
                        help="pages of both processes; auto: huge ones when enough are free")
    parser.add_argument("--preload", metavar="LIBRARIES",
                        help="LD_PRELOAD of the back-end: the sanitizers' runtimes for a driver "
                             "that was built with them, or the door before librte_vhost")
    parser.add_argument("--list", action="store_true", help="name the tests and end")
    parser.add_argument("--only", metavar="NAME", action="append",
                        help="only tests whose name contains NAME; may be given again")
    parser.add_argument("--without", metavar="NAME", action="append", default=[],
                        help="leave out tests whose name contains NAME; may be given again")
    options = parser.parse_args()
    options.rings = options.rings.split(",")
    if not set(options.rings) <= {"split", "packed"}:
        parser.error("--rings takes split and packed, separated by a comma")
    options.driver = None if options.driver == "none" else options.driver
    if options.driver and not os.path.isfile(options.driver):
        parser.error(f"{options.driver} is no file: build the driver first")
    program = shutil.which(options.testpmd)
    if not program:
        parser.error(f"{options.testpmd} is not installed: run devtools/setup")
    options.testpmd = os.path.abspath(program)    # a test runs in a folder of its own
    return options


def on_alarm(_number, _frame):
    raise TookTooLong(f"took longer than {SECONDS_PER_TEST} s")


def run(test, options):
    """One test in a folder of its own: its verdict, why, and what testpmd said."""
    rig = Rig(options)
    signal.alarm(SECONDS_PER_TEST)
    try:
        test(rig)
        return "PASS", "", ""
    except Skipped as reason:
        return "SKIP", str(reason), ""
    except (Failed, TestpmdError, TookTooLong) as reason:
        signal.alarm(0)
        return "FAIL", str(reason), rig.logs()
    finally:
        signal.alarm(0)
        rig.close()


def main():
    options = arguments()
    tests = (content_tests.tests(options.rings) + lifecycle_tests.tests(options.rings)
             + isolation_tests.tests() + stats_tests.tests() + command_tests.tests()
             + offload_tests.tests())
    if options.only:
        tests = [test for test in tests if any(part in test[0] for part in options.only)]
        if not tests:
            sys.exit(f"no test is named like {' or '.join(options.only)}: see --list")
    tests = [test for test in tests if not any(part in test[0] for part in options.without)]
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    signal.signal(signal.SIGALRM, on_alarm)
    # A stop from outside ends the test's processes as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by a signal"))
    count = {"PASS": 0, "FAIL": 0, "SKIP": 0}
    for name, test in tests:
        begin = time.monotonic()
        verdict, reason, logs = run(test, options)
        count[verdict] += 1
        print(f"{verdict} {name} ({time.monotonic() - begin:.1f} s)"
              + (f": {reason}" if reason else ""), flush=True)
        if logs:
            print(logs, flush=True)
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['SKIP']} skipped")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
