"""The backward pass of convolutions, matrix products, attention and recurrent layers.

`mbanalyze.trace.training_step.backward_work` counts the same products as PyTorch runs them, and checks these rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from mbanalyze.ops import product_formulas, sequence_formulas
from mbanalyze.ops.derivations import Formula, number
from mbanalyze.ops.record import Op, Value
from mbanalyze.training_cost.gradients import Gradients, Needs, Rule


def summed(gradient: Value, operands: Iterable[Value]) -> int:
    """Return the additions that reduce a gradient to the size of operands which were broadcast."""
    return sum(gradient.size - operand.size for operand in operands)


def _needed(op: Op, needs: Needs, first: int) -> list[Value]:
    """The operands from `first` on whose gradient is computed."""
    return [value for value, need in zip(op.operands[first:], needs[first:], strict=True) if need]


def _both(formula: Formula) -> Rule:
    """The rule of a product of two operands, each of whose gradients takes the forward's multiply-accumulates."""

    def rule(op: Op, needs: Needs) -> Gradients | None:
        if op.attribute("activation") or op.attribute("unpacked"):
            return None
        macs = formula(op)[0] * sum(needs[:2])
        flops = 2 * macs + summed(op.output[0], _needed(op, needs, 2))
        return macs, None if op.attribute("scales") else flops

    return rule


def conv(op: Op, needs: Needs) -> Gradients | None:
    """The gradient of the input and that of the weight each take the multiply-accumulates of the forward.

    The forward multiplies an input element by a weight once for each element of an output window.
    The gradient of the input multiplies the output's gradient by the weight in the same loops.
    The gradient of the weight multiplies it by the input in the same loops.
    Groups divide all three alike. Padding is multiplied like any other input, also in the gradients.
    The gradient of a bias sums the output's gradient: `size - k` additions.

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285 chapter 4.
    """
    # [n, c, *in], [k, c/g, *kernel], [k]? = conv([n, k, *out])
    return _both(product_formulas.conv)(op, needs)


def linear(op: Op, needs: Needs) -> Gradients | None:
    """For `y = x W^T`, `dx = dy W` and `dW = dy^T x`, each with the multiply-accumulates of the forward.

    The gradient of a bias sums the output's gradient: `size - k` additions.
    """
    # [*, m], [k, m], [k]? = linear([*, k])
    return _both(product_formulas.linear)(op, needs)


def matmul(op: Op, needs: Needs) -> Gradients | None:
    """For `C = A B`, `dA = dC B^T` and `dB = A^T dC`, each with the multiply-accumulates of the forward.

    An added matrix takes the gradient of the output, summed along the dimensions in which it is broadcast.
    The flops of a scaled product are unknown.
    """
    # [*, n, m], [*, m, k], [*, n, k]? = matmul([*, n, k])
    return _both(product_formulas.matmul)(op, needs)


def bilinear(op: Op, needs: Needs) -> Gradients:
    """For `y = x1 W x2` of `b` rows: `W x2` and `x1 W` of each output, then their sums weighted by its gradient.

    The gradient of `x1` takes `b k (i j + i)` multiply-accumulates, and that of `x2` `b k (i j + j)`.
    The gradient of the weight takes `b i j` products `x1 x2`, then `b k i j` multiply-accumulates.
    """
    # [*, i], [*, j], [k, i, j], [k]? = bilinear([*, k])
    _, i, j = op.operands[2].shape
    out = op.output[0]
    first, second, weight = needs[:3]
    macs = out.size * (first * (i * j + i) + second * (i * j + j) + weight * i * j)
    outer = weight * prod(op.operands[0].shape) * j
    return macs, 2 * macs + outer + summed(out, _needed(op, needs, 3))


def einsum(op: Op, needs: Needs) -> Gradients:
    """Each pair takes, for each operand with a gradient, the multiply-accumulates of its contraction.

    The pairs are those of the forward. A pair that sums over no index takes one product per combination of its
    indices. The products are then summed over the indices that the operand does not have.
    """
    equation = op.attribute("equation")
    assert isinstance(equation, str)
    inputs, _, out = equation.partition("->")
    sizes = [
        dict(zip(term, v.shape, strict=True)) for term, v in zip(inputs.split(","), op.operands, strict=True)
    ]
    macs = flops = 0
    left, left_needs, *_ = sizes[0], needs[0]
    for i, (right, right_needs) in enumerate(zip(sizes[1:], needs[1:], strict=True), 2):
        kept = set(out).union(*sizes[i:])
        pair = [
            {index: n for index, n in term.items() if n != 1 and index in kept.union(other)}
            for term, other in ((left, right), (right, left))
        ]
        both = pair[0] | pair[1]
        left, combinations = {index: n for index, n in both.items() if index in kept}, prod(both.values())
        for term, need in zip(pair, (left_needs, right_needs), strict=True):
            if need and len(left) < len(both):
                macs, flops = macs + combinations, flops + 2 * combinations
            elif need:
                flops += 2 * combinations - prod(term.values())
        left_needs = left_needs or right_needs
    return macs, flops


def deform_conv(op: Op, needs: Needs) -> Gradients:
    """The samples and the weight each take the multiply-accumulates of the forward; the flops are unknown.

    The gradients of the input, the offsets and the mask all follow from that of the samples.
    """
    macs = product_formulas.deform_conv(op)[0]
    return macs * (needs[1] + (needs[0] or any(needs[2:]))), None


def affine_grid(op: Op, needs: Needs) -> Gradients:
    """The gradient of the matrix multiplies the grid's gradient by the positions, with the products of the forward."""
    macs = product_formulas.affine_grid(op)[0] * needs[0]
    return macs, 2 * macs


SCORE_FLOPS = 6
"""Flops of the backward pass of one score: scale, subtract, exp; subtract, multiply, scale."""


def attention(op: Op, needs: Needs) -> Gradients:
    """The kernels that PyTorch runs (flash attention) keep no scores: they compute them again, then four products.

    They are `S = Q K^T` again, `dV = P^T dO`, `dP = dO V^T`, `dQ = dS K` and `dK = dS^T Q`.
    So `e` is multiplied three times per score and `v` twice.
    A score takes six flops: its probability again (3), then `dS = P (dP - sum(dO O))`, scaled (3).
    The sum takes two flops per output element.
    Dropout of the scores, and a mask that requires a gradient, run PyTorch's own products, which keep the scores.
    Their backward pass takes the last four products, and a mask's gradient is that of the scores.

    Source: FlashAttention (arXiv:2205.14135) algorithm 4.
    """
    # [*, l, e], [*, s, e], [*, s, v], [*, l, s]? = attention([*, l, v])
    query, key, value = op.operands[:3]
    scores = prod(op.output[0].shape[:-1]) * key.shape[-2]
    left, right, values = needs[:3]
    mask = any(needs[3:])
    kept = keeps_scores(op, needs)
    through = left or right or mask
    products = (not kept) + left + right
    macs = scores * (query.shape[-1] * products + value.shape[-1] * (values + through))
    dropout = 2 * bool(op.attribute("dropout"))
    return macs, 2 * macs + scores * (SCORE_FLOPS - 3 * kept + dropout) + 2 * op.output[0].size


def keeps_scores(op: Op, needs: Needs) -> bool:
    """Return True if attention keeps its scores for the backward pass."""
    return bool(op.attribute("dropout")) or any(needs[3:])


UNIT_FLOPS = {"lstm": 23, "gru": 18, "rnn": 4}
"""Recurrent kind -> the elementwise flops of the backward pass of one hidden unit in one step."""


def recurrent(op: Op, needs: Needs) -> Gradients:
    """Each weight takes the multiply-accumulates of the forward, and so do the values that it multiplies.

    The input and the first hidden state take a gradient only if they require one, every other state always.
    The gradients of the biases sum those of the gates. Each unit adds the gradients of its output and its next step.

    `lstm`, 23 per unit: add (1), three sigmoids (9), two tanh (6), seven products of gates, cell and output.
    `gru`, 18 per unit: add (1), two sigmoids (6), tanh (3), five for the mix (subtract, subtract, three products),
    two for the reset, one sum.
    `rnn`, 4 per unit: add, tanh.
    In training, dropout between layers takes one flop per element.
    """
    states, layers = number(op, "states"), number(op, "layers")
    steps, weights = prod(op.operands[0].shape[:-1]), op.operands[1 + states :]
    a_layer = len(weights) // layers
    directions = op.output[0].shape[-1] // weights[1].shape[1]
    first_steps = 0 if any(needs[1 : 1 + states]) else op.operands[1].shape[-2]
    macs = biases = 0
    for i, (weight, need) in enumerate(zip(weights, needs[1 + states :], strict=True)):
        if len(weight.shape) == 1:
            biases += need * steps * weight.shape[0]
            continue
        multiplied = steps
        if i % a_layer == 0 and i // a_layer < directions:
            multiplied *= needs[0]
        elif i % a_layer == 1:
            multiplied -= first_steps
        macs += prod(weight.shape) * (steps * need + multiplied)
    units = steps * layers * (weights[0].shape[0] // sequence_formulas.RECURRENT_CELLS[op.kind][0])
    dropped = steps * number(op, "dropouts") * op.operands[1].shape[-1]
    return macs, 2 * macs + biases + UNIT_FLOPS[op.kind] * units + dropped
