# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of guests whose driver of virtio is not Linux's: an application's, and firmware's."""

import dataclasses

import firmware
from dpdk_guest import DpdkGuest
from steps import add_target, go_there, resume, run_migration
from vm import Topology


def dpdk_in_guest(lab):
    """a DPDK application in the guest polls the NIC's rings"""
    _take(lab, DpdkGuest(lab.tools.testpmd, lab.folder))
    return go_there(lab, Topology()).text()


def u_boot(lab):
    """U-Boot pings: few buffers, no offloads, its packets' headers are apart"""
    return _pinging(lab, firmware.u_boot(lab.tools.image, lab.folder))


def uefi(lab):
    """UEFI's own driver (EDK2) pings: each header has a descriptor of its own, both ways"""
    return _pinging(lab, firmware.uefi(lab.tools.image, lab.folder))


def ipxe(lab):
    """iPXE fetches a file from another guest: few buffers, headers apart"""
    usual = lab.tools.image
    image = firmware.ipxe(usual, lab.folder)
    _take(lab, image)
    topology = Topology()
    wiring = [{"mode": "io", "port_topology": "paired", "bystander": lab.bystander_socket(name)} for name in "ab"]
    backend = lab.backend("a", topology, **wiring[0])
    target_backend = lab.backend("b", topology, **wiring[1])
    servers = [lab.server(name, usual) for name in "ab"]
    for server in servers:
        server.run()
    source = lab.vm("a", topology, "vhost")
    backend.echo()
    source.run()
    source.wait_for_traffic()
    target = lab.vm("b", topology, "vhost", incoming=True)
    verdict = run_migration(lab, lab.migration(source, backend, "b", target, steady=image.bandwidth), ())
    resume(target, target_backend)
    return verdict.text()


def _pinging(lab, image):
    _take(lab, image)
    topology = Topology()
    backend = lab.backend("a", topology, mode="icmpecho")
    source = lab.vm("a", topology, "vhost")
    backend.echo()
    source.run()
    source.converse(image.dialogue)
    source.wait_for_traffic()
    target, target_backend, _ = add_target(lab, "b", topology, relayed=False, mode="icmpecho")
    verdict = run_migration(lab, lab.migration(source, backend, "b", target, steady=image.bandwidth), ())
    resume(target, target_backend)
    return verdict.text()


def _take(lab, image):
    lab.tools = dataclasses.replace(lab.tools, image=image)


OTHER_GUESTS = {each.__name__.replace("_", "-"): each for each in (dpdk_in_guest, ipxe, u_boot, uefi)}
