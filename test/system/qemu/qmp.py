# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's control socket."""

import json
import pathlib
import socket
import time

from errors import TestError


class Qmp:
    """One connection; events are ignored, their effects are asked for."""

    def __init__(self, path, process, seconds=10):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if process.poll() is not None:
                    raise TestError(f"QEMU ended at start, status {process.returncode}") from None
                if time.monotonic() > deadline:
                    raise TestError("QEMU opened no control socket") from None
                time.sleep(0.05)
        self._stream = self._socket.makefile("rw", encoding="utf-8")
        self._name = pathlib.Path(path).name
        self._read()
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        """Run a command (dashes written as underscores in the arguments' names)."""
        message = {"execute": name}
        if arguments:
            message["arguments"] = {key.replace("_", "-"): value
                                    for key, value in arguments.items()}
        try:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()
            while True:
                answer = self._read()
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise TestError(f"{self._name}: {name}: {answer['error']['desc']}")
        except TimeoutError:
            raise TestError(f"{self._name}: no answer to {name}") from None
        except OSError as error:
            raise TestError(f"{self._name}: {name}: QEMU is gone ({error})") from None

    def close(self):
        self._socket.close()

    def _read(self):
        line = self._stream.readline()
        if not line:
            raise TestError(f"{self._name}: QEMU is gone")
        return json.loads(line)
