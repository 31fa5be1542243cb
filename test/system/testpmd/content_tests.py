# SPDX-License-Identifier: BSD-3-Clause
"""Packets of every size go both ways unchanged and in order, with each ring option."""

import rig as r

ALL_SIZES = range(60, r.MAX_FRAME + 1)
# More packets than a 16-bit ring index counts
MANY_SMALL = [60 + i % 91 for i in range(70000)]


def transfer(rig, sizes=ALL_SIZES, rings=256, queues=1, mergeable=1, in_order=0, packed=0,
             vectorized=0, server=0, hidden=()):
    # All sizes pass, however many queues share them
    sources = [rig.packets(f"in{q}.pcap", sizes[q::queues], seed=q) for q in range(queues)]
    sinks = [rig.path(f"out{q}.pcap") for q in range(queues)]
    backend = rig.backend(queues=queues, client=server)
    socket = "s0"
    if hidden:
        socket = "filtered"
        rig.hide_features(socket, "s0", hidden, mergeable)
    frontend = rig.frontend(
        sources, sinks, socket, rings=rings, queues=queues, mergeable=mergeable,
        virtio=f"in_order={in_order},packed_vq={packed},vectorized={vectorized},"
               f"server={server}")
    check_features(rig.negotiated(backend), mergeable, in_order, packed, hidden)
    rig.wait_all(sources, sinks, frontend)
    frontend.quit()
    backend.quit()


def check_features(features, mergeable, in_order, packed, hidden):
    """The test must have met the rings that it is named after."""
    def has(bit):
        return features >> bit & 1

    if in_order and not has(r.IN_ORDER):
        raise r.Skipped("the back-end does not offer IN_ORDER")
    if packed and not has(r.RING_PACKED):
        raise r.Skipped("the back-end does not offer packed rings")
    wanted = {r.MRG_RXBUF: mergeable, r.IN_ORDER: in_order, r.RING_PACKED: packed,
              r.VERSION_1: r.VERSION_1 not in hidden, r.INDIRECT: r.INDIRECT not in hidden}
    for bit, value in wanted.items():
        if bool(has(bit)) != bool(value):
            raise r.Failed(f"feature bit {bit} is {has(bit)}, negotiated 0x{features:x}")


def options(packed):
    """Names and arguments of the transfers with split or with packed rings."""
    def name(option):
        parts = ["packed" if packed else "split"]
        parts.append("mrg" if option.get("mergeable", 1) else "nomrg")
        parts += [word for word in ("in_order", "vectorized", "server") if option.get(word)]
        words = {r.VERSION_1: "legacy", r.INDIRECT: "no_indirect"}
        parts += [words[bit] for bit in option.get("hidden", ())]
        parts.append(f"ring{option.get('rings', 256)}")
        if option.get("queues", 1) > 1:
            parts.append(f"{option['queues']}queues")
        if option.get("sizes") is MANY_SMALL:
            parts.append("index_wrap")
        return "content_" + "_".join(parts)

    chosen = packed_options() if packed else split_options()
    return [(name(option), {**option, "packed": packed}) for option in chosen]


def split_options():
    chosen = []
    for mergeable in (1, 0):
        for in_order in (0, 1):
            both = {"mergeable": mergeable, "in_order": in_order}
            chosen += [{**both, "rings": rings} for rings in (64, 256, 1024, 32768)]
            chosen += [{**both, "queues": 2}]
        only = {"mergeable": mergeable}
        chosen += [{**only, "server": 1},
                   {**only, "server": 1, "queues": 2},
                   {**only, "sizes": MANY_SMALL},
                   {**only, "sizes": MANY_SMALL, "rings": 32768},
                   {**only, "hidden": [r.INDIRECT]},
                   {**only, "hidden": [r.VERSION_1]},
                   {**only, "hidden": [r.VERSION_1, r.INDIRECT]}]
    # Few packets fit, and each side waits for the other's time slice: some sizes will do
    return chosen + [{"rings": 64, "queues": 2, "sizes": ALL_SIZES[::4]},
                     {"mergeable": 0, "vectorized": 1},
                     {"mergeable": 0, "vectorized": 1, "rings": 1024}]


def packed_options():
    """A modern device's only. Its rings have any size, here one that is no power of two."""
    chosen = []
    for mergeable in (1, 0):
        only = {"mergeable": mergeable}
        for in_order in (0, 1):
            chosen += [{**only, "in_order": in_order, "rings": rings} for rings in (64, 250)]
        chosen += [{**only, "queues": 2},
                   {**only, "sizes": MANY_SMALL, "rings": 250},
                   {**only, "hidden": [r.INDIRECT]}]
    return chosen + [{"rings": 1024, "server": 1},
                     {"rings": 32768, "in_order": 1},
                     {"mergeable": 0, "vectorized": 1}]


def tests(rings):
    return [(name, lambda rig, arguments=arguments: transfer(rig, **arguments))
            for kind in rings for name, arguments in options(int(kind == "packed"))]
