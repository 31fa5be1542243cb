# SPDX-License-Identifier: BSD-3-Clause
"""The file of a back-end: how it is started and stopped, as words and commands.

Lines are "key = value"; one that begins with a blank goes on with the value before it; "#"
begins a comment line. doc/benchmark.md says what the keys and the names in braces mean.
"""
import os
import re
import shlex

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'back-ends')
KEYS = ('about', 'needs', 'start', 'stop', 'quit', 'listens', 'ready', 'overhead', 'rx', 'tx', 'both')
COMMANDS = ('start', 'stop')
DIRECTIONS = ('rx', 'tx', 'both')
NAMES = ('socket', 'folder', 'prefix', 'cpu', 'control_cpu', 'eal', 'pages', 'forward', 'direction', 'size', 'python',
         'root', 'driver_folder', 'driver_name', 'door')
LISTENS = ('back-end', 'front-end')
LISTS = ('eal',)    # names that stand for several words, or none


class BadFile(Exception):
    """It says where and what."""


def names():
    """Of the files that come with this program."""
    return sorted(name[:-5] for name in os.listdir(FOLDER) if name.endswith('.conf'))


def read(path):
    """The values, by key."""
    try:
        with open(path, encoding='utf-8') as f:
            return parse(f.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f'{path}: {getattr(error, "strerror", None) or error}') from None


def parse(text, path):
    values, lines = {}, {}
    key = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        if line[0].isspace():
            if key is None:
                raise BadFile(f'{path}:{number}: goes on with a value, and there is none before it')
            values[key] += ' ' + line.strip()
            continue
        key, equals, value = (part.strip() for part in line.partition('='))
        if not equals:
            raise BadFile(f'{path}:{number}: "{line.strip()}" is not "key = value"')
        if key not in KEYS:
            raise BadFile(f'{path}:{number}: "{key}" is no key; there are {", ".join(KEYS)}')
        if key in values:
            raise BadFile(f'{path}:{number}: "{key}" is there twice')
        values[key], lines[key] = value, number
    check(values, lambda key: f'{path}:{lines[key]}: {key}', path)
    return values


def check(values, where, path):
    if not values.get('start'):
        raise BadFile(f'{path}: there is no "start"')
    for key in COMMANDS:
        try:
            words = shlex.split(values.get(key, ''))
        except ValueError as error:
            raise BadFile(f'{where(key)}: {error}') from None
        for name in re.findall(r'\{(\w+)\}', ' '.join(words)):
            if name not in NAMES:
                raise BadFile(f'{where(key)}: {{{name}}} is no name; there are {", ".join(NAMES)}')
    if values.get('listens', LISTENS[0]) not in LISTENS:
        raise BadFile(f'{where("listens")}: it is one of {", ".join(LISTENS)}')
    if not any(way in values for way in DIRECTIONS):
        raise BadFile(f'{path}: there is none of {", ".join(DIRECTIONS)}, so nothing could be measured')
    try:
        re.compile(values.get('ready', ''))
    except re.error as error:
        raise BadFile(f'{where("ready")}: {error}') from None
    try:
        float(values.get('overhead', 0))
    except ValueError:
        raise BadFile(f'{where("overhead")}: "{values["overhead"]}" is no number of seconds') from None


def words_of(command, values):
    """A command as a list, with the names in braces filled in."""
    result = []
    for word in shlex.split(command):
        if word[1:-1] in LISTS and word == f'{{{word[1:-1]}}}':
            result += values[word[1:-1]].split()
        else:
            result.append(re.sub(r'\{(\w+)\}', lambda found: str(values[found[1]]), word))
    return result
