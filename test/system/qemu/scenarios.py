# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of migration. Each takes a Lab, raises on failure and returns a line of details."""

import dataclasses
import pathlib

from errors import Inconclusive, Skip, TestError
from migration import LATE_MIN, PagesDiffer
from newer import newer_guest
from steps import RESUME_SECONDS, add_target, go_there, migrate, resume, run_migration, start_source
from vm import Topology

VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER = 34, 35
FREE_HUGE_PAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")


def plain(lab):
    """QEMU talks to the back-end directly"""
    return go_there(lab, Topology(), relayed=False).text()


def late_writes(lab):
    """hundreds of buffers are written after the CPUs stopped, before GET_VRING_BASE"""
    return go_there(lab, Topology()).text()


def huge_pages(lab):
    """guest RAM in huge pages"""
    topology = Topology(hugetlb=True)
    wanted = 2 * topology.memory_mib // 2
    free = int(FREE_HUGE_PAGES.read_text()) if FREE_HUGE_PAGES.exists() else 0
    if free < wanted:
        raise Skip(f"{wanted} free huge pages of 2 MiB wanted, there are {free}")
    return go_there(lab, topology).text()


def two_nics(lab):
    """two NICs of one VM share one log; most RAM is above the hole under 4 GiB"""
    return go_there(lab, Topology(nics=2, low_mib=128, frames_per_second=500)).text()


def two_queues(lab):
    """two queue pairs, two CPUs"""
    return go_there(lab, Topology(queues=2, cpus=2, frames_per_second=500)).text()


def regions(lab):
    """RAM below 4 GiB, above it and in a DIMM; two NUMA nodes; a NIC writes to each node"""
    topology = Topology(nics=2, cpus=2, low_mib=128, dimm_mib=128, frames_per_second=300)
    verdict = go_there(lab, topology)
    in_dimm = sum(address >= verdict.dimm_start for address in verdict.late)
    elsewhere = len(verdict.late) - in_dimm
    if min(in_dimm, elsewhere) < LATE_MIN:
        raise TestError(f"{in_dimm} pages were written in the DIMM, {elsewhere} elsewhere: "
                        f"at least {LATE_MIN} wanted in each")
    return f"{verdict.text()} ({in_dimm} written in the DIMM, {elsewhere} elsewhere)"


def cancel(lab):
    """cancelled half-way, then migrated"""
    topology = Topology()
    source, backend, relays = start_source(lab, topology)
    target, target_backend, _ = add_target(lab, "b", topology)
    first = lab.migration(source, backend, "b", target)
    first.start()
    first.run_rounds(2)
    first.cancel()
    source.wait_for_traffic(RESUME_SECONDS)
    target.stop()
    target_backend.quit()
    return migrate(lab, source, backend, relays, "c", topology).text()


def reboot(lab):
    """the guest reboots while it migrates"""
    topology = Topology()
    source, backend, relays = start_source(lab, topology)

    def reset(migration):
        migration.run_rounds(2)
        migration.hold_round()
        source.qmp.command("system_reset")
        migration.poll_until(lambda: source.boots() > 1, 60, "second boot of the guest")
        start = source.traffic()
        migration.poll_until(lambda: source.flows_since(start), RESUME_SECONDS,
                             "traffic after the boot")
        migration.release_round()

    return migrate(lab, source, backend, relays, "b", topology, meanwhile=reset).text()


def there_and_back(lab):
    """migrated to another back-end, and from there to the first one"""
    topology = Topology()
    source, backend, relays = start_source(lab, topology)
    target, target_backend, target_relays = add_target(lab, "b", topology)
    there = run_migration(lab, lab.migration(source, backend, "b", target), relays)
    resume(target, target_backend)
    source.stop()
    backend.idle()

    last = lab.vm("c", topology, "relay", served_by="a", incoming=True)
    back = run_migration(lab, lab.migration(target, target_backend, "c", last), target_relays)
    resume(last, backend)
    target.stop()
    target_backend.quit()
    last.stop()
    backend.quit()
    return f"there: {there.text()}; back: {back.text()}"


def from_stock(lab):
    """packed rings, in order: from DPDK's net_vhost to the back-end, back, and again"""
    image = newer_guest()
    lab.tools = dataclasses.replace(lab.tools, image=image, qemu=str(image.qemu), packed=True)
    topology = Topology(in_order=True)
    source, backend, _ = start_source(lab, topology, relayed=False, stock=True)
    if not {VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER} <= source.features(0):
        raise Skip("the guest's kernel does not take both packed rings and in-order use")
    texts = []
    for name in ("b", "c", "d"):
        # Between them two, an offer of net_vhost that a guest may have taken is the same.
        wiring = {"stock": True} if name == "c" else {"devargs": ",tso=1"}
        target, target_backend, _ = add_target(lab, name, topology, relayed=False, **wiring)
        try:
            texts.append(run_migration(lab, lab.migration(source, backend, name, target), ()).text())
        except PagesDiffer as loss:
            if name == "c":
                raise
            raise Inconclusive(f"net_vhost itself has lost pages: {loss}") from None
        source.stop()
        backend.quit()
        resume(target, target_backend)
        source, backend = target, target_backend
    source.check_content()
    if source.repeated():
        raise TestError(f"{source.repeated()} frames came to the guest more than once")
    for log in lab.folder.glob("testpmd-*.log"):
        if "packed ring was" in log.read_text(errors="replace"):
            raise TestError(f"{log.name}: the place that the front-end gave was not believed")
    source.stop()
    backend.quit()
    return "; ".join(texts)


def vhost_blk(lab):
    """the example back-end, a RAM disk: reads and writes, and reads after the CPUs stopped"""
    if lab.tools.packed:
        raise Skip("its rings are split")
    return go_there(lab, Topology(nics=0, disks=1, frames_per_second=400)).text()


def viommu(lab):
    """the NIC is behind a vIOMMU: librte_vhost's own datapath serves it, and asks QEMU for translations"""
    if lab.tools.packed:
        raise Skip("librte_vhost drops what it has no translation for, and loses pages")
    topology = Topology(viommu=True)
    source, backend, relays = start_source(lab, topology)
    # The first one is bit 0; 33 is VIRTIO_F_ACCESS_PLATFORM.
    if source.ask("cut -c34 /sys/bus/virtio/devices/virtio0/features") != "1":
        raise TestError("the guest's NIC is behind no vIOMMU")
    return migrate(lab, source, backend, relays, "b", topology).text()


def own_virtio(lab):
    """control: QEMU's own virtio-net, no vhost: nothing may be lost here"""
    topology = Topology()
    source_echo = lab.echo("a")
    source = lab.vm("a", topology, "echo")
    source.run()
    source_echo.echo()
    source.wait_for_traffic(boots=1)
    target_echo = lab.echo("b")
    target = lab.vm("b", topology, "echo", incoming=True)
    verdict = run_migration(lab, lab.migration(source, source_echo, "b", target), [])
    resume(target, target_echo)
    return verdict.text()


def stolen_log(lab):
    """negative control: the back-end marks in a log that QEMU never sees, so pages must differ"""
    topology = Topology()
    source, backend, relays = start_source(lab, topology, steal_log=True)
    target, _, _ = add_target(lab, "b", topology)
    try:
        verdict = run_migration(lab, lab.migration(source, backend, "b", target), relays)
    except PagesDiffer as loss:
        return f"seen as it should: {loss.verdict.text()}"
    if not relays[0].stolen:
        raise TestError("the back-end was sent no log")
    raise TestError(f"the loss was not seen: {verdict.text()}")


MIGRATIONS = {each.__name__.replace("_", "-"): each for each in (
    own_virtio, stolen_log, plain, late_writes, huge_pages, two_nics, two_queues, regions,
    cancel, reboot, there_and_back, from_stock, vhost_blk, viommu)}
