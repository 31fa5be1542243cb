# SPDX-License-Identifier: BSD-3-Clause
"""How a scenario can end other than well."""


class TestError(Exception):
    """The test failed or could not be run; the text says why."""


class Inconclusive(TestError):
    """Nothing was proved, since too little happened or QEMU was in the way: to be repeated."""


class Skip(Exception):
    """The machine lacks what the scenario needs; the text says what."""
