# SPDX-License-Identifier: BSD-3-Clause
"""testpmd's own commands behave as with net_vhost, where they mean something for it."""

import re

import packets
import rig as r

SIZES = range(60, r.MAX_FRAME + 1, 20)


def expect(text, *patterns):
    for pattern in patterns:
        if not re.search(pattern, text, re.MULTILINE):
            raise r.Failed(f"no line is like '{pattern}' in:\n{text.strip()}")


def pass_packets(rig, queues=1):
    sources = [rig.packets(f"in{q}", SIZES, seed=q) for q in range(queues)]
    sinks = [rig.path(f"out{q}") for q in range(queues)]
    frontend = rig.frontend(sources, sinks, queues=queues)
    rig.wait_all(sources, sinks, frontend)
    return frontend


def show_port_info(rig):
    backend = rig.backend(queues=2)
    driver = rig.options.vdev
    expect(backend.command("show port info 0"), rf"Driver name: {driver}$", "Link status: down")
    frontend = pass_packets(rig, queues=2)
    expect(backend.command("show port info 0"),
           "MAC address: 56:48:4F:53:54:00", rf"Device name: {driver}0$",
           r"Devargs: iface=.*,queues=2,client=0$", "Link status: up", "Link speed: 10 Gbps",
           "Promiscuous mode: enabled", "Allmulticast mode: enabled",
           "Current number of RX queues: 2", "Max possible TX queues: 2")
    expect(backend.command("show port summary all"), rf"{driver} +up +10 Gbps")
    expect(backend.command("show device info all"), rf"Driver name: {driver}$")
    # As testpmd 22.11 says it, or a later one
    expect(backend.command("show port 0 rxq 0 desc used count"),
           "^(Used|RxQ 0 used) desc count = 0$")
    frontend.quit()
    backend.wait_link(False)
    expect(backend.command("show port info 0"), "Link status: down")
    backend.quit()


def show_port_stats(rig):
    backend = rig.backend()
    frontend = pass_packets(rig)
    count, octets = len(SIZES), sum(SIZES)
    expect(backend.command("show port stats 0"),
           rf"RX-packets: {count} +RX-missed: 0 +RX-bytes: +{octets}",
           rf"TX-packets: {count} +TX-errors: 0 +TX-bytes: +{octets}")
    backend.command("clear port stats 0")
    expect(backend.command("show port stats 0"), "RX-packets: 0 ", "TX-packets: 0 ")
    frontend.quit()
    backend.quit()


def size_bin(length):
    limits = [(63, "undersize"), (64, "size_64"), (127, "size_65_127"), (255, "size_128_255"),
              (511, "size_256_511"), (1023, "size_512_1023"), (1518, "size_1024_1518")]
    return next((name for last, name in limits if length <= last), "size_1519_max")


def show_port_xstats(rig):
    """By net_vhost's names, of each queue."""
    backend = rig.backend(queues=2)
    frontend = pass_packets(rig, queues=2)
    wanted = {"rx_good_packets": 2 * len(SIZES), "tx_good_bytes": 2 * sum(SIZES)}
    for queue in range(2):
        groups = [packet for packet in packets.read(rig.path(f"in{queue}")) if packet[0] & 1]
        for direction in ("rx", "tx"):
            prefix = f"{direction}_q{queue}_"
            wanted.update({
                prefix + "packets": len(SIZES), prefix + "bytes": sum(SIZES),
                prefix + "good_packets": len(SIZES), prefix + "good_bytes": sum(SIZES),
                prefix + "multicast_packets": len(groups), prefix + "broadcast_packets": 0})
            for size in SIZES:
                name = prefix + size_bin(size) + "_packets"
                wanted[name] = wanted.get(name, 0) + 1
    found = dict(re.findall(r"^(\w+): (\d+)$", backend.command("show port xstats 0"),
                            re.MULTILINE))
    wrong = [f"{name} is {found.get(name)}, not {value}" for name, value in wanted.items()
             if found.get(name) != str(value)]
    if wrong:
        raise r.Failed("; ".join(wrong))
    for direction in ("rx", "tx"):
        if f"{direction}_q1_guest_notifications" not in found:
            raise r.Failed("guest notifications are not counted")
    backend.command("clear port xstats 0")
    expect(backend.command("show port xstats 0"), "^rx_q0_good_packets: 0$",
           "^tx_q1_undersize_packets: 0$")
    frontend.quit()
    backend.quit()


def dump(rig):
    if rig.options.vdev != "net_dirtylog":
        raise r.Skipped("net_vhost has no dump")
    backend = rig.backend()
    frontend = pass_packets(rig)
    text = str(backend.telemetry("/ethdev/dump_priv,0"))
    expect(text, "listens on", "front-end connected", r"virtqueue 0 \(tx_q0\): open, size 256",
           "logging off")
    frontend.quit()
    backend.quit()


def no_rss(rig):
    """Queues belong to virtqueues: RSS is refused, clearly, and nothing else happens."""
    backend = rig.backend(queues=2)
    expect(backend.command("show port 0 rss-hash"), "did not provide a valid hash key size")
    expect(backend.command("show port 0 rss-hash key"), "did not provide a valid hash key size")
    expect(backend.command("show port 0 rss reta 128 (0xffff,0xffff)"),
           "Invalid redirection table size: 128")
    expect(backend.command("port config all rss all"), "Operation not supported")
    expect(backend.command("show port info 0"), "No RSS offload flow type is supported")
    frontend = pass_packets(rig, queues=2)
    frontend.quit()
    backend.quit()


def not_supported(rig):
    """What has no meaning for a vhost port is refused, as net_vhost refuses it."""
    backend = rig.backend()
    expect(backend.command("set promisc 0 off"), "Operation not supported")
    expect(backend.command("set allmulti 0 off"), "Operation not supported")
    expect(backend.command("mac_addr set 0 02:00:00:00:00:09"), "Operation not supported")
    expect(backend.command("mac_addr add 0 02:00:00:00:00:09"), "Operation not supported")
    expect(backend.command("vlan set filter on 0"), "failed diag=-")
    backend.command("stop")
    for direction in ("rx", "tx"):
        expect(backend.command(f"port 0 {direction}q 0 stop"), "[Nn]ot support")
    backend.command("start")
    pass_packets(rig).quit()
    backend.quit()


def port_cycle(rig):
    """stop, start, close, detach, attach: what each says, and packets pass after it."""
    backend = rig.backend()
    pass_packets(rig).quit()
    backend.command("stop")
    expect(backend.command("port stop 0"), "Done")
    expect(backend.command("port start 0"), "Done")
    backend.command("start")
    pass_packets(rig).quit()
    backend.command("stop")
    expect(backend.command("port stop 0"), "Done")
    expect(backend.command("port close 0"), "Done")
    expect(backend.command(f"device detach {rig.options.vdev}0"), "is now closed|Done")
    if backend.port_names():
        raise r.Failed("the port is still there after it was detached")
    expect(backend.command(f"port attach {rig.vdev(0, 's0')}"), "Done")
    expect(backend.command("port start 0"), "Done")
    backend.command("start")
    pass_packets(rig).quit()
    backend.quit()


def rxonly(rig):
    """All packets come; none goes back."""
    backend = rig.backend(start=False)
    backend.command("set fwd rxonly")
    backend.command("start")
    source, sink = rig.packets("in", SIZES), rig.path("out")
    frontend = rig.frontend([source], [sink])
    wait_stats(rig, backend, frontend, "ipackets", len(SIZES))
    stats = backend.stats()
    if (stats["ibytes"], stats["opackets"], stats["rx_nombuf"]) != (sum(SIZES), 0, 0):
        raise r.Failed(f"counters are {stats}")
    frontend.quit()
    if packets.read(sink):
        raise r.Failed("packets came back")
    backend.quit()


def wait_stats(rig, backend, process, name, count):
    rig.wait_until(lambda: backend.stats()[name] >= count, process,
                   f"{name} does not reach {count}")


def txonly(rig):
    """What the back-end makes arrives, every packet of it."""
    backend = rig.backend(start=False)
    backend.command("set fwd txonly retry")
    backend.command("set txpkts 200")
    source, sink = rig.packets("in", [60] * 10), rig.path("out")
    frontend = rig.frontend([source], [sink])
    backend.command("start")
    wait_stats(rig, backend, frontend, "opackets", 20000)
    backend.command("stop")
    count = backend.stats()["opackets"]
    rig.wait_bytes(sink, 24 + count * (16 + 200), frontend)
    frontend.quit()
    received = packets.read(sink)
    if len(received) != count:
        raise r.Failed(f"{len(received)} packets have come, {count} went")
    wrong = [packet for packet in received if len(packet) != 200 or packet[12:15] != b"\x08\x00\x45"]
    if wrong:
        raise r.Failed(f"{len(wrong)} packets are not those that testpmd makes")
    backend.quit()


def macswap(rig):
    """Packets come back with their addresses swapped, and else as they were."""
    backend = rig.backend(start=False)
    backend.command("set fwd macswap retry")
    backend.command("start")
    source, sink = rig.packets("in", SIZES), rig.path("out")
    frontend = rig.frontend([source], [sink])
    rig.wait_bytes(sink, r.size(source), frontend)
    frontend.quit()
    swapped = [packet[6:12] + packet[:6] + packet[12:] for packet in packets.read(source)]
    text = packets.difference(swapped, packets.read(sink))
    if text:
        raise r.Failed(text)
    backend.quit()


def tests():
    return [("command_" + test.__name__, test)
            for test in (show_port_info, show_port_stats, show_port_xstats, dump, no_rss,
                         not_supported, port_cycle, rxonly, txonly, macswap)]
