"""Alignment: the layers of two networks, each with its counterpart in the other network."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from mbanalyze.ops.cost import PRODUCTS

Pair = tuple[int, int]
Counterparts = tuple[int | None, int | None]


class AlignableLayer(NamedTuple):
    """The features that identify a layer, which is a module's own operators.

    Attributes:
        path: the path of the module.
        kinds: the kinds of its operators, each with its variant ('conv depthwise').
        place: its position in the network, such as its stage; None if unknown.
        cost: its output shapes and counts.
    """

    path: str
    kinds: tuple[str, ...]
    place: Hashable
    cost: Hashable


def aligned(left: Sequence[AlignableLayer], right: Sequence[AlignableLayer]) -> list[Counterparts]:
    """Align the layers of two networks.

    Layers that are equal in everything are counterparts. The others are matched in rounds:

    1. If the networks differ in length and at least half of the layers match by content in order, keep
       those matches first: an inserted layer shifts the paths of later layers.
    2. If at least half of the layers share path and products, match by path and kinds, then by path and products.
       Then match in order by kind, variant and place, then by path alone. Otherwise match in order only.
    3. Match the rest by content, in another order.

    Returns:
        Pairs of indices, each layer once; None in place of a missing counterpart.
    """
    pairing = _Pairing(left, right)
    pairing.take(_same(lambda layer: layer, pairing))
    if len(left) != len(right):
        moved = _in_order(_content, pairing)
        pairing.take(moved if pairing.are_half(len(pairing.found) + len(moved)) else ())
    if pairing.are_half(len(pairing.found) + len(_same(_own_products, pairing))):
        pairing.take(_same(_own_place, pairing))
        pairing.take(_same(_own_products, pairing))
        pairing.take(_in_order(_sort, pairing))
        pairing.take(_same(lambda layer: layer.path, pairing))
    else:
        pairing.reset()
        pairing.take(_in_order(_sort, pairing))
    while moved := _in_order(_content, pairing):
        pairing.take(moved)
    return [*pairing.found, *((i, None) for i in pairing.left), *((None, j) for j in pairing.right)]


class _Pairing:
    """The layers of two networks that have no counterpart yet, by index; and the pairs found."""

    def __init__(self, left: Sequence[AlignableLayer], right: Sequence[AlignableLayer]) -> None:
        self._layers = left, right
        self.reset()

    def reset(self) -> None:
        """Forget all pairs."""
        self.left, self.right = (dict(enumerate(layers)) for layers in self._layers)
        self.found: list[Pair] = []

    def take(self, pairs: Iterable[Pair]) -> None:
        """Keep these pairs."""
        for i, j in pairs:
            del self.left[i], self.right[j]
            self.found.append((i, j))

    def are_half(self, matched: int) -> bool:
        """Return True if `matched` layers are at least half of the shorter network."""
        return 2 * matched >= min(map(len, self._layers))


def _own_place(layer: AlignableLayer) -> Hashable:
    return layer.path, tuple(kind.split()[0] for kind in layer.kinds)


def _own_products(layer: AlignableLayer) -> Hashable:
    """The path, and the products in order; all kinds of a layer without a product.

    An exporter may write a linear layer as a product and an addition.
    """
    kinds = tuple(kind.split()[0] for kind in layer.kinds)
    return layer.path, tuple(kind for kind in kinds if kind in PRODUCTS) or kinds


def _sort(layer: AlignableLayer) -> Hashable:
    return tuple(dict.fromkeys(layer.kinds)), layer.place


def _content(layer: AlignableLayer) -> Hashable:
    return layer.kinds, layer.place, layer.cost


def _same(of: Callable[[AlignableLayer], Hashable], pairing: _Pairing) -> list[Pair]:
    """Pairs of layers with equal keys; `of` gives each layer of one network its own key."""
    where = {of(layer): j for j, layer in pairing.right.items()}
    return [(i, where[of(layer)]) for i, layer in pairing.left.items() if of(layer) in where]


def _in_order(of: Callable[[AlignableLayer], Hashable], pairing: _Pairing) -> list[Pair]:
    """Pairs of layers with equal keys, in the same order in both networks."""
    (i, before), (j, after) = (
        (list(layers), list(map(of, layers.values()))) for layers in (pairing.left, pairing.right)
    )
    blocks = SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    return [(i[block.a + k], j[block.b + k]) for block in blocks for k in range(block.size)]
