# SPDX-License-Identifier: BSD-3-Clause
"""What one test works with: a folder, a back-end testpmd, front-end testpmds.

The back-end has vhost ports and sends each packet back on the port and queue it
came from. A front-end sends the packets of pcap files into a net_virtio_user port
and writes what comes back into other pcap files:

    in.pcap --> net_pcap --> net_virtio_user ~~socket~~ vhost port --+
                                                                     | io, loop
    out.pcap <- net_pcap <-- net_virtio_user ~~socket~~ vhost port <-+
"""

import os
import re
import shutil
import tempfile
import time

import packets
from feature_filter import FeatureFilter
from testpmd import Testpmd

MAX_FRAME = 9000
# MTU of such frames: without the Ethernet header (14) and CRC (4)
MAX_PACKET_LENGTH = MAX_FRAME + 18
# One mbuf for the longest frame: headroom, virtio-net header, VLAN tag
LARGE_MBUF = 128 + MAX_PACKET_LENGTH + 64
# The front-end's ports, in the order of its --vdev options
PCAP, VIRTIO = 0, 1


# Virtio feature bits that tests ask for
MRG_RXBUF, INDIRECT, VERSION_1, RING_PACKED, IN_ORDER = 15, 28, 32, 34, 35
PROTOCOL_FEATURES = 30    # vhost-user's own bit among them


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class Rig:
    def __init__(self, options):
        self.options = options
        # A short path: socket names end at 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="dl-")
        self._processes = []
        self._filters = []
        # The two sides never share a CPU when there are two: on small rings they hand
        # over a few packets at a time, and would wait for each other's time slices.
        cpus = sorted(os.sched_getaffinity(0))
        self._backend_cpus = cpus[0::2]
        self._frontend_cpus = cpus[1::2] or cpus

    def path(self, name):
        return os.path.join(self.folder, name)

    def close(self):
        for process in self._processes:
            process.kill()
        for feature_filter in self._filters:
            feature_filter.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        return "".join(f"--- {process.name}:\n{process.log_tail()}\n"
                       for process in self._processes)

    # -- processes ---------------------------------------------------------------

    def _start(self, name, cpus, workers, megabytes, vdevs, app_args, plugin=None):
        # Lcores are threads here, any number of them on the same CPUs.
        cpu_set = ",".join(str(cpu) for cpu in cpus)
        lcores = ",".join(f"{i}@({cpu_set})" for i in range(workers + 1))
        eal = ["--lcores", lcores, "--no-pci"]
        if self.options.memory == "huge" or (
                self.options.memory == "auto" and free_huge_megabytes() > megabytes):
            # net_virtio_user passes no packets without single-file segments
            # and by physical addresses a large ring finds no contiguous memory in the
            # huge pages that happen to be free.
            eal += ["--in-memory", "--single-file-segments", "--iova-mode=va",
                    "-m", str(megabytes)]
        else:
            # A pool of 160 MiB is not to be had out of 260; unused memory costs nothing here.
            eal += ["--no-huge", "-m", str(2 * megabytes)]
        env = {}
        if plugin:
            # EAL takes no path below a world-writable folder, but it takes a bare name.
            folder, file = os.path.split(os.path.abspath(plugin))
            eal += ["-d", file]
            env["LD_LIBRARY_PATH"] = os.pathsep.join(
                [folder] + os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)).strip(":")
            if self.options.preload:
                env["LD_PRELOAD"] = self.options.preload
        for vdev in vdevs:
            eal += ["--vdev", vdev]
        process = Testpmd(self.options.testpmd, name, self.folder, eal, app_args, env)
        self._processes.append(process)
        process.ready()
        if len(process.port_names()) != len(vdevs):
            raise Failed(f"{name}: a device does not come up as a port")
        return process

    def vdev(self, index, socket, queues=1, client=0):
        """Device arguments of vhost port number INDEX."""
        return (f"{self.options.vdev}{index},iface={self.path(socket)},"
                f"queues={queues},client={client}")

    def backend(self, sockets=("s0",), queues=1, client=0, extra=(), start=True,
                name="backend"):
        """A testpmd with a vhost port per socket, each looped back to itself."""
        # A worker per port: one that waits for its front-end keeps no other port waiting.
        workers = len(sockets)
        process = self._start(
            name, self._backend_cpus, workers, 192,
            [self.vdev(i, socket, queues, client) for i, socket in enumerate(sockets)],
            ["--no-flush-rx", "--port-topology=loop", f"--nb-cores={workers}",
             f"--rxq={queues}", f"--txq={queues}", "--total-num-mbufs=16384",
             f"--max-pkt-len={MAX_PACKET_LENGTH}", "--tx-offloads=0x8000"]   # multi-segment
            + list(extra), self.options.driver)
        lossless(process)
        if start:
            process.command("start")
        return process

    def hide_features(self, socket, backend_socket, bits, mergeable):
        """A socket that leads to the back-end's, which then offers less."""
        legacy_accept = None
        if VERSION_1 in bits:
            wanted = {PROTOCOL_FEATURES, INDIRECT} | ({MRG_RXBUF} if mergeable else set())
            legacy_accept = mask(wanted - set(bits))
        self._filters.append(FeatureFilter(self.path(socket), self.path(backend_socket),
                                           mask(bits), legacy_accept))

    def frontend(self, sources, sinks, socket="s0", name="frontend", rings=256, queues=1,
                 mergeable=1, virtio="", start=True):
        """A testpmd that sends SOURCES (one pcap per queue) and writes SINKS."""
        files = ",".join([f"rx_pcap={source}" for source in sources]
                         + [f"tx_pcap={sink}" for sink in sinks])
        data_room = 2176 if mergeable else LARGE_MBUF
        # A ring of receive buffers, and as many packets on their way, per queue
        mbufs = 4096 + queues * (rings + min(rings * 3, 32768))
        # Memory does not grow later: mbufs with their headers, rings, and EAL's own
        megabytes = 96 + (mbufs * (data_room + 384) >> 20)
        vdevs = [f"net_pcap0,{files}",
                 f"net_virtio_user0,path={self.path(socket)},mac=02:00:00:00:00:01,"
                 f"queues={queues},queue_size={rings},mrg_rxbuf={mergeable}"
                 + ("," + virtio if virtio else "")]
        # A worker per direction and queue: a worker that waits for room in the one
        # ring must not keep the other from being emptied.
        process = self._start(
            name, self._frontend_cpus, 2 * queues, megabytes, vdevs,
            ["--no-flush-rx", f"--nb-cores={2 * queues}", f"--rxq={queues}", f"--txq={queues}",
             f"--rxd={rings}", f"--txd={rings}",
             f"--mbuf-size={data_room}", f"--total-num-mbufs={mbufs}",
             f"--max-pkt-len={MAX_PACKET_LENGTH}", "--disable-device-start"])
        if mergeable:
            process.command(f"port config {VIRTIO} rx_offload scatter on")
            # net_pcap wants to be told, too, since 26.07; before, it knows no such offload.
            if "SCATTER" in process.command(f"show port {PCAP} rx_offload capabilities"):
                process.command(f"port config {PCAP} rx_offload scatter on")
        process.command("port start all")
        lossless(process)
        if start:
            process.wait_link(True, VIRTIO)
            process.command("start")
        return process

    def negotiated(self, backend):
        """The feature bits of the last negotiation, as librte_vhost logs them."""
        found = re.findall(r"negotiated Virtio features: 0x([0-9a-f]+)", backend.output)
        if not found:
            raise Failed("the back-end has not negotiated features")
        return int(found[-1], 16)

    # -- packets -----------------------------------------------------------------

    def packets(self, name, sizes, seed=1):
        path = self.path(name)
        packets.write_random(path, sizes, seed)
        return path

    def wait_bytes(self, sink, count, frontend, seconds=30, report=True):
        """Wait until the file has grown to COUNT bytes; REPORT when it does not."""
        deadline = time.monotonic() + seconds
        while size(sink) < count:
            if not frontend.alive():
                raise Failed(f"{frontend.name} has died")
            if time.monotonic() > deadline:
                if report:
                    raise Failed(f"{os.path.basename(sink)} has {size(sink)} bytes after "
                                 f"{seconds} s, not {count}")
                return
            time.sleep(0.005)

    def wait_until(self, condition, process, text, seconds=30):
        """Wait until CONDITION holds, while PROCESS lives."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not process.alive():
                raise Failed(f"{process.name} has died")
            if time.monotonic() > deadline:
                raise Failed(f"{text} within {seconds} s")
            time.sleep(0.02)

    def wait_all(self, sources, sinks, frontend, seconds=30, others_first=False):
        """Wait until each sink has its source's packets, all and in order.

        With others_first the sink may begin with other packets.
        """
        deadline = time.monotonic() + seconds
        for source, sink in zip(sources, sinks):
            sent = packets.read(source)
            while True:
                # Both files hold the same headers: of equal size, they have all packets.
                self.wait_bytes(sink, os.path.getsize(source), frontend,
                                deadline - time.monotonic(), report=False)
                received = packets.read(sink)
                if others_first:
                    received = received[-len(sent):]
                text = packets.difference(sent, received)
                if not text:
                    break
                if not others_first or time.monotonic() > deadline:
                    raise Failed(f"{os.path.basename(sink)}: {text}")
                time.sleep(0.1)


def mask(bits):
    return sum(1 << bit for bit in bits)


def size(path):
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0


def lossless(process):
    """Let testpmd wait for room in a ring instead of dropping packets."""
    process.command("set fwd io retry")
    process.command("set burst tx delay 1 retry 4000000000")


def free_huge_megabytes():
    """Free huge pages of 2 MiB; others need no mount either, but are rare."""
    try:
        with open("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
                  encoding="ascii") as file:
            return 2 * int(file.read())
    except OSError:
        return 0
