"""The formula of Einstein sums, and their equations in full."""

from __future__ import annotations

from collections.abc import Container, Sequence
from math import prod
from typing import NamedTuple

from mbanalyze.ops.record import Op


class EinsumSteps(NamedTuple):
    """The arithmetic of an Einstein sum.

    Attributes:
        macs: multiply-accumulates of the pairs that sum over an index.
        multiplications: products of the pairs that sum over none.
        additions: sums over the indices that only one operand has.
    """

    macs: int = 0
    multiplications: int = 0
    additions: int = 0


def einsum(op: Op) -> tuple[int, int]:
    """Contract the operands pairwise from the left, as PyTorch does without `opt_einsum`, whose paths are ignored.

    An index that only one operand of a pair has, and neither the output nor a later operand, is summed first.
    It takes additions. Then the pair takes one multiply-accumulate per combination of its indices.
    A pair that sums over no common index takes one multiplication per combination, and no multiply-accumulates.
    A single operand takes only the additions of its sum.
    """
    macs, multiplications, additions = einsum_steps(op)
    return macs, 2 * macs + multiplications + additions


def einsum_steps(op: Op) -> EinsumSteps:
    """Return the arithmetic of an Einstein sum; a dimension of one element is broadcast."""
    equation = op.attribute("equation")
    assert isinstance(equation, str)
    inputs, _, out = equation.partition("->")
    sizes = [
        {index: n for index, n in zip(term, value.shape, strict=True) if n != 1}
        for term, value in zip(inputs.split(","), op.operands, strict=True)
    ]
    macs = multiplications = additions = 0
    left, *others = sizes
    for i, right in enumerate(others):
        kept = set(out).union(*others[i + 1 :])
        additions += _sum_others(left, kept.union(right)) + _sum_others(right, kept.union(left))
        both = left | right
        combinations = prod(both.values())
        left = {index: n for index, n in both.items() if index in kept}
        if len(left) < len(both):
            macs += combinations
        else:
            multiplications += combinations
    return EinsumSteps(macs, multiplications, additions + _sum_others(left, set(out)))


def _sum_others(sizes: dict[str, int], kept: Container[str]) -> int:
    """Remove the indices that are not `kept` from a term, and return the additions of their sum."""
    elements = prod(sizes.values())
    for index in [index for index in sizes if index not in kept]:
        del sizes[index]
    return max(elements - prod(sizes.values()), 0)


def full_equation(equation: str, dims: Sequence[int]) -> str:
    """Return `equation` with an output, without spaces, and with a Greek letter for each dimension of an ellipsis.

    Args:
        equation: the equation of an Einstein sum.
        dims: the number of dimensions of each operand.
    """
    terms, arrow, out = equation.replace(" ", "").partition("->")
    spare = [letter for letter in map(chr, range(0x3B1, 0x3CA)) if letter not in terms]
    inputs = terms.split(",")
    widest = 0
    for i, (term, n) in enumerate(zip(inputs, dims, strict=True)):
        if "..." in term:
            extra = n - (len(term) - 3)
            widest = max(widest, extra)
            inputs[i] = term.replace("...", "".join(spare[:extra][::-1]))
    ellipsis = "".join(spare[:widest][::-1])
    if not arrow:
        letters = "".join(inputs)
        once = sorted(x for x in set(letters) if letters.count(x) == 1 and x not in ellipsis)
        out = ellipsis + "".join(once)
    return f"{','.join(inputs)}->{out.replace('...', ellipsis)}"
