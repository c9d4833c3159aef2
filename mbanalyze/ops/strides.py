"""The number of distinct elements that a view with any strides has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import gcd, prod
from operator import itemgetter

from mbanalyze.ops.numbers import any_true


def distinct_elements(dims: Sequence[tuple[int, int]]) -> int:
    """Return how many offsets a view reaches.

    Args:
        dims: the size and the stride of each dimension, in elements; no stride is 0.
            If they are arrays, views do not overlap.
    """
    if {int}.issuperset(map(type, chain.from_iterable(dims))) and _are_nested(dims):
        return prod(map(itemgetter(0), dims))
    size = prod(n for n, _ in dims)
    if any(hasattr(number, "any") for dim in dims for number in dim):
        span = _span(dims)
        return span if any_true(span < size) else size
    if not size:
        return 0
    inner, separate = sorted(dims, key=itemgetter(1)), 1
    while inner and inner[-1][1] >= _span(inner[:-1]):  # this dimension repeats the others without overlap
        separate *= inner.pop()[0]
    return separate * _overlapping_elements(inner) if inner else size


def _are_nested(dims: Sequence[tuple[int, int]]) -> bool:
    """True if each dimension repeats those of smaller strides without overlap."""
    span = 1
    for n, stride in sorted(dims, key=itemgetter(1)):
        if stride < span:
            return False
        span += (n - 1) * stride
    return True


def _span(dims: Sequence[tuple[int, int]]) -> int:
    """One more than the largest offset."""
    return 1 + sum((n - 1) * stride for n, stride in dims)


def _overlapping_elements(dims: Sequence[tuple[int, int]]) -> int:
    """The number of offsets: each is a bit of one integer, which each dimension repeats at its stride."""
    unit = gcd(*(stride for _, stride in dims))
    offsets = 1
    for n, stride in dims:
        offsets = _repeated(offsets, n, stride // unit)
    return offsets.bit_count()


def _repeated(bits: int, times: int, stride: int) -> int:
    """The union of `bits` shifted by 0, 1, ... `times - 1` strides, by doubling."""
    done = 1
    while done < times:
        step = min(done, times - done)
        bits |= bits << (step * stride)
        done += step
    return bits
