#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A hostile neighbour: what a guest and its VMM do on one port must not be felt on another.

One process has two ports of net_dirtylog, polled by one thread on a CPU of its own. On
port A a hostile front-end does one kind of harm after the other (hostile.py --list). On
port B a guest passes numbered packets both ways and migrates again and again; after each
migration all its memory is compared, and its front-end asks the back-end all the time.

Demanded of port B, while each kind of harm is done: no packet is lost or damaged, no page
differs, its connection stays; and 99.9 % of all its messages are answered within 100 ms. Recorded:
the longest time from one of its bursts to the next, by the clock, and in CPU time of the
polling thread, which other programs on the machine do not disturb; beside it the same of
port B without a neighbour, and of a thread that does nothing.
At the end nothing of port A is left in the process.
"""
import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'kill'))

from process import Failure, Process, held    # noqa: E402
import hostile                                 # noqa: E402

READY_S = 60        # a back-end starts, its measure of the machine included
LINE_S = 30         # a program answers; a migration ends
LATE_SHARE = 0.001  # of all answers may take more than 100 ms
LATE_SHARE_OF_KIND = 0.01
CPU_GAP_US = 50000  # CPU time between two bursts of port B: a burst has a bound
QUIET = 'nobody'    # is on port A
SKIPPED = 77

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = ['on port A', 'what it did', 'packets to B', 'from B', 'lost', 'migrations', 'pages that differ',
           'messages', '99.9 % within', 'longest', 'bursts 99.99 % within', 'longest gap', 'in CPU time']


def values(line):
    return {key: float(value) for key, value in re.findall(r'(\w+)=([\d.]+)', line)}


def duration(us):
    return f'{us:.0f} µs' if us < 1000 else f'{us / 1000:.1f} ms'


class Lab:
    """The process with both ports, and port B's guest."""

    def __init__(self, options, ring, folder, cpus):
        self.options, self.ring, self.folder, self.cpus = options, ring, folder, cpus
        self.sockets = [folder / 'a', folder / 'b']
        self.backend = self.guest = None
        self.answers = self.late = 0
        self.known = 0      # complaints of the back-end, of the time before
        self.lines = {}     # of each program, those that were read
        self.rows = []

    def program(self, name):
        return self.options.build / 'test/kill' / name

    def start(self):
        command = [self.program('kill-backend'), '--driver', self.options.driver]
        if self.options.door:
            command = ['env', f'LD_PRELOAD={self.options.door}', self.program('kill-backend')]
        self.backend = Process(
            [*command, '--mind', 1, '--cpu', self.cpus[0], '--own-ms', int(1000 * self.options.seconds),
             *self.sockets], self.folder, 'backend')
        self.backend.wait_for('ready', READY_S + self.options.seconds)
        self.add_machine('no port, before', self.line(self.backend, 'gaps'))
        # What is made once, and stays.
        for socket in (0, 1):
            self.start_guest(socket)
            self.end_guest()
        time.sleep(0.2)
        self.before = held(self.backend.pid)

    def start_guest(self, socket=1):
        command = [self.program('kill-vmm'), '--socket', self.sockets[socket], '--again']
        if self.ring == 'packed':
            command.append('--packed')
        self.guest = Process(command, self.folder, f'guest-{socket}', subprocess.PIPE, self.cpus[1:])
        self.lines.pop(self.guest.name, None)
        self.guest.wait_for('migrating', LINE_S)

    def end_guest(self):
        """And what it says of all its migrations."""
        self.guest.process.stdin.close()
        status = self.guest.wait(LINE_S)
        if status != 0:
            raise Failure(f'the guest of port B: status {status}{self.guest.said()}')
        self.guest.close()
        self.guest = None

    def line(self, process, word):
        """The next line that begins with the word."""
        at = self.lines.setdefault(process.name, 0)
        deadline = time.monotonic() + LINE_S
        while True:
            found = [line for line in process.text.splitlines(True)
                     if line.startswith(word + ' ') and line.endswith('\n')]
            if len(found) > at:
                self.lines[process.name] += 1
                return values(found[at])
            if process.process.poll() is not None:
                raise Failure(f'{process.name} ended: status {process.process.returncode}{process.said()}')
            if time.monotonic() > deadline:
                raise Failure(f'{process.name}: no "{word}" within {LINE_S} s{process.said()}')
            process.read(0.1)

    def take(self):
        """What both programs say of the time since they were asked last."""
        self.guest.process.stdin.write(b'\n')
        self.guest.process.stdin.flush()
        self.backend.process.send_signal(signal.SIGUSR1)
        return {**self.line(self.backend, 'gaps'), 'bursts': 0, **{
            f'b_{key}': value for key, value in self.line(self.guest, 'again').items()}}

    def harm(self, kind):
        """One kind, or nobody, for its time; the guest's figures, and what was done."""
        self.take()
        did = '-'
        if kind == QUIET:
            time.sleep(self.options.seconds)
        else:
            process = Process([sys.executable, HERE / 'hostile.py', self.sockets[0], kind,
                               self.options.seconds, '--seed', self.options.seed],
                              self.folder, f'hostile-{kind}', cpus=self.cpus[1:])
            try:
                if process.wait(self.options.seconds + LINE_S) != 0:
                    raise Failure(f'hostile.py {kind}: status {process.process.returncode}{process.said()}')
                did = process.text.strip().removeprefix('done ')
            finally:
                process.close()
        return self.take(), did

    def complaints(self):
        """What the back-end says of packets that it got from port B."""
        return [line for line in self.backend.text.splitlines() if re.match('gap |damaged ', line)]

    def judge(self, kind, figures):
        problems = []
        for key in ('differing', 'damaged', 'lost'):
            if figures[f'b_{key}'] > 0:
                problems.append(f'{figures[f"b_{key}"]:.0f} {key}')
        for key in ('rx', 'tx', 'migrations', 'answers'):
            if figures[f'b_{key}'] == 0:
                problems.append(f'no {key}')
        wrong = self.complaints()
        if len(wrong) > self.known:
            problems.append(f'packets from B: {wrong[self.known]}')
        self.late += figures['b_late']
        self.answers += figures['b_answers']
        timed = not self.options.no_times
        if timed and figures['b_late'] > LATE_SHARE_OF_KIND * figures['b_answers']:
            problems.append(f'{figures["b_late"]:.0f} of {figures["b_answers"]:.0f} messages took more '
                            f'than 100 ms, the longest {duration(figures["b_longest_us"])}')
        if timed and figures['cpu_longest_us'] > CPU_GAP_US:
            problems.append(f'{duration(figures["cpu_longest_us"])} of CPU time between two bursts')
        if problems:
            raise Failure(f'port B, while on port A {kind}: ' + '; '.join(problems))

    def add(self, kind, did, f):
        self.rows.append([kind.replace('_', ' '), did, f'{f["b_rx"]:,.0f}', f'{f["b_tx"]:,.0f}',
                          f'{f["b_lost"]:.0f}', f'{f["b_migrations"]:.0f}', f'{f["b_differing"]:.0f}',
                          f'{f["b_answers"]:,.0f}', duration(f['b_p999_us']), duration(f['b_longest_us']),
                          duration(f['p9999_us']), duration(f['longest_us']), duration(f['cpu_longest_us'])])

    def add_machine(self, what, f):
        self.rows.append([what, *['-'] * 9, duration(f['p9999_us']), duration(f['longest_us']),
                          duration(f['cpu_longest_us'])])

    def check_left_over(self):
        deadline = time.monotonic() + LINE_S
        while True:
            now, maps = held(self.backend.pid)
            if now == self.before[0]:
                return
            if time.monotonic() > deadline:
                raise Failure(f'left over: {now}, {maps} mappings; before {self.before[0]}, '
                              f'{self.before[1]}')
            time.sleep(0.05)

    def run(self, kinds):
        """Nobody, each kind, nobody; yields what was wrong."""
        self.start()
        self.start_guest()
        self.take()
        # Another guest of port B was there before: its numbers were others.
        self.known = len(self.complaints())
        for kind in [QUIET, *kinds, QUIET]:
            figures, did = self.harm(kind)
            self.add(kind, did, figures)
            print(f'  {self.ring} {kind}: {did}; B: {figures["b_rx"]:,.0f} packets to it, '
                  f'{figures["b_tx"]:,.0f} from it, {figures["b_migrations"]:.0f} migrations, '
                  f'99.9 % of {figures["b_answers"]:,.0f} answers within '
                  f'{duration(figures["b_p999_us"])}, longest gap {duration(figures["longest_us"])}, '
                  f'{duration(figures["cpu_longest_us"])} of CPU time', flush=True)
            self.judge(kind, figures)
        if self.late > LATE_SHARE * self.answers and not self.options.no_times:
            raise Failure(f'{self.late:.0f} of all {self.answers:.0f} messages of port B took more than 100 ms')
        self.end_guest()
        self.check_left_over()
        self.backend.process.terminate()
        if self.backend.wait(READY_S + self.options.seconds) != 0:
            raise Failure(f'the back-end: status {self.backend.process.returncode}{self.backend.said()}')
        self.add_machine('no port, after', self.line(self.backend, 'gaps'))

    def close(self):
        for process in (self.guest, self.backend):
            if process is not None:
                process.close()

    def table(self):
        rows = [COLUMNS, ['---'] * len(COLUMNS), *self.rows]
        return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def parse():
    root = HERE.parents[1]
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=float, default=20, help='of each kind of harm')
    parser.add_argument('--kind', action='append', choices=[*hostile.KINDS, 'half_message'],
                        help='only this one; may be given again')
    parser.add_argument('--ring', choices=['split', 'packed', 'both'], default='both', help="port B's")
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--no-times', action='store_true',
                        help='say how long things took, and do not judge it: on a machine that others use')
    parser.add_argument('--table', action='store_true', help='print the figures as a table too')
    parser.add_argument('--build', type=pathlib.Path, default=root / 'build')
    parser.add_argument('--driver', type=pathlib.Path)
    parser.add_argument('--door', type=pathlib.Path, metavar='FILE', help="the ports are those of DPDK's "
                        'net_vhost, and this is preloaded before librte_vhost')
    parser.add_argument('--expect', metavar='WORD', help='a negative control: passes only if a failure '
                        'that has this word is found')
    options = parser.parse_args()
    if options.driver is None:
        options.driver = options.build / 'drivers/net/dirtylog/librte_net_dirtylog.so'
    options.driver = options.driver.resolve()
    options.door = options.door and options.door.resolve()
    return options


def run_ring(options, ring, cpus):
    """What was wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix='dirtylog-neighbour-') as folder:
        lab = Lab(options, ring, pathlib.Path(folder), cpus)
        try:
            lab.run(options.kind or hostile.KINDS)
            return ''
        except Failure as failure:
            return str(failure)
        finally:
            lab.close()
            if options.table:
                print(f"\nPort B's rings: {ring}\n\n{lab.table()}\n", flush=True)


def main():
    # Who is told to end ends its processes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('ended by a signal'))
    options = parse()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print('skipped: two CPUs are needed, one for the thread that polls')
        print('0 passed, 0 failed, 1 skipped')
        return SKIPPED
    passed = failed = 0
    for ring in ['split', 'packed'] if options.ring == 'both' else [options.ring]:
        wrong = run_ring(options, ring, cpus)
        good = options.expect in wrong if options.expect else not wrong
        passed += good
        failed += not good
        print(f'{"ok    " if good else "FAILED"} {ring}{": " if wrong else ""}{wrong}', flush=True)
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 0 if failed == 0 else 1


if __name__ == '__main__':
    sys.exit(main())
