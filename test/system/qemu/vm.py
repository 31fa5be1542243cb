# SPDX-License-Identifier: BSD-3-Clause
"""One virtual machine: QEMU's command line, its control socket, its console, its RAM."""

import dataclasses
import os
import re
import subprocess
import time

from errors import TestError
from process import Process
from qmp import Qmp

MIB = 1 << 20
GIB = 1 << 30
BOOT_SECONDS = 60
ANSWER_SECONDS = 20
RING_SIZE = 1024
SERVER_ADDRESS = "10.0.0.1"     # of the guest whose number is 1
SHARED_FAULT_TRACE = "postcopy_request_shared_page"
VIRTIO_MEM_START = 6 * GIB


@dataclasses.dataclass(frozen=True)
class Topology:
    """What both ends of a migration must have in common."""
    nics: int = 1
    disks: int = 0          # vhost-user-blk; 0 or 1
    queues: int = 1
    cpus: int = 1
    memory_mib: int = 256
    low_mib: int = 0        # RAM below the hole under 4 GiB; 0: all of it
    dimm_mib: int = 0       # a DIMM, on a NUMA node with the last CPU; 0: none
    hugetlb: bool = False
    packed: bool = False    # virtqueues of the NICs
    in_order: bool = False  # which return buffers in order; QEMU has it from 9.2 on
    mute_nics: int = 0      # the first ones of the NICs: their guest cannot announce itself
    hot_mib: int = 0        # a DIMM that is plugged in while the guest runs; 0: none
    postcopy: bool = False  # log the pages that a back-end waits for
    virtio_mem_mib: int = 0     # what virtio-mem may give, on the last CPU's node; 0: none
    frames_per_second: int = 1000   # that the guest sends, per NIC and CPU; or blocks, per disk
    host: int = 0           # the guest's number in a network of guests; 0: it has no address
    peer: int = 0           # the guest that it pings and fetches a file from; 0: none
    viommu: bool = False    # the NICs' addresses are translated, and the back-end asks for it


class Vm:
    """A started QEMU. With `incoming` (a socket path) it waits for a migration."""

    def __init__(self, name, qemu, image, topology, netdevs, disks, folder, incoming=None):
        self.name = name
        self.topology = topology
        self._image = image
        self.console = folder / f"{name}.console"
        self.qmp = None
        self.dimm_start = None      # guest physical address of the DIMM, if there is one
        self._control = folder / f"{name}.qmp"
        self._shell_path = folder / f"{name}.shell"
        os.mkfifo(f"{self._shell_path}.in")
        # Both ways, which waits for no reader.
        self._shell = os.open(f"{self._shell_path}.in", os.O_RDWR | os.O_CLOEXEC)
        self._asked = 0
        self.process = Process(name, self._command(qemu, image, netdevs, disks, incoming),
                               folder / f"{name}.log", {"LD_PRELOAD": image.tlbflush})

    def wait_until_up(self):
        self.qmp = Qmp(self._control, self.process)
        if "tlbflush: active" not in self.process.log.read_text(errors="replace"):
            raise TestError(f"{self.name}: the TLB remedy found no place in this QEMU")
        self._find_dimm()

    def _command(self, qemu, image, netdevs, disks, incoming):
        top = self.topology
        huge = ",hugetlb=on" if top.hugetlb else ""
        machine = f"{'q35' if top.viommu else 'pc'},accel=tcg"
        memory = f"{top.memory_mib}M"
        if top.low_mib:
            machine += f",max-ram-below-4g={top.low_mib}M"
        if top.dimm_mib or top.hot_mib or top.virtio_mem_mib:
            memory += ",slots=1,maxmem=4G"
        two_nodes = top.dimm_mib or top.virtio_mem_mib
        if not two_nodes:
            machine += ",memory-backend=ram0"
        command = [
            qemu, "-nodefaults", "-no-user-config", "-display", "none", "-S",
            "-name", self.name, "-cpu", "max", "-smp", top.cpus, "-m", memory,
            "-object", f"memory-backend-memfd,id=ram0,size={top.memory_mib}M,share=on{huge}",
            "-machine", machine,
            "-qmp", f"unix:{self._control},server=on,wait=off",
            *image.boot(self.console, self._shell_path, f"rate={top.frames_per_second}"
                        f"{' intel_iommu=on iommu=pt' if top.viommu else ''}{_network_words(top)}")]
        if two_nodes:
            last = top.cpus - 1
            command += ["-numa", f"node,nodeid=0,cpus=0-{last - 1},memdev=ram0",
                        "-numa", f"node,nodeid=1,cpus={last}"]
        if top.dimm_mib:
            command += ["-object",
                        f"memory-backend-memfd,id=ram1,size={top.dimm_mib}M,share=on{huge}",
                        "-device", "pc-dimm,id=dimm1,memdev=ram1,node=1"]
        nic = "virtio-net-pci"
        disk = f"vhost-user-blk-pci,num-queues=1,queue-size={RING_SIZE}"
        if _major_version(qemu) < 8:
            nic += ",vectors=0"     # MSI-X of a vhost-user NIC crashes QEMU 7.2 under TCG
            disk += ",vectors=0"
        if top.queues > 1:
            nic += ",mq=on"
        if top.packed:
            nic += ",packed=on"
        if top.viommu:      # the guest has all of its memory mapped: see doc/from-net-vhost.md
            command += ["-device", "intel-iommu,device-iotlb=on"]
            nic += ",disable-legacy=on,iommu_platform=on,ats=on"
        if top.in_order:
            nic += ",in_order=on"
        for index, netdev in enumerate(netdevs):
            mute = ",guest_announce=off" if index < top.mute_nics else ""
            command += [*netdev, "-device",
                        f"{nic}{mute},netdev=n{index},mac=52:54:00:12:{0x34 + top.host:02x}:{index:02x},romfile="
                        f",rx_queue_size={RING_SIZE}"]
        if top.virtio_mem_mib:      # behind the NICs, which keep their interrupt lines
            command += ["-object",
                        f"memory-backend-memfd,id=ram2,size={top.virtio_mem_mib}M,share=on",
                        "-device", "virtio-mem-pci,id=vmem,memdev=ram2,node=1,requested-size=0"
                        f",memaddr={VIRTIO_MEM_START:#x}"]
        # After virtio-mem, as in the source: RAM files are known by their order.
        if top.hot_mib and incoming:
            command += ["-object", f"memory-backend-memfd,id=ram1,size={top.hot_mib}M,share=on",
                        "-device", "pc-dimm,id=dimm1,memdev=ram1"]
        for index, path in enumerate(disks):
            command += ["-chardev", f"socket,id=d{index},path={path}",
                        "-device", f"{disk},chardev=d{index}"]
        if top.postcopy:
            command += ["-trace", SHARED_FAULT_TRACE]
        if incoming:
            command += ["-incoming", f"unix:{incoming}"]
        return command

    def run(self):
        self.qmp.command("cont")

    def guest(self, command):
        """Have the guest's shell run a command; its output is on the console."""
        os.write(self._shell, f"{command}\n".encode())

    def ask(self, command, seconds=ANSWER_SECONDS):
        """What a command of the guest's shell prints, one line."""
        self._asked += 1
        start, end = f"guest: answer {self.name}/{self._asked}: ", " (end)"
        self.guest(f'echo "{start}$({command}){end}"')
        pattern = re.escape(start) + "(.*)" + re.escape(end)
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self._console_text())):
            self._still_waiting(deadline, f"no answer to '{command}' in {seconds} seconds")
        return found[1]

    def converse(self, dialogue, seconds=BOOT_SECONDS):
        """Type what is wanted at each prompt: (what the guest prints, what is typed then), in this order."""
        deadline = time.monotonic() + seconds
        seen = 0
        for words, typed in dialogue:
            while (found := self._console_text().find(words, seen)) < 0:
                self._still_waiting(deadline, f"did not print '{words}' in {seconds} seconds")
            seen = found + len(words)
            self.guest(typed)

    def said(self, words):
        """How often the guest has printed that, as far as this VM's console shows."""
        return self._console_text().count(words)

    def status(self):
        return self.qmp.command("query-status")["status"]

    def wait_for_status(self, wanted, seconds):
        deadline = time.monotonic() + seconds
        while (status := self.status()) != wanted:
            if time.monotonic() > deadline:
                raise TestError(f"{self.name} is {status}, not {wanted}, after {seconds} seconds")
            time.sleep(0.02)

    def shared_faults(self):
        """How often a back-end has waited for a page of this VM, whose topology has `postcopy`."""
        return self.process.log.read_text(errors="replace").count(f"{SHARED_FAULT_TRACE} ")

    def boots(self):
        """How often the guest has come up, as far as this VM's console shows."""
        return self.said("guest: ready")

    def traffic(self):
        """The guest's newest counters: generator -> (sent, echoed, bad)."""
        return self._image.traffic(self._console_text())

    def repeated(self):
        """Frames that came back to the guest more than once."""
        found = dict(re.findall(r"^traffic (\S+) sent=.* again=(\d+)\r?$", self._console_text(), re.MULTILINE))
        return sum(map(int, found.values()))

    def features(self, index):
        """Bits of a virtio device that the guest has taken."""
        shown = self.ask(f"cat /sys/bus/virtio/devices/virtio{index}/features")
        return {bit for bit, is_set in enumerate(shown) if is_set == "1"}

    def talk(self):
        """What the guest got of its peer so far: (replies to pings, files, damaged files)."""
        text = self._console_text()
        files = re.findall(r"^fetched (\d+) damaged (\d+)\r?$", text, re.MULTILINE)
        return (text.count(" bytes from "), *map(int, files[-1] if files else (0, 0)))

    def wait_for_talk(self, seconds=BOOT_SECONDS):
        """Wait until the guest gets replies and a file of its peer."""
        deadline = time.monotonic() + seconds
        start = self.talk()
        while not all(now > before for now, before in zip(self.talk()[:2], start)):
            self._still_waiting(deadline, f"pings or files of the peer did not come in {seconds} "
                                f"seconds: from {start} to {self.talk()}")

    def flows_since(self, start):
        """Whether every generator has got frames (or blocks) back since `start`, an answer of traffic()."""
        now = self.traffic()
        moving = [name for name, counts in now.items()
                  if all(counts[i] > start.get(name, (0, 0))[i] + self._image.flowing for i in (0, 1))]
        return len(moving) == self.topology.nics * self.topology.cpus + self.topology.disks

    def wait_for_traffic(self, seconds=BOOT_SECONDS, boots=0):
        """Wait until every generator of the guest gets frames back."""
        deadline = time.monotonic() + seconds
        while self.boots() < boots:
            self._still_waiting(deadline, f"guest not up after {seconds} seconds")
        start = self.traffic()
        while not self.flows_since(start):
            self._still_waiting(deadline, f"not every generator got frames back in {seconds} "
                                f"seconds: from {start} to {self.traffic()}")

    def check_content(self):
        """No frame or block came back to the guest other than it was sent."""
        for name, (_, _, bad) in self.traffic().items():
            if bad:
                raise TestError(f"{self.name}: {bad} frames or blocks of {name} came back damaged")
        if damaged := self.talk()[2]:
            raise TestError(f"{self.name}: {damaged} files of the peer arrived damaged")

    def plug_dimm(self):
        """Plug in the memory that the topology has as `hot_mib`."""
        self.qmp.command("object-add", qom_type="memory-backend-memfd", id="ram1", share=True,
                         size=self.topology.hot_mib * MIB)
        self.qmp.command("device_add", driver="pc-dimm", id="dimm1", memdev="ram1")
        self._find_dimm()

    def request_virtio_mem(self, mib):
        """Ask the guest to take so much of the virtio-mem device; it may need a moment."""
        self.qmp.command("qom-set", path="/machine/peripheral/vmem", property="requested-size",
                         value=mib * MIB)

    def memory_mib(self):
        """What the guest's kernel takes for its memory."""
        return int(self.ask("awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo"))

    def _find_dimm(self):
        for device in self.qmp.command("query-memory-devices"):
            if device["type"] == "dimm":
                self.dimm_start = device["data"]["addr"]

    def ram_files(self):
        """[(path to open, bytes)] of the guest's RAM backends, in the order of their making."""
        folder = f"/proc/{self.process.pid}/fd"
        found = []
        for number in sorted(map(int, os.listdir(folder))):
            if os.readlink(f"{folder}/{number}").startswith("/memfd:memory-backend-memfd"):
                found.append((f"{folder}/{number}", os.stat(f"{folder}/{number}").st_size))
        top = self.topology
        sizes = [mib * MIB for mib in (top.memory_mib, top.virtio_mem_mib,
                                       top.dimm_mib or top.hot_mib) if mib]
        if [size for _, size in found] != sizes:
            raise TestError(f"{self.name}: RAM files {found}, expected sizes {sizes}")
        return found

    def guest_address(self, backend, offset):
        """The guest physical address of a byte in a RAM backend."""
        if backend == 1 and self.topology.virtio_mem_mib:
            return VIRTIO_MEM_START + offset
        if backend:
            return self.dimm_start + offset
        low = (self.topology.low_mib or 3 * 1024) * MIB
        return offset if offset < low else offset - low + 4 * GIB

    def stop(self):
        if self.qmp:
            self.qmp.close()
        self.process.kill()
        if self._shell is not None:
            os.close(self._shell)
            self._shell = None

    def _console_text(self):
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def _still_waiting(self, deadline, complaint):
        if self.process.poll() is not None:
            raise TestError(f"{self.name}: QEMU ended, status {self.process.returncode}")
        if "Kernel panic" in self._console_text():
            raise TestError(f"{self.name}: the guest's kernel panicked")
        if time.monotonic() > deadline:
            raise TestError(f"{self.name}: {complaint}")
        time.sleep(0.1)


def _network_words(topology):
    """Words of the kernel command line for the guest's init."""
    if not topology.host:
        return ""
    peer = f" peer=10.0.0.{topology.peer}" if topology.peer else ""
    return f" address=10.0.0.{topology.host}{peer}"


def _major_version(qemu):
    shown = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=20,
                           check=True).stdout
    return int(re.search(r"version (\d+)\.", shown)[1])


def vhost_user_netdev(index, socket_path, queues, chardev=""):
    """chardev  "reconnect=1" (connect again when the back-end has gone), "server=on", or ''"""
    return ["-chardev", f"socket,id=c{index},path={socket_path}{chardev and ','}{chardev}",
            "-netdev", f"vhost-user,id=n{index},chardev=c{index},queues={queues}"]


def datagram_netdev(index, local, remote):
    """QEMU's own virtio-net: each frame goes through a pair of sockets."""
    return ["-netdev", f"dgram,id=n{index},local.type=unix,local.path={local},"
            f"remote.type=unix,remote.path={remote}"]
