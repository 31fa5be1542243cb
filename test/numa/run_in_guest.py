#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs test programs in a guest of two CPUs, with huge pages on each NUMA node.

    run_in_guest.py PROGRAM...                   programs of cmocka, without arguments, on two nodes
    run_in_guest.py --exec PROGRAM ARGUMENT...   one program, whose exit status is this one's, on one

With --root the guest is an arm64 machine, and programs are for it: the second form is
then what meson starts cross built programs with.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "system" / "qemu"), str(HERE.parents[1] / "app" / "ovs")]

from errors import TestError                # noqa: E402
from guestimage import initramfs            # noqa: E402
from machines import Arm64, Native          # noqa: E402
from process import Process                 # noqa: E402

MIB = 2048
CPUS = 2
HUGE_PAGES = 128
SKIPPED = 77                # the exit status that meson takes for a skip
# What meson says to a test, and is for the guest
ENVIRONMENT = ("DIRTYLOG_TEST_VDEV", "LD_PRELOAD", "MALLOC_PERTURB_")


@dataclasses.dataclass
class Result:
    """What one program did in the guest."""
    name: str
    status: int | None      # None: it did not end
    passed: int
    skipped: list           # names of tests
    output: str

    def verdict(self):
        if self.status != 0:
            return "FAIL"
        return "PASS" if self.passed else "SKIP"

    def text(self):
        status = "it did not end" if self.status is None else f"exit status {self.status}"
        return f"{self.name}: {self.passed} passed, {len(self.skipped)} skipped, {status}"


def arguments():
    words, command = sys.argv[1:], []
    if "--exec" in words:
        at = words.index("--exec")
        words, command = words[:at], words[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="*", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, help="run every program test_* in it, too")
    parser.add_argument("--root", type=pathlib.Path, help="an unpacked Debian for arm64")
    parser.add_argument("--kernel", default=os.environ.get("DIRTYLOG_GUEST_KERNEL", "cloud-arm64"),
                        help="how the name of the kernel in that ends; %(default)s")
    parser.add_argument("--seconds", type=int, default=240, help="of the guest's life at most")
    parser.add_argument("--program-seconds", type=int, default=180, help="of a program's, of several")
    parser.add_argument("--verbose", action="store_true", help="show all of the guest's console")
    options = parser.parse_args(words)
    options.command = command
    options.program += map(pathlib.Path, command[:1])
    if options.folder:
        options.program += sorted(path for path in options.folder.glob("test_*") if path.is_file())
    for path in options.program:
        if not path.is_file():
            parser.error(f"{path}: no such program")
    if not options.program:
        parser.error("no program")
    return options


def pack(machine, programs, command, folder):
    """An initramfs of the programs and all they need, each with a script that starts it."""
    files = {"init": HERE / "guest-init", "bin/busybox": machine.busybox}
    variables = {name: os.environ[name] for name in ENVIRONMENT if command and name in os.environ}
    preload = variables.get("LD_PRELOAD")
    # What is preloaded finds its other half beside it.
    beside = list(pathlib.Path(preload).parent.glob("*.so")) if preload else []
    files |= {str(path.resolve()): path for path in beside}
    for program in programs:
        script = folder / program.name
        words = ["exec", "env", *(f"{name}={value}" for name, value in variables.items()),
                 str(program.resolve()), *command[1:]]
        script.write_text(f"#!/bin/sh\n{shlex.join(words)}\n")
        files[f"tests/{program.name}"] = script
        files[str(program.resolve())] = program
    files |= machine.libraries([*programs, *beside])
    return initramfs({name.lstrip("/"): path for name, path in files.items()})


def boot(machine, nb_nodes, packed, folder, limit, seconds):
    """The console of a guest that has powered off, or whose time is up."""
    archive, console = folder / "initramfs", folder / "console"
    archive.write_bytes(packed)
    console.touch()
    huge = ",".join(f"{node}:{HUGE_PAGES // nb_nodes}" for node in range(nb_nodes))
    command = [machine.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               *machine.options, "-smp", CPUS, "-m", f"{MIB}M",
               "-serial", f"file:{console}", "-kernel", machine.kernel, "-initrd", archive,
               "-append", f"{machine.kernel_arguments} quiet numa_balancing=disable panic=-1 "
               f"hugepagesz=2M hugepages={huge} limit={limit}"]
    for node in range(nb_nodes):
        command += ["-object", f"memory-backend-ram,id=m{node},size={MIB // nb_nodes}M",
                    "-numa", f"node,nodeid={node},memdev=m{node}"]
    for cpu in range(CPUS):
        command += ["-numa", f"cpu,node-id={cpu % nb_nodes},core-id={cpu}"]
    process = Process("guest", command, folder / "qemu.log")
    try:
        if not process.wait(seconds):
            print(f"the guest has not ended after {seconds} seconds", flush=True)
        elif process.returncode != 0:
            print((folder / "qemu.log").read_text(errors="replace"), flush=True)
    except InterruptedError:
        print("the guest was stopped", flush=True)
    finally:
        process.kill()
    return console.read_text(errors="replace").replace("\r", "")


def results(programs, console):
    for program in programs:
        name = re.escape(program.name)
        found = re.search(rf"^guest: begin {name}$(.*?)(?:^guest: end {name} (\d+)$|\Z)",
                          console, re.MULTILINE | re.DOTALL)
        output, status = found.groups() if found else ("it was not started\n", None)
        run = output.partition("[==========] ")[2].partition("[==========] ")[0]
        yield Result(program.name, None if status is None else int(status),
                     len(re.findall(r"^\[       OK \]", run, re.MULTILINE)),
                     re.findall(r"^\[  SKIPPED \] (\S+)", run, re.MULTILINE), output)


def nodes(nb_nodes, console):
    """What the guest says of its nodes; it must be what was asked for."""
    found = re.findall(r"^guest: (node\d+ .*)$", console, re.MULTILINE)
    each = HUGE_PAGES // nb_nodes
    if len(found) != nb_nodes or not all(f"{each} huge" in node for node in found):
        raise TestError(f"the guest has not {nb_nodes} nodes with {each} huge pages each: "
                        f"{found}\n{console[-2000:]}")
    return "; ".join(found)


def judge(programs, console, verbose):
    """Tells of each program; the exit status."""
    verdicts = []
    for result in results(programs, console):
        verdicts.append(result.verdict())
        print(f"{verdicts[-1]} {result.text()}")
        for name in result.skipped:
            print(f"     skipped: {name}")
        if verdicts[-1] == "FAIL" and not verbose:
            print(result.output)
    print(", ".join(f"{verdicts.count(kind)} {word}" for kind, word in (
        ("PASS", "passed"), ("FAIL", "failed"), ("SKIP", "skipped"))))
    return 1 if "FAIL" in verdicts else 0


def stopped(_number, _frame):
    raise InterruptedError


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, stopped)      # of meson, when a test's time is up
    kind = Arm64 if options.root else Native
    if not shutil.which(kind.qemu):
        print(f"SKIP: {kind.qemu} is not installed")
        return SKIPPED
    # Where a log goes by itself, with one node: what other tests than those of nodes count on
    nb_nodes = 1 if options.command else 2
    began = time.monotonic()
    try:
        machine = Arm64(options.root, options.kernel) if options.root else Native()
        with tempfile.TemporaryDirectory(prefix="dirtylog-guest-") as folder:
            folder = pathlib.Path(folder)
            packed = pack(machine, options.program, options.command, folder)
            limit = options.seconds if options.command else options.program_seconds
            console = boot(machine, nb_nodes, packed, folder, limit, options.seconds)
        if options.verbose:
            print(console)
        print(f"a guest, {machine.name}, of {nodes(nb_nodes, console)}")
        if options.command:
            result = next(results(options.program, console))
            print(result.output)
            status = 1 if result.status is None else result.status
        else:
            status = judge(options.program, console, options.verbose)
        print(f"in {time.monotonic() - began:.0f} s")
        return status
    except TestError as error:
        print(f"FAIL: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
