#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the turns of dirtylog-port-bench say together.

usage: port_bench.py FILE    tables of what --json FILE wrote (- is standard input)

Turns go A B B A; a block whose two turns of A, or of B, differ by more than 5 % gives
no ratio, as in row_statistics.
"""
import json
import statistics
import sys

import row_statistics as stats

TARGETS = {'queues': 1.95, 'delay_us': 20}
EVEN = 1.9      # what two cores must do of one's work for nothing shared


def rate(turn, what):
    return turn[what] / turn['seconds']


def rates(cell, who, what='packets'):
    return [rate(t, what) for t in cell['turns'] if t['who'] == who]


def blocks(cell, size):
    turns = cell['turns']
    return [turns[i:i + size] for i in range(0, len(turns), size)]


def ratios(cell, first, second, what='packets', size=4):
    """Rate of second to that of first, block by block: does any block count, ratios, number of blocks.

    Where none does, the ratios of all.
    """
    all_blocks = [[[rate(t, what) for t in block if t['who'] == who] for who in (first, second)]
                  for block in blocks(cell, size)]
    found = [r for r in (stats.block_ratio(*pair) for pair in all_blocks) if r is not None]
    return bool(found), found or [sum(b) / sum(a) for a, b in all_blocks], len(all_blocks)


def tell(agree, values, n, form='{:.2f}'):
    """A median, or between which two it lies, or "-"; and how many blocks count."""
    told = stats.as_text(stats.ratio_span(values) if agree else None, statistics.median(values),
                         stats.ratio_is_good(values), form)
    return told, f'{len(values) if agree else 0}/{n}'


def figures(agree, *texts):
    """What was measured, or "-" for each where no block counts."""
    return list(texts) if agree else ['-'] * len(texts)


def ns(cell, who, what='packets'):
    return 1e9 / statistics.median(rates(cell, who, what))


def buffers(n):
    return str(n) if n < 1024 else f'{n // 1024} Ki random'


def on_off(cell):
    return 'on' if cell['log'] else 'off'


def table(head, rows):
    lines = [head, *rows]
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(head))]
    text = ['  '.join(str(c).rjust(w) for c, w in zip(line, widths)).rstrip() for line in lines]
    return '\n'.join([text[0], '-' * max(map(len, text)), *text[1:]])


def small(cells, names):
    head = ['ring', 'guest', 'log', 'burst']
    head += [f'{n} {what}' for n in names for what in ('Mpps', 'ns', 'empty')] + ['ratio', 'counted']
    rows = []
    for c in cells:
        row = [c['ring'], c['direction'], on_off(c), c['burst']]
        ratio = ratios(c, *names)
        for n in names:
            mine = [t for t in c['turns'] if t['who'] == n]
            empty = statistics.median(t['empty'] / t['calls'] for t in mine)
            row += figures(ratio[0], f'{1000 / ns(c, n):.2f}', f'{ns(c, n):.1f}', f'{100 * empty:.0f}%')
        rows.append(row + list(tell(*ratio)))
    return ('Bursts of few packets, 64 bytes, 256 buffers. ns: per packet; empty: share of bursts that moved nothing,\n'
            'in which the guest was awaited; ratio: of packet rates.\n\n' + table(head, rows))


def idle(cells, names):
    head = ['ring', 'poll', 'log', *[f'{n} ns' for n in names], 'ratio', 'counted']
    rows = []
    for c in cells:
        ratio = ratios(c, *names, what='calls')
        rows.append([c['ring'], c['poll'], on_off(c), *figures(ratio[0], *[f'{ns(c, n, "calls"):.1f}' for n in names]),
                     *tell(*ratio)])
    return ('Polls that find nothing: rx_burst where the guest sent nothing, tx_burst where it has no buffers left.\n'
            'ratio: of polls per second.\n\n' + table(head, rows))


def events(cells, _):
    head = ['ring', 'guest', 'who', 'event', 'n', 'us', 'bursts', 'dry', 'p50', 'p99', 'p99.9', 'max', 'worst: median', 'p99', 'max']
    rows, packets = [], []
    for c in cells:
        for event, e in c['events'].items():
            worst = sorted(e['worst_us'])
            if not worst:
                continue
            rows.append([c['ring'], c['direction'], c['who'], event, len(worst), f'{statistics.median(e["length_us"]):.0f}',
                         e['bursts'], e['dry'], *[f'{e[k]:.1f}' for k in ('p50_us', 'p99_us', 'p999_us', 'max_us')],
                         f'{statistics.median(worst):.1f}', f'{worst[int(0.99 * (len(worst) - 1))]:.1f}', f'{worst[-1]:.1f}'])
        if 'packets' in c:
            p, logs = c['packets'], c['logs']
            packets.append([c['ring'], c['direction'], c['who'], p['sent'], p['received'], p['lost'], p['repeated'],
                            c['dry'], c['turned_away'], f'{logs["marked"]}/{logs["used"]}'])
    return (f'Delays of bursts of 32 packets, microseconds from the end of one to the end of the next (one each 2 us is\n'
            f'begun; target: p99.9 of {TARGETS["delay_us"]} us). us: length of the event and 50 us; none: as long a time without event;\n'
            f'machine: a core that only looks at the clock. dry: bursts that found the ring used up, which are not in the delays.\n'
            'worst: of each event.\n\n' + table(head, rows) +
            '\n\nPackets by their numbers; all bursts that found the ring used up, or were turned away (which delays show);\n'
            'logs that got marks, of those used.\n\n' +
            table(['ring', 'guest', 'who', 'sent', 'received', 'lost', 'repeated', 'dry', 'away', 'marked'], packets))


def queues(cells, _):
    head = ['ring', 'buffers', 'log', 'driver', 'one Mpps', 'two Mpps', 'two/one', 'counted', 'machine', 'where even', 'counted']
    rows = []
    for c in cells:
        ratio = ratios(c, 'one', 'two', size=8)
        row = [c['ring'], buffers(c['buffers']), on_off(c), c['driver'],
               *figures(ratio[0], f'{1000 / ns(c, "one"):.2f}', f'{1000 / ns(c, "two"):.2f}'), *tell(*ratio, form='{:.3f}')]
        even, all_blocks = [], blocks(c, 8)
        for block in all_blocks:
            one_block = {'turns': block}
            (seen, machine, _), (agree, both, _) = (ratios(one_block, *who, size=8) for who in
                                                    (('machine one', 'machine two'), ('one', 'two')))
            if seen and machine[0] >= EVEN and agree:
                even += both
        rows.append(row + [f'{statistics.median(ratios(c, "machine one", "machine two", size=8)[1]):.2f}',
                           *(tell(True, even, len(all_blocks), form='{:.3f}') if even else ('-', f'0/{len(all_blocks)}'))])
    return ('Two queues on two cores to one, guest RX of 64 bytes; each core is its queue\'s guest too (target: '
            f'{TARGETS["queues"]}). machine: the\nsame for cores that copy within their own caches. even: blocks in which that is '
            f'{EVEN} or more: two CPUs that share a\ncore, which a virtual machine cannot see, are no two cores.\n\n' + table(head, rows))


def memcpy(cells, names):
    head = ['ring', 'guest', 'bytes', 'buffers', 'copy ns', *[f'{n} {what}' for n in names for what in ('ns', 'of floor', 'counted')]]
    rows = []
    for c in cells:
        floor = min(('copy', 'copy, prefetched'), key=lambda who: ns(c, who))
        found = {n: ratios(c, floor, n, size=8) for n in names}
        row = [c['ring'], c['direction'], c['size'], buffers(c['buffers']),
               *figures(any(ratio[0] for ratio in found.values()), f'{ns(c, floor):.1f}')]
        for n in names:
            row += [*figures(found[n][0], f'{ns(c, n):.1f}'), *tell(*found[n], form='{:.0%}')]
        rows.append(row)
    return ('Only copying (the better of with and without prefetching the buffers) beside a port, ns per packet; of floor:\n'
            'the port\'s packet rate as a share of that of copying.\n\n' + table(head, rows))


MODES = {'small': small, 'idle': idle, 'events': events, 'queues': queues, 'memcpy': memcpy}


def tables(data):
    parts = [f'Ports: bursts on CPU {data["cpus"]["bursts"]}, guest on CPU {data["cpus"]["guest"]}, '
             f'{"2 MiB pages" if data["hugepages"] else "pages of 4 KiB"}. ratio: {" to ".join(reversed(data["drivers"]))}, of '
             f'blocks of turns A B B A (median); two figures: it lies between them; -: cores were taken; counted: blocks whose equal turns agree.']
    parts += [tell_mode(data[name], data['drivers']) for name, tell_mode in MODES.items() if name in data]
    return '\n\n'.join(parts)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with (sys.stdin if sys.argv[1] == '-' else open(sys.argv[1], encoding='utf-8')) as f:
        data = json.load(f)
    print(tables(data))
    if not data['complete']:
        sys.exit('the run was not completed')


if __name__ == '__main__':
    main()
