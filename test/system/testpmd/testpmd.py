# SPDX-License-Identifier: BSD-3-Clause
"""One dpdk-testpmd process: start it, command it, ask it, end it."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

# Whole, or what is left of it after lines that another thread printed in the midst of it
PROMPT = re.compile(r"testpmd>|^[tespmd]{0,7}>", re.MULTILINE)
END = "\n(end of output)\n"


class TestpmdError(Exception):
    pass


class Testpmd:
    """An interactive dpdk-testpmd, unmodified.

    Its output goes through a pseudo terminal, so that it is line-buffered and
    arrives in order; all of it is kept in FOLDER/NAME.log.
    """

    def __init__(self, program, name, folder, eal_args, app_args, env=None):
        self.name = name
        self.folder = folder
        self.log_path = os.path.join(folder, name + ".log")
        self.argv = ([program] + eal_args + ["--file-prefix=" + name, "--"]
                     + ["-i"] + app_args)
        self._text = ""
        self._read_to = 0
        self._changed = threading.Condition()
        environ = dict(os.environ)
        # Sockets and locks of EAL live and go with the test's folder.
        environ["RUNTIME_DIRECTORY"] = folder
        environ.update(env or {})
        master, slave = os.openpty()
        with open(self.log_path, "w", encoding="utf-8") as log:
            log.write(" ".join(self.argv) + "\n")
        try:
            self._process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=slave, stderr=slave,
                cwd=folder, env=environ, start_new_session=True)
        except OSError as error:
            os.close(master)
            raise TestpmdError(f"cannot start {program}: {error}") from error
        finally:
            os.close(slave)
        self._reader = threading.Thread(target=self._read, args=(master,), daemon=True)
        self._reader.start()

    def _read(self, master):
        with open(self.log_path, "a", encoding="utf-8") as log:
            while True:
                try:
                    data = os.read(master, 65536)
                except OSError:    # the last writer has closed the terminal
                    data = b""
                text = data.decode("utf-8", "replace").replace("\r", "")
                log.write(text)
                log.flush()
                with self._changed:
                    self._text += text
                    if not data:
                        self._text += END
                    self._changed.notify_all()
                if not data:
                    os.close(master)
                    return

    @property
    def output(self):
        with self._changed:
            return self._text

    def alive(self):
        return self._process.poll() is None

    def _await_prompt(self, seconds):
        """Wait for a prompt in what was not looked at yet; return what came up to it."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = PROMPT.search(self._text, self._read_to)
                if found:
                    seen = self._text[self._read_to:found.end()]
                    self._read_to = found.end()
                    return seen
                left = deadline - time.monotonic()
                if self._text.endswith(END):
                    raise TestpmdError(f"{self.name} has ended, without a prompt")
                if left <= 0:
                    raise TestpmdError(f"{self.name}: no prompt within {seconds} s")
                self._changed.wait(left)

    def ready(self, seconds=30):
        self._await_prompt(seconds)
        return self

    def command(self, line, seconds=20):
        """Run one command; return all output up to the next prompt."""
        try:
            self._process.stdin.write((line + "\n").encode())
            self._process.stdin.flush()
        except OSError as error:
            raise TestpmdError(f"{self.name} has ended before {line!r}") from error
        return self._await_prompt(seconds)

    def telemetry(self, query):
        """Ask by DPDK's telemetry socket, which answers in JSON."""
        path = os.path.join(self.folder, "dpdk", self.name, "dpdk_telemetry.v2")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                sock.settimeout(10)
                sock.connect(path)
                sock.recv(4096)    # the greeting
                sock.send(query.encode())
                answer = sock.recv(1 << 20)
        except OSError as error:
            raise TestpmdError(f"{self.name}: telemetry {query}: {error}") from error
        value = json.loads(answer)[query.split(",")[0]]
        if value is None:
            raise TestpmdError(f"{self.name}: telemetry has no answer to {query}")
        return value

    def stats(self, port=0):
        return self.telemetry(f"/ethdev/stats,{port}")

    def xstats(self, port=0):
        return self.telemetry(f"/ethdev/xstats,{port}")

    def link_is_up(self, port=0):
        return self.telemetry(f"/ethdev/link_status,{port}")["status"] == "UP"

    def wait_link(self, up, port=0, seconds=10):
        deadline = time.monotonic() + seconds
        while self.link_is_up(port) != up:
            if time.monotonic() > deadline:
                raise TestpmdError(f"{self.name}: link of port {port} is not "
                                   f"{'up' if up else 'down'} within {seconds} s")
            time.sleep(0.02)

    def port_names(self):
        """Device names of the ports, by port number."""
        ports = self.telemetry("/ethdev/list")
        return {port: self.telemetry(f"/ethdev/info,{port}")["name"] for port in ports}

    def quit(self, seconds=20):
        """End it as a user would; it must end by itself and with status 0."""
        try:
            self._process.stdin.write(b"quit\n")
            self._process.stdin.close()
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TestpmdError(f"{self.name} does not quit within {seconds} s") from error
        except OSError as error:
            raise TestpmdError(f"{self.name} has ended before 'quit'") from error
        self._reader.join(5)
        if status:
            raise TestpmdError(f"{self.name} quits with status {status}")

    def kill(self, number=signal.SIGKILL):
        """End it by a signal, if it still runs."""
        if self.alive():
            self._process.send_signal(number)
        self._process.wait(10)
        self._process.stdin = None
        self._reader.join(5)

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def log_tail(self, lines=25):
        """The end of the output, or what a sanitizer found."""
        text = self.output.removesuffix(END)
        found = re.search(r".*(ERROR: \w+Sanitizer|runtime error:)", text)
        if found:
            return "\n".join(text[found.start():].splitlines()[:lines])
        return "\n".join(text.splitlines()[-lines:])
