#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The door before librte_vhost, preloaded into an unmodified testpmd with stock net_vhost.

It serves the port, or leaves it to librte_vhost with one line that says why; whatever is wrong
with its files, the program starts. And the benchmark's guest migrates through it, in the ways of
QEMU and of Cloud Hypervisor; all of its memory is compared.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(__file__).resolve().parents[3] / "build"
STUB = "libdirtylog_vhost.so"
SERVES = "packets take dirtylog's datapath"
SECONDS = 60


class Failed(Exception):
    """A test has failed."""


class Door:
    """The files of a door, in a folder of the test's own, and what a program says with it."""

    def __init__(self, options, folder):
        self.folder = folder
        self.stub = folder / STUB
        built = options.build.resolve()
        self.driver = built / "drivers/net/dirtylog/librte_net_dirtylog.so"
        self.datapath = next((built / "drivers/vhost/dirtylog").glob("dirtylog-datapath-*.so"))
        shutil.copy(self.datapath.with_name(STUB), self.stub)
        self._bench = built / "app/bench/dirtylog-bench"
        self._testpmd = options.testpmd

    def install(self, source=None):
        shutil.copy(source or self.datapath, self.folder / self.datapath.name)

    def run(self, *command, words=b"", **environment):
        done = subprocess.run(command, input=words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=SECONDS, check=False, cwd=self.folder,
                              env={**os.environ, "LD_PRELOAD": str(self.stub), **environment})
        text = done.stdout.decode(errors="replace")
        if done.returncode != 0:
            raise Failed(f"{command[0]} ended with {done.returncode}:\n{text}")
        return text

    def command(self, more=""):
        """testpmd with a port of stock net_vhost."""
        return [self._testpmd, "-l", "0,1", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
                "--file-prefix", self.folder.name,
                "--vdev", f"net_vhost0,iface={self.folder}/vhost{more}", "--", "-i",
                "--total-num-mbufs=4096", "--forward-mode=macswap", "--auto-start"]

    def testpmd(self, more="", **environment):
        """What it said; that it has come up is checked."""
        text = self.run(*self.command(more), words=b"quit\n", **environment)
        if "testpmd>" not in text:
            raise Failed(f"testpmd has not come up:\n{text}")
        return text

    @contextlib.contextmanager
    def process(self, command, **environment):
        """A testpmd that runs meanwhile, and ends as it should."""
        testpmd = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=self.folder,
                                   env={**os.environ, "LD_PRELOAD": str(self.stub), **environment})
        try:
            yield testpmd
            testpmd.communicate(b"quit\n", timeout=SECONDS)
        finally:
            testpmd.kill()
            testpmd.wait()
        if testpmd.returncode != 0:
            raise Failed(f"testpmd ended with {testpmd.returncode}")

    @staticmethod
    def wait_for(testpmd, *sockets):
        deadline = time.monotonic() + SECONDS
        while not all(map(os.path.exists, sockets)):
            if time.monotonic() > deadline or testpmd.poll() is not None:
                raise Failed("testpmd makes no socket")
            time.sleep(0.1)

    def migrate(self, *options, **environment):
        """A guest's migrations on that port: the benchmark's exit status, and what it said."""
        with self.process(self.command(), **environment) as testpmd:
            self.wait_for(testpmd, self.folder / "vhost")
            done = subprocess.run([self._bench, "--socket", self.folder / "vhost", "--quiet", "--timeout", "20",
                                   "--mergeable", "--direction", "both", *options],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                                  check=False)
        return done.returncode, done.stdout.decode(errors="replace")


def ask(path, question):
    """What DPDK's telemetry answers."""
    deadline = time.monotonic() + SECONDS
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.settimeout(SECONDS)
        while client.connect_ex(str(path)) != 0:
            if time.monotonic() > deadline:
                raise Failed(f"no telemetry at {path}")
            time.sleep(0.1)
        client.recv(1024)
        client.sendall(question.encode())
        return json.loads(client.recv(16384))[question.split(",")[0]]


def expect(text, *words):
    """Exactly one line of the door, with all of these words."""
    lines = [line for line in text.splitlines() if "dirtylog: " in line]
    if len(lines) != 1 or any(word not in lines[0] for word in words):
        raise Failed(f"not one line with {words}: {lines}")


def serves(door):
    door.install()
    expect(door.testpmd(), SERVES, str(door.folder / "vhost"))


def is_switched_off(door):
    door.install()
    expect(door.testpmd(DIRTYLOG_VHOST="off"), "switched off", "librte_vhost")


def leaves_excepted_sockets(door):
    door.install()
    expect(door.testpmd(DIRTYLOG_VHOST="unless=/nowhere,*/vhost"), "librte_vhost", "excepted")
    expect(door.testpmd(DIRTYLOG_VHOST="unless=/nowhere"), SERVES)


def leaves_a_viommu(door):
    door.install()
    expect(door.testpmd(",iommu-support=1"), "librte_vhost", "vIOMMU")


def has_no_datapath(door):
    expect(door.testpmd(), door.datapath.name, "No such file", "librte_vhost")


def has_a_broken_datapath(door):
    (door.folder / door.datapath.name).write_bytes(b"\x7fELF and no more")
    expect(door.testpmd(), door.datapath.name, "librte_vhost")


def has_another_file_for_a_datapath(door):
    door.install(door.stub)
    expect(door.testpmd(), door.datapath.name, "another release", "librte_vhost")


def is_told_a_path(door):
    expect(door.testpmd(DIRTYLOG_VHOST_DATAPATH=str(door.datapath)), SERVES)


def is_not_noticed(door):
    """By a program that has nothing to do with vhost."""
    if text := door.run("/bin/sh", "-c", "exec ls / >/dev/null"):
        raise Failed(text)


def guests_migrate(door):
    """With logs as QEMU and Cloud Hypervisor send them, in either kind of rings."""
    door.install()
    for ring in ("split", "packed"):
        for way in (["never"], ["never", "--tables"], ["qemu"], ["ch", "--log-reply", "16"]):
            status, text = door.migrate("--ring", ring, "--log-swap", *way)
            if status != 0:
                raise Failed(f"{ring}, logs {way}: {text}")


def guests_need_it(door):
    """The negative control: librte_vhost's own datapath does not do that."""
    door.install()
    status, text = door.migrate("--ring", "packed", "--log-swap", "ch", "--log-reply", "16",
                                DIRTYLOG_VHOST="off")
    if status == 0:
        raise Failed(f"librte_vhost's own datapath answers as Cloud Hypervisor wants: {text}")


def is_listed_with_the_driver(door):
    """Both are in one process, and telemetry names the sockets of either."""
    door.install()
    sockets = {"rte_vhost": str(door.folder / "vhost"), "net_dirtylog": str(door.folder / "net")}
    command = [word for word in door.command() if word != "--no-telemetry"]
    command[1:1] = ["-d", door.driver, "--vdev", f"net_dirtylog0,iface={sockets['net_dirtylog']}"]
    with door.process(command, RUNTIME_DIRECTORY=str(door.folder)) as testpmd, \
            socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        door.wait_for(testpmd, *sockets.values())
        one.connect(sockets["rte_vhost"])
        other.connect(sockets["net_dirtylog"])
        path = door.folder / "dpdk" / door.folder.name / "dpdk_telemetry.v2"
        deadline = time.monotonic() + SECONDS
        while len(listed := ask(path, "/dirtylog/list")) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        if {entry["door"]: entry["socket"] for entry in listed.values()} != sockets:
            raise Failed(f"listed are {listed}")
        for vid in listed:
            if "marks" not in (ask(path, f"/dirtylog/info,{vid}") or {}):
                raise Failed(f"no counters of {listed[vid]}")


TESTS = (serves, is_switched_off, leaves_excepted_sockets, leaves_a_viommu, has_no_datapath,
         has_a_broken_datapath, has_another_file_for_a_datapath, is_told_a_path, is_not_noticed,
         guests_migrate, guests_need_it, is_listed_with_the_driver)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, metavar="FOLDER",
                        help="where the door, the driver and the benchmark were built (default: build)")
    parser.add_argument("--testpmd", default="dpdk-testpmd", metavar="PATH",
                        help="the testpmd of the DPDK that they were built with")
    options = parser.parse_args()
    failed = 0
    for test in TESTS:
        with tempfile.TemporaryDirectory(prefix="dirtylog-door-") as folder:
            try:
                test(Door(options, pathlib.Path(folder)))
                print(f"PASS {test.__name__}", flush=True)
            except (Failed, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"FAIL {test.__name__}: {error}", flush=True)
    print(f"{len(TESTS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
