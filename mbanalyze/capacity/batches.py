"""The search for the largest batch that fits: every answer is measured, none is extrapolated."""

from __future__ import annotations

from collections.abc import Callable

MOST = 2**31 - 1
"""The largest batch that is tried."""
_LINES = 8
"""The guesses from lines, after which the interval is halved."""

PeakBytes = Callable[[int], int | None]
"""A function from a batch to the bytes at its peak; None if the network does not run with it."""


def first_batch(peak: PeakBytes) -> int:
    """Return 1, or 2 for a network that does not run with 1: batch norm in training needs two values a channel."""
    return 1 if peak(1) is not None else 2


def largest_batch(peak: PeakBytes, memory: int) -> int:
    """Return a batch that fits and whose successor does not; 0 if the first batch does not fit.

    A peak is the largest of several sums, each of which is affine in the batch. So the line through two measurements
    leads close to the limit. The search ends when it has measured two neighbours, one on each side.

    Args:
        peak: the bytes at a batch; it is asked several times for the same one.
        memory: the most bytes that fit.

    >>> largest_batch(lambda batch: max(100 + 7 * batch, 13 * batch), 1000)
    76
    """
    low, above = first_batch(peak), MOST + 1
    bytes_ = peak(low)
    if bytes_ is None or bytes_ > memory:
        return 0
    guess, tries = low + 1, 0
    while above - low > 1:
        found, tries = peak(guess), tries + 1
        line = None if found is None else (low, bytes_, guess, found)
        if found is not None and found <= memory:
            low, bytes_ = guess, found
        else:
            above = guess
        guess = _next(memory, low, above, line if tries < _LINES else None)
    return low


def _next(memory: int, low: int, above: int, line: tuple[int, int, int, int] | None) -> int:
    """A batch between one that fits and one that does not, where a line reaches the limit if there is one."""
    guess = (low + above) // 2 if above <= MOST else 2 * low
    if line:
        a, bytes_a, b, bytes_b = line
        if bytes_b > bytes_a:
            guess = a + (memory - bytes_a) * (b - a) // (bytes_b - bytes_a)
    return min(max(guess, low + 1), above - 1)
