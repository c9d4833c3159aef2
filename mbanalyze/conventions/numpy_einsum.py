"""The cost of an Einstein sum as fvcore reads it from the text that NumPy prints: rounded to four digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import prod
from typing import NamedTuple

from mbanalyze.ops.record import Op

_EXACT = ("abc,abd->acd", "abc,adc->adb")
"""The equations, with letters in order of appearance, that fvcore counts by itself."""

Term = frozenset[str]
Pair = tuple[int, int]


class _Step(NamedTuple):
    """A contraction of some terms: its flops, the elements of its result, and the terms that are left."""

    flops: int
    elements: int
    terms: tuple[Term, ...]


def exact_macs(op: Op) -> int:
    """Return half of NumPy's flops of an Einstein sum, rounded down."""
    return _flops(op) // 2


def rounding(op: Op) -> int:
    """Return the amount that is added because fvcore halves the flops with four digits."""
    return 0 if _is_exact(op) else printed_half(_flops(op)) - exact_macs(op)


def printed_half(flops: int) -> int:
    """Return half of the flops with the four digits that NumPy prints, rounded down."""
    return int(float(f"{flops:.3e}") / 2)


def _is_exact(op: Op) -> bool:
    equation = _equation(op)
    letters = [x for x in dict.fromkeys(equation) if x.isalpha()]
    # a dimension of an ellipsis has a Greek letter in the record, and fvcore does not know it
    renamed = equation.translate({ord(x): 97 + i for i, x in enumerate(letters)})
    return equation.isascii() and renamed in _EXACT


def _equation(op: Op) -> str:
    equation = op.attribute("equation")
    assert isinstance(equation, str)
    return equation


def _flops(op: Op) -> int:
    """The flops of the cheapest order of contractions, and one more, as NumPy gives it."""
    inputs, _, output = _equation(op).partition("->")
    terms = inputs.split(",")
    sizes: dict[str, int] = {}
    for term, value in zip(terms, op.operands, strict=True):
        for index, n in zip(term, value.shape, strict=True):
            sizes[index] = max(sizes.get(index, 1), n)
    sets, out = tuple(map(frozenset, terms)), frozenset(output)
    if len(terms) < 3 or frozenset().union(*sets) == out:
        return _contracted(sets, range(len(sets)), out, sizes).flops + 1
    largest = max(prod(sizes[index] for index in term) for term in (*terms, output))
    return _cheapest(sets, out, sizes, largest) + 1


def _cheapest(terms: tuple[Term, ...], out: Term, sizes: Mapping[str, int], largest: int) -> int:
    """The least flops of all orders of pairs, without results of more elements than `largest`.

    The last step contracts all terms if no pair is left.
    """
    orders = [(0, terms)]
    for left in range(len(terms), 1, -1):
        pairs = list(combinations(range(left), 2))
        steps = [(flops, _contracted(known, pair, out, sizes)) for flops, known in orders for pair in pairs]
        further = [(flops + step.flops, step.terms) for flops, step in steps if step.elements <= largest]
        if not further:
            flops, known = min(orders, key=lambda order: order[0])
            return flops + _contracted(known, range(left), out, sizes).flops
        orders = further
    return min(flops for flops, _ in orders)


def _contracted(terms: tuple[Term, ...], chosen: Sequence[int], out: Term, sizes: Mapping[str, int]) -> _Step:
    """The contraction of the chosen terms: one flop for each combination and factor, and one more where it sums."""
    others = tuple(term for i, term in enumerate(terms) if i not in chosen)
    indices = frozenset[str]().union(*(terms[i] for i in chosen))
    result = indices & out.union(*others)
    factors = max(1, len(chosen) - 1) + (result < indices)
    flops, elements = (prod(sizes[index] for index in found) for found in (indices, result))
    return _Step(flops * factors, elements, (*others, result))
