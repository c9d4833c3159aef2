"""The order of networks by time: errors, rank correlation and pairs of equal macs."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scipy.stats import spearmanr

EQUAL_MACS = 1.25
"""The largest ratio of the macs of an equal-macs pair."""
APART = 1.1
"""A pair counts only if the ratio of its times is above this number."""

Pair = tuple[int, int]


class Errors(NamedTuple):
    """The median and the 90th percentile of relative errors."""

    median: float
    percentile_90: float


def errors(predicted: Sequence[float], measured: Sequence[float]) -> Errors:
    """Return the errors of predicted times, relative to the measured times."""
    relative = [abs(p / m - 1) for p, m in zip(predicted, measured, strict=True)]
    return Errors(statistics.median(relative), statistics.quantiles(relative, n=10, method="inclusive")[-1])


def scaled(counts: Sequence[float], measured: Sequence[float]) -> list[float]:
    """Return counts times the median of measured time by count."""
    factor = statistics.median(m / count for count, m in zip(counts, measured, strict=True))
    return [factor * count for count in counts]


def rank_correlation(quantity: Sequence[float], measured: Sequence[float]) -> float:
    """Return Spearman's rank correlation of a quantity with the measured times."""
    return float(spearmanr(quantity, measured).statistic)


def equal_macs_pairs(macs: Sequence[int], measured: Sequence[float]) -> list[Pair]:
    """Return the pairs of networks whose macs are within 25 %, and whose times are more than 10 % apart."""
    return [
        (a, b)
        for a, b in itertools.combinations(range(len(macs)), 2)
        if _ratio(macs[a], macs[b]) <= EQUAL_MACS and _ratio(measured[a], measured[b]) > APART
    ]


def _ratio(one: float, other: float) -> float:
    return max(one, other) / min(one, other)


def in_order(pairs: Sequence[Pair], quantity: Sequence[float], measured: Sequence[float]) -> Iterator[Pair]:
    """Yield the pairs whose slower network has the larger quantity."""
    for a, b in pairs:
        slow, fast = (a, b) if measured[a] > measured[b] else (b, a)
        if quantity[slow] > quantity[fast]:
            yield a, b
