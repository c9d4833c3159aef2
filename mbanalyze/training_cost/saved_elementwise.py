"""The tensors that elementwise kinds keep, and dropout."""

from __future__ import annotations

from math import prod

from mbanalyze.ops.record import Op
from mbanalyze.training_cost.gradients import Needs
from mbanalyze.training_cost.kept import Kept, all_and_result, both, operand, result, together


def quotient(op: Op, needs: Needs) -> Kept:
    """The divisor, and the dividend if the divisor needs a gradient."""
    kept = range(1, len(op.operands)) if not any(needs[1:]) else range(len(op.operands))
    return together(*[operand(op, i) for i in kept])


def power(op: Op, needs: Needs) -> Kept:
    """The base; if the exponent is a tensor, also the exponent and the output."""
    return both(op, needs) if len(op.operands) < 2 else all_and_result(op, needs)


def hypotenuse(op: Op, needs: Needs) -> Kept:
    """The output, and each operand that needs a gradient."""
    kept = [operand(op, i) for i, need in enumerate(needs) if need]
    return together(*kept, result(op, needs))


def second_gradient(op: Op, needs: Needs) -> Kept:
    """Both operands if the second one needs a gradient, else nothing."""
    return both(op, needs) if any(needs[1:]) else Kept()


def added_product(op: Op, needs: Needs) -> Kept:
    """Of an added product, each factor that the gradient of the other needs."""
    kept = [i for i in (1, 2) if needs[3 - i]]
    return together(*[operand(op, i) for i in kept])


def added_quotient(op: Op, needs: Needs) -> Kept:
    """Of an added quotient, the divisor, and the dividend if the divisor needs a gradient."""
    kept = ([1] if needs[2] else []) + ([2] if needs[1] or needs[2] else [])
    return together(*[operand(op, i) for i in kept])


def lerp(op: Op, needs: Needs) -> Kept:
    """The weight for the gradients of both ends, and both ends for that of the weight."""
    ends = [0, 1] if any(needs[2:]) else []
    weight = [2] if len(op.operands) > 2 and any(needs[:2]) else []
    return together(*[operand(op, i) for i in ends + weight])


def dropout(op: Op, needs: Needs) -> Kept:
    """The mask, scaled, of the input's type; dropout of channels has one number per channel.

    The fused kernel (`native_dropout`, on GPUs) keeps one byte per element.
    """
    shape = op.operands[0].shape
    if op.operator.startswith("native_dropout"):
        return Kept(fixed_bytes=prod(shape))
    return Kept(elements=prod(shape[:2] if op.operator.startswith("feature") else shape))


def log_sigmoid(op: Op, needs: Needs) -> Kept:
    """The input and its exponential."""
    return Kept(op.operands[:1], prod(op.operands[0].shape))
