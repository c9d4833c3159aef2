"""The layers of two networks side by side, each with its counterpart in the other, if it has one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from functools import partial
from typing import NamedTuple

Match = tuple[int, int]
Counterparts = tuple[int | None, int | None]


class Layer(NamedTuple):
    """What tells a layer from others: a module's own operators together.

    Attributes:
        path: of the module.
        kinds: of its operators, each with its variant behind it ('conv depthwise').
        place: where in the network it stands, such as its stage; None where that is not known.
        cost: all that it costs.
    """

    path: str
    kinds: tuple[str, ...]
    place: Hashable
    cost: Hashable


def aligned(left: Sequence[Layer], right: Sequence[Layer]) -> list[Counterparts]:
    """The indices of each layer once, beside its counterpart's or None.

    Where there are more or fewer layers than before, and half of them are as they were, the others are first
    looked for elsewhere: those behind a new one may have got other paths. Then layers of one path and the same
    kinds are one, where that is so of half of them, and the others are aligned in order, by kind, variant and
    place. What is left under one path is one, and so is what costs the same in another order.
    """
    pairing = _Pairing(left, right)
    pairing.take(_same(_unchanged, pairing))
    if len(left) != len(right):
        moved = _in_order(_content, pairing)
        pairing.take(moved if pairing.are_half(len(pairing.found) + len(moved)) else ())
    in_order = partial(_in_order, _sort)
    if pairing.are_half(len(pairing.found) + len(_same(_own_place, pairing))):
        rounds: list[Callable[[_Pairing], list[Match]]] = [
            partial(_same, _own_place),
            in_order,
            partial(_same, _path),
        ]
    else:
        pairing.reset()
        rounds = [in_order]
    for pairs in rounds:
        pairing.take(pairs(pairing))
    while moved := _in_order(_content, pairing):
        pairing.take(moved)
    return [*pairing.found, *((i, None) for i in pairing.left), *((None, j) for j in pairing.right)]


class _Pairing:
    """Two networks' layers, as far as they have no counterpart yet, by index; and the matches."""

    def __init__(self, left: Sequence[Layer], right: Sequence[Layer]) -> None:
        self._layers = left, right
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self.left, self.right = (dict(enumerate(layers)) for layers in self._layers)
        self.found: list[Match] = []

    def take(self, matches: Iterable[Match]) -> None:
        """Keep these matches."""
        for i, j in matches:
            del self.left[i], self.right[j]
            self.found.append((i, j))

    def are_half(self, matched: int) -> bool:
        """Whether so many matches are half of the shorter network or more."""
        return 2 * matched >= min(map(len, self._layers))


def _path(layer: Layer) -> Hashable:
    return layer.path


def _own_place(layer: Layer) -> Hashable:
    return layer.path, tuple(kind.split()[0] for kind in layer.kinds)


def _sort(layer: Layer) -> Hashable:
    return tuple(dict.fromkeys(layer.kinds)), layer.place


def _content(layer: Layer) -> Hashable:
    return layer.kinds, layer.place, layer.cost


def _unchanged(layer: Layer) -> Hashable:
    return layer


def _same(of: Callable[[Layer], Hashable], pairing: _Pairing) -> list[Match]:
    """Layers that are equal in `of`, which no two layers of one network are."""
    where = {of(layer): j for j, layer in pairing.right.items()}
    return [(i, where[of(layer)]) for i, layer in pairing.left.items() if of(layer) in where]


def _in_order(of: Callable[[Layer], Hashable], pairing: _Pairing) -> list[Match]:
    """Layers that are equal in `of` and follow one another in both."""
    (i, before), (j, after) = (
        (list(layers), list(map(of, layers.values()))) for layers in (pairing.left, pairing.right)
    )
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return [(i[block.a + k], j[block.b + k]) for block in blocks for k in range(block.size)]
