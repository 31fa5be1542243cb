# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of guests whose driver of virtio is not Linux's: an application's, and firmware's."""

import dataclasses

import firmware
from dpdk_guest import DpdkGuest
from steps import go_there, resume, run_migration
from vm import Topology


def dpdk_in_guest(lab):
    """a DPDK application in the guest polls the NIC's rings"""
    _take(lab, DpdkGuest(lab.tools.testpmd, lab.folder))
    return go_there(lab, Topology()).text()


def u_boot(lab):
    """U-Boot pings: few buffers, no offloads, its packets' headers are apart"""
    return _migrate(lab, firmware.u_boot(lab.tools.image, lab.folder), mode="icmpecho")


def uefi(lab):
    """UEFI's own driver (EDK2) pings: each header has a descriptor of its own, both ways"""
    return _migrate(lab, firmware.uefi(lab.tools.image, lab.folder), mode="icmpecho")


def ipxe(lab):
    """iPXE fetches a file from another guest: few buffers, headers apart"""
    usual = lab.tools.image
    return _migrate(lab, firmware.ipxe(usual, lab.folder), server=usual, mode="io", port_topology="paired")


def _migrate(lab, image, server=None, **wiring):
    """server  image of a guest that each back-end has beside the firmware's: it serves a file"""
    _take(lab, image)
    topology = Topology()
    backends = []
    for name in "ab":
        backends.append(lab.backend(name, topology, bystander=server and lab.bystander_socket(name), **wiring))
        if server:
            lab.server(name, server).run()
    source = lab.vm("a", topology, "vhost")
    backends[0].echo()
    source.run()
    source.converse(image.dialogue)
    source.wait_for_traffic()
    target = lab.vm("b", topology, "vhost", incoming=True)
    migration = lab.migration(source, backends[0], "b", target, steady=image.bandwidth)
    verdict = run_migration(lab, migration, ())
    resume(target, backends[1])
    return verdict.text()


def _take(lab, image):
    lab.tools = dataclasses.replace(lab.tools, image=image)


OTHER_GUESTS = {each.__name__.replace("_", "-"): each for each in (dpdk_in_guest, ipxe, u_boot, uefi)}
