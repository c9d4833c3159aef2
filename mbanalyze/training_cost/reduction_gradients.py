"""The backward pass of norms, pooling, reductions, losses and operators that move elements."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import number
from mbanalyze.ops.record import Op
from mbanalyze.ops.window_formulas import adaptive_avg_pool as adaptive_windows
from mbanalyze.training_cost.gradients import Gradients, Needs, Rule


def _flops(op: Op, per_element: int) -> Gradients:
    return 0, per_element * prod(op.operands[0].shape)


def per_input(flops: int, steps: str) -> Rule:
    """Return a rule of `flops` per element of the first operand, which alone may have a gradient."""

    def rule(op: Op, needs: Needs) -> Gradients | None:
        return None if any(needs[1:]) else _flops(op, flops)

    rule.__doc__ = f"{flops} per input element: {steps}."
    return rule


def per_output(flops: int, steps: str) -> Rule:
    """Return a rule of `flops` per output element, for the gradients of all operands together."""

    def rule(op: Op, needs: Needs) -> Gradients:
        return 0, flops * op.output[0].size

    rule.__doc__ = f"{flops} per output element: {steps}."
    return rule


def moved(op: Op, needs: Needs) -> Gradients:
    """Gradients move as elements did; those of elements that were written several times are summed."""
    needed = sum(value.size for value, need in zip(op.operands, needs, strict=True) if need)
    repeated = op.kind in ("repeat", "unfold")
    return 0, op.output[0].size - needed if repeated else 0


def batch_norm(op: Op, needs: Needs) -> Gradients:
    """By constant statistics: scale the gradient (1); for the weight normalise (2), multiply, sum; for the bias sum.

    Source: arXiv:1502.03167 Algorithm 2.
    """
    # x, weight?, bias?, mean, variance
    data, weight, bias = _affine(needs, len(op.operands) - 3)
    return _flops(op, data + 4 * weight + bias)


def batch_norm_training(op: Op, needs: Needs) -> Gradients:
    """The input takes 9 flops per element, which also give the gradients of weight and bias.

    They are: normalise (2), sum the gradient (1), multiply it by the normalised value and sum (2), and
    `(dy - mean(dy) - x mean(dy x)) scale` (4). The two sums are the gradients of bias and weight.
    Without the input's gradient, those of weight and bias take 4 and 1.

    Source: arXiv:1502.03167 section 3.
    """
    data, weight, bias = _affine(needs, number(op, "affine"))
    return _flops(op, 9 if data else 4 * weight + bias)


def layer_norm(op: Op, needs: Needs) -> Gradients:
    """As `batch_norm_training`, of the gradient times the weight (1), if there is one.

    The weight's gradient takes a product and a sum more (2), the bias' a sum (1), since they sum over other elements.
    Without the input's gradient, the normalised value is computed for the weight (2).

    Source: arXiv:1607.06450.
    """
    data, weight, bias = _affine(needs, number(op, "affine"))
    scaled = number(op, "affine") > 0
    return _flops(op, data * (9 + scaled) + weight * (2 if data else 4) + bias)


def rms_norm(op: Op, needs: Needs) -> Gradients:
    """Normalise (1), multiply by the weight (1), multiply and sum (2), then `(dy - x mean(dy x)) scale` (3).

    The weight's gradient takes a product and a sum (2), and without that of the input also the normalised value (1).

    Source: arXiv:1910.07467.
    """
    data, weight, _ = _affine(needs, number(op, "affine"))
    scaled = number(op, "affine") > 0
    return _flops(op, data * (6 + scaled) + weight * (2 if data else 3))


def _affine(needs: Needs, affine: int) -> tuple[bool, bool, bool]:
    """The gradients that a norm computes: of its input, weight and bias."""
    return needs[0], affine > 0 and needs[1], affine > 1 and needs[2]


def avg_pool(op: Op, needs: Needs) -> Gradients:
    """An output's gradient is divided once, and added to each element of its window."""
    window = op.attribute("kernel")
    assert isinstance(window, tuple)
    return 0, op.output[0].size * (1 + prod(window))


def adaptive_avg_pool(op: Op, needs: Needs) -> Gradients:
    """An output's gradient is divided once, and added to each element of its window."""
    return 0, op.output[0].size + adaptive_windows(op)[1]


def interpolate(op: Op, needs: Needs) -> Gradients:
    """An output's gradient is multiplied by each of `t` weights and added: `2 t`; with one neighbour it is only added."""
    taps = number(op, "taps")
    return 0, op.output[0].size * (2 * taps if taps > 1 else 1)


_REDUCTIONS = {"sum": 0, "amax": 4, "amin": 4, "max": 4, "min": 4, "nansum": 2}


def reduce(op: Op, needs: Needs) -> Gradients | None:
    """The gradient of a sum is copied to each element, and that of an extremum with an index to the indexed one.

    An extremum without an index is compared with each element: compare, count, divide, multiply.
    """
    if len(op.output) > 1:
        return 0, 0
    flops = _REDUCTIONS.get(op.operator.removesuffix("_"))
    return None if flops is None else _flops(op, flops)


def cumulate(op: Op, needs: Needs) -> Gradients | None:
    """A running sum's gradient is a running sum from the end."""
    return _flops(op, 1) if op.operator.removesuffix("_") == "cumsum" else None


def embedding_bag(op: Op, needs: Needs) -> Gradients | None:
    """An output's gradient is added to each of the selected rows; that of a mean is divided once."""
    if any(needs[1:]) or op.attribute("mode") == "max":
        return None
    out = op.output[0]
    means = out.size if op.attribute("mode") == "mean" else 0
    return 0, prod(op.operands[1].shape) * out.shape[-1] + means


def scatter_add(op: Op, needs: Needs) -> Gradients | None:
    """The gradient of a sum moves back to its elements; that of another combination is unknown."""
    return (0, 0) if adds(op) else None


def adds(op: Op) -> bool:
    """Return True if a scatter adds the elements that it writes to one place."""
    known = ("scatter_add", "index_add", "index_put", "_index_put_impl", "put", "col2im")
    return op.operator.removesuffix("_") in known


def loss(flops: int, steps: str) -> Rule:
    """Return the rule of a loss: `flops` per element of the prediction, one of which multiplies by the loss's gradient.

    Weights take one more each. The gradient of a target is unknown.
    """

    def rule(op: Op, needs: Needs) -> Gradients | None:
        return None if any(needs[1:]) else _flops(op, flops + number(op, "weights"))

    rule.__doc__ = f"{flops} per input element, plus 1 for weights: {steps}."
    return rule


def nll_loss(op: Op, needs: Needs) -> Gradients | None:
    """Each target moves the loss's gradient to one element: negate; a mean divides it; a class weight multiplies."""
    targets = prod(op.operands[1].shape)
    each = 1 + (op.attribute("reduction") == "mean") + len(op.operands) - 2
    return None if any(needs[1:]) else (0, each * targets)
