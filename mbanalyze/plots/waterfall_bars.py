"""The bars of a waterfall: from our macs through named differences to the total of a counter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mbanalyze.conventions.convention import Difference
from mbanalyze.crosscheck.explained_totals import UNEXPLAINED, CounterResult

OURS = "our macs"
"""The label of the first bar."""
Role = Literal["total", "more", "less", "unexplained"]
"""The meaning of a bar: our macs or a counter's total, a difference up or down, or the rest."""


class Bar(NamedTuple):
    """A bar of a waterfall.

    Attributes:
        label: the text beside it.
        start, end: the counts between which it lies; it leads from `start` to `end`.
        role: its meaning.
    """

    label: str
    start: int
    end: int
    role: Role


def merged(differences: Sequence[Difference], most: int) -> list[Difference]:
    """Return the largest differences, and the sum of the others as 'n smaller differences': at most `most` in all."""
    ordered = sorted(differences, key=lambda each: -abs(each.amount))
    if len(ordered) <= most:
        return ordered
    kept, others = ordered[: most - 1], ordered[most - 1 :]
    return [*kept, Difference(f"{len(others)} smaller differences", sum(each.amount for each in others))]


def bars(macs: int, result: CounterResult, most: int) -> list[Bar]:
    """Return the bars of a counter, each of which starts at the end of the one before.

    Args:
        macs: our macs.
        result: the counter, which has a total.
        most: the largest number of differences; the smallest are summed.
    """
    found, at = [Bar(OURS, 0, macs, "total")], macs
    for what, amount in merged(result.differences, most):
        found.append(Bar(what, at, at + amount, "more" if amount >= 0 else "less"))
        at += amount
    if result.unexplained:
        found.append(Bar(UNEXPLAINED, at, at + result.unexplained, "unexplained"))
        at += result.unexplained
    assert at == result.total, "the differences sum to the gap"
    return [*found, Bar(f"{result.counter}, total", 0, at, "total")]


def axis_start(bars: Sequence[Bar]) -> int:
    """Return the count at which an axis begins so that differences are visible: 0 unless they are small.

    If the ends of all bars lie in the upper half of the axis, it begins somewhat below the lowest end.
    An end below 0 is the start, because the sum may be negative between two large differences.
    """
    low, high = min(bar.end for bar in bars), max(bar.end for bar in bars)
    if low == high or 2 * low <= high:
        return min(low, 0)
    return _rounded_down(max(0, low - (high - low) // 3), high - low)


def _rounded_down(count: int, span: int) -> int:
    """A count rounded down to a power of ten that is at most a tenth of `span`."""
    step: int = 10 ** max(0, len(str(span)) - 2)
    return count // step * step
