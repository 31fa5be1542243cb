# SPDX-License-Identifier: BSD-3-Clause
"""The settings in which back-ends are compared."""
import collections


class Cell(collections.namedtuple('Cell', 'ring mergeable size buffers direction tables', defaults=(False,))):
    """One setting: ring, mergeable buffers or not, bytes of a packet, buffers, direction as the guest sees it, and
    whether each buffer is an indirect table (header apart), as Linux sends."""

    def ways(self):
        """Of the packets that are counted."""
        return ('rx', 'tx') if self.direction == 'both' else (self.direction,)

    def buffers_named(self):
        return str(self.buffers) if self.buffers < 1024 else f'{self.buffers // 1024} Ki random'

    def title(self):
        return (f'{self.ring}{", mergeable" if self.mergeable else ""}, {self.direction} {self.size} B, '
                f'{self.buffers_named()} buffers{", tables" if self.tables else ""}')


def matrix(quick, directions):
    plain = [Cell(ring, mergeable, size, buffers, direction)
            for ring in ('split', 'packed') for mergeable in ((False,) if quick else (False, True))
            for size in ((64,) if quick else (64, 512, 1518)) for buffers in (256, 65536)
            for direction in directions]
    if quick:
        return plain
    return plain + [Cell(ring, False, 64, 256, direction, tables=True)
                    for ring in ('split', 'packed') for direction in directions]
