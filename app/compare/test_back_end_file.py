#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Files of back-ends: what they mean, and what is said of wrong ones."""
import os
import unittest

import back_end_file as files

GOOD = '''# a comment
about = something = with an equals sign
start = run "two words" {socket}

    # another one
    --size={size} {eal} end
rx = send
'''
BAD = [
    ('', 'there is no "start"'),
    ('start = run {socket}', 'none of rx, tx, both'),
    ('rx = a\nstart =', 'there is no "start"'),
    ('start run', ':1: "start run" is not "key = value"'),
    ('rx = a\nbegin = run', ':2: "begin" is no key'),
    ('start = a\nrx = a\nrx = b', ':3: "rx" is there twice'),
    (' start = a', ':1: goes on with a value'),
    ('rx = a\nstart = run {sockets}', ':2: start: {sockets} is no name'),
    ('rx = a\nstart = run "', ':2: start: No closing quotation'),
    ('rx = a\nstart = run\nstop = {what}', ':3: stop: {what} is no name'),
    ('rx = a\nstart = run\nlistens = nobody', ':3: listens: it is one of'),
    ('rx = a\nstart = run\nready = (', ':3: ready: '),
    ('rx = a\nstart = run\noverhead = much', ':3: overhead: "much" is no number'),
]


class Files(unittest.TestCase):
    def test_values(self):
        values = files.parse(GOOD, 'x')
        self.assertEqual(values['about'], 'something = with an equals sign')
        self.assertEqual(values['rx'], 'send')
        words = {'socket': '/a b/s', 'size': 64, 'eal': '-m 1 --no-huge'}
        self.assertEqual(files.words_of(values['start'], words),
                         ['run', 'two words', '/a b/s', '--size=64', '-m', '1', '--no-huge', 'end'])

    def test_a_list_may_be_empty(self):
        self.assertEqual(files.words_of('a {eal} b', {'eal': ''}), ['a', 'b'])

    def test_values_are_not_looked_into(self):
        self.assertEqual(files.words_of('a {socket}', {'socket': '{size} "'}), ['a', '{size} "'])

    def test_wrong_files(self):
        for text, wanted in BAD:
            with self.subTest(text), self.assertRaises(files.BadFile) as caught:
                files.parse(text, 'x.conf')
            self.assertTrue(str(caught.exception).startswith('x.conf'), caught.exception)
            self.assertIn(wanted, str(caught.exception))

    def test_no_file(self):
        with self.assertRaisesRegex(files.BadFile, '/nonexistent.conf: No such file'):
            files.read('/nonexistent.conf')

    def test_those_that_come_with_the_program(self):
        self.assertEqual(files.names(), ['net_dirtylog', 'net_vhost', 'ovs', 'ovs-door'])
        for name in files.names():
            values = files.read(os.path.join(files.FOLDER, f'{name}.conf'))
            self.assertTrue(all(way in values for way in files.DIRECTIONS), name)


if __name__ == '__main__':
    unittest.main()
