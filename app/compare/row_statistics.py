# SPDX-License-Identifier: BSD-3-Clause
"""What many short measurements say together, and how far that can be trusted.

Made for a machine whose speed changes from minute to minute: all that is compared
was measured within seconds, with the other side measured before and after it, and
what does not agree with itself is left out and counted.
"""
import math
import statistics

HALVES = 0.05       # two measurements of the same thing, seconds apart, that differ by more say nothing
GOOD = 0.05         # width of the interval that holds a median, as a share of it
CONFIDENCE = 0.95
FEWEST = 4          # values below which no interval is worth the name
WIDEST = 0.5        # an interval wider than that, as a share of the median, says nothing


def apart(a, b):
    """How far two values lie apart, as a share of their mean."""
    return abs(a - b) / ((a + b) / 2) if a + b > 0 else 0.0


def interval(values):
    """The two values between which the median of all possible values lies with 95 %.

    By ranks, so it does not matter how values are distributed. Below six values no
    pair of ranks is so sure: then smallest and largest.
    """
    values = sorted(values)
    n, rank = len(values), 0
    # Outside of the k-th value from either end the median lies with twice P(X < k), X binomial.
    tail = 0.5 ** n
    while rank + 1 < n - rank - 1:
        more = tail + math.comb(n, rank + 1) * 0.5 ** n
        if 2 * more > 1 - CONFIDENCE:
            break
        tail, rank = more, rank + 1
    return values[rank], values[n - 1 - rank]


def uncertainty(values):
    """Width of that interval as a share of the median; infinite where there are too few values."""
    if not values:
        return math.inf
    low, high = interval(values)
    middle = statistics.median(values)
    return (high - low) / middle if middle > 0 else math.inf


class Pair:
    """A migration, and the packet rates without one just before and just after it."""

    def __init__(self, before, during, after, away):
        self.before, self.during, self.after = before, during, after
        self.off = (before + after) / 2
        self.kept = during / self.off if self.off > 0 else 0.0
        self.away = away    # how far the shares of time without the guest lie apart

    def agrees(self, noise):
        """Nothing disturbed it, as far as that can be seen without looking at the result."""
        return self.off > 0 and apart(self.before, self.after) <= HALVES and self.away <= noise


def pairs(slices, ways):
    """Of one run: its cancelled migrations, by harvest interval. Packets of all `ways` count."""
    result = {}
    useful = [s for s in slices if s['phase'] in ('baseline', 'rounds') and s['seconds'] > 0]
    for before, during, after in zip(useful, useful[1:], useful[2:]):
        if [s['phase'] for s in (before, during, after)] != ['baseline', 'rounds', 'baseline']:
            continue
        rates = [sum(s[f'{way}_packets'] for way in ways) / s['seconds'] * 1e-6 for s in (before, during, after)]
        # Each machine takes the guest away for a moment now and then. All the time, that hurts no
        # ratio; in one of the phases alone it does.
        away = [s['guest_away'] for s in (before, during, after)]
        result.setdefault(during['interval_ms'], []).append(Pair(*rates, max(away) - min(away)))
    return result


def kept_is_good(runs):
    """Of what a back-end keeps, a list of ratios per run: all of them, and the runs among each other."""
    everything = [ratio for run in runs for ratio in run]
    medians = [statistics.median(run) for run in runs if run]
    return (len(everything) >= FEWEST and len(medians) >= 2 and
            max(uncertainty(everything), uncertainty(medians)) <= GOOD)


def kept_span(runs):
    """Of the same, between which values it lies; None if that cannot be told."""
    everything = [ratio for run in runs for ratio in run]
    medians = [statistics.median(run) for run in runs if run]
    if len(everything) < FEWEST or len(medians) < 2:
        return None
    lows, highs = zip(interval(everything), interval(medians))
    return narrow(min(lows), max(highs), statistics.median(everything))


def ratio_span(ratios):
    return narrow(*interval(ratios), statistics.median(ratios)) if len(ratios) >= 2 else None


def narrow(low, high, middle):
    return (low, high) if middle > 0 and (high - low) / middle <= WIDEST else None


def as_text(span, middle, good, form):
    """A figure where it is certain, else between which two it lies, else "-"."""
    if span is None:
        return '-'
    return form.format(middle) if good else '-'.join(form.format(value) for value in span)


def ratios_in_turn(first, second):
    """Of what two sides measured under the same conditions, in turn: B to A, the n-th to the n-th."""
    return [b / a for a, b in zip(first, second) if a > 0 and b > 0]


def block_ratio(first, second):
    """Of turns A B B A: B to A, or None where the two turns of one of them do not agree."""
    for halves in (first, second):
        if len(halves) != 2 or min(halves) <= 0 or apart(*halves) > HALVES:
            return None
    return sum(second) / sum(first)


def ratio_is_good(ratios):
    return len(ratios) >= 2 and uncertainty(ratios) <= GOOD
