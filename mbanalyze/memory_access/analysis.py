"""What ShuffleNet V2's four guidelines say of a network: Ma et al., 2018, arXiv:1807.11164, section 2.

- G1: a convolution accesses least memory when its input and its output are equally large.
- G2: groups raise memory access at the same multiply-accumulates.
- G3: parallel branches in a block keep the processor from working on one thing.
- G4: element-wise operators access much memory for little arithmetic.

A convolution that reads `S` values of each of `c1` channels, writes `T` of each of `c2` and does `B`
multiply-accumulates in `g` groups accesses `S c1 + T c2 + w` elements, `w` its weights. At these `B` and `g`
the two terms have a constant product, so that

    S c1 + T c2 = 2 sqrt(S T c1 c2) + (sqrt(S c1) - sqrt(T c2))^2

is least where the square vanishes: that square is what G1 is about. Without groups the same work takes
`c1 c2 / g` pairs of channels in place of `c1 c2`, and `2 sqrt(S T c1 c2) (1 - 1 / sqrt(g))` less: G2. What is
left, `2 sqrt(S T c1 c2 / g) + w`, is the bound; for 1x1 convolutions it is the paper's, `2 sqrt(hwB) + B / hw`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from math import sqrt
from typing import Any

from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.report.network import Report
from mbanalyze.report.rows import Row, block

FRAGMENTS = ("conv", "max_pool", "avg_pool", "global_avg_pool", "adaptive_avg_pool")
"""The kinds that G3 counts: a block's convolutions and poolings."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """What G1 and G2 say of one convolution; all in elements.

    Attributes:
        channels: in and out.
        macs, memory_access: its counts; `memory_access` is the sum of what follows.
        bound: the least memory access that its multiply-accumulates allow.
        imbalance: what unequal sizes of input and output add to that (G1).
        grouping: what groups add (G2).
        bias: what reading a bias adds.
    """

    path: str
    variant: str
    channels: tuple[int, int]
    groups: int
    macs: int
    memory_access: int
    bound: float
    imbalance: float
    grouping: float
    bias: int

    @property
    def excess(self) -> float:
        """What it accesses above the bound."""
        return self.memory_access - self.bound

    @property
    def ratio(self) -> float:
        """Its memory access over the bound."""
        return self.memory_access / self.bound


def convolution(row: Row) -> Convolution:
    """What G1 and G2 say of `row`, a convolution of any rank, strides and groups."""
    op = row.op
    image, weight, *bias = op.operands
    channel = 1 - len(weight.shape)
    c1, c2 = image.shape[channel], op.output[0].shape[channel]
    read, written = image.size, op.output[0].size
    groups = op.groups
    geometric = 2 * sqrt(read * written)
    return Convolution(
        op.path,
        op.variant or "",
        (c1, c2),
        groups,
        row.cost.macs or 0,
        row.cost.memory_access,
        geometric / sqrt(groups) + weight.size,
        (sqrt(read) - sqrt(written)) ** 2,
        geometric * (1 - 1 / sqrt(groups)),
        sum(value.size for value in bias),
    )


@dataclass(frozen=True, slots=True)
class Block:
    """What G3 and G4 say of one block: a block by name, or several inside one module, side by side.

    Attributes:
        fragments: its convolutions and poolings.
        branches: the most of them that can run side by side, none of them waiting for another (G3).
        memory_access: of all its operators.
        elementwise: of its element-wise operators (G4).
    """

    path: str
    fragments: int
    branches: int
    memory_access: int
    elementwise: int

    @property
    def elementwise_share(self) -> float:
        """The share of its memory access that element-wise operators have."""
        return self.elementwise / self.memory_access if self.memory_access else 0.0


@dataclass(frozen=True)
class Guidelines:
    """What the four guidelines say of a network.

    Attributes:
        report: what was judged.
        convolutions: G1 and G2 of each.
        blocks: G3 and G4 of each.
    """

    report: Report
    convolutions: tuple[Convolution, ...]
    blocks: tuple[Block, ...]

    @cached_property
    def shares(self) -> dict[str, int]:
        """Memory access by class of operator (G4), in elements."""
        shares: dict[str, int] = {}
        for row in self.report.rows:
            name = _class(row)
            shares[name] = shares.get(name, 0) + row.cost.memory_access
        return shares

    @property
    def elementwise_share(self) -> float:
        """The share of memory access that element-wise operators have (G4)."""
        accessed = self.report.totals.memory_access
        return self.shares.get("element-wise", 0) / accessed if accessed else 0.0

    @property
    def fragmentation(self) -> float:
        """The mean number of branches in blocks of several fragments (G3), 1 where there is none."""
        branches = [b.branches for b in self.blocks if b.fragments > 1]
        return sum(branches) / len(branches) if branches else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Everything, as a JSON object; memory access in elements."""
        return {
            "model": self.report.model,
            "options": dict(self.report.options),
            "input": [list(shape) for shape in self.report.input],
            "memory_access": self.report.totals.memory_access,
            "g1": {"imbalance": sum(c.imbalance for c in self.convolutions)},
            "g2": {"grouping": sum(c.grouping for c in self.convolutions)},
            "g3": {
                "fragmentation": self.fragmentation,
                "most_branches": max((b.branches for b in self.blocks), default=0),
            },
            "g4": {"elementwise_share": self.elementwise_share, "shares": self.shares},
            "convolutions": [
                {
                    "path": c.path,
                    "variant": c.variant,
                    "channels": list(c.channels),
                    "groups": c.groups,
                    "macs": c.macs,
                    "memory_access": c.memory_access,
                    "bound": c.bound,
                    "excess": c.excess,
                    "ratio": c.ratio,
                    "imbalance": c.imbalance,
                    "grouping": c.grouping,
                    "bias": c.bias,
                }
                for c in self.convolutions
            ],
            "blocks": [
                {
                    "path": b.path,
                    "fragments": b.fragments,
                    "branches": b.branches,
                    "memory_access": b.memory_access,
                    "elementwise": b.elementwise,
                    "elementwise_share": b.elementwise_share,
                }
                for b in self.blocks
            ],
        }

    def __repr__(self) -> str:
        from mbanalyze.display.tables import plain
        from mbanalyze.memory_access.view import table

        return plain(table(self))

    def _repr_html_(self) -> str:
        from mbanalyze.memory_access.view import html

        return html(self)


def guidelines(report: Report) -> Guidelines:
    """What the guidelines say of a report, its convolutions and its blocks."""
    return Guidelines(
        report,
        tuple(convolution(row) for row in report.rows if row.op.kind == "conv"),
        tuple(_blocks(report)),
    )


def _class(row: Row) -> str:
    """The class of operator that G4 tells apart."""
    if row.op.kind in ELEMENTWISE:
        return "element-wise"
    if row.op.kind == "conv":
        return f"{row.op.variant} convolution"
    return row.op.kind.replace("_", " ")


def _blocks(report: Report) -> Iterator[Block]:
    ancestors = _ancestors(report.rows)
    for rows in _segments(report.rows):
        fragments = [row for row in rows if row.op.kind in FRAGMENTS]
        yield Block(
            _common([block(row.op.path) for row in rows]),
            len(fragments),
            _width([ancestors[id(row)] for row in fragments]),
            sum(row.cost.memory_access for row in rows),
            sum(row.cost.memory_access for row in rows if row.op.kind in ELEMENTWISE),
        )


def _segments(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Consecutive rows of one block: of one by name, or of several inside one module that run side by side.

    Names alone would take the branches of GoogLeNet's blocks, each of which numbers its layers, for blocks.
    Where the next block by name is inside the same module, the segment goes on while it holds two values that
    are still to be read: what its first row reads, and what it made.
    """
    last_read = {value.number: i for i, row in enumerate(rows) for value in row.op.inputs}
    segment: list[Row] = []
    held: set[int] = set()
    for i, row in enumerate(rows):
        if segment and not _continues(segment, row, held):
            yield segment
            segment, held = [], set()
        if not segment:
            held |= {value.number for value in row.op.inputs}
        segment.append(row)
        held |= {value.number for value in row.op.output}
        held = {number for number in held if last_read.get(number, -1) > i}
    if segment:
        yield segment


def _continues(segment: Sequence[Row], row: Row, held: set[int]) -> bool:
    """Whether `row` belongs to the block of `segment`, which holds these values."""
    here, there = block(segment[-1].op.path), block(row.op.path)
    return here == there or (len(held) > 1 and bool(_common([block(segment[0].op.path), here, there])))


def _common(paths: Sequence[str]) -> str:
    """What all of `paths` begin with, whole names only."""
    names = zip(*(path.split(".") for path in paths), strict=False)
    shared = takewhile(lambda level: len(set(level)) == 1, names)
    return ".".join(level[0] for level in shared)


def _ancestors(rows: Sequence[Row]) -> dict[int, tuple[int, int]]:
    """For each row, its own bit and the bits of the rows that it waits for."""
    makers: dict[int, int] = {}
    found: dict[int, tuple[int, int]] = {}
    for i, row in enumerate(rows):
        waits = 0
        for value in row.op.inputs:
            waits |= makers.get(value.number, 0)
        found[id(row)] = (1 << i, waits)
        for value in row.op.output:
            makers[value.number] = waits | 1 << i
    return found


def _width(fragments: Sequence[tuple[int, int]]) -> int:
    """The most fragments of which none waits for another.

    By Dilworth's theorem that is how many there are, less the largest matching of each with one that
    waits for it. Sets of fragments are the bits of an integer.
    """
    after = [sum(1 << j for j, (_, waits) in enumerate(fragments) if waits & bit) for bit, _ in fragments]
    partner: dict[int, int] = {}
    free = (1 << len(fragments)) - 1
    for first in range(len(fragments)):
        unseen = (1 << len(fragments)) - 1
        path: list[tuple[int, int]] = []  # who wants whom, the last one first in line
        i = first
        while True:
            choices = after[i] & unseen & free or after[i] & unseen
            if choices:
                j = (choices & -choices).bit_length() - 1
                unseen &= ~(1 << j)
                path.append((i, j))
                if free >> j & 1:
                    free &= ~(1 << j)
                    partner |= {wanted: wanting for wanting, wanted in path}
                    break
                i = partner[j]
            elif path:
                i, _ = path.pop()
            else:
                break
    return len(fragments) - len(partner)
