#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Guests on Debian's Open vSwitch: they talk, one migrates, ports come and go.

Their ports are net_dirtylog's (--ports dpdk), or OVS's own with the door before librte_vhost.
"""

import argparse
import pathlib
import shutil
import signal
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[n] / folder)
                for n, folder in ((1, "qemu"), (3, "app/ovs"))]

from errors import TestError
from guestimage import GuestImage
import migrate as qemu_test

from network import Network, OvsTools, PORTS, VDEV
from ovs_scenarios import SCENARIOS
from private_ovs import DAEMON, namespace_refused

SCENARIO_SECONDS = 180
BUILT_DOOR = qemu_test.BUILD / "drivers/vhost/dirtylog/libdirtylog_vhost.so"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the scenarios and stop")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, metavar="NAME",
                        help="run this one (may be repeated; default: all)")
    parser.add_argument("--vdev", default="net_dirtylog", help="net_dirtylog (default) or net_vhost")
    parser.add_argument("--driver", default=str(qemu_test.BUILT_DRIVER), metavar="PATH",
                        help="shared object that OVS loads (default: the one in build/)")
    parser.add_argument("--ports", choices=PORTS, default=VDEV, help="type of the guests' ports")
    parser.add_argument("--door", default=str(BUILT_DOOR), metavar="PATH",
                        help="what is preloaded for ports of OVS's own, or 'none' "
                        "(default: the one in build/)")
    parser.add_argument("--datapath", metavar="PATH",
                        help="what the door loads (default: what is beside it)")
    parser.add_argument("--packed", action="store_true", help="the NICs have packed virtqueues")
    parser.add_argument("--qemu", default="qemu-system-x86_64", metavar="PATH")
    parser.add_argument("--expect-loss", action="store_true",
                        help="negative control: a --scenario passes only if pages differ")
    parser.add_argument("--keep", action="store_true", help="keep the logs of what passed, too")
    options = parser.parse_args()
    if options.ports == VDEV or options.door == "none":
        options.door = None
    elif not pathlib.Path(options.door).exists():
        parser.error(f"no door at {options.door}: build it, or name it by --door")
    if options.expect_loss and not options.scenario:
        parser.error("--expect-loss needs --scenario: not every scenario compares memory")
    return options


def main():
    options = arguments()
    if options.list:
        for name, function in SCENARIOS.items():
            print(f"{name:15} {function.__doc__}")
        return 0
    for program in (options.qemu, "ovs-vsctl", str(DAEMON), "setpriv", "unshare"):
        if not shutil.which(program):
            sys.exit(f"{program}: not found")
    if not pathlib.Path(options.driver).exists():
        sys.exit(f"no driver at {options.driver}: build it, or name it by --driver")
    signal.signal(signal.SIGALRM, qemu_test.out_of_time)
    signal.signal(signal.SIGTERM, qemu_test.terminated)
    try:
        tools = OvsTools(GuestImage(), options.vdev, options.driver, options.qemu,
                         packed=options.packed, ports=options.ports, door=options.door,
                         datapath=options.datapath)
    except TestError as error:
        sys.exit(f"cannot set up the guest: {error}")
    if reason := namespace_refused():
        print(f"no tap devices, so the bridges have OVS's datapath without them ({reason})")
    results = []
    for name in options.scenario or SCENARIOS:
        results.append(qemu_test.run(name, SCENARIOS[name], tools, options.expect_loss,
                                     options.keep, Network, SCENARIO_SECONDS))
        qemu_test.show(results[-1], sys.stdout)
    count = {kind: sum(each["result"] == kind for each in results)
             for kind in ("PASS", "FAIL", "SKIP")}
    print(f"{count['PASS']} passed, {count['FAIL']} failed, {count['SKIP']} skipped")
    return 1 if count["FAIL"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
