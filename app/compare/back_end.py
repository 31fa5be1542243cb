# SPDX-License-Identifier: BSD-3-Clause
"""The back-ends: each is started and stopped as its file says."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import back_end_file
import built

sys.path.append(os.path.join(built.ROOT, 'app', 'ovs'))

from process import Process     # noqa: E402

DEFAULT = ('net_vhost', 'net_dirtylog')
START_LIMIT = 30        # seconds until a back-end is ready
STOP_LIMIT = 10
# What --back-end NAME=COMMAND means beside the command
PLAIN = {'quit': 'quit', 'rx': 'txonly', 'tx': 'rxonly', 'both': 'io'}


class BackEnd:
    def __init__(self, name, values, paths):
        self.name = name
        self.about = values.get('about', '')
        self.template = values['start']
        self.connects = values.get('listens') == 'front-end'
        self.overhead = float(values.get('overhead', 0))
        self.values = values
        self.paths = paths      # of what this project built
        self.process = None

    def lacks(self, cell):
        """What a cell of the matrix needs and the file does not name; None if nothing is missing."""
        return None if cell.direction in self.values else f'no {cell.direction}'

    def missing(self):
        """Which of the programs and files that it needs is not there."""
        return [word for word in self.values.get('needs', '').split() if shutil.which(word) is None]

    def start(self, machine, folder, cell):
        self.socket = os.path.join(folder, 's')
        self.words = {
            'socket': self.socket, 'folder': folder, 'prefix': f'bench{os.getpid()}',
            'cpu': machine.back_end, 'control_cpu': machine.control, 'eal': machine.eal,
            'pages': 'huge' if machine.huge else 'small', 'forward': self.values[cell.direction],
            'direction': cell.direction, 'size': cell.size, 'python': sys.executable, 'root': built.ROOT,
            **{name: path() for name, path in self.paths.items() if f'{{{name}}}' in self.template},
        }
        # With RUNTIME_DIRECTORY what DPDK leaves behind is in the folder, too.
        self.process = Process(self.name, back_end_file.words_of(self.template, self.words),
                               os.path.join(folder, 'back-end.log'), {'RUNTIME_DIRECTORY': folder},
                               stdin=subprocess.PIPE)
        self.wait_until_ready()

    def wait_until_ready(self):
        deadline = time.monotonic() + START_LIMIT
        while not self.is_ready():
            if self.process.poll() is not None:
                raise RuntimeError(f'{self.name} ended at its start:\n{self.last_words()}')
            if time.monotonic() > deadline:
                raise RuntimeError(f'{self.name} was not ready within {START_LIMIT} s:\n{self.last_words()}')
            time.sleep(0.02)

    def is_ready(self):
        if 'ready' in self.values:
            # The first line is the command.
            said = self.said().partition('\n')[2]
            return re.search(self.values['ready'], said, re.MULTILINE) is not None
        return self.connects or os.path.exists(self.socket)

    def said(self):
        with open(self.process.log, errors='replace') as f:
            return f.read()

    def last_words(self):
        return '\n'.join(self.said().splitlines()[1:][-15:])

    def stop(self):
        """By what its file says; by signals, if that is nothing or not enough."""
        if self.process is None:
            return
        for step in (self.ask, self.command_stop, self.terminate):
            if self.process.poll() is None and step():
                self.process.wait(STOP_LIMIT)
        self.signal(signal.SIGKILL)     # what it started may be there still
        self.process.kill()
        self.process.stdin.close()
        self.process = None

    def ask(self):
        if 'quit' not in self.values:
            return False
        try:
            self.process.stdin.write(f'{self.values["quit"]}\n'.encode())
            self.process.stdin.flush()
        except OSError:
            return False
        return True

    def command_stop(self):
        if 'stop' not in self.values:
            return False
        try:
            subprocess.run(back_end_file.words_of(self.values['stop'], self.words), timeout=STOP_LIMIT,
                           stdin=subprocess.DEVNULL, capture_output=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            print(f'bench: {self.name}: stop: {error}')
            return False
        return True

    def terminate(self):
        return self.signal(signal.SIGTERM)

    def signal(self, number):
        """To all processes of its group, which has its number."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return False
        return True


def paths(args):
    """What this project built, looked for when a command has the name."""
    return {
        'driver_folder': lambda: os.path.dirname(os.path.abspath(built.driver(args.driver))),
        'driver_name': lambda: os.path.basename(built.driver(args.driver)),
        'door': lambda: os.path.abspath(built.door(args.door)),
    }


def make(text, built_paths):
    """Of NAME, FILE or NAME=COMMAND."""
    name, equals, command = text.partition('=')
    if equals and '/' not in name:
        values = {'start': command, **PLAIN}
        back_end_file.check(values, lambda key: f'--back-end {name}', f'--back-end {name}')
        return BackEnd(name, values, built_paths)
    if '/' in text or text.endswith('.conf'):
        return BackEnd(os.path.basename(text).removesuffix('.conf'), back_end_file.read(text), built_paths)
    if text not in back_end_file.names():
        raise back_end_file.BadFile(f'"{text}" is no back-end; there are {", ".join(back_end_file.names())}, '
                                    'and files with a path')
    return BackEnd(text, back_end_file.read(os.path.join(back_end_file.FOLDER, f'{text}.conf')), built_paths)


def choose(args):
    """Those that the command line names, or the usual two."""
    result = []
    for text in args.back_end or DEFAULT:
        try:
            back_end = make(text, paths(args))
        except back_end_file.BadFile as error:
            args.wrong(f'--back-end: {error}')
        if back_end.missing():
            sys.exit(f'bench: {back_end.name} needs {" and ".join(back_end.missing())}, which is not there')
        if back_end.name in (b.name for b in result):
            args.wrong(f'--back-end: {back_end.name} is there twice')
        for path in (name for name in back_end.paths if f'{{{name}}}' in back_end.template):
            back_end.paths[path]()      # ends the program if that is not built
        result.append(back_end)
    return result


def describe():
    """All that come with this program, and what they lack on this machine."""
    lines = []
    for name in back_end_file.names():
        back_end = make(name, {})
        missing = back_end.missing()
        lines.append(f'{name:13} {back_end.about}' + (f' (not here: {" ".join(missing)})' if missing else ''))
    return '\n'.join(lines)
