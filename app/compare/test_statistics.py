#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""row_statistics with made-up numbers."""
import math
import random
import unittest

import port_bench
from row_statistics import (GOOD, Pair, apart, as_text, block_ratio, interval, kept_is_good, kept_span, pairs,
                            ratio_is_good, ratio_span, ratios_in_turn, uncertainty)


def a_slice(phase, mpps, interval_ms=100, seconds=0.5, away=0.0, tx=0):
    return {'phase': phase, 'seconds': seconds, 'interval_ms': interval_ms, 'guest_away': away,
            'rx_packets': mpps * 1e6 * seconds, 'tx_packets': tx * 1e6 * seconds}


class Interval(unittest.TestCase):
    def test_few_values_have_their_extremes(self):
        for n in range(1, 6):
            self.assertEqual(interval(list(range(n))), (0, n - 1))

    def test_ranks_are_those_of_the_sign_test(self):
        # From tables: ranks of the 95 % interval of the median.
        for n, rank in ((6, 1), (8, 1), (9, 2), (12, 3), (16, 4), (20, 6), (25, 8), (30, 10)):
            self.assertEqual(interval(list(range(1, n + 1))), (rank, n + 1 - rank), n)

    def test_order_and_one_wild_value_do_not_matter(self):
        values = [1.0] * 8 + [1.01] * 8
        random.Random(1).shuffle(values)
        self.assertAlmostEqual(uncertainty(values), uncertainty(values[:-1] + [99.0]), 1)
        self.assertLessEqual(uncertainty(values + [0.001]), GOOD)

    def test_holds_the_median_as_often_as_it_says(self):
        dice = random.Random(7)
        hits = sum(low <= 10 <= high for low, high in
                   (interval([dice.gauss(10, 1) for _ in range(14)]) for _ in range(2000)))
        self.assertGreaterEqual(hits / 2000, 0.945)

    def test_nothing_is_uncertain(self):
        self.assertEqual(uncertainty([]), math.inf)
        self.assertEqual(uncertainty([0.0, 0.0]), math.inf)


class Pairs(unittest.TestCase):
    def test_ratio_is_to_the_mean_of_both_sides(self):
        pair = Pair(10.0, 9.0, 8.0, 0.0)
        self.assertAlmostEqual(pair.kept, 1.0)
        self.assertFalse(pair.agrees(0.02))

    def test_halves_and_absence(self):
        self.assertTrue(Pair(10.0, 5.0, 10.2, 0.01).agrees(0.02))
        self.assertFalse(Pair(10.0, 5.0, 10.2, 0.03).agrees(0.02))
        self.assertFalse(Pair(0.0, 0.0, 0.0, 0.0).agrees(0.02))
        self.assertEqual(Pair(0.0, 0.0, 0.0, 0.0).kept, 0.0)

    def test_a_run_is_cut_by_interval_and_the_last_migration_left_out(self):
        run = [a_slice('warm-up', 1), a_slice('baseline', 10), a_slice('log on', 3), a_slice('full copy', 3),
               a_slice('rounds', 8, 100), a_slice('cancelled', 5), a_slice('baseline', 10),
               a_slice('rounds', 9, 1000, 1.0), a_slice('cancelled', 5), a_slice('baseline', 10.2),
               a_slice('rounds', 1, 100), a_slice('stop', 0)]
        found = pairs(run, ('rx',))
        self.assertEqual(sorted(found), [100, 1000])
        self.assertAlmostEqual(found[100][0].kept, 0.8)
        self.assertAlmostEqual(found[1000][0].kept, 9 / 10.1)
        self.assertEqual([len(p) for p in found.values()], [1, 1])

    def test_both_directions_are_added(self):
        run = [a_slice('baseline', 10, tx=6), a_slice('rounds', 8, tx=4), a_slice('baseline', 10, tx=6)]
        pair = pairs(run, ('rx', 'tx'))[100][0]
        self.assertAlmostEqual(pair.before, 16)
        self.assertAlmostEqual(pair.kept, 0.75)

    def test_a_guest_that_is_away_all_the_time_hurts_no_ratio(self):
        def away(*shares):
            run = [a_slice(phase, 10, away=share) for phase, share in zip(('baseline', 'rounds', 'baseline'), shares)]
            return pairs(run, ('rx',))[100][0]

        self.assertTrue(away(0.03, 0.04, 0.03).agrees(0.02))
        self.assertFalse(away(0.01, 0.04, 0.01).agrees(0.02))
        self.assertFalse(away(0.01, 0.01, 0.04).agrees(0.02))


class Good(unittest.TestCase):
    def test_runs_must_agree_among_each_other(self):
        self.assertTrue(kept_is_good([[0.80, 0.81, 0.80], [0.80, 0.80, 0.79]]))
        self.assertFalse(kept_is_good([[0.80] * 9, [0.86] * 9]))
        self.assertFalse(kept_is_good([[0.80] * 9]))
        self.assertFalse(kept_is_good([[0.80], [0.80]]))
        self.assertFalse(kept_is_good([[], []]))

    def test_ratios_are_of_neighbours_in_time(self):
        # A machine that gets slower steadily, A B B A, with one more turn of A.
        ratios = ratios_in_turn([10.0, 9.7, 9.6], [19.8, 19.6])
        self.assertEqual(len(ratios), 2)
        for ratio in ratios:
            self.assertAlmostEqual(ratio, 2.0, 1)
        self.assertEqual(ratios_in_turn([0.0], [1.0]), [])
        self.assertEqual(ratios_in_turn([], [1.0]), [])

    def test_turns_that_disagree_give_no_ratio(self):
        self.assertAlmostEqual(apart(19, 21), 0.1)
        self.assertAlmostEqual(block_ratio([10, 10.2], [20, 20.4]), 2.0)
        self.assertIsNone(block_ratio([10, 12], [20, 20]))
        self.assertIsNone(block_ratio([10, 10], [20, 25]))
        self.assertIsNone(block_ratio([10], [20, 20]))
        self.assertIsNone(block_ratio([0, 0], [20, 20]))

    def test_drift_cancels_in_a_block(self):
        # A machine that gets slower steadily: 1 % per turn.
        self.assertAlmostEqual(block_ratio([10.0, 9.7], [19.8, 19.6]), 2.0)

    def test_one_ratio_is_not_enough(self):
        self.assertFalse(ratio_is_good([2.0]))
        self.assertTrue(ratio_is_good([2.0, 2.05]))
        self.assertFalse(ratio_is_good([2.0, 2.2]))

    def test_what_is_told(self):
        def told(runs):
            return as_text(kept_span(runs), 0.8, kept_is_good(runs), '{:.2f}')

        self.assertEqual(told([[0.80, 0.81, 0.80], [0.80, 0.80, 0.79]]), '0.80')
        self.assertEqual(told([[0.80] * 9, [0.86] * 9]), '0.80-0.86')
        # Too few, of one run alone, or anything between nothing and twice as much
        self.assertEqual(told([[0.80], [0.80]]), '-')
        self.assertEqual(told([[0.80] * 9]), '-')
        self.assertEqual(told([[0.20] * 9, [1.40] * 9]), '-')
        self.assertEqual(told([]), '-')
        self.assertIsNone(ratio_span([2.0]))
        self.assertEqual(ratio_span([2.2, 2.0, 2.1]), (2.0, 2.2))

    def test_two_benches_agree_on_what_is_good(self):
        """Noise of a machine, many times: two results that are both good differ by 5 % at most, almost always."""
        dice = random.Random(3)

        def result():
            runs = [[dice.gauss(0.8, 0.03) for _ in range(6)] for _ in range(4)]
            return sorted(sum(runs, []))[12] if kept_is_good(runs) else None

        both = [(a, b) for a, b in ((result(), result()) for _ in range(2000)) if a and b]
        self.assertGreater(len(both), 100)
        self.assertLess(sum(apart(a, b) > 0.05 for a, b in both), len(both) * 0.01)


class PortTables(unittest.TestCase):
    NAMES = ('net_vhost', 'net_dirtylog')

    def memcpy(self, rates):
        """The table's last line, of turns with these packets per microsecond, by who takes them."""
        order = ('copy', 'copy, prefetched', *self.NAMES, *self.NAMES[::-1], 'copy, prefetched', 'copy')
        rates = {who: iter(values) for who, values in rates.items()}
        cell = {'ring': 'split', 'direction': 'rx', 'size': 64, 'buffers': 65536,
                'turns': [{'who': who, 'seconds': 0.01, 'packets': 1e4 * next(rates[who])} for who in order * 2]}
        return port_bench.memcpy([cell], self.NAMES).splitlines()[-1].split()

    def test_figures_of_turns_that_agree(self):
        told = self.memcpy({'copy': [20] * 4, 'copy, prefetched': [19] * 4, 'net_vhost': [10] * 4, 'net_dirtylog': [16] * 4})
        self.assertEqual(told, ['split', 'rx', '64', '64', 'Ki', 'random', '50.0', '100.0', '50%', '2/2', '62.5', '80%', '2/2'])

    def test_no_figure_of_turns_that_do_not(self):
        """The first turns of a port were slower by far, as they are while pages are touched for the first time."""
        told = self.memcpy({'copy': [20] * 4, 'copy, prefetched': [19] * 4, 'net_vhost': [10] * 4, 'net_dirtylog': [0.1, 1, 3, 9]})
        self.assertEqual(told[6:], ['50.0', '100.0', '50%', '2/2', '-', '-', '0/2'])


if __name__ == '__main__':
    unittest.main()
