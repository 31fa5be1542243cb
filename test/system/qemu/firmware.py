# SPDX-License-Identifier: BSD-3-Clause
"""Guests that are no operating system: firmware, whose drivers of virtio are few and plain.

It is unpacked from Debian's packages, not installed, and kept beside the usual guest.
"""

import dataclasses
import pathlib
import re
import shutil
import tempfile

from guestimage import FETCH_SECONDS, cache_folder, download, only, run
from vm import MIB, SERVER_ADDRESS

CLIENT_ADDRESS = "10.0.0.3"
# File in a package's tree, by package
FILES = {"ipxe": "boot/ipxe.lkrn", "u-boot-qemu": "usr/lib/u-boot/qemu-x86/u-boot.rom",
         "ovmf": "usr/share/OVMF/OVMF_CODE.fd"}
IPXE_SCRIPT = f"""#!ipxe
ifopen net0
set net0/ip {CLIENT_ADDRESS}
set net0/netmask 255.255.255.0
:again
imgfetch http://{SERVER_ADDRESS}/short && echo fetched || echo not fetched
imgfree
goto again
"""
# The UEFI shell runs it by itself. Only scripts have loops.
UEFI_SCRIPT = f"""@echo -off
connect -r
ifconfig -s eth0 static {CLIENT_ADDRESS} 255.255.255.0 {SERVER_ADDRESS}
for %n run (1 99999)
ping -n 1 {SERVER_ADDRESS}
endfor
"""


@dataclasses.dataclass(frozen=True)
class Firmware:
    """A guest's image, as GuestImage is one."""
    options: tuple          # of QEMU
    reply: str              # what it prints when something has come back, as a regular expression
    tlbflush: pathlib.Path
    bandwidth: int          # of its migration, see Migration
    dialogue: tuple = ()    # (what it prints, what is typed then)
    flowing: int = 3        # so many replies show that frames flow

    def boot(self, console, shell, _words):
        """One serial line is both."""
        console.touch()
        pathlib.Path(f"{shell}.out").symlink_to(console)
        return ["-chardev", f"pipe,id=shell,path={shell}", "-serial", "chardev:shell", *self.options]

    def traffic(self, text):
        replies = len(re.findall(self.reply, text))
        return {"replies": (replies, replies, 0)}


def ipxe(usual, folder):
    script = folder / "script.ipxe"
    script.write_text(IPXE_SCRIPT)
    return Firmware(("-machine", "graphics=off", "-kernel", _file("ipxe"), "-initrd", script),
                    r"(?<!not )fetched", usual.tlbflush, MIB // 2)


def u_boot(usual, _folder):
    commands = f"setenv ipaddr {CLIENT_ADDRESS}; virtio scan; while true; do ping {SERVER_ADDRESS}; done"
    return Firmware(("-bios", _file("u-boot-qemu")), "is alive", usual.tlbflush, MIB // 2,
                    (("stop autoboot", ""), ("=> ", commands)))


def uefi(usual, folder):
    disk = folder / "uefi"
    disk.mkdir()
    (disk / "startup.nsh").write_text(UEFI_SCRIPT)
    return Firmware(("-bios", _file("ovmf"), "-drive", f"if=none,id=disk,format=vvfat,read-only=on,dir={disk}",
                     "-device", "virtio-blk-pci,drive=disk,bootindex=1"),
                    "1 received", usual.tlbflush, 2 * MIB)


def _file(package):
    """Its firmware, in the cache."""
    kept = cache_folder() / "firmware" / pathlib.PurePath(FILES[package]).name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            scratch = pathlib.Path(scratch)
            download([package], scratch)
            run(["dpkg", "-x", only(scratch, "*.deb"), scratch], FETCH_SECONDS)
            shutil.copyfile(scratch / FILES[package], scratch / "whole")
            (scratch / "whole").rename(kept)
    return kept
