# SPDX-License-Identifier: BSD-3-Clause
"""The machines that QEMU can play: this one's kind, and arm64, whose files lie in a folder."""

import re
import subprocess

from errors import TestError
from guestimage import GuestImage, libraries

NEEDED = re.compile(r"\(NEEDED\).*\[(\S+)\]")
# What the EAL loads by itself, and tests need: nothing here may be linked to a program as well.
DRIVERS = ("librte_mempool_ring", "librte_net_vhost")
# Loaded when a thread is cancelled
UNWINDER = "libgcc_s.so.1"


def needed(program):
    shown = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, timeout=20)
    return set(NEEDED.findall(shown.stdout))


class Native:
    """Runs what runs here. The kernel is that of the migration tests' guests."""
    name = "x86-64"
    qemu = "qemu-system-x86_64"
    options = ("-accel", "tcg", "-cpu", "max")
    kernel_arguments = "console=ttyS0 no_timer_check"

    def __init__(self):
        image = GuestImage()
        self.kernel = image.kernel
        self.busybox = image.folder / "busybox"

    def libraries(self, programs):
        """Path in the guest -> path here, of what programs need."""
        return {str(path): path for path in set().union(*map(libraries, programs))}


class Arm64:
    """Runs what was cross built against `root`, an unpacked Debian: see devtools/setup."""
    name = "arm64"
    qemu = "qemu-system-aarch64"
    # Pointer authentication is slow to emulate with the architecture's own algorithm.
    options = ("-machine", "virt", "-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on")
    kernel_arguments = "console=ttyAMA0"
    folders = ("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu")

    def __init__(self, root, kernel):
        self.root = root
        self.kernel = self._only(f"boot/vmlinuz-*-{kernel}")
        self.busybox = self._only("bin/busybox")

    def libraries(self, programs):
        """As Native's. The dynamic linker does not run here, so its search is played."""
        drivers = [self._only(f"usr/lib/*/dpdk/*/{name}.so.*.*") for name in DRIVERS]
        files = {f"/{path.relative_to(self.root)}": path for path in drivers}
        files["/lib/ld-linux-aarch64.so.1"] = self._library("ld-linux-aarch64.so.1")
        names = set().union(*map(needed, [*programs, *drivers]), {UNWINDER})
        while names:
            name = names.pop()
            path = f"/usr/lib/aarch64-linux-gnu/{name}"
            if path not in files:
                files[path] = self._library(name)
                names |= needed(files[path])
        return files

    def _library(self, name):
        for folder in self.folders:
            path = self.root / folder / name
            if path.exists():
                return path
        raise TestError(f"{name} is not in {self.root}: see devtools/setup")

    def _only(self, pattern):
        found = sorted(self.root.glob(pattern))
        if len(found) != 1:
            raise TestError(f"{len(found)} files are {pattern} in {self.root}: see devtools/setup")
        return found[0]
