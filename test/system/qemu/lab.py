# SPDX-License-Identifier: BSD-3-Clause
"""A scenario's workbench: its folder, its processes, and the end of all of them."""

import contextlib
import dataclasses
import pathlib
import shutil
import tempfile

from backend import Backend
from bystander import Bystander
from echo import Echo
from migration import Migration
from vhost_blk import VhostBlk
from relay import Relay
from vm import Topology, Vm, datagram_netdev, vhost_user_netdev


TAIL_LINES = 8
PARENT_MAX = 32
BYSTANDER_RATE = 400    # frames per second
DISK_BYTES = 48 << 20


@dataclasses.dataclass(frozen=True)
class Tools:
    """What the command line chose."""
    image: object
    vdev: str = "net_dirtylog"
    driver: str | None = None
    qemu: str = "qemu-system-x86_64"
    testpmd: str = "dpdk-testpmd"
    vhost_blk: str = "vhost-blk"
    packed: bool = False


class Lab:
    """Names are a, b, c ...: sockets, processes and logs are called after them."""

    def __init__(self, tools):
        self.tools = tools
        self.verdicts = []
        # the folder is part of socket paths, and those are short
        parent = "/tmp" if len(tempfile.gettempdir()) > PARENT_MAX else None
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dirtylog-", dir=parent))
        self._cleanup = contextlib.ExitStack()

    def backend(self, name, topology, again="", stock=False, **options):
        """`again` tells a process apart that follows one of the same name and sockets.

        stock  it is DPDK's own net_vhost
        """
        if topology.disks:
            return self._disk_backend(name)
        sockets = [self.folder / f"{name}{nic}.vhost" for nic in range(topology.nics)]
        if topology.viommu:
            options["devargs"] = options.get("devargs", "") + ",iommu-support=1"
        driver = ("net_vhost", None) if stock else (self.tools.vdev, self.tools.driver)
        backend = Backend(f"testpmd-{name}{again}", self.tools.testpmd, *driver, sockets,
                          topology.queues, self.folder, **options)
        self._keep(backend).wait_until_up()
        return backend

    def _disk_backend(self, name):
        """All of them serve the same disk."""
        disk = self.folder / "disk"
        if not disk.exists():
            with open(disk, "wb") as image:
                image.truncate(DISK_BYTES)
        backend = VhostBlk(f"vhost-blk-{name}", self.tools.vhost_blk, self.folder / f"{name}0.vhost",
                         disk, self.folder)
        self._keep(backend).wait_until_up()
        return backend

    def relays(self, name, backend, steal_log=False, backend_connects=False):
        """One relay in front of each of a back-end's sockets."""
        return [self._keep(Relay(self.folder / f"{name}{nic}.relay", path,
                                 self.folder / f"relay-{name}{nic}.log", steal_log,
                                 backend_connects))
                for nic, path in enumerate(backend.sockets)]

    def echo(self, name):
        return self._keep(Echo(self.folder / f"{name}.echo", self.folder / f"{name}.nic"))

    def bystander(self, backend):
        """The guest on the port that `backend` was given for it, with traffic."""
        vm = self._beside("bystander", self.bystander_socket(), Topology(frames_per_second=BYSTANDER_RATE))
        return self._keep(Bystander(vm, backend.telemetry(), len(backend.sockets)))

    def server(self, name, image):
        """A guest that serves a file, on the bystander's port of the back-end of that name."""
        topology = Topology(frames_per_second=1, host=1)
        return self._beside(f"server-{name}", self.bystander_socket(name), topology, image)

    def _beside(self, name, path, topology, image=None):
        vm = Vm(f"vm-{name}", self.tools.qemu, image or self.tools.image,
                dataclasses.replace(topology, packed=self.tools.packed),
                [vhost_user_netdev(0, path, 1)], [], self.folder)
        self._keep(vm).wait_until_up()
        return vm

    def bystander_socket(self, name=""):
        return self.folder / f"bystander{name}.vhost"

    def vm(self, name, topology, far_end, served_by=None, incoming=False, chardev="reconnect=1"):
        """A VM whose NICs (or disks) go to the far end ("vhost", "relay" or "echo") of that name."""
        served_by = served_by or name
        # QEMU 7.2's own virtio-net, the "echo" end, stalls on packed rings
        topology = dataclasses.replace(topology, packed=self.tools.packed and far_end != "echo")
        if far_end == "echo":
            netdevs = [datagram_netdev(0, self.folder / f"{served_by}.nic",
                                       self.folder / f"{served_by}.echo")]
        else:
            netdevs = [vhost_user_netdev(nic, self.folder / f"{served_by}{nic}.{far_end}",
                                         topology.queues, chardev)
                       for nic in range(topology.nics)]
        disks = [self.folder / f"{served_by}{disk}.{far_end}" for disk in range(topology.disks)]
        vm = Vm(f"vm-{name}", self.tools.qemu, self.tools.image, topology, netdevs, disks,
                self.folder, self._stream(name) if incoming else None)
        self._keep(vm).wait_until_up()
        return vm

    def migration(self, source, backend, target_name, target, **options):
        migration = Migration(source, backend, target, self._stream(target_name), **options)
        self._cleanup.callback(migration.close)
        return migration

    def _stream(self, name):
        return self.folder / f"{name}.migration"

    def tails(self):
        """The ends of all logs."""
        paths = [path for kind in ("testpmd-*.log", "vhost-blk-*.log", "ovs-*.log", "vm-*.log", "*.console")
                 for path in sorted(self.folder.glob(kind))]
        return "\n".join(f"--- {path.name}\n" + "\n".join(
            path.read_text(errors="replace").splitlines()[-TAIL_LINES:]) for path in paths)

    def close(self, keep):
        self._cleanup.close()
        if not keep:
            shutil.rmtree(self.folder)

    def _keep(self, thing):
        self._cleanup.callback(thing.stop)
        return thing
