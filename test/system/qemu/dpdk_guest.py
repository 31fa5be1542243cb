# SPDX-License-Identifier: BSD-3-Clause
"""A guest in which a DPDK application, testpmd, has the NICs: no kernel between it and the rings."""

import pathlib
import shutil

from errors import TestError
from guestimage import UIO_MODULES, GuestImage, initramfs, libraries

HERE = pathlib.Path(__file__).resolve().parent
HUGE_PAGES = 48
# Drivers that testpmd loads by itself, from where it looks for them.
DRIVERS = ("librte_net_virtio.so", "librte_mempool_ring.so")


class DpdkGuest(GuestImage):
    """With the usual guest's kernel and the testpmd that is installed here."""

    words = f" hugepages={HUGE_PAGES}"

    def __init__(self, testpmd, folder):
        """folder  where the initramfs is made"""
        super().__init__()
        self.initramfs = folder / "initramfs"
        program = pathlib.Path(shutil.which(testpmd))
        needed = libraries(program)
        drivers = [_driver_folder(needed) / name for name in DRIVERS]
        files = {"init": HERE / "guest" / "dpdk", "bin/busybox": self.folder / "busybox", "testpmd": program}
        for name in UIO_MODULES:
            files[f"modules/{name}.ko"] = self.folder / "modules" / f"{name}.ko"
        for path in needed.union(drivers, *map(libraries, drivers)):
            files[str(path).lstrip("/")] = path
        self.initramfs.write_bytes(initramfs(files))


def _driver_folder(needed):
    """Beside the EAL's library."""
    eal = next((path for path in needed if path.name.startswith("librte_eal.so")), None)
    found = list(eal.resolve().parent.glob("dpdk/pmds-*")) if eal else []
    if len(found) != 1:
        raise TestError(f"testpmd's DPDK has {len(found)} folders of drivers beside {eal}")
    return found[0]
