#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A short run of dirtylog-port-bench: each mode's JSON is complete and plausible, its packets add up.

usage: test_port_bench.py PATH/TO/dirtylog-port-bench PATH/TO/librte_net_dirtylog.so PATH/TO/libmute_ports.so
"""
import collections
import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'compare'))
sys.dont_write_bytecode = True

import port_bench  # noqa: E402

DRIVERS = ['net_vhost', 'net_dirtylog']
RINGS, WAYS, ON_OFF = ('split', 'packed'), ('rx', 'tx'), (False, True)
EVENTS = ['log on', 'log swap', 'log off', 'none']


def run(program, driver, folder, *args, **env):
    return subprocess.run([program, '--driver', driver, *args], capture_output=True, text=True, timeout=240,
                          env={**os.environ, 'TMPDIR': folder, **env})


def check_settings(cells, keys, *values):
    """Each combination of values is there once."""
    found = collections.Counter(tuple(c[k] for k in keys) for c in cells)
    wanted = [()]
    for v in values:
        wanted = [w + (x,) for w in wanted for x in v]
    assert found == collections.Counter(wanted), (keys, found)


def check_turns(cell, order):
    turns = cell['turns']
    assert turns and len(turns) % len(order) == 0, len(turns)
    for i, t in enumerate(turns):
        assert t['who'] == order[i % len(order)], (i, t)
        # 10 ms or more each, however busy the machine is; the clock is looked at now and then only.
        assert t['seconds'] >= 0.0099 and t['calls'] > 0 and 0 <= t['empty'] <= t['calls'], t


def check_small(cells):
    check_settings(cells, ('ring', 'direction', 'log', 'burst'), RINGS, WAYS, ON_OFF, (1, 4, 32))
    for c in cells:
        check_turns(c, DRIVERS + DRIVERS[::-1])
        for t in c['turns']:
            assert 0 < t['packets'] <= (t['calls'] - t['empty']) * c['burst'], (c['burst'], t)


def check_idle(cells):
    check_settings(cells, ('ring', 'poll', 'log'), RINGS, ('rx_burst', 'tx_burst'), ON_OFF)
    for c in cells:
        check_turns(c, DRIVERS + DRIVERS[::-1])
        assert all(t['packets'] == 0 and t['empty'] == t['calls'] for t in c['turns'])


def check_queues(cells):
    check_settings(cells, ('ring', 'buffers', 'log', 'driver'), RINGS, (256,), ON_OFF, DRIVERS)
    for c in cells:
        check_turns(c, ['machine one', 'one', 'two', 'machine two', 'machine two', 'two', 'one', 'machine one'])
        assert all(t['packets'] > 0 for t in c['turns'])


def check_memcpy(cells):
    check_settings(cells, ('ring', 'direction', 'size', 'buffers'), RINGS, WAYS, (64, 1518), (256, 65536))
    for c in cells:
        check_turns(c, ['copy', 'copy, prefetched', *DRIVERS, *DRIVERS[::-1], 'copy, prefetched', 'copy'])
        assert all(t['packets'] > 0 for t in c['turns'])
        # Of first touches of guest memory there are none: buffers were used before.
        faults, packets = (sum(t[what] for t in c['turns']) for what in ('faults', 'packets'))
        assert faults < packets / 100, (c['ring'], c['direction'], c['size'], c['buffers'], faults, packets)


def check_events(cells):
    check_settings(cells, ('ring', 'direction', 'who'), RINGS, WAYS, [*DRIVERS, 'machine'])
    for c in cells:
        what = (c['ring'], c['direction'], c['who'])
        assert list(c['events']) == (['none'] if c['who'] == 'machine' else EVENTS), what
        for name, e in c['events'].items():
            assert len(e['worst_us']) == len(e['length_us']) >= 3, (what, name, len(e['worst_us']))
            assert e['bursts'] > 0, (what, name)
            # Classes of the histogram are 6 % wide, their lower end is told.
            assert 0 < e['p50_us'] <= e['p99_us'] <= e['p999_us'] <= e['max_us'], (what, name, e)
            assert abs(max(e['worst_us']) - e['max_us']) <= 0.1, (what, name)
            assert min(e['length_us']) >= 50, (what, name)
        if c['who'] == 'machine':
            continue
        p, logs = c['packets'], c['logs']
        assert p['received'] == p['sent'] > 0 and p['lost'] == p['repeated'] == 0, (what, p)
        on, swaps, off = (len(c['events'][name]['worst_us']) for name in EVENTS[:3])
        assert on == swaps == off and logs['used'] == on + swaps, (what, on, swaps, off, logs)
        # Some get none where a busy machine keeps the bursts from moving packets.
        assert logs['missed'] == 0 < logs['marked'] <= logs['used'], (what, logs)


CHECKS = {'small': check_small, 'idle': check_idle, 'events': check_events, 'queues': check_queues,
          'memcpy': check_memcpy}


def check_bad_input(program, driver, folder):
    for args in (['--mode', 'none'], ['--seconds', '0'], ['--seconds', '1x'], ['--cpus', '0'], ['--cpus', '0,x'],
                 ['--nonsense'], ['surplus']):
        done = run(program, driver, folder, *args)
        assert done.returncode == 2 and done.stderr and not done.stdout, (args, done)
    for args in (['--driver', '/nonexistent.so'], ['--json', '/nonexistent/x.json']):
        done = run(program, driver, folder, *args)
        assert done.returncode == 1 and 'nonexistent' in done.stderr, (args, done)


def check_failed_turns(program, driver, mute_ports, folder):
    """Ports that take no packet: the guest's thread must be off its rings before they are freed."""
    # Preloaded, it comes before the run time of an address sanitizer.
    asan = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'
    for mode in ('small', 'memcpy'):
        done = run(program, driver, folder, '--quick', '--seconds', '1', '--mode', mode,
                   LD_PRELOAD=mute_ports, ASAN_OPTIONS=asan)
        assert done.returncode == 1 and 'no packet in a turn' in done.stderr, (mode, done)
        assert not json.loads(done.stdout)['complete'], (mode, done)


def check_signals(program, driver, folder):
    """Ended while its sockets are there, it leaves nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        bench = subprocess.Popen([program, '--driver', driver, '--mode', 'idle', '--seconds', '60'],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, 'TMPDIR': folder})
        deadline = time.monotonic() + 60
        while not glob.glob(f'{folder}/port-bench.*/net_dirtylog'):
            assert bench.poll() is None and time.monotonic() < deadline, bench.returncode
            time.sleep(0.02)
        bench.send_signal(number)
        assert bench.wait(60) == -number, bench.returncode
        assert not glob.glob(f'{folder}/port-bench.*'), glob.glob(f'{folder}/port-bench.*/**', recursive=True)


def main():
    program, driver, mute_ports = (os.path.abspath(path) for path in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        done = run(program, driver, folder, '--quick', '--seconds', '1', '--json', os.path.join(folder, 'x.json'))
        assert done.returncode == 0, done.stderr
        with open(os.path.join(folder, 'x.json'), encoding='utf-8') as f:
            data = json.load(f)
        check_bad_input(program, driver, folder)
        check_failed_turns(program, driver, mute_ports, folder)
        check_signals(program, driver, folder)
        assert os.listdir(folder) == ['x.json'], os.listdir(folder)
    assert 'count' not in data, 'it times nothing, and runs only where it is asked for'
    assert data['complete'] and data['drivers'] == DRIVERS and data['tsc_hz'] > 1e6
    for mode, check in CHECKS.items():
        check(data[mode])
        print(f'ok   {mode}: {len(data[mode])} settings')
    told = port_bench.tables(data)
    for title in ('Bursts of few', 'Polls that', 'Delays of', 'Two queues', 'Only copying'):
        assert told.count(title) == 1, told
    print(done.stderr + 'ok   tables, wrong usage')


main()
