# SPDX-License-Identifier: BSD-3-Clause
"""Ports and front-ends that come, go and come back; nothing is lost or left over."""

import socket

import rig as r

SIZES = range(60, r.MAX_FRAME + 1, 10)
# Long enough that things happen in the middle of it
MANY = list(range(60, r.MAX_FRAME + 1)) * 2
HALF = sum(MANY) // 2


def pass_packets(rig, name="frontend", packed=0, **arguments):
    """A new front-end, whose packets all come back."""
    source, sink = rig.packets(name + ".in", SIZES), rig.path(name + ".out")
    frontend = rig.frontend([source], [sink], name=name,
                            virtio=f"packed_vq={packed}" + arguments.pop("virtio", ""),
                            **arguments)
    rig.wait_all([source], [sink], frontend)
    return frontend


def replay(rig, frontend, ports):
    """Send the same packets again through a front-end that is there already."""
    frontend.command("stop")
    for port in ports:
        frontend.command(f"port stop {port}")
    for port in ports:
        frontend.command(f"port start {port}")
    frontend.wait_link(True, r.VIRTIO)
    frontend.command("start")
    rig.wait_all([rig.path(frontend.name + ".in")], [rig.path(frontend.name + ".out")], frontend)


def link_follows_frontend(rig, packed):
    backend = rig.backend()
    backend.wait_link(False)
    first = pass_packets(rig, "first", packed)
    backend.wait_link(True)
    first.quit()
    backend.wait_link(False)
    second = pass_packets(rig, "second", packed)
    backend.wait_link(True)
    second.kill()
    backend.wait_link(False)
    third = pass_packets(rig, "third", packed)
    backend.wait_link(True)
    third.quit()
    backend.wait_link(False)
    backend.quit()


def frontend_device_restarts(rig, packed):
    backend = rig.backend()
    frontend = pass_packets(rig, packed=packed)
    for _ in range(5):
        replay(rig, frontend, [r.PCAP, r.VIRTIO])
    frontend.quit()
    backend.quit()


def restart_port(backend):
    backend.command("stop")
    backend.command("port stop 0")
    backend.command("port start 0")
    backend.command("start")


def backend_port_restarts_idle(rig, packed):
    backend = rig.backend()
    frontend = pass_packets(rig, packed=packed)
    for _ in range(5):
        restart_port(backend)
        backend.wait_link(True)
        replay(rig, frontend, [r.PCAP])
    frontend.quit()
    backend.quit()


def backend_port_restarts_midway(rig, packed):
    """The ring goes on where it was: no packet is lost, none comes twice."""
    backend = rig.backend()
    source, sink = rig.packets("in", MANY), rig.path("out")
    frontend = rig.frontend([source], [sink], virtio=f"packed_vq={packed}")
    for part in range(1, 6):
        rig.wait_bytes(sink, part * sum(MANY) // 10, frontend)
        restart_port(backend)
    if r.size(sink) >= sum(MANY):
        raise r.Failed("all packets were through before the last restart: proves nothing")
    rig.wait_all([source], [sink], frontend)
    frontend.quit()
    backend.quit()


def backend_starts_late(rig, packed):
    """The front-end is there first, and its port is started before the back-end's."""
    backend = rig.backend(extra=["--disable-device-start"], start=False)
    backend.command("port start 0")    # net_vhost has no socket before its first start
    backend.command("port stop 0")
    source, sink = rig.packets("in", SIZES), rig.path("out")
    frontend = rig.frontend([source], [sink], virtio=f"packed_vq={packed}", start=False)
    backend.command("port start 0")
    backend.command("start")
    frontend.wait_link(True, r.VIRTIO)
    frontend.command("start")
    rig.wait_all([source], [sink], frontend)
    frontend.quit()
    backend.quit()


def detach(backend):
    backend.command("stop")
    backend.command("port stop 0")
    backend.command("port close 0")
    backend.command(f"device detach {backend.device}")
    if backend.port_names():
        raise r.Failed("the port is still there after it was detached")


def attach(rig, backend, client=0):
    answer = backend.command(f"port attach {rig.vdev(0, 's0', client=client)}")
    if "Done" not in answer:
        raise r.Failed(f"port attach says: {answer.strip()}")
    backend.command("port start 0")
    backend.command("start")


def detach_without_frontend(rig, packed):
    backend = rig.backend()
    backend.device = backend.port_names()[0]
    for number in range(3):
        detach(backend)
        attach(rig, backend)
        pass_packets(rig, f"frontend{number}", packed).quit()
    backend.quit()


def detach_under_frontend(rig, packed):
    """The port goes while a front-end is connected; the next front-end finds the new port."""
    backend = rig.backend()
    backend.device = backend.port_names()[0]
    first = pass_packets(rig, "first", packed)
    detach(backend)
    attach(rig, backend)
    first.kill()    # net_virtio_user does not come back as a client
    pass_packets(rig, "second", packed).quit()
    backend.quit()


def detach_frontend_stays(rig, packed):
    """A front-end that is the socket's server stays, and meets each new port."""
    backend = rig.backend(client=1)
    backend.device = backend.port_names()[0]
    frontend = pass_packets(rig, packed=packed, virtio=",server=1")
    for _ in range(3):
        detach(backend)
        frontend.wait_link(False, r.VIRTIO)
        attach(rig, backend, client=1)
        frontend.wait_link(True, r.VIRTIO)
        replay(rig, frontend, [r.PCAP])
    frontend.quit()
    backend.quit()


def backend_dies_frontend_stays(rig, packed):
    """A new back-end process takes over rings that have been in use."""
    backend = rig.backend(client=1)
    frontend = pass_packets(rig, packed=packed, virtio=",server=1")
    for number in range(2):
        backend.kill()
        frontend.wait_link(False, r.VIRTIO)
        backend = rig.backend(client=1, name=f"backend{number}")
        frontend.wait_link(True, r.VIRTIO)
        replay(rig, frontend, [r.PCAP])
    frontend.quit()
    backend.quit()


def quit_under_frontend(rig, packed):
    """The back-end ends in good order although packets are on their way."""
    backend = rig.backend()
    source, sink = rig.packets("in", MANY), rig.path("out")
    frontend = rig.frontend([source], [sink], virtio=f"packed_vq={packed}")
    rig.wait_bytes(sink, HALF, frontend)
    backend.quit()
    frontend.kill()


def stale_socket(rig, packed):
    """A socket file that nobody listens on any more is no error."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(rig.path("s0"))
    backend = rig.backend()
    pass_packets(rig, "first", packed).quit()
    backend.kill()    # leaves its own socket file behind
    backend = rig.backend(name="backend2")
    pass_packets(rig, "second", packed).quit()
    backend.quit()


# What the rings' kind matters to
RING_TESTS = [frontend_device_restarts, backend_port_restarts_idle, backend_port_restarts_midway,
              backend_starts_late, detach_frontend_stays, backend_dies_frontend_stays]
TESTS = [link_follows_frontend, frontend_device_restarts, backend_port_restarts_idle,
         backend_port_restarts_midway, backend_starts_late, detach_without_frontend,
         detach_under_frontend, detach_frontend_stays, backend_dies_frontend_stays,
         quit_under_frontend, stale_socket]


def tests(rings):
    return [(f"lifecycle_{kind}_{test.__name__}", lambda rig, test=test, kind=kind:
             test(rig, int(kind == "packed")))
            for kind in rings
            for test in (RING_TESTS if kind == "packed" and "split" in rings else TESTS)]
