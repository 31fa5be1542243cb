# SPDX-License-Identifier: BSD-3-Clause
"""An Open vSwitch of the test's own, and the guests' ports on it."""

import os
import pathlib
import re

from errors import TestError
from private_ovs import MEMORY_MIB, NO_HUGE, PrivateOvs

MTU = 9000              # of every port, as the guests have it; there is room for one pool of 32,768 such packets


class Vswitch(PrivateOvs):
    error = TestError

    def __init__(self, name, driver, folder, variables):
        self._driver = pathlib.Path(driver).resolve()
        self._counters = {}     # last seen
        self._uncounted = set()     # ports whose packets OVS does not count
        # EAL takes a bare name from there even if a folder above is world-writable.
        super().__init__(name, folder, {"LD_LIBRARY_PATH": self._driver.parent, **variables})

    def configure(self):
        super().set_up(
            max(os.sched_getaffinity(0)), f"{NO_HUGE} -m {MEMORY_MIB} -d {self._driver.name}",
            # The guests' emulated CPUs need the core, too.
            pmd_maxsleep=100)

    def add_port(self, name, devargs, **options):
        """A port of type dpdk; `devargs` as on the command line of EAL's --vdev."""
        self._add_port(name, "dpdk", dpdk_devargs=devargs, **options)

    def add_vhost_port(self, name, socket, client):
        """A port of OVS's own: it connects to the socket, or listens on one that it places there."""
        if client:
            self._add_port(name, "dpdkvhostuserclient", vhost_server_path=socket)
        else:
            self._add_port(name, "dpdkvhostuser")
            self._uncounted.add(name)   # as of OVS 3.1
            if not socket.is_symlink():
                socket.symlink_to(self._folder / name)
            socket = self._folder / name
        self.check_served(socket)

    def _add_port(self, name, kind, **options):
        self.add_interface(name, kind, f"mtu_request={MTU}", **options)

    def counters(self, name):
        """Packets (received from, sent to) the port's front-end."""
        shown = self.ofctl("dump-ports", name)
        found = re.search(r"rx pkts=(\d+).*?tx pkts=(\d+)", shown, re.DOTALL)
        if not found and name in self._uncounted:
            return self._flow_counters(name)
        if not found and name in self._counters and re.search(r"rx pkts=\?", shown):
            return self._counters[name]     # OVS has none of a vhost-user port without a front-end
        if not found:
            raise TestError(f"{self.name}: no counters of {name}: {shown}")
        self._counters[name] = int(found[1]), int(found[2])
        return self._counters[name]

    def _flow_counters(self, name):
        """The same by the flows that the datapath has now, where OVS counts nothing of a port."""
        out_of, into = 0, 0
        flow = re.compile(r"in_port\(([^)]+)\).* packets:(\d+),.* actions:(.*)")
        for source, packets, actions in flow.findall(self.appctl("dpctl/dump-flows", "--names")):
            out_of += int(packets) * (source == name)
            into += int(packets) * (name in re.split(r"[,()]", actions))
        return out_of, into


class GuestPort:
    """A port that a guest's NIC is on, as a migration sees it."""

    def __init__(self, vswitch, name, socket):
        self.vswitch = vswitch
        self.name = name
        self.sockets = [socket]

    def counters(self):
        """Packets (out of the guest, into the guest)."""
        return self.vswitch.counters(self.name)

    def before_flood(self):
        """Nothing: the other guest sends all the time."""

    def flood(self):
        """Nothing: the other guest's frames fill the rings of the stopped one."""
