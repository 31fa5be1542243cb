# SPDX-License-Identifier: BSD-3-Clause
"""A newer QEMU and a newer guest kernel than the installed Debian has: unpacked, not installed.

They come from Debian's backports, by lists and a cache of apt's own, and are kept beside the
usual guest. For what the installed ones do not have: VIRTIO_F_IN_ORDER, which QEMU offers from
9.2 on and Linux takes since 2026.
"""

import lzma
import pathlib
import re
import shutil
import tempfile

from errors import Skip, TestError
from guestimage import FETCH_SECONDS, MODULES, GuestImage, cache_folder, run

# QEMU has to run here, the kernel does not.
SUITES = {"qemu": "bookworm-backports", "kernel": "trixie-backports"}
MIRROR = "http://deb.debian.org/debian"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
KERNEL_META = "linux-image-cloud-amd64"
QEMU_PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data")
DATA_FOLDERS = ("/usr/share/seabios", "/usr/share/qemu")    # of the installed QEMU: firmware


class Apt:
    """One suite, apart from the system's lists, packages and cache."""

    def __init__(self, suite, folder):
        self.suite = suite
        self._folder = folder
        for path in ("lists/partial", "cache/archives/partial"):
            (folder / path).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {MIRROR} {suite} main\n")
        self("apt-get", "-qq", "update")

    def __call__(self, program, *arguments, cwd=None):
        options = {"Dir::Etc::SourceList": self._folder / "sources.list",
                   "Dir::Etc::SourceParts": "/dev/null", "Dir::State::Lists": self._folder / "lists",
                   "Dir::State::Status": self._folder / "status", "Dir::Cache": self._folder / "cache",
                   "APT::Sandbox::User": "root", "Acquire::Retries": 3}
        chosen = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return run([program, *chosen, *arguments], FETCH_SECONDS, cwd=cwd)

    def unpack(self, packages, root):
        """The newest ones of this suite."""
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            self("apt-get", "download", *(f"{name}/{self.suite}" for name in packages), cwd=scratch)
            for deb in pathlib.Path(scratch).glob("*.deb"):
                run(["dpkg", "-x", deb, root], FETCH_SECONDS)


class NewerGuest(GuestImage):
    """A guest with that kernel, and `qemu`: the path of that QEMU."""

    def __init__(self):
        super().__init__(cache_folder() / "newer")
        self.qemu = self.folder / "qemu"

    def _fetch(self):
        done = self.folder / "fetched"
        if done.exists():
            return
        shutil.copy(cache_folder() / "guest" / "busybox", self.folder / "busybox")
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            scratch = pathlib.Path(scratch)
            self._fetch_qemu(Apt(SUITES["qemu"], scratch / "qemu"))
            self._fetch_kernel(Apt(SUITES["kernel"], scratch / "kernel"), scratch / "root")
        done.touch()

    def _fetch_qemu(self, apt):
        root = self.folder / "qemu-root"
        shutil.rmtree(root, ignore_errors=True)
        apt.unpack(QEMU_PACKAGES, root)
        data = " ".join(f"-L {folder}" for folder in (root / "usr/share/qemu", *DATA_FOLDERS))
        script = self.folder / "qemu"
        script.write_text(f'#!/bin/sh\nexec {root}/usr/bin/qemu-system-x86_64 {data} "$@"\n')
        script.chmod(0o755)
        run([script, "--version"], FETCH_SECONDS)

    def _fetch_kernel(self, apt, root):
        names = [KERNEL_META]
        # The meta package, the kernel's own, and what that is split into.
        for _ in range(2):
            shown = apt("apt-cache", "depends", "--important", *names)
            names = sorted(set(names) | set(re.findall(r"Depends: (linux-(?:image|binary|modules)-\S+)", shown)))
        apt.unpack([name for name in names if name != KERNEL_META and re.search(r"-\d", name)], root)
        (self.folder / "modules").mkdir(exist_ok=True)
        for name in MODULES:
            for path in root.glob(f"**/{name}.ko*"):
                packed = path.read_bytes()
                (self.folder / "modules" / f"{name}.ko").write_bytes(
                    lzma.decompress(packed) if path.suffix == ".xz" else packed)
        kernels = list(root.glob("**/vmlinuz*"))
        if len(kernels) != 1:
            raise TestError(f"{len(kernels)} kernels in {', '.join(names)}")
        shutil.copyfile(kernels[0], self.kernel)


def newer_guest():
    try:
        return NewerGuest()
    except (TestError, OSError) as error:
        raise Skip(f"no newer QEMU and kernel to be had: {str(error).splitlines()[0]}") from None
