#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs cmocka test programs in a guest with two NUMA nodes and huge pages on each."""

import argparse
import dataclasses
import pathlib
import re
import shutil
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "system" / "qemu"), str(HERE.parents[1] / "app" / "ovs")]

from errors import TestError                # noqa: E402
from guestimage import GuestImage, initramfs, libraries  # noqa: E402
from process import Process                 # noqa: E402

NODES = 2
NODE_MIB = 1024
HUGE_PAGES_PER_NODE = 64
PROGRAM_SECONDS = 180
SKIPPED = 77                # the exit status that meson takes for a skip


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", nargs="*", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, help="run every program test_* in it, too")
    parser.add_argument("--qemu", default="qemu-system-x86_64", metavar="PATH")
    parser.add_argument("--seconds", type=int, default=240, help="of the guest's life at most")
    parser.add_argument("--verbose", action="store_true", help="show all of the guest's console")
    options = parser.parse_args()
    if options.folder:
        options.program += sorted(path for path in options.folder.glob("test_*") if path.is_file())
    for path in options.program:
        if not path.is_file():
            parser.error(f"{path}: no such program")
    if not options.program:
        parser.error("no program")
    return options


def pack(programs, image):
    """An initramfs of the programs and all they need."""
    files = {"init": HERE / "guest-init", "bin/busybox": image.folder / "busybox"}
    for program in programs:
        files[f"tests/{program.name}"] = program
        for library in libraries(program):
            files[str(library).lstrip("/")] = library
    return initramfs(files)


def boot(qemu, image, packed, folder, seconds):
    """The console of a guest that has powered off, or whose time is up."""
    archive, console = folder / "initramfs", folder / "console"
    archive.write_bytes(packed)
    console.touch()
    huge = ",".join(f"{node}:{HUGE_PAGES_PER_NODE}" for node in range(NODES))
    command = [qemu, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               "-accel", "tcg", "-cpu", "max", "-smp", NODES, "-m", f"{NODES * NODE_MIB}M",
               "-serial", f"file:{console}", "-kernel", image.kernel, "-initrd", archive,
               "-append", "console=ttyS0 quiet no_timer_check numa_balancing=disable panic=-1 "
               f"hugepagesz=2M hugepages={huge} limit={PROGRAM_SECONDS}"]
    for node in range(NODES):
        command += ["-object", f"memory-backend-ram,id=m{node},size={NODE_MIB}M",
                    "-numa", f"node,nodeid={node},cpus={node},memdev=m{node}"]
    process = Process("guest", command, folder / "qemu.log")
    try:
        if not process.wait(seconds):
            print(f"the guest has not ended after {seconds} seconds", flush=True)
        elif process.returncode != 0:
            print((folder / "qemu.log").read_text(errors="replace"), flush=True)
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


def nodes(console):
    """What the guest says of its nodes; it must be what was asked for."""
    found = re.findall(r"^guest: (node\d+ .*)$", console, re.MULTILINE)
    if len(found) != NODES or not all(f"{HUGE_PAGES_PER_NODE} huge" in each for each in found):
        raise TestError(f"the guest has not {NODES} nodes with {HUGE_PAGES_PER_NODE} huge pages "
                        f"each: {found}\n{console[-2000:]}")
    return "; ".join(found)


def main():
    options = arguments()
    if not shutil.which(options.qemu):
        print(f"SKIP: {options.qemu} is not installed")
        return SKIPPED
    began = time.monotonic()
    try:
        image = GuestImage()
        with tempfile.TemporaryDirectory(prefix="dirtylog-numa-") as folder:
            console = boot(options.qemu, image, pack(options.program, image),
                           pathlib.Path(folder), options.seconds)
        if options.verbose:
            print(console)
        print(f"a guest of {nodes(console)}")
    except TestError as error:
        print(f"FAIL: {error}")
        return 1
    verdicts = []
    for result in results(options.program, console):
        verdicts.append(result.verdict())
        print(f"{verdicts[-1]} {result.text()}")
        for name in result.skipped:
            print(f"     skipped: {name}")
        if verdicts[-1] == "FAIL" and not options.verbose:
            print(result.output)
    print(", ".join(f"{verdicts.count(kind)} {word}" for kind, word in (
        ("PASS", "passed"), ("FAIL", "failed"), ("SKIP", "skipped")))
        + f" in {time.monotonic() - began:.0f} s")
    return 1 if "FAIL" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
