# SPDX-License-Identifier: BSD-3-Clause
"""The workbench of test/system/qemu, with Open vSwitches in place of testpmd."""

import dataclasses
import pathlib

from lab import Lab, Tools
from vm import Vm
from vswitch import GuestPort, Vswitch

# How QEMU keeps a NIC when its port goes: it connects again, or is connected to.
CONNECTS_AGAIN = "reconnect=1"
IS_CONNECTED_TO = "server=on"


VDEV = "dpdk"                   # a port of type dpdk, which is the driver's
CLIENT = "dpdkvhostuserclient"  # OVS's own: it connects to QEMU
SERVER = "dpdkvhostuser"        # OVS's own: it listens, as the driver's does unless told
PORTS = (VDEV, CLIENT, SERVER)


@dataclasses.dataclass(frozen=True)
class OvsTools(Tools):
    """What the command line chose."""
    ports: str = VDEV
    door: str | None = None         # preloaded into OVS
    datapath: str | None = None     # that it is to load; None: as it would


class Network(Lab):
    """Guests are a, b, c ...; so are the ports that their NICs are on."""

    def vswitch(self, name, stock=False):
        """With the door that the command line chose, or without it."""
        door = {}
        if self.tools.door and not stock:
            door["LD_PRELOAD"] = self.tools.door
        if self.tools.datapath and not stock:
            door["DIRTYLOG_VHOST_DATAPATH"] = pathlib.Path(self.tools.datapath).resolve()
        vswitch = self._keep(Vswitch(name, self.tools.driver, self.folder, door))
        vswitch.configure()
        return vswitch

    def guest_port(self, vswitch, name, queues=1, client=0):
        """`client` is whether the port connects; OVS's own decide by their type."""
        socket = self.folder / f"{name}0.vhost"
        if self.tools.ports != VDEV:
            vswitch.add_vhost_port(name, socket, self.connects)
        else:
            vswitch.add_port(
                name, f"{self.tools.vdev}_{name},iface={socket},queues={queues},client={client}",
                n_rxq=queues)
        return GuestPort(vswitch, name, socket)

    @property
    def connects(self):
        """Whether the guests' ports do, where a scenario does not say so."""
        return self.tools.ports == CLIENT

    @property
    def chardev(self):
        return IS_CONNECTED_TO if self.connects else CONNECTS_AGAIN

    def lasting_vm(self, name, topology, way):
        """A VM that outlives its port, one of the two ways above."""
        topology = dataclasses.replace(topology, packed=self.tools.packed)
        netdev = ["-chardev", f"socket,id=c0,path={self.folder}/{name}0.vhost,{way}",
                  "-netdev", f"vhost-user,id=n0,chardev=c0,queues={topology.queues}"]
        vm = Vm(f"vm-{name}", self.tools.qemu, self.tools.image, topology, [netdev], [], self.folder)
        self._keep(vm).wait_until_up()
        return vm

    def link(self, one, two):
        """Connect two Open vSwitches: one is the back-end, the other takes a guest's part."""
        socket = self.folder / "link.vhost"
        one.add_port("link", f"net_dirtylog_link,iface={socket}")
        two.add_port("link", f"net_virtio_user_link,path={socket}")
