# SPDX-License-Identifier: BSD-3-Clause
"""Two ports in one back-end: what happens to one does not reach the other."""

import rig as r

ALL_SIZES = range(60, r.MAX_FRAME + 1)
MANY = list(ALL_SIZES) * 2
FEW = range(60, r.MAX_FRAME + 1, 10)


def killed_frontend(rig):
    """Front-ends of port 0 are killed in the middle of a burst; port 1 loses nothing."""
    backend = rig.backend(sockets=("s0", "s1"))
    victim_source, victim_sink = rig.packets("victim.in", MANY), rig.path("victim.out")
    source, sink = rig.packets("kept.in", MANY, seed=2), rig.path("kept.out")
    kept = None
    for number in range(3):
        victim = rig.frontend([victim_source], [victim_sink], "s0", f"victim{number}")
        backend.wait_link(True, 0)
        if not kept:    # it has just begun when the first of the others is killed
            kept = rig.frontend([source], [sink], "s1", "kept")
        rig.wait_bytes(sink, 2000000, kept)
        rig.wait_bytes(victim_sink, 2000000, victim)
        victim.kill()
        backend.wait_link(False, 0)
        if not backend.link_is_up(1):
            raise r.Failed("the link of the other port went down as well")
    last_source, last_sink = rig.packets("last.in", FEW, seed=3), rig.path("last.out")
    last = rig.frontend([last_source], [last_sink], "s0", "last")
    # testpmd may have been waiting for room for some of the dead front-end's packets.
    rig.wait_all([last_source], [last_sink], last, others_first=True)
    rig.wait_all([source], [sink], kept)
    kept.quit()
    last.quit()
    backend.quit()


def silent_frontend(rig):
    """A front-end that takes no packets holds up its own port only."""
    backend = rig.backend(sockets=("s0", "s1"))
    silent_source = rig.packets("silent.in", ALL_SIZES)
    silent = rig.frontend([silent_source], [rig.path("silent.out")], "s0", "silent")
    rig.wait_bytes(rig.path("silent.out"), 1000000, silent)
    silent.pause()
    source, sink = rig.packets("kept.in", ALL_SIZES, seed=2), rig.path("kept.out")
    kept = rig.frontend([source], [sink], "s1", "kept")
    rig.wait_all([source], [sink], kept)
    silent.resume()
    rig.wait_all([silent_source], [rig.path("silent.out")], silent)
    kept.quit()
    silent.quit()
    backend.quit()


def port_detached(rig):
    """Port 0 is stopped, closed and detached while port 1 passes packets."""
    backend = rig.backend(sockets=("s0", "s1"))
    source, sink = rig.packets("kept.in", MANY, seed=2), rig.path("kept.out")
    kept = rig.frontend([source], [sink], "s1", "kept")
    name = backend.port_names()[0]
    for _ in range(3):
        # testpmd forwards on all ports or on none: only the time between is shared
        backend.command("stop")
        for command in ("port stop 0", "port close 0", f"device detach {name}"):
            backend.command(command)
        backend.command("start")
        backend.command("stop")
        backend.command(f"port attach {rig.vdev(0, 's0')}")
        backend.command("port start 0")
        backend.command("start")
    rig.wait_all([source], [sink], kept)
    kept.quit()
    backend.quit()


def tests():
    return [("isolation_" + test.__name__, test)
            for test in (killed_frontend, silent_frontend, port_detached)]
