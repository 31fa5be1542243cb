#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Live-migrates a real guest between two back-ends and compares all of its RAM."""

import argparse
import json
import pathlib
import shutil
import signal
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "app/ovs"))

from demo import demo
from errors import Inconclusive, Skip, TestError
from guestimage import GuestImage
from lab import Lab, Tools
from life import LIFE
from migration import PagesDiffer
from other_guests import OTHER_GUESTS
from postcopy import POSTCOPY
from scenarios import MIGRATIONS

SCENARIOS = MIGRATIONS | LIFE | POSTCOPY | OTHER_GUESTS
SCENARIO_SECONDS = 150
ATTEMPTS = 3            # runs of a scenario that proved nothing
BUILD = pathlib.Path(__file__).resolve().parents[3] / "build"
BUILT_DRIVER = BUILD / "drivers/net/dirtylog/librte_net_dirtylog.so"
BUILT_VHOST_BLK = BUILD / "examples/vhost_blk/vhost_blk"


class OutOfTime(BaseException):
    """Not an Exception: no handler on the way may take it for its own."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the scenarios and stop")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, metavar="NAME",
                        help="run this one (may be repeated; default: all)")
    parser.add_argument("--vdev", default="net_dirtylog", help="net_dirtylog (default) or net_vhost")
    parser.add_argument("--driver", help="shared object that testpmd loads, or 'none' "
                        "(default: none for net_vhost, else the one in build/)")
    parser.add_argument("--qemu", default="qemu-system-x86_64", metavar="PATH")
    parser.add_argument("--testpmd", default="dpdk-testpmd", metavar="PATH")
    parser.add_argument("--vhost-blk", default=str(BUILT_VHOST_BLK), metavar="PATH",
                        help="back-end of the scenario vhost-blk (default: the one in build/)")
    parser.add_argument("--packed", action="store_true", help="the NICs have packed virtqueues")
    parser.add_argument("--expect-loss", action="store_true",
                        help="negative control: a --scenario passes only if pages differ")
    parser.add_argument("--json", action="store_true", help="results as JSON on standard output")
    parser.add_argument("--keep", action="store_true", help="keep the logs of what passed, too")
    parser.add_argument("--demo", action="store_true", help="one migration, shown live")
    parser.add_argument("--summary", type=pathlib.Path, metavar="FILE", help="where --demo says its result, too")
    options = parser.parse_args()
    if options.expect_loss and not options.scenario:
        parser.error("--expect-loss needs --scenario: not every scenario uses the driver")
    if options.list:
        return options
    for program in (options.qemu, options.testpmd, "setpriv"):
        if not shutil.which(program):
            parser.error(f"{program}: not found")
    if not options.driver:
        options.driver = "none" if options.vdev == "net_vhost" else str(BUILT_DRIVER)
    if options.driver == "none":
        options.driver = None
    elif not pathlib.Path(options.driver).exists():
        parser.error(f"no driver at {options.driver}: build it, or name it by --driver")
    return options


def run(name, scenario, tools, *how, **also_how):
    """One scenario, again if it was inconclusive; returns its result."""
    for attempt in range(1, ATTEMPTS + 1):
        result = run_once(name, scenario, tools, *how, **also_how)
        if not result["inconclusive"] or attempt == ATTEMPTS:
            return result
        print(f"AGAIN {name}: {result['details']}", file=sys.stderr, flush=True)
    return result


def run_once(name, scenario, tools, expect_loss=False, keep=False, lab_type=Lab,
             seconds=SCENARIO_SECONDS):
    """One scenario, once. What it started is gone afterwards, whatever happens."""
    began = time.monotonic()
    lab = lab_type(tools)
    result, details, tails, inconclusive = None, "", "", False
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        details = scenario(lab)
        result = "PASS"
        if expect_loss:
            result, details = "FAIL", f"no loss was seen: {details}"
    except Skip as reason:
        result, details = "SKIP", str(reason)
    except PagesDiffer as loss:
        result = "PASS" if expect_loss else "FAIL"
        details = f"{'loss seen' if expect_loss else 'PAGES LOST'}: {loss}"
    except TestError as error:
        result, details, inconclusive = "FAIL", str(error), isinstance(error, Inconclusive)
    except OutOfTime:
        result, details = "FAIL", f"not done after {seconds} seconds"
    except Exception:   # a fault of the harness: the other scenarios go on
        result, details = "FAIL", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        keep = keep or result == "FAIL"
        if result == "FAIL":
            tails = lab.tails()
        lab.close(keep)
    return {"name": name, "result": result, "inconclusive": inconclusive, "seconds": round(time.monotonic() - began, 1),
            "details": details, "migrations": [verdict.numbers() for verdict in lab.verdicts],
            "logs": str(lab.folder) if keep else None, "tails": tails}


def show(result, stream):
    print(f"{result['result']} {result['name']} ({result['seconds']} s) {result['details']}",
          file=stream, flush=True)
    if result["tails"]:
        print(result["tails"], file=stream)
    if result["logs"]:
        print(f"logs: {result['logs']}", file=stream, flush=True)


def out_of_time(*_):
    raise OutOfTime


def terminated(*_):
    sys.exit("terminated")


def main():
    options = arguments()
    if options.list:
        for name, function in SCENARIOS.items():
            print(f"{name:15} {function.__doc__}")
        return 0
    signal.signal(signal.SIGALRM, out_of_time)
    signal.signal(signal.SIGTERM, terminated)
    stream = sys.stderr if options.json else sys.stdout
    try:
        tools = Tools(GuestImage(), options.vdev, options.driver, options.qemu, options.testpmd,
                      options.vhost_blk, options.packed)
    except TestError as error:
        print(f"cannot set up the guest: {error}", file=sys.stderr)
        return 1
    if options.demo:
        result = run("demo", demo, tools, keep=options.keep)
        if result["result"] == "PASS":
            print(result["details"], file=stream)
        else:
            show(result, stream)
        if options.summary:
            options.summary.write_text(f"{result['details']}\n")
        return 0 if result["result"] == "PASS" else 1
    results = []
    for name in options.scenario or SCENARIOS:
        results.append(run(name, SCENARIOS[name], tools, options.expect_loss, options.keep))
        show(results[-1], stream)
    count = {kind: sum(each["result"] == kind for each in results)
             for kind in ("PASS", "FAIL", "SKIP")}
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['SKIP']} skipped", file=stream)
    if options.json:
        json.dump(results, sys.stdout, indent=2)
        print()
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
