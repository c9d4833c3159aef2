"""The layers of two networks side by side, each with its counterpart in the other, if it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from functools import partial
from typing import NamedTuple

from mbanalyze.cost import total
from mbanalyze.report import Group, Report, Row
from mbanalyze.stages import stages, takes_images

Match = tuple[int, int]


def kind(row: Row) -> str:
    """The kind of an operator, with its variant: 'conv depthwise', 'linear'."""
    return f"{row.op.kind} {row.op.variant or ''}".strip()


def kinds(group: Group) -> str:
    """The kinds in a group, each once."""
    return " + ".join(dict.fromkeys(map(kind, group.rows)))


def group(key: str, rows: Sequence[Row]) -> Group:
    """Rows under a name, with what they cost together; none cost nothing."""
    return Group(key, tuple(rows), total([row.cost for row in rows]))


def aligned(first: Report, second: Report) -> Iterator[tuple[Group, Group]]:
    """Each layer of two networks once, beside its counterpart in the other or nothing."""
    images = takes_images(first) and takes_images(second)
    left, right = _layers(first, images), _layers(second, images)
    related = 2 * len(_same(_place, left, right)) >= min(len(left), len(right))
    by_place, by_path = partial(_same, _place), partial(_same, _path)
    rounds: list[Pairing] = [by_place, _in_order, by_path] if related else [_in_order]
    for pairs in rounds:
        found = pairs(left, right)
        yield from ((left[i].group, right[j].group) for i, j in found)
        left = _without(left, [i for i, _ in found])
        right = _without(right, [j for _, j in found])
    yield from ((layer.group, group("", ())) for layer in left)
    yield from ((group("", ()), layer.group) for layer in right)


class _Layer(NamedTuple):
    """A module's own operators, and the stage of the first."""

    group: Group
    stage: str


Pairing = Callable[[Sequence[_Layer], Sequence[_Layer]], list[Match]]
"""The indices of layers of one network and of another that are counterparts."""


def _layers(report: Report, images: bool) -> list[_Layer]:
    names = stages(report) if images else [""] * len(report.rows)
    stage = dict(reversed([(row.op.path, name) for row, name in zip(report.rows, names, strict=True)]))
    return [_Layer(group, stage[group.key]) for group in report.by("module")]


def _path(layer: _Layer) -> object:
    return layer.group.key


def _place(layer: _Layer) -> object:
    return layer.group.key, [row.op.kind for row in layer.group.rows]


def _same(of: Callable[[_Layer], object], left: Sequence[_Layer], right: Sequence[_Layer]) -> list[Match]:
    """The indices of layers that are equal in `of`, which no two layers of one network are."""
    where = {repr(of(layer)): j for j, layer in enumerate(right)}
    return [(i, where[repr(of(layer))]) for i, layer in enumerate(left) if repr(of(layer)) in where]


def _in_order(left: Sequence[_Layer], right: Sequence[_Layer]) -> list[Match]:
    """The indices of layers that follow one another in both, of the same kinds, variants and stages."""
    before, after = ([(kinds(layer.group), layer.stage) for layer in layers] for layers in (left, right))
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return [(block.a + k, block.b + k) for block in blocks for k in range(block.size)]


def _without(layers: Sequence[_Layer], taken: Sequence[int]) -> list[_Layer]:
    gone = set(taken)
    return [layer for i, layer in enumerate(layers) if i not in gone]
