# SPDX-License-Identifier: BSD-3-Clause
"""Which CPUs and what memory the runs use."""
import os
import platform
import time

import proc


LOOK = 0.5      # seconds
BUSY = 0.05     # share of a CPU that others may have before the runs


class Machine:
    def __init__(self, cpus, huge):
        one_of_each_core = {}
        for cpu in cpus or sorted(os.sched_getaffinity(0)):
            path = f'/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list'
            siblings = proc.read_file(path) or str(cpu)
            one_of_each_core.setdefault(siblings.strip(), cpu)
        chosen = list(one_of_each_core.values()) if not cpus else cpus
        self.alone = len(chosen) < 2
        if self.alone:
            chosen = chosen * 2
        self.guest, self.back_end = chosen[:2]
        self.mover = chosen[2] if len(chosen) > 2 else None
        # Guest and mover on one CPU: then the guest is away whenever the kernel runs the mover.
        self.quiet = not self.alone and self.mover != self.guest
        self.control = self.mover if self.mover is not None else self.guest
        free = proc.meminfo('HugePages_Free') if proc.meminfo('Hugepagesize') == 2048 else 0
        self.huge = huge and free >= 400
        self.eal = ('--in-memory --single-file-segments -m 512' if self.huge else
                    '--no-huge -m 512')

    def noise(self):
        """Which of its CPUs something else uses right now, in words; empty if none."""
        cpus = {self.guest, self.back_end}
        before = proc.cpu_times(cpus)
        time.sleep(LOOK)
        after = proc.cpu_times(cpus)
        shares = {cpu: (after[cpu][0] - before[cpu][0]) / max(1, after[cpu][1] - before[cpu][1]) for cpu in after}
        taken = [f'{100 * share:.0f} % of CPU {cpu}' for cpu, share in sorted(shares.items()) if share > BUSY]
        return ' and '.join(taken)

    def describe(self):
        model = next((line.split(':', 1)[1].strip() for line in (proc.read_file('/proc/cpuinfo') or '').splitlines()
                      if line.startswith('model name')), platform.machine())
        pages = '2 MiB pages' if self.huge else 'pages of 4 KiB'
        mover = f'CPU {self.mover}' if self.mover is not None else 'the guest, between polls'
        if self.alone:
            mover += ' (ONE CPU ONLY: guest and back-end take it from each other; the rates say nothing, lost pages do)'
        return (f'{model}, {os.cpu_count()} CPUs, Linux {platform.release()}; guest on CPU {self.guest}, '
                f'back-end on CPU {self.back_end}, pages moved by {mover}; guest memory and back-end in {pages}')
