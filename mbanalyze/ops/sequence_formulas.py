"""The formulas of attention and recurrent layers."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import number
from mbanalyze.ops.elementwise import ELEMENTWISE
from mbanalyze.ops.record import Op

SOFTMAX_FLOPS = 5
"""Flops of a softmax per element."""


def attention(op: Op) -> tuple[int, int]:
    """Two matrix products (queries by keys, weights by values), plus a scale and a softmax of each score.

    A causal mask saves nothing, because the definition computes the masked scores.
    An added mask takes one flop per score, and dropout of the scores two.
    Each head multiplies its keys and values, even if several heads share them.
    The heads may be side by side in the last dimension, and earlier keys may come from a cache.

    Source: Attention Is All You Need (arXiv:1706.03762) eq. 1.
    """
    # [*, l, v] = attention([*, l, e], [*, s, e], [*, s, v], [*, l, s]?)
    query, key, value, *mask = op.operands
    heads = number(op, "heads")
    scores = prod(op.output[0].shape[:-1]) * (number(op, "keys") or key.shape[-2])
    macs = scores * (query.shape[-1] + (op.output[0] if heads else value).shape[-1])
    dropout = ELEMENTWISE["dropout"].flops if op.attribute("dropout") else 0
    added = len(mask) if op.attribute("added") is None else number(op, "added")
    return macs, 2 * macs + scores * (heads or 1) * (1 + SOFTMAX_FLOPS + added + dropout)


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
