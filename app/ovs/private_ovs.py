#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One Open vSwitch of one's own: database, daemon, control sockets, bridge, ports.

It knows nothing of the system's Open vSwitch: all of its files are in one folder, and
its tap devices are in a network namespace of their own (two daemons in one namespace would
both want a device called ovs-netdev). Where a container may make no namespace, the bridge has
the datapath "dummy": OVS's own name for the userspace datapath with no tap devices.

As a program it is a back-end of devtools/bench: one guest's port, one polling core, one flow.
It says "ready", and ends with its standard input, at "quit" or at SIGTERM.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time

from process import Process

DAEMON = pathlib.Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
BRIDGE = "br0"
GUEST = "guest"         # the port, where there is one only
MEMORY_MIB = 512
START_SECONDS = 30
COMMAND_SECONDS = 30
NO_HUGE = "--no-huge --legacy-mem"  # the second, else OVS adds --in-memory, which excludes the first


class OvsError(Exception):
    """What it was to do was not done; the text says why."""


def namespace_refused():
    """Why there can be no network namespace with tap devices; empty if there can."""
    tried = subprocess.run(["unshare", "--net", "sh", "-c", "exec 3<>/dev/net/tun"],
                           capture_output=True, text=True, timeout=COMMAND_SECONDS)
    return (tried.stderr.strip() or "no reason given") if tried.returncode else ""


class PrivateOvs:
    error = OvsError    # what is raised

    def __init__(self, name, folder, variables):
        """`variables` are in the environment of the daemon, and of what starts it."""
        self.name = f"ovs-{name}"
        self._taps = not namespace_refused()
        self._logs = folder
        self._folder = folder / self.name
        self._folder.mkdir()
        self._environment = {f"OVS_{kind}DIR": self._folder for kind in ("RUN", "LOG", "DB", "SYSCONF")}
        self._environment["RUNTIME_DIRECTORY"] = self._folder
        self._variables = variables
        self._starts = 0
        self._daemon = None
        self._tool("ovsdb-tool", "create", self._folder / "conf.db", SCHEMA)
        self._database = Process(
            f"{self.name}-db", ["ovsdb-server", self._folder / "conf.db",
                                f"--remote=punix:{self._folder}/db.sock",
                                f"--unixctl={self._folder}/db.ctl"],
            folder / f"{self.name}-db.log", self._environment)

    def set_up(self, pmd_cpu, eal, **config):
        """The bridge; `config` are words of other_config."""
        self._wait_for(self._folder / "db.sock", self._database)
        config = {"dpdk_init": "true", "pmd_cpu_mask": f"{1 << pmd_cpu:#x}",
                  "dpdk_extra": f"{eal} --no-pci --file-prefix {self._logs.name}-{self.name}", **config}
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                   *(f"other_config:{key.replace('_', '-')}={value}" for key, value in config.items()))
        self.start()
        self.vsctl("add-br", BRIDGE, "--", "set", "Bridge", BRIDGE,
                   f"datapath_type={'netdev' if self._taps else 'dummy'}")

    def start(self):
        """The daemon; after a stop, too."""
        self._starts += 1
        self._control = self._folder / f"vswitchd-{self._starts}.ctl"
        command = ["unshare", "--net", DAEMON] if self._taps else [DAEMON, "--enable-dummy"]
        self._daemon = Process(
            self.name, [*command, f"unix:{self._folder}/db.sock",
                        f"--unixctl={self._control}", "--no-chdir"],
            self._log, {**self._environment, **self._variables})
        self._wait_for(self._control, self._daemon)

    @property
    def _log(self):
        return self._logs / f"{self.name}-{self._starts}.log"

    def vsctl(self, *arguments):
        return self._tool("ovs-vsctl", f"--db=unix:{self._folder}/db.sock",
                          f"--timeout={COMMAND_SECONDS}", *arguments)

    def appctl(self, *arguments):
        return self._tool("ovs-appctl", "-t", self._control, *arguments)

    def ofctl(self, command, *arguments):
        return self._tool("ovs-ofctl", f"--timeout={COMMAND_SECONDS}", command,
                          f"unix:{self._folder}/{BRIDGE}.mgmt", *arguments)

    def add_interface(self, name, kind, *columns, **options):
        self.vsctl("add-port", BRIDGE, name, "--", "set", "Interface", name, f"type={kind}", *columns,
                   *(f"options:{key.replace('_', '-') if key != 'n_rxq' else key}=\"{value}\""
                     for key, value in options.items()))
        error = self.interface(name, "error")
        if error != "[]":
            raise self.error(f"{self.name}: port {name}: {error}")

    def delete_port(self, name):
        self.vsctl("del-port", BRIDGE, name)

    def interface(self, name, column):
        """A column of table Interface, as ovs-vsctl shows it."""
        return self.vsctl("get", "Interface", name, column).strip()

    def check_served(self, socket):
        """The port on that socket is the door's if there is one, and librte_vhost's if there is none."""
        served = f"dirtylog: {socket}: packets take dirtylog's datapath" in self._log.read_text(errors="replace")
        if served != ("LD_PRELOAD" in self._variables):
            raise self.error(f"{self.name}: the port on {socket}: dirtylog serves it: {served}")

    def check_alive(self):
        if self._daemon.poll() is not None:
            raise self.error(f"{self.name}: the daemon ended, status {self._daemon.returncode}")

    def end(self):
        """An orderly end of the daemon, with all ports closed: a crash or a hang in it is a failure."""
        self.check_alive()
        self.appctl("exit", "--cleanup")
        if not self._daemon.wait(START_SECONDS):
            raise self.error(f"{self.name}: the daemon did not end")
        if self._daemon.returncode != 0:
            raise self.error(f"{self.name}: the daemon's exit status is {self._daemon.returncode}")

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
            raise self.error(f"{command[0]}: not installed") from None
        except subprocess.TimeoutExpired:
            raise self.error(f"{self.name}: no answer to {' '.join(command)}") from None
        if done.returncode != 0:
            raise self.error(f"{self.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def _wait_for(self, socket, process):
        deadline = time.monotonic() + START_SECONDS
        while not socket.exists():
            if process.poll() is not None:
                raise self.error(f"{process.name} ended at start, status {process.returncode}")
            if time.monotonic() > deadline:
                raise self.error(f"{process.name}: not up after {START_SECONDS} seconds")
            time.sleep(0.05)


# ---- as a program

# What the switch does with the guest's packets, and whether something sends to the guest.
FLOWS = {
    "hairpin": (f"in_port={GUEST},actions=in_port",),
    "take": (f"in_port={GUEST},actions=drop",),
    "send": (f"in_port={GUEST},actions=drop", f"in_port=source,actions=output:{GUEST}"),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="of all files; must be there")
    parser.add_argument("--socket", type=pathlib.Path, required=True, help="dpdkvhostuserclient connects to it")
    parser.add_argument("--pmd-cpu", type=int, required=True, help="polls the ports")
    parser.add_argument("--main-cpu", type=int, required=True, help="has all other threads")
    parser.add_argument("--pages", choices=("huge", "small"), default="small", help="of the switch's memory")
    parser.add_argument("--flow", choices=FLOWS, default="hairpin",
                        help="all goes back to the guest; all is dropped; a source sends all that the guest takes")
    parser.add_argument("--size", type=int, default=64, help="of the source's packets")
    parser.add_argument("--door", help="preloaded before librte_vhost")
    return parser.parse_args()


def make_ports(ovs, options):
    small = "" if options.pages == "huge" else NO_HUGE
    # With a source there are two pools of packets, and the first would take all memory.
    more = {"per_port_memory": "true"} if options.flow == "send" else {}
    ovs.set_up(options.pmd_cpu, f"{small} -m {MEMORY_MIB}", dpdk_lcore_mask=f"{1 << options.main_cpu:#x}", **more)
    ovs.add_interface(GUEST, "dpdkvhostuserclient", vhost_server_path=options.socket)
    if options.flow == "send":
        ovs.add_interface("source", "dpdk", dpdk_devargs=f"net_null0,size={options.size}")
    ovs.ofctl("del-flows")
    for flow in FLOWS[options.flow]:
        ovs.ofctl("add-flow", flow)
    ovs.check_served(options.socket)


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    # What is started inherits it; the polling core's thread chooses its own.
    os.sched_setaffinity(0, {options.main_cpu})
    ovs = PrivateOvs("bench", options.folder, {"LD_PRELOAD": options.door} if options.door else {})
    try:
        make_ports(ovs, options)
        print("ready", flush=True)
        for line in sys.stdin:
            if line.strip() == "quit":
                break
        ovs.end()
    finally:
        ovs.stop()


if __name__ == "__main__":
    try:
        main()
    except OvsError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
