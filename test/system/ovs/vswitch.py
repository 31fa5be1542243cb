# SPDX-License-Identifier: BSD-3-Clause
"""One Open vSwitch of the test's own: database, daemon, control sockets, bridge, ports.

It knows nothing of the system's Open vSwitch: all of its files are in the test's folder, and
its tap devices are in a network namespace of their own (two daemons in one namespace would
both want a device called ovs-netdev). Where a container may make no namespace, the bridge has
the datapath "dummy": OVS's own name for the userspace datapath with no tap devices.
"""

import os
import pathlib
import re
import subprocess
import time

from errors import TestError
from process import Process

DAEMON = pathlib.Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
BRIDGE = "br0"
MTU = 9000              # of every port, as the guests have it
MEMORY_MIB = 512        # room for one pool of 32,768 packets of that size
START_SECONDS = 30
COMMAND_SECONDS = 30


def namespace_refused():
    """Why there can be no network namespace with tap devices; empty if there can."""
    tried = subprocess.run(["unshare", "--net", "sh", "-c", "exec 3<>/dev/net/tun"],
                           capture_output=True, text=True, timeout=COMMAND_SECONDS)
    return (tried.stderr.strip() or "no reason given") if tried.returncode else ""


class Vswitch:
    def __init__(self, name, driver, folder, variables):
        """`variables` are in the environment of the daemon, and of what starts it."""
        self.name = f"ovs-{name}"
        self._driver = pathlib.Path(driver).resolve()
        self._taps = not namespace_refused()
        self._logs = folder
        self._folder = folder / self.name
        self._folder.mkdir()
        self._environment = {f"OVS_{kind}DIR": self._folder for kind in ("RUN", "LOG", "DB", "SYSCONF")}
        self._environment["RUNTIME_DIRECTORY"] = self._folder
        self._variables = variables
        self._counters = {}     # last seen
        self._uncounted = set()     # ports whose packets OVS does not count
        self._starts = 0
        self._daemon = None
        self._tool("ovsdb-tool", "create", self._folder / "conf.db", SCHEMA)
        self._database = Process(
            f"{self.name}-db", ["ovsdb-server", self._folder / "conf.db",
                                f"--remote=punix:{self._folder}/db.sock",
                                f"--unixctl={self._folder}/db.ctl"],
            folder / f"{self.name}-db.log", self._environment)

    def configure(self):
        _wait_for(self._folder / "db.sock", self._database)
        cpu = max(os.sched_getaffinity(0))
        # Huge pages are not needed; --legacy-mem, else OVS adds --in-memory, which excludes --no-huge.
        extra = (f"--no-huge --legacy-mem -m {MEMORY_MIB} --no-pci "
                 f"--file-prefix {self._logs.name}-{self.name} -d {self._driver.name}")
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true", f"other_config:dpdk-extra={extra}",
                   f"other_config:pmd-cpu-mask={1 << cpu:#x}",
                   # The guests' emulated CPUs need the core, too.
                   "other_config:pmd-maxsleep=100")
        self.start()
        self.vsctl("add-br", BRIDGE, "--", "set", "Bridge", BRIDGE,
                   f"datapath_type={'netdev' if self._taps else 'dummy'}")

    def start(self):
        """The daemon; after a stop, too."""
        self._starts += 1
        self._control = self._folder / f"vswitchd-{self._starts}.ctl"
        # EAL takes a bare name from there even if a folder above is world-writable.
        environment = {**self._environment, "LD_LIBRARY_PATH": self._driver.parent,
                       **self._variables}
        command = ["unshare", "--net", DAEMON] if self._taps else [DAEMON, "--enable-dummy"]
        self._daemon = Process(
            self.name, [*command, f"unix:{self._folder}/db.sock",
                        f"--unixctl={self._control}", "--no-chdir"],
            self._logs / f"{self.name}-{self._starts}.log", environment)
        _wait_for(self._control, self._daemon)

    def vsctl(self, *arguments):
        return self._tool("ovs-vsctl", f"--db=unix:{self._folder}/db.sock",
                          f"--timeout={COMMAND_SECONDS}", *arguments)

    def appctl(self, *arguments):
        return self._tool("ovs-appctl", "-t", self._control, *arguments)

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
        log = (self._logs / f"{self.name}-{self._starts}.log").read_text(errors="replace")
        served = f"dirtylog: {socket}: packets take dirtylog's datapath" in log
        if served != ("LD_PRELOAD" in self._variables):
            raise TestError(f"{self.name}: port {name}: dirtylog serves it: {served}")

    def _add_port(self, name, kind, **options):
        self.vsctl("add-port", BRIDGE, name, "--", "set", "Interface", name, f"type={kind}",
                   f"mtu_request={MTU}",
                   *(f"options:{key.replace('_', '-') if key != 'n_rxq' else key}=\"{value}\""
                     for key, value in options.items()))
        error = self.interface(name, "error")
        if error != "[]":
            raise TestError(f"{self.name}: port {name}: {error}")

    def delete_port(self, name):
        self.vsctl("del-port", BRIDGE, name)

    def interface(self, name, column):
        """A column of table Interface, as ovs-vsctl shows it."""
        return self.vsctl("get", "Interface", name, column).strip()

    def counters(self, name):
        """Packets (received from, sent to) the port's front-end."""
        shown = self._tool("ovs-ofctl", f"--timeout={COMMAND_SECONDS}", "dump-ports",
                           f"unix:{self._folder}/{BRIDGE}.mgmt", name)
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

    def check_alive(self):
        if self._daemon.poll() is not None:
            raise TestError(f"{self.name}: the daemon ended, status {self._daemon.returncode}")

    def end(self):
        """An orderly end of the daemon, with all ports closed: a crash or a hang in it is a failure."""
        self.check_alive()
        self.appctl("exit", "--cleanup")
        if not self._daemon.wait(START_SECONDS):
            raise TestError(f"{self.name}: the daemon did not end")
        if self._daemon.returncode != 0:
            raise TestError(f"{self.name}: the daemon's exit status is {self._daemon.returncode}")

    def kill(self):
        self._daemon.kill()

    def stop(self):
        if self._daemon:
            self._daemon.kill()
        self._database.kill()

    def _tool(self, *command):
        environment = {**os.environ, **{key: str(value) for key, value in self._environment.items()}}
        command = [str(each) for each in command]
        try:
            done = subprocess.run(command, env=environment, timeout=COMMAND_SECONDS + 5, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True)
        except FileNotFoundError:
            raise TestError(f"{command[0]}: not installed") from None
        except subprocess.TimeoutExpired:
            raise TestError(f"{self.name}: no answer to {' '.join(command)}") from None
        if done.returncode != 0:
            raise TestError(f"{self.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


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


def _wait_for(socket, process):
    deadline = time.monotonic() + START_SECONDS
    while not socket.exists():
        if process.poll() is not None:
            raise TestError(f"{process.name} ended at start, status {process.returncode}")
        if time.monotonic() > deadline:
            raise TestError(f"{process.name}: not up after {START_SECONDS} seconds")
        time.sleep(0.05)
