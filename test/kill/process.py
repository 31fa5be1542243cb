# SPDX-License-Identifier: BSD-3-Clause
"""Programs of a test: started, read line by line, waited for with a limit, ended."""
import os
import pathlib
import re
import select
import subprocess
import time


class Failure(Exception):
    """Something that must not be."""


class Process:
    """A program of the test; its stdout is read line by line, stderr goes to a file."""

    def __init__(self, command, folder, name, stdin=None, cpus=None):
        self.name = name
        self.stderr = open(folder / f'{name}.stderr', 'w+', encoding='utf-8', errors='replace')
        environment = dict(os.environ, RUNTIME_DIRECTORY=str(folder))
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=stdin or subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.stderr, env=environment,
            preexec_fn=cpus and (lambda: os.sched_setaffinity(0, cpus)))
        self.pid = self.process.pid
        self.text = ''

    def read(self, seconds):
        """Takes what it printed; False: nothing within the time, or the end."""
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], seconds)[0]:
            return False
        data = os.read(fd, 65536)
        self.text += data.decode(errors='replace')
        return len(data) > 0

    def wait_for(self, word, seconds):
        deadline = time.monotonic() + seconds
        while not re.search(rf'^{word}\b', self.text, re.M):
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f'{self.name}: not "{word}" within {seconds} s{self.said()}')
            if not self.read(left) and self.process.poll() is not None:
                raise Failure(f'{self.name} ended instead of "{word}"{self.said()}')

    def wait(self, seconds):
        """Until it ends by itself; its exit status."""
        deadline = time.monotonic() + seconds
        while self.read(max(0, deadline - time.monotonic())):
            pass
        try:
            return self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise Failure(f'{self.name}: not done within {seconds} s{self.said()}') from None

    def said(self):
        self.stderr.flush()
        self.stderr.seek(0)
        lines = (self.text + self.stderr.read()).splitlines()
        return ''.join(f'\n      {line}' for line in lines[-4:])

    def kill(self):
        self.process.kill()
        self.process.wait()
        while self.read(0):
            pass

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.process.stdout.close()
        self.stderr.close()


def held(pid):
    """What a process holds, and how many mappings it has in all."""
    process = pathlib.Path('/proc') / str(pid)
    maps = (process / 'maps').read_text().splitlines()
    status = dict(line.split(':', 1) for line in (process / 'status').read_text().splitlines())
    return {
        'descriptors': len(os.listdir(process / 'fd')),
        'shared mappings': sum(line.split()[1].endswith('s') for line in maps),
        'threads': int(status['Threads']),
        'huge pages kB': int(status['HugetlbPages'].split()[0]),
    }, len(maps)
