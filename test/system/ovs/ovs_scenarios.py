# SPDX-License-Identifier: BSD-3-Clause
"""The scenarios. Each takes a Network, raises on failure and returns a line of details."""

import re
import time

from errors import Skip, TestError
from migration import check
from network import IS_CONNECTED_TO, SERVER, VDEV
from vm import Topology

FRAMES_PER_SECOND = 500
RESUME_SECONDS = 40
STATISTICS_SECONDS = 20     # OVS reads them every 5 seconds


def migrate(lab):
    """two guests on one OVS talk; one migrates to another OVS, and they talk on"""
    one, two = lab.vswitch("one"), lab.vswitch("two")
    lab.link(one, two)
    lab.guest_port(one, "a")
    port = lab.guest_port(one, "b")
    relays = lab.relays("b", port, backend_connects=lab.connects)
    resident = lab.vm("a", _guest(1, 2), "vhost", chardev=lab.chardev)
    source = lab.vm("b", _guest(2, 1), "relay")
    _run(resident, source)

    lab.guest_port(two, "c")
    target = lab.vm("c", _guest(2, 1), "vhost", incoming=True, chardev=lab.chardev)
    migration = lab.migration(source, port, "c", target)
    replies, _, _ = source.talk()
    migration.start()
    migration.run_rounds()
    during = source.talk()[0] - replies
    if not during:
        raise TestError("no ping was answered while the guest migrated")
    migration.finish(relays)
    verdict = migration.verdict()
    lab.verdicts.append(verdict)
    source.check_content()
    check(verdict)
    source.stop()

    target.run()
    _resumed(resident, target)
    _end((resident, target), (two, one))
    return f"{verdict.text()}; {during} pings answered while it migrated"


def hosts(lab):
    """a guest migrates from an OVS without the door to one with it, and back to one without"""
    if not lab.tools.door:
        raise Skip("OVS's own ports and the door are not what is tested")
    stock, door = lab.vswitch("one", stock=True), lab.vswitch("two")
    lab.link(stock, door)
    lab.guest_port(stock, "a")
    resident = lab.vm("a", _guest(1, 2), "vhost", chardev=lab.chardev)
    port = lab.guest_port(stock, "b")
    guest = lab.vm("b", _guest(2, 1), "vhost", chardev=lab.chardev)
    _run(resident, guest)
    texts = []
    for name, vswitch in (("c", door), ("d", stock)):
        target_port = lab.guest_port(vswitch, name)
        target = lab.vm(name, _guest(2, 1), "vhost", incoming=True, chardev=lab.chardev)
        migration = lab.migration(guest, port, name, target)
        migration.start()
        migration.run_rounds()
        migration.finish()
        verdict = migration.verdict()
        lab.verdicts.append(verdict)
        # What librte_vhost loses with packed rings is told, and is no fault of the door.
        if vswitch is stock or not lab.tools.packed:
            check(verdict)
        texts.append(f"to the OVS {'with' if vswitch is door else 'without'} the door: {verdict.text()}")
        guest.stop()
        target.run()
        _resumed(resident, target)
        guest, port = target, target_port
    _end((resident, guest), (door, stock))
    return "; ".join(texts)


def ports(lab):
    """two queue pairs each; statistics; a port is deleted and added again under a running guest"""
    vswitch = lab.vswitch("one")
    guests = []
    for host, name in enumerate("ab", 1):
        lab.guest_port(vswitch, name, queues=2)
        guests.append(lab.lasting_vm(name, _guest(host, 3 - host, queues=2), lab.chardev))
    _run(*guests)
    shown = _look_at(lab, vswitch, "a")
    vswitch.delete_port("a")
    _silent(guests[0])
    lab.guest_port(vswitch, "a", queues=2)
    _resumed(*guests)
    _end(guests, [vswitch])
    return f"{shown}; the port came again, and so did the traffic"


def restart(lab):
    """OVS is killed under running guests, and ended in good order; started again, it finds them"""
    if lab.tools.ports == SERVER:
        raise Skip("a port of type dpdkvhostuser is connected to: QEMU 7.2 does so once")
    vswitch = lab.vswitch("one")
    guests = []
    for host, name in enumerate("ab", 1):
        lab.guest_port(vswitch, name, client=1)
        guests.append(lab.lasting_vm(name, _guest(host, 3 - host), IS_CONNECTED_TO))
    _run(*guests)
    for end in (vswitch.kill, vswitch.end):
        end()
        for guest in guests:
            _silent(guest)
        vswitch.start()
        _resumed(*guests)
    _end(guests, [vswitch])
    return "after SIGKILL and after an orderly end, pings, files and frames went on"


SCENARIOS = {each.__name__: each for each in (migrate, hosts, ports, restart)}


def _guest(host, peer, queues=1):
    return Topology(host=host, peer=peer, queues=queues, cpus=queues,
                    frames_per_second=FRAMES_PER_SECOND)


def _run(*guests):
    for guest in guests:
        guest.run()
    for guest in guests:
        guest.wait_for_traffic(boots=1)
        guest.wait_for_talk()


def _resumed(*guests):
    for guest in guests:
        guest.wait_for_traffic(RESUME_SECONDS)
        guest.wait_for_talk(RESUME_SECONDS)
        guest.check_content()


def _end(guests, vswitches):
    for guest in guests:
        guest.stop()
    for vswitch in vswitches:
        vswitch.end()


def _silent(guest):
    """Without its port a guest gets nothing: else what comes later would prove nothing."""
    time.sleep(1)       # what was on its way
    before = guest.talk()[0]
    time.sleep(1)
    if guest.talk()[0] != before:
        raise TestError(f"{guest.name}: its port is gone, and pings are answered still")


def _look_at(lab, vswitch, port):
    """What a user sees of a port whose guest uses two queue pairs."""
    status = vswitch.interface(port, "status")
    vdev = lab.tools.ports == VDEV
    for word in (("driver_name=net_dirtylog", 'max_rx_queues="2"') if vdev else
                 ("status=connected", 'num_of_vrings="4"')):
        if word not in status:
            raise TestError(f"{vswitch.name}: status of {port}: {status}")
    # OVS looks at links, and writes down what it saw, every few seconds.
    deadline = time.monotonic() + STATISTICS_SECONDS
    while (state := vswitch.interface(port, "link_state")) != "up":
        if time.monotonic() > deadline:
            raise TestError(f"{vswitch.name}: link of {port}: {state}")
        time.sleep(0.2)
    if lab.tools.ports == SERVER:
        return "connected, link up"     # OVS 3.1 counts no packets of it
    good = "" if vdev else "good_"
    wanted = ("rx_packets", "tx_packets", f"rx_q0_{good}packets", f"rx_q1_{good}packets")
    deadline = time.monotonic() + STATISTICS_SECONDS
    while True:
        shown = vswitch.interface(port, "statistics")
        counts = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", shown)}
        if all(counts.get(name) for name in wanted):
            return ", ".join(f"{name} {counts[name]}" for name in wanted)
        if time.monotonic() > deadline:
            raise TestError(f"{vswitch.name}: statistics of {port}: {shown}")
        time.sleep(0.5)
