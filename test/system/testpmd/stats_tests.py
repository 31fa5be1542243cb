# SPDX-License-Identifier: BSD-3-Clause
"""The back-end's counters say exactly what the front-end sent and got."""

import rig as r

# Another number of packets and of bytes per queue
SIZES = [range(60, r.MAX_FRAME + 1, 3), range(60, 2000)]


def basic(rig):
    backend = rig.backend()
    source, sink = rig.packets("in", SIZES[0]), rig.path("out")
    for name in ("first", "second"):
        frontend = rig.frontend([source], [sink], name=name)
        rig.wait_all([source], [sink], frontend)
        check(backend, SIZES[:1])
        frontend.quit()
        check(backend, SIZES[:1])    # they outlive the front-end
        backend.command("clear port stats all")
        check(backend, [[]])


def per_queue(rig):
    backend = rig.backend(queues=2)
    sources = [rig.packets(f"in{q}", sizes, seed=q) for q, sizes in enumerate(SIZES)]
    sinks = [rig.path(f"out{q}") for q in range(2)]
    frontend = rig.frontend(sources, sinks, queues=2)
    rig.wait_all(sources, sinks, frontend)
    check(backend, SIZES)
    frontend.quit()
    backend.quit()


def check(backend, sizes):
    """SIZES: those of the packets that went through each queue, there and back."""
    # Those of single queues are among the extended ones in each release of DPDK.
    stats = {**backend.stats(), **backend.xstats()}
    packets = [len(list(queue)) for queue in sizes]
    octets = [sum(queue) for queue in sizes]
    wanted = {"ipackets": sum(packets), "opackets": sum(packets),
              "ibytes": sum(octets), "obytes": sum(octets),
              "imissed": 0, "ierrors": 0, "oerrors": 0, "rx_nombuf": 0}
    for queue, (count, length) in enumerate(zip(packets, octets)):
        wanted.update({f"rx_q{queue}_packets": count, f"tx_q{queue}_packets": count,
                       f"rx_q{queue}_bytes": length, f"tx_q{queue}_bytes": length})
    wrong = [f"{name} is {stats.get(name)}, not {value}"
             for name, value in wanted.items() if stats.get(name) != value]
    if wrong:
        raise r.Failed("; ".join(wrong))


def tests():
    return [("stats_" + test.__name__, test) for test in (basic, per_queue)]
