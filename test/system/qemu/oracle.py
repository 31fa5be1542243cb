# SPDX-License-Identifier: BSD-3-Clause
"""Compares guest RAM, page by page, through the memory files of QEMU processes."""

import os

PAGE = 4096
CHUNK = 4 << 20


class Ram:
    """All RAM backends of one VM, open for reading even after its QEMU has ended."""

    def __init__(self, vm):
        self.vm = vm
        self._files = [(os.open(path, os.O_RDONLY), size) for path, size in vm.ram_files()]

    def close(self):
        for fd, _ in self._files:
            os.close(fd)

    def pages(self):
        return sum(size for _, size in self._files) // PAGE

    def snapshot(self):
        """A copy of all RAM, to be given to changed_since()."""
        return list(self._chunks())

    def changed_since(self, snapshot):
        """[(backend, offset)] of the pages that are not as they were."""
        return _differing(self._chunks(), iter(snapshot))

    def differing(self, other):
        """[(backend, offset)] of the pages in which two VMs differ."""
        return _differing(self._chunks(), other._chunks())

    def _chunks(self):
        for backend, (fd, size) in enumerate(self._files):
            for offset in range(0, size, CHUNK):
                yield backend, offset, os.pread(fd, min(CHUNK, size - offset), offset)


def _differing(ours, theirs):
    found = []
    for (backend, offset, mine), (_, _, other) in zip(ours, theirs, strict=True):
        if len(mine) != len(other) or len(mine) % PAGE:
            raise ValueError(f"RAM read in part: {len(mine)} and {len(other)} bytes")
        if mine != other:
            found += [(backend, offset + at) for at in range(0, len(mine), PAGE)
                      if mine[at:at + PAGE] != other[at:at + PAGE]]
    return found
