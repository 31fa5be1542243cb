#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP between two Linux guests through testpmd, with offloads: no checksum may be wrong."""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "app/ovs"))

from errors import TestError
from guestimage import GuestImage
from process import Process
from vm import vhost_user_netdev

BUILD = pathlib.Path(__file__).resolve().parents[3] / "build"
BUILT_DRIVER = BUILD / "drivers/net/dirtylog/librte_net_dirtylog.so"
START_SECONDS = 30
CASE_SECONDS = 120
MIB = 8
ETHERNET = 14
LATE = 100      # at most one in so many segments
MAC = "52:54:00:00:00:"
# A guest that takes neither partial checksums nor long packets, and makes none.
NO_GUEST_OFFLOADS = ("guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off")
NO_OFFLOADS = NO_GUEST_OFFLOADS + ",csum=off,gso=off,host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off"


@dataclasses.dataclass(frozen=True)
class Case:
    """What the two ports, testpmd and the two guests are told; and what is to come of it."""
    about: str
    devargs: str = ""
    options: tuple = ()         # of testpmd
    commands: tuple = ()        # to testpmd, before it forwards
    forward: str = "io"
    nics: tuple = ("", "")      # device properties, per guest
    mtu: int = 1500
    long_packets: bool = False  # whether guests must have sent some, or none
    vlans: tuple = (0, 0)       # that the guests are in; 0: none
    damaged: bool = False       # checksums must be wrong, and the guests must say so


CSUM_ENGINE = tuple(f"{what} {port}" for port in (0, 1) for what in (
    "csum set ip hw", "csum set tcp hw", "csum set udp hw", "csum mac-swap off"))

CASES = {
    "control": Case(
        "negative control: testpmd promises to care for partial checksums, and does not",
        options=("--rx-offloads=0xc",), damaged=True),
    "software": Case(
        "an application that knows no offloads gets whole checksums, and the guests check them"),
    "tso-legacy": Case(
        "long packets and partial checksums go from guest to guest as they are",
        devargs="tso=1,legacy-ol-flags=1", long_packets=True),
    "tso-csum": Case(
        "testpmd asks for checksums and TSO itself; large buffers; a packed ring",
        devargs="tso=1,linear-buffer=1,ext-buffer=1", options=("--rx-offloads=0xc",),
        commands=("port stop all", *CSUM_ENGINE, "tso set 1400 0", "tso set 1400 1",
                  "port start all"),
        forward="csum", nics=("packed=on", ""), long_packets=True),
    "vlan": Case(
        "tags are taken out and others put in; each guest sees its own VLAN",
        options=("--enable-hw-vlan-strip", f"--eth-peer=0,{MAC}01", f"--eth-peer=1,{MAC}02"),
        commands=("port stop all", "tx_vlan set 0 5", "tx_vlan set 1 7", "port start all"),
        forward="mac", vlans=(5, 7)),
    "jumbo-to-plain": Case(
        "one guest has no offloads: its peer's checksums are completed for it, and it checks them",
        devargs="legacy-ol-flags=1", nics=("", NO_OFFLOADS + ",packed=on"), mtu=9000),
}


class Testpmd:
    """Two ports that are forwarded to each other; no packet is lost for want of room."""

    def __init__(self, tools, case, folder):
        self.sockets = [folder / f"{port}.vhost" for port in (0, 1)]
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        command = [tools.testpmd, "--lcores", f"0@({cpus}),1@({cpus})", "--no-huge", "-m", "512",
                   "--no-pci", "--file-prefix", folder.name, "--no-telemetry"]
        if tools.driver:
            command += ["-d", tools.driver]
        for port, path in enumerate(self.sockets):
            devargs = f"iface={path}" + (f",{case.devargs}" if case.devargs else "")
            command += ["--vdev", f"{tools.vdev}{port},{devargs}"]
        command += ["--", "-i", "--nb-cores=1", "--no-flush-rx", "--total-num-mbufs=16384",
                    *case.options]
        self.process = Process("testpmd", command, folder / "testpmd.log",
                               {"RUNTIME_DIRECTORY": folder}, stdin=subprocess.PIPE)
        deadline = time.monotonic() + START_SECONDS
        while not all(path.exists() for path in self.sockets):
            self.check_alive()
            if time.monotonic() > deadline:
                raise TestError(f"testpmd not up after {START_SECONDS} seconds")
            time.sleep(0.05)
        self._type(*case.commands, f"set fwd {case.forward} retry", "set burst tx delay 10 retry 500",
                   "start")

    def check_alive(self):
        if self.process.poll() is not None:
            raise TestError(f"testpmd ended, status {self.process.returncode}: "
                            f"{self.process.log.read_text(errors='replace')[-800:]}")

    def statistics(self):
        """Ends testpmd in good order; returns, per port, its counters."""
        self.check_alive()
        self._type("stop", "show port stats all", "quit")
        if not self.process.wait(15) or self.process.returncode != 0:
            raise TestError(f"testpmd did not quit, or badly: {self.process.returncode}")
        text = self.process.log.read_text(errors="replace")
        blocks = re.findall(r"NIC statistics for port \d(.*?)Throughput", text, re.DOTALL)
        if len(blocks) < 2:
            raise TestError("testpmd showed no statistics")
        return [{name: int(value) for name, value in re.findall(r"([RT]X-\w+): *(\d+)", block)}
                for block in blocks[-2:]]

    def _type(self, *lines):
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.process.stdin.flush()


class Guest:
    def __init__(self, tools, case, index, socket, folder):
        self.name = f"guest{index}"
        self._console = folder / f"{self.name}.console"
        me, peer = index + 1, 2 - index
        nic = f"virtio-net-pci,netdev=n0,mac={MAC}{me:02x},romfile=,rx_queue_size=1024"
        shown = subprocess.run([tools.qemu, "--version"], capture_output=True, text=True,
                               timeout=20, check=True).stdout
        if int(re.search(r"version (\d+)\.", shown)[1]) < 8:
            nic += ",vectors=0"     # MSI-X of a vhost-user NIC crashes QEMU 7.2 under TCG
        if case.nics[index]:
            nic += f",{case.nics[index]}"
        command = [
            tools.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-name", self.name,
            "-cpu", "max", "-m", "256M", "-machine", "pc,accel=tcg,memory-backend=ram0",
            "-object", "memory-backend-memfd,id=ram0,size=256M,share=on",
            "-serial", f"file:{self._console}", *vhost_user_netdev(0, socket, 1), "-device", nic,
            "-kernel", tools.image.kernel, "-initrd", tools.image.initramfs, "-append",
            f"console=ttyS0 quiet no_timer_check rdinit=/tcp me={me} peer={peer} "
            f"mib={0 if case.damaged else MIB} "
            f"mtu={case.mtu} vlan={case.vlans[index]}"]
        self.process = Process(self.name, command, folder / f"{self.name}.log")

    def text(self):
        return self._console.read_text(errors="replace") if self._console.exists() else ""

    def is_done(self):
        text = self.text()
        if "Kernel panic" in text:
            raise TestError(f"{self.name}: the kernel panicked")
        if self.process.poll() is not None:
            raise TestError(f"{self.name}: QEMU ended, status {self.process.returncode}")
        return "tcp: done" in text

    def sums(self):
        """Of what was sent and received, by name."""
        return dict(re.findall(r"^tcp: (sent|received[46]) ([0-9a-f]{32})", self.text(), re.MULTILINE))

    def counters(self):
        """The kernel's: 'Tcp.InSegs' and so on, of both versions of IP, and the NIC's."""
        text, found = self.text().replace("\r", ""), {}
        rows = re.findall(r"^tcp: count (\w+): (.*)$", text, re.MULTILINE)
        for (group, names), (_, values) in zip(rows[::2], rows[1::2]):
            found.update((f"{group}.{name}", int(value))
                         for name, value in zip(names.split(), values.split()))
        found.update((name, int(value)) for name, value in
                     re.findall(r"^tcp: count6 (\w+)\s+(\d+)$", text, re.MULTILINE))
        found.update((f"nic.{name}", int(value)) for name, value in
                     re.findall(r"^tcp: nic (\w+) (\d+)$", text, re.MULTILINE))
        return found


# Any of them means that a packet arrived damaged, or was refused by the guest's driver.
MUST_BE_ZERO = ("Tcp.InCsumErrors", "Tcp.InErrs", "Udp.InCsumErrors", "Udp6InCsumErrors",
                "Icmp.InCsumErrors", "Icmp6InCsumErrors", "Ip.InHdrErrors", "IpExt.InTruncatedPkts",
                "IpExt.InCsumErrors", "Ip6InTruncatedPkts", "Ip6InHdrErrors", "nic.rx_errors",
                "nic.rx_frame_errors", "nic.rx_length_errors", "nic.rx_crc_errors", "nic.tx_errors")


def check_damaged(guests):
    """The other way round: raises unless both guests found every datagram damaged."""
    for guest in guests:
        counters = guest.counters()
        if 0 in (counters["Udp.InCsumErrors"], counters["Udp6InCsumErrors"]):
            raise TestError(f"{guest.name}: wrong checksums were not seen")
    return "wrong checksums seen as they should"


def check(case, guests, ports):
    """Raises if anything is wrong; returns what was seen."""
    if case.damaged:
        return check_damaged(guests)
    sums = [guest.sums() for guest in guests]
    retransmitted = 0
    for guest, mine, theirs in ((guests[0], *sums), (guests[1], *reversed(sums))):
        for version in "46":
            if mine.get(f"received{version}") != theirs.get("sent"):
                raise TestError(f"{guest.name}: not what was sent over IPv{version}: {mine}, {theirs}")
        counters = guest.counters()
        bad = {name: counters.get(name) for name in MUST_BE_ZERO if counters.get(name) != 0}
        if bad:
            raise TestError(f"{guest.name}: {bad}")
        if min(counters["Udp.NoPorts"], counters["Udp6NoPorts"]) == 0:
            raise TestError(f"{guest.name}: no datagram arrived")
        # None for a checksum, as seen above; a busy machine is late with some.
        if counters["Tcp.RetransSegs"] > counters["Tcp.OutSegs"] / LATE:
            raise TestError(f"{guest.name}: {counters['Tcp.RetransSegs']} of "
                            f"{counters['Tcp.OutSegs']} segments retransmitted")
        retransmitted += counters["Tcp.RetransSegs"]
    longest = case.mtu + ETHERNET + (4 if any(case.vlans) else 0)
    means = []
    for port in ports:
        for name in ("RX-errors", "TX-errors", "RX-nombuf"):
            if port[name]:
                raise TestError(f"testpmd's {name}: {port[name]}")
        means.append(port["RX-bytes"] / port["RX-packets"])
    # Half of the packets are acknowledgements: such a mean needs packets longer than any.
    if case.long_packets and min(means) < longest:
        raise TestError(f"mean of the packets' lengths is {means}: there were no long ones")
    if not case.long_packets and max(means) > longest:
        raise TestError(f"mean of the packets' lengths is {means}: there were long ones")
    return (f"4 times {MIB} MiB intact, 0 bad checksums, {retransmitted} segments retransmitted; "
            f"mean packet from the guests {', '.join(f'{mean:.0f}' for mean in means)} bytes")


def run(tools, case):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="dirtylog-", dir="/tmp"))
    started = []
    try:
        testpmd = Testpmd(tools, case, folder)
        started.append(testpmd)
        guests = []
        for index in (0, 1):
            guests.append(Guest(tools, case, index, testpmd.sockets[index], folder))
            started.append(guests[-1])
        deadline = time.monotonic() + CASE_SECONDS
        while not all([guest.is_done() for guest in guests]):
            testpmd.check_alive()
            if time.monotonic() > deadline:
                raise TestError(f"not done after {CASE_SECONDS} seconds; " + "; ".join(
                    f"{guest.name}: {guest.text()[-200:]!r}" for guest in guests))
            time.sleep(0.1)
        details = check(case, guests, testpmd.statistics())
    except BaseException:
        print(f"logs: {folder}", flush=True)
        raise
    else:
        if tools.keep:
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder)
        return details
    finally:
        for each in reversed(started):
            each.process.kill()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, metavar="NAME",
                        help="run this one (may be repeated; default: all)")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument("--vdev", default="net_dirtylog", help="net_dirtylog (default) or net_vhost")
    parser.add_argument("--driver", help="shared object that testpmd loads, or 'none' "
                        "(default: none for net_vhost, else the one in build/)")
    parser.add_argument("--qemu", default="qemu-system-x86_64", metavar="PATH")
    parser.add_argument("--testpmd", default="dpdk-testpmd", metavar="PATH")
    parser.add_argument("--keep", action="store_true", help="keep the logs of what passed, too")
    options = parser.parse_args()
    if not options.driver:
        options.driver = "none" if options.vdev == "net_vhost" else str(BUILT_DRIVER)
    if options.driver == "none":
        options.driver = None
    return options


def main():
    tools = arguments()
    if tools.list:
        for name, case in CASES.items():
            print(f"{name:15} {case.about}")
        return 0
    tools.image = GuestImage()
    failed = 0
    names = tools.case or list(CASES)
    for name in names:
        began = time.monotonic()
        try:
            result, details = "PASS", run(tools, CASES[name])
        except TestError as error:
            result, details = "FAIL", str(error)
            failed += 1
        print(f"{result} {name} ({time.monotonic() - began:.1f} s) {details}", flush=True)
    print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
