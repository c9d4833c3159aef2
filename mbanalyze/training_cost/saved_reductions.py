"""The tensors that norms, pooling, reductions, losses and operators that move elements keep."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.derivations import number
from mbanalyze.ops.record import Op
from mbanalyze.training_cost.gradients import Needs, is_float
from mbanalyze.training_cost.kept import Kept, first, integers
from mbanalyze.training_cost.reduction_gradients import adds

INDEX_BYTES = 8
"""Bytes of an index, an int64."""


def gather(op: Op, needs: Needs) -> Kept:
    """The indices; `gather`, `take` and `masked_select` also keep the table."""
    kept = integers(op, needs)
    if op.operator in ("gather", "take", "masked_select"):
        return kept._replace(values=(op.operands[0], *kept.values))
    return kept


def pad(op: Op, needs: Needs) -> Kept:
    """Nothing; padding by reflection or replication keeps the input."""
    mode = op.attribute("mode") or op.operator
    return first(op, needs) if str(mode).startswith(("refl", "repl")) else Kept()


def max_pool(op: Op, needs: Needs) -> Kept:
    """The input and the int64 index of each output."""
    return Kept(
        op.operands[:1] + op.output[1:], fixed_bytes=INDEX_BYTES * op.output[0].size * (len(op.output) < 2)
    )


def global_avg_pool(op: Op, needs: Needs) -> Kept:
    """Nothing, as a mean; a pooling with a window of the image's size keeps the input."""
    return first(op, needs) if op.operator.startswith("avg_pool") else Kept()


def extremum(op: Op, needs: Needs) -> Kept:
    """The indices of the selected elements; without indices the input and the output."""
    indices = tuple(value for value in op.output if not is_float(value))
    return Kept(indices) if indices else Kept((op.operands[0], *op.output))


def reduce(op: Op, needs: Needs) -> Kept | None:
    """Nothing for a sum; an extremum keeps its indices, or the input and the output."""
    if not op.operator:
        return None
    return Kept() if op.operator == "sum" else extremum(op, needs)


def cumulate(op: Op, needs: Needs) -> Kept | None:
    """Nothing for a running sum; others keep the input and the output, or the indices."""
    if not op.operator:
        return None
    return Kept() if op.operator.startswith("cumsum") else extremum(op, needs)


def scatter_add(op: Op, needs: Needs) -> Kept | None:
    """The indices of a sum; other combinations are unknown."""
    return integers(op, needs) if adds(op) else None


def var(op: Op, needs: Needs) -> Kept:
    """The input, and a standard deviation itself."""
    return Kept((op.operands[0], *(op.output[:1] if op.operator.startswith("std") else ())))


def batch_norm(op: Op, needs: Needs) -> Kept:
    """The input and the scale, and the stored statistics."""
    return Kept(op.operands[: 1 + (len(op.operands) > 3)])


def batch_norm_training(op: Op, needs: Needs) -> Kept:
    """The input and the scale, and the mean and the inverse deviation of each channel."""
    return Kept(op.operands[: 1 + (number(op, "affine") > 0)], elements=2 * op.operands[0].shape[1])


def layer_norm(op: Op, needs: Needs) -> Kept:
    """All operands, and the mean and the inverse deviation of each row: the last dimension, or those of the weight."""
    return Kept(op.operands, elements=2 * _rows(op))


def rms_norm(op: Op, needs: Needs) -> Kept:
    """The input and the inverse root of each row for the input's gradient; the normalised value for the weight's.

    A row is the last dimension, or those of the weight.
    """
    normalised = prod(op.operands[0].shape) if any(needs[1:]) else 0
    return Kept(op.operands[:1], normalised + _rows(op)) if needs[0] else Kept(elements=normalised)


def _rows(op: Op) -> int:
    shape = op.operands[0].shape
    dims = len(op.operands[1].shape) if number(op, "affine") else 1
    return prod(shape[: len(shape) - dims])


def group_norm(op: Op, needs: Needs) -> Kept | None:
    """The input and the scale, and the mean and the inverse deviation of each group of each image."""
    groups, scale = number(op, "groups"), number(op, "affine") > 0
    return Kept(op.operands[: 1 + scale], elements=2 * op.operands[0].shape[0] * groups) if groups else None


def instance_norm(op: Op, needs: Needs) -> Kept:
    """The input, and for each channel of each image the mean, the inverse deviation and a copy of the scale.

    The copies of running statistics are left out, because the record does not show if the norm has any.
    """
    channels = prod(op.operands[0].shape[:2])
    return Kept(op.operands[:1], elements=channels * (2 + (number(op, "affine") > 0)))


def weight_norm(op: Op, needs: Needs) -> Kept:
    """Direction, magnitude, and the norm that divides the direction."""
    return Kept(op.operands, op.operands[1].size)


def loss(op: Op, needs: Needs) -> Kept:
    """The prediction, the target and the weights."""
    return Kept(op.operands)


def nll_loss(op: Op, needs: Needs) -> Kept:
    """The prediction, the target, the weights and their sum."""
    return Kept(op.operands, 1)
