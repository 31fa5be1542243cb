# SPDX-License-Identifier: BSD-3-Clause
"""The back-ends: how each is started and stopped."""
import os
import shlex
import signal
import subprocess
import sys
import time

import built

TESTPMD = ('dpdk-testpmd {driver} --lcores 0@{control_cpu},1@{cpu} {eal} --file-prefix={prefix} '
           '--no-pci --no-telemetry --vdev {vdev}0,iface={socket} -- -i --forward-mode={forward} '
           '--auto-start --port-topology=loop --txpkts={size} --total-num-mbufs=16384')
START_LIMIT = 20        # seconds until a back-end listens
STOP_LIMIT = 10


class BackEnd:
    def __init__(self, name, template):
        self.name = name
        self.template = template
        self.process = None

    def start(self, machine, folder, cell):
        self.socket = os.path.join(folder, 's')
        values = {
            'socket': self.socket, 'cpu': machine.back_end, 'control_cpu': machine.control,
            'forward': 'txonly' if cell.direction == 'rx' else 'rxonly', 'size': cell.size,
            'eal': machine.eal, 'prefix': f'bench{os.getpid()}',
        }
        command = shlex.split(self.template.format(**values))
        self.log = open(os.path.join(folder, 'back-end.log'), 'wb')
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        deadline = time.monotonic() + START_LIMIT
        while not os.path.exists(self.socket):
            if self.process.poll() is not None:
                raise RuntimeError(f'{self.name} ended at its start:\n{self.last_words()}')
            if time.monotonic() > deadline:
                raise RuntimeError(f'{self.name} made no socket within {START_LIMIT} s:\n{self.last_words()}')
            time.sleep(0.02)

    def last_words(self):
        with open(self.log.name, errors='replace') as f:
            return ''.join(f.readlines()[-15:])

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            try:
                self.process.stdin.write(b'quit\n')
                self.process.stdin.close()
            except OSError:
                pass
            for end in (None, signal.SIGTERM, signal.SIGKILL):
                if end is not None:
                    os.killpg(self.process.pid, end)
                try:
                    self.process.wait(STOP_LIMIT)
                    break
                except subprocess.TimeoutExpired:
                    continue
        self.log.close()


def testpmd(driver, vdev):
    # The EAL refuses a path below a world-writable folder, but takes a bare name.
    return TESTPMD.replace('{driver}', driver).replace('{vdev}', vdev)


def choose(args):
    result = [BackEnd('net_vhost', testpmd('', 'net_vhost'))]
    if not args.only or 'net_dirtylog' in args.only:
        path = os.path.abspath(built.driver(args.driver))
        library_path = f'env LD_LIBRARY_PATH={shlex.quote(os.path.dirname(path))} '
        result.append(BackEnd('net_dirtylog', library_path + testpmd(f'-d {os.path.basename(path)}', 'net_dirtylog')))
    for text in args.back_end:
        name, _, template = text.partition('=')
        if not name or not template:
            sys.exit(f'bench: --back-end: "{text}" is not NAME=COMMAND')
        result.append(BackEnd(name, template))
    return [b for b in result if not args.only or b.name in args.only]
