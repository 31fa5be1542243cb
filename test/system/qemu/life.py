# SPDX-License-Identifier: BSD-3-Clause
"""Scenarios of a port's life: what comes, goes, restarts and is replaced while packets flow."""

import time

from errors import Inconclusive, TestError
from migration import LATE_MIN
from steps import RESUME_SECONDS, add_target, migrate, resume, run_migration, start_source
from vm import GIB, VIRTIO_MEM_START, Topology

BOOT_SECONDS = 60
PLUGGED_MIB = 128


def backend_killed(lab):
    """the back-end is killed and started again, before a migration and in the middle of it"""
    topology = Topology()
    source, backend, relays = start_source(lab, topology)
    backend = _replace_killed(lab, backend, topology, "2")
    _unless_spoilt(backend, lambda: source.wait_for_traffic(RESUME_SECONDS))

    def kill(migration):
        migration.run_rounds(2)
        migration.hold_round()
        migration.backend = _replace_killed(lab, migration.backend, topology, "3")
        _unless_spoilt(migration.backend, lambda: _until_traffic(migration))
        migration.release_round()

    return migrate(lab, source, backend, relays, "b", topology, meanwhile=kill).text()


def client_mode(lab):
    """the back-end connects to QEMU: QEMU goes and comes, then the back-end; another port goes on"""
    topology = Topology()
    backend = lab.backend("a", topology, devargs=",client=1", bystander=lab.bystander_socket())
    backend.echo()
    bystander = _start(lab.bystander(backend))
    bystander.start()
    for name in ("first", "second"):
        vm = _start(lab.vm(name, topology, "vhost", served_by="a", chardev="server=on"))
        vm.check_content()
        if name == "first":
            vm.stop()
    details = bystander.check()
    bystander.vm.stop()
    _replace_killed(lab, backend, topology, "2", devargs=",client=1")
    vm.wait_for_traffic(RESUME_SECONDS)
    vm.check_content()
    return details


def guest_restarts(lab):
    """the guest reloads its driver and reboots; again the driver while it migrates"""
    topology = Topology()
    source, backend, relays = start_source(lab, topology, bystander=lab.bystander_socket())
    bystander = _start(lab.bystander(backend))
    bystander.start()
    source.guest("reload")
    _until(lambda: source.said("guest: reloaded") > 0, BOOT_SECONDS, "reload of the driver")
    source.wait_for_traffic(RESUME_SECONDS)
    source.qmp.command("system_reset")
    source.wait_for_traffic(BOOT_SECONDS, boots=2)

    def reload(migration):
        migration.run_rounds(2)
        migration.hold_round()
        source.guest("reload")
        migration.poll_until(lambda: source.said("guest: reloaded") > 1, BOOT_SECONDS,
                             "reload of the driver")
        _until_traffic(migration)
        migration.release_round()

    target, target_backend, _ = add_target(lab, "b", topology)
    verdict = run_migration(lab, lab.migration(source, backend, "b", target), relays, reload)
    return f"{verdict.text()}; {bystander.check()}"


def port_replaced(lab):
    """the port is unplugged and plugged in again while its guest sends; another port goes on"""
    topology = Topology()
    source, backend, _ = start_source(lab, topology, relayed=False,
                                      bystander=lab.bystander_socket())
    bystander = _start(lab.bystander(backend))
    bystander.start()
    for _ in range(2):
        backend.remove_port(0)
        time.sleep(0.5)     # the guest goes on sending
        backend.add_port(0)
        source.wait_for_traffic(RESUME_SECONDS)
    source.check_content()
    details = bystander.check()
    backend.quit()
    return details


def announce(lab):
    """the guest that arrives is announced: by the back-end (RARP), or by itself (gratuitous ARP)"""
    topology = Topology(nics=2, mute_nics=1, frames_per_second=500)
    source, backend, relays = start_source(lab, topology)
    source.ask("ip addr add 192.0.2.1/24 dev eth1")
    target, target_backend, _ = add_target(lab, "b", topology)
    verdict = run_migration(lab, lab.migration(source, backend, "b", target), relays)
    target_backend.say_frames()
    resume(target, target_backend)
    # As testpmd prints an Ethernet header. The MAC addresses are those of the NICs.
    for nic, ethertype in ((0, "0x8035"), (1, "0x0806")):
        target_backend.wait_for_words(
            f"src=52:54:00:12:34:{nic:02X} - dst=FF:FF:FF:FF:FF:FF - "
            f"pool=mb_pool_0 - type={ethertype}")
    return f"{verdict.text()}; RARP for NIC 0 and ARP of NIC 1 seen"


def memory_plugged(lab):
    """the guest gets a DIMM and virtio-mem while frames flow, and migrates with them"""
    # Each kind on a node of its own, and a NIC writes to each node.
    topology = Topology(nics=2, cpus=2, hot_mib=128, virtio_mem_mib=256, frames_per_second=300)
    source, backend, relays = start_source(lab, topology)
    size = source.memory_mib()
    for plug in (source.plug_dimm, lambda: source.request_virtio_mem(PLUGGED_MIB)):
        plug()
        size += PLUGGED_MIB
        _until(lambda: source.memory_mib() >= size, BOOT_SECONDS, f"{size} MiB in the guest")
        source.wait_for_traffic(RESUME_SECONDS)
    verdict = migrate(lab, source, backend, relays, "b", topology)
    places = (verdict.dimm_start, VIRTIO_MEM_START)
    written = [sum(place <= address < place + GIB for address in verdict.late)
               for place in places]
    if min(written) < LATE_MIN:
        raise TestError(f"{written[0]} pages were written in the DIMM, {written[1]} in virtio-mem: "
                        f"at least {LATE_MIN} wanted in each")
    return f"{verdict.text()} ({written[0]} written in the DIMM, {written[1]} in virtio-mem)"


LIFE = {each.__name__.replace("_", "-"): each for each in (
    backend_killed, client_mode, guest_restarts, port_replaced,
    announce, memory_plugged)}


def _start(guest):
    """Let a VM (or a bystander's) boot and wait until its frames come back."""
    vm = getattr(guest, "vm", guest)
    vm.run()
    vm.wait_for_traffic(boots=1)
    return guest


def _replace_killed(lab, backend, topology, again, **options):
    backend.kill()
    backend = lab.backend("a", topology, again=again, **options)
    backend.echo()
    return backend


def _unless_spoilt(backend, wait):
    """Wait for the traffic. Without a back-end QEMU answers the guest's kicks by itself: it
    returns a buffer at the beginning of a packed ring, if one happens to be available there,
    and then nobody can tell the ring's place. The port says so; no back-end can help it."""
    try:
        wait()
    except TestError as error:
        if "the ring does not tell" in backend.process.log.read_text(errors="replace"):
            raise Inconclusive("QEMU returned a buffer of the packed ring while there was no "
                               f"back-end: {error}") from error
        raise


def _until_traffic(migration):
    """Watch the migration until the source's frames come back."""
    start = migration.source.traffic()
    migration.poll_until(lambda: migration.source.flows_since(start), RESUME_SECONDS,
                         "traffic during the migration")


def _until(done, seconds, what):
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TestError(f"{what}: not within {seconds} seconds")
        time.sleep(0.1)
