"""The peak memory of every variant of a grid: the largest of few sums of products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

import numpy as np

from mbanalyze.ops.record import Op
from mbanalyze.peak_memory.deployed import deployed
from mbanalyze.peak_memory.liveness import ideal
from mbanalyze.peak_memory.timeline import Timeline
from mbanalyze.sweep.arrays import NETWORKS, RESOLUTIONS, Array, AxisArray, OuterSum, factor, factors_of

TIMELINES: dict[str, Callable[[Sequence[Op], int], Timeline]] = {
    "peak_bytes": ideal,
    "peak_bytes_deployed": deployed,
}
"""The totals of memory that a closed form has, and the function that makes the timeline of each."""


def peaks(ops: Sequence[Op], itemsize: int) -> dict[str, int]:
    """Return the peak memory of one variant by each of `TIMELINES`."""
    return {name: timeline(ops, itemsize).peak_bytes for name, timeline in TIMELINES.items()}


def live_sums(ops: Sequence[Op], itemsize: int) -> dict[str, list[OuterSum]]:
    """Return the bytes alive during each step by each of `TIMELINES`; the sizes of `ops` are arrays.

    Raises:
        SplitError: an operator runs in place for only a part of the variants.
    """
    return {name: _live_bytes(timeline(ops, itemsize)) for name, timeline in TIMELINES.items()}


def _live_bytes(timeline: Timeline) -> list[OuterSum]:
    """The bytes alive during each step; a running sum would have terms that cancel."""
    alive: list[list[OuterSum]] = [[] for _ in timeline.steps]
    for tensor in timeline.lifetimes:
        size = OuterSum.of(tensor.bytes)
        for step in range(tensor.first, tensor.last + 1):
            alive[step].append(size)
    return [OuterSum(term for size in sizes for term in size.terms.values()) for sizes in alive]


BLOCK = 2**15
"""The variants that are compared at a time: few enough for the cache of a processor."""


def largest(sums: Iterable[OuterSum]) -> Array:
    """Return the largest of some sums for every variant: [networks, resolutions]; no factor is negative.

    Raises:
        TooLargeError: the values may exceed 64 bits.
    """
    alike: dict[frozenset[bytes], list[OuterSum]] = {}
    for each in sums:
        alike.setdefault(frozenset(each.terms), []).append(each)
    products = [factors_of(each) for some in alike.values() for each in _undominated(some)]
    networks, resolutions = (
        max(side[axis].shape[axis] for side in products) for axis in (NETWORKS, RESOLUTIONS)
    )
    found = np.zeros((networks, resolutions), np.int64)
    height = max(1, BLOCK // resolutions)
    for start in range(0, networks, height):
        block = found[start : start + height]
        for left, right in products:
            rows = left[start : start + height] if len(left) > 1 else left
            np.maximum(block, (rows @ right).astype(np.int64), out=block)
    return found


def _undominated(sums: Sequence[OuterSum]) -> list[OuterSum]:
    """The sums, all with the same factors along the resolutions, that can be the largest."""
    names = list(sums[0].terms)
    factors = [np.stack(np.broadcast_arrays(*(factor(s.terms[name][0]) for name in names))) for s in sums]
    if len(names) == 1:
        ((_, resolutions),) = sums[0].terms.values()
        return [OuterSum([(AxisArray(reduce(np.maximum, factors)[0], NETWORKS), resolutions)])]
    kept: dict[int, Array] = {}
    for i, mine in enumerate(factors):
        if not any((mine <= other).all() for other in kept.values()):
            kept = {at: other for at, other in kept.items() if not (other <= mine).all()} | {i: mine}
    return [sums[i] for i in kept]
