"""The formulas of attention, Einstein sums and recurrent layers."""

from __future__ import annotations

from collections.abc import Container
from math import prod
from typing import NamedTuple

from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.record import Op

SOFTMAX_FLOPS = 5
"""Flops of a softmax per element."""


def attention(op: Op) -> tuple[int, int]:
    """Two matrix products (queries by keys, weights by values), plus a scale and a softmax of each score.

    A causal mask saves nothing, because the definition computes the masked scores.
    An added mask takes one flop per score, and dropout of the scores two.
    Each head multiplies its keys and values, even if several heads share them.

    Source: Attention Is All You Need (arXiv:1706.03762) eq. 1.
    """
    # [*, l, v] = attention([*, l, e], [*, s, e], [*, s, v], [*, l, s]?)
    query, key, value, *mask = op.operands
    scores = prod(op.output[0].shape[:-1]) * key.shape[-2]
    macs = scores * (query.shape[-1] + value.shape[-1])
    dropout = ELEMENTWISE["dropout"].flops if op.attribute("dropout") else 0
    return macs, 2 * macs + scores * (1 + SOFTMAX_FLOPS + len(mask) + dropout)


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


RECURRENT_CELLS = {"lstm": (4, 22), "gru": (3, 17), "rnn": (1, 2)}
"""Recurrent kind -> its gates, and the elementwise flops of one hidden unit in one step."""


def recurrent(op: Op) -> tuple[int, int]:
    """Each step of each sequence multiplies every weight once, plus one flop per bias and the flops of each hidden unit.

    `lstm`, 22 per unit: add both products at each gate (4), three sigmoids (12), two tanh, four for cell and output.
    `gru`, 17 per unit: add both products at each gate (3), two sigmoids (8), tanh, reset (1), four to mix.
    `rnn`, 2 per unit: add both products, tanh or ReLU.
    In training, dropout between layers takes two flops per element.

    Source: the equations in PyTorch's documentation of `nn.LSTM`, `nn.GRU` and `nn.RNN`.
    """
    # [t, n, d h] = lstm([t, n, c], states..., ([g h, c], [g h, h], [g h]?, [g h]?, [p, h]?) x layers d)
    gates, unit_flops = RECURRENT_CELLS[op.kind]
    states, layers, dropouts = (op.attribute(name) or 0 for name in ("states", "layers", "dropouts"))
    assert isinstance(states, int)
    assert isinstance(layers, int)
    assert isinstance(dropouts, int)
    steps = prod(op.operands[0].shape[:-1])
    weights = [value.shape for value in op.operands[1 + states :]]
    macs = steps * sum(prod(shape) for shape in weights if len(shape) > 1)
    biases = steps * sum(prod(shape) for shape in weights if len(shape) == 1)
    units = unit_flops * steps * layers * (weights[0][0] // gates)
    dropped = ELEMENTWISE["dropout"].flops * steps * dropouts * op.operands[1].shape[-1]
    return macs, 2 * macs + biases + units + dropped
