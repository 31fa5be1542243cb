# SPDX-License-Identifier: BSD-3-Clause
"""A child process with a log file, that never outlives the program which started it."""

import subprocess


class Process:
    def __init__(self, name, command, log, environment=None, stdin=subprocess.DEVNULL):
        self.name = name
        self.log = log
        prefix = ["setpriv", "--pdeathsig", "KILL", "--"]
        if environment:
            prefix += ["env", *(f"{key}={value}" for key, value in environment.items())]
        with open(log, "wb") as output:
            output.write((" ".join(map(str, command)) + "\n").encode())
            output.flush()
            self._child = subprocess.Popen(
                [*prefix, *map(str, command)], stdin=stdin, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True)
        self.stdin = self._child.stdin
        self.pid = self._child.pid

    def poll(self):
        return self._child.poll()

    @property
    def returncode(self):
        return self._child.returncode

    def wait(self, seconds):
        """True if the process ended in time."""
        try:
            self._child.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def kill(self):
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait(10)
