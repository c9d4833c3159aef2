"""Consecutive operators as blocks, and the number of branches that can run in parallel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

from mbanalyze.report.rows import Row, block

Dependencies = tuple[int, int]
"""An operator's own bit, and the bits of all operators that have to run before it."""


def segments(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Split rows into blocks: consecutive rows of one named block, or of parallel blocks inside one module.

    Names alone would split an Inception block, whose branches number their own layers, into its branches.
    A segment therefore continues into the next named block of the same module while two values are live.
    A value is live if it is an input or output of the segment that a later row reads.
    """
    last_read = {value.number: i for i, row in enumerate(rows) for value in row.op.inputs}
    segment: list[Row] = []
    live: set[int] = set()
    for i, row in enumerate(rows):
        if segment and not _continues(segment, row, live):
            yield segment
            segment, live = [], set()
        if not segment:
            live |= {value.number for value in row.op.inputs}
        segment.append(row)
        live |= {value.number for value in row.op.output}
        live = {number for number in live if last_read.get(number, -1) > i}
    if segment:
        yield segment


def _continues(segment: Sequence[Row], row: Row, live: set[int]) -> bool:
    """True if `row` belongs to the block of `segment`, whose live values these are."""
    last, following = block(segment[-1].op.path), block(row.op.path)
    return last == following or (
        len(live) > 1 and bool(common_prefix([block(segment[0].op.path), last, following]))
    )


def common_prefix(paths: Sequence[str]) -> str:
    """Return the longest common prefix of `paths`, in whole names."""
    names = zip(*(path.split(".") for path in paths), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1, names)
    return ".".join(level[0] for level in shared)


def dependencies(rows: Sequence[Row]) -> dict[int, Dependencies]:
    """Return the dependencies of each row, by `id(row)`."""
    writers: dict[int, int] = {}
    found: dict[int, Dependencies] = {}
    for i, row in enumerate(rows):
        before = 0
        for value in row.op.inputs:
            before |= writers.get(value.number, 0)
        found[id(row)] = (1 << i, before)
        for value in row.op.output:
            writers[value.number] = before | 1 << i
    return found


def branches(operators: Sequence[Dependencies]) -> int:
    """Return the size of the largest set of operators that do not depend on each other.

    By Dilworth's theorem this is the number of operators minus the size of a maximum matching
    between operators and their dependents. Augmenting paths find the matching; sets are bits of integers.
    """
    dependents = [
        sum(1 << j for j, (_, before) in enumerate(operators) if before & bit) for bit, _ in operators
    ]
    partner: dict[int, int] = {}
    free = (1 << len(operators)) - 1
    for first in range(len(operators)):
        unseen = (1 << len(operators)) - 1
        path: list[tuple[int, int]] = []  # proposed pairs along the augmenting path
        i = first
        while True:
            choices = dependents[i] & unseen & free or dependents[i] & unseen
            if choices:
                j = (choices & -choices).bit_length() - 1
                unseen &= ~(1 << j)
                path.append((i, j))
                if free >> j & 1:
                    free &= ~(1 << j)
                    partner |= {dependent: operator for operator, dependent in path}
                    break
                i = partner[j]
            elif path:
                i, _ = path.pop()
            else:
                break
    return len(operators) - len(partner)
