# SPDX-License-Identifier: BSD-3-Clause
"""The guest's kernel and initramfs, and QEMU's TLB remedy: built once, kept in a cache folder."""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile

from errors import TestError

HERE = pathlib.Path(__file__).resolve().parent
KERNEL_META = "linux-image-cloud-amd64"
# In the order in which they must be loaded.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev",
           "virtio_pci", "virtio_mem", "failover", "net_failover", "virtio_net", "virtio_blk",
           "llc", "stp", "garp", "mrp", "8021q")
# Of a guest whose NICs an application has.
UIO_MODULES = ("uio", "uio_pci_generic")
# Traffic generators of the guest, each made of one C file.
PROGRAMS = ("traffic", "disk")
# First processes: the one that PROGRAMS go with, and one that is chosen by rdinit=.
INITS = ("init", "tcp")
FETCH_SECONDS = 300
BUILD_SECONDS = 60
NEEDED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def cache_folder():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "dirtylog"


class GuestImage:
    """Paths of what a test VM needs; all of them exist once the object does."""

    words = ""      # more of the kernel's command line
    flowing = 20    # so many more frames of each generator show that frames flow

    def __init__(self, folder=None):
        self.folder = pathlib.Path(folder or cache_folder() / "guest")
        self.kernel = self.folder / "vmlinuz"
        self.initramfs = self.folder / "initramfs"
        self.tlbflush = self.folder / "tlbflush.so"
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)    # two runs may start at once
            self._fetch()
            self._build()

    def boot(self, console, shell, words):
        """QEMU's options: the guest prints to the file `console`, and its shell reads the FIFO `shell`.in."""
        pathlib.Path(f"{shell}.out").touch()
        return ["-serial", f"file:{console}", "-chardev", f"pipe,id=shell,path={shell}", "-serial", "chardev:shell",
                "-kernel", self.kernel, "-initrd", self.initramfs, "-append",
                f"console=ttyS0 quiet init_on_alloc=0 no_timer_check memhp_default_state=online {words}{self.words}"]

    def traffic(self, text):
        """The newest counters in what it has printed: generator -> (sent, echoed, bad)."""
        found = {}
        pattern = r"^traffic (\S+) sent=(\d+) echoed=(\d+) bad=(\d+)(?: again=\d+)?\r?$"
        for match in re.finditer(pattern, text, re.MULTILINE):
            found[match[1]] = tuple(int(match[i]) for i in (2, 3, 4))
        return found

    def _fetch(self):
        busybox = self.folder / "busybox"
        modules = self.folder / "modules"
        wanted = MODULES + UIO_MODULES
        if busybox.exists() and all((modules / f"{name}.ko").exists() for name in wanted):
            return
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            scratch = pathlib.Path(scratch)
            download([_kernel_package(), "busybox-static"], scratch)
            root = scratch / "root"
            for deb in scratch.glob("*.deb"):
                run(["dpkg", "-x", deb, root], FETCH_SECONDS)
            modules.mkdir(exist_ok=True)
            for name in wanted:
                shutil.copyfile(only(root, f"lib/modules/*/kernel/**/{name}.ko"), modules / f"{name}.ko")
            shutil.copyfile(only(root, "boot/vmlinuz-*"), self.kernel)
            shutil.copy(only(root, "bin/busybox"), busybox)

    def _build(self):
        sources = (*(HERE / "guest" / f"{name}.c" for name in PROGRAMS),
                   *(HERE / "guest" / name for name in INITS), HERE / "tlbflush.c", HERE / "guestimage.py", self.kernel)
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
        stamp = self.folder / "stamp"
        if stamp.exists() and stamp.read_text() == digest:
            return
        compiler = os.environ.get("CC", "cc").split()
        flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra"]
        for name in PROGRAMS:
            run([*compiler, *flags, "-static", "-pthread", "-o", self.folder / name,
                  HERE / "guest" / f"{name}.c"], BUILD_SECONDS)
        run([*compiler, *flags, "-shared", "-fPIC", "-o", self.tlbflush, HERE / "tlbflush.c"],
             BUILD_SECONDS)
        order = self.folder / "order"
        # What is not there is part of the kernel.
        modules = [name for name in MODULES if (self.folder / "modules" / f"{name}.ko").exists()]
        order.write_text("".join(f"{name}\n" for name in modules))
        files = {"bin/busybox": self.folder / "busybox", "modules/order": order}
        for name in INITS:
            files[name] = HERE / "guest" / name
        for name in PROGRAMS:
            files[name] = self.folder / name
        for name in modules:
            files[f"modules/{name}.ko"] = self.folder / "modules" / f"{name}.ko"
        self.initramfs.write_bytes(initramfs(files))
        stamp.write_text(digest)


def _kernel_package():
    """The package that the meta package stands for."""
    shown = run(["apt-cache", "depends", KERNEL_META], BUILD_SECONDS)
    found = re.search(r"Depends: (linux-image-\S+)", shown)
    if not found:
        raise TestError(f"apt knows no package {KERNEL_META}: run 'apt-get update' first")
    return found.group(1)


def download(packages, folder):
    try:
        run(["apt-get", "-o", "APT::Sandbox::User=root", "download", *packages],
             FETCH_SECONDS, cwd=folder)
    except TestError as error:
        raise TestError(f"cannot download {' '.join(packages)}: "
                        f"run 'apt-get update' and see that the network is up\n{error}") from None


def only(root, pattern):
    found = list(root.glob(pattern))
    if len(found) != 1:
        raise TestError(f"{len(found)} files are {pattern} in the packages that apt delivered")
    return found[0]


def run(command, seconds, cwd=None):
    try:
        done = subprocess.run(command, cwd=cwd, timeout=seconds, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise TestError(f"{command[0]}: not installed") from None
    except subprocess.TimeoutExpired:
        raise TestError(f"{command[0]}: not done after {seconds} seconds") from None
    if done.returncode != 0:
        raise TestError(f"{' '.join(map(str, command))} failed:\n{done.stdout.strip()}")
    return done.stdout


def libraries(program):
    """The shared libraries that a program needs, as the dynamic linker finds them here."""
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=20)
    if "not found" in shown.stdout:
        raise TestError(f"{program}: a library is missing:\n{shown.stdout}")
    found = {pathlib.Path(path) for path in NEEDED.findall(shown.stdout)}
    # loaded when a thread is cancelled
    unwinder = {path.with_name("libgcc_s.so.1") for path in found if path.name == "libc.so.6"}
    return found | {path for path in unwinder if path.exists()}


def initramfs(files):
    """A cpio archive ("newc") of name -> path, with the folders they need."""
    folders = {str(parent) for name in files for parent in pathlib.PurePath(name).parents}
    archive = b"".join(_cpio_entry(name, stat.S_IFDIR | 0o755, b"")
                       for name in sorted(folders - {"."}))
    archive += _cpio_entry("dev", stat.S_IFDIR | 0o755, b"")
    # The kernel opens it for init before anything is mounted.
    archive += _cpio_entry("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1))
    for name, path in files.items():
        archive += _cpio_entry(name, stat.S_IFREG | 0o755, path.read_bytes())
    return archive + _cpio_entry("TRAILER!!!", 0, b"")


def _cpio_entry(name, mode, content, device=(0, 0)):
    name = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device of file, device, name length, checksum
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
