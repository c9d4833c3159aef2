"""The tensors that an operator keeps for its backward pass, and the rules that many kinds share.

The rules follow PyTorch's `tools/autograd/derivatives.yaml`: a tensor is kept if the formula of a gradient reads it.
If one formula gives the gradients of all operands, as for a convolution, each of these gradients keeps its tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import NamedTuple

from mbanalyze.ops.record import Op, Value
from mbanalyze.training_cost.gradients import Needs, is_float


class Kept(NamedTuple):
    """The tensors that an operator keeps.

    Attributes:
        values: operands and outputs.
        elements: elements of other tensors, of the report's dtype (a mask, a copy, a statistic).
        fixed_bytes: bytes of other tensors whose item size is fixed (an int64 index).
    """

    values: tuple[Value, ...] = ()
    elements: int = 0
    fixed_bytes: int = 0


SavedRule = Callable[[Op, Needs], Kept | None]
"""A function from an operator and its needed gradients to the tensors that it keeps; None if they are unknown."""


def nothing(op: Op, needs: Needs) -> Kept:
    """Nothing: the gradient depends on shapes and numbers only."""
    return Kept()


def is_in_place(op: Op) -> bool:
    """Return True if the output overwrites an operand."""
    return op.operator.endswith("_") and not op.operator.endswith("__")


def operand(op: Op, index: int) -> Kept:
    """An operand, or a copy of the first one if the output overwrites it."""
    value = op.operands[index]
    return Kept(elements=prod(value.shape)) if index == 0 and is_in_place(op) else Kept((value,))


def together(*kept: Kept) -> Kept:
    """All of these tensors."""
    values = tuple(value for each in kept for value in each.values)
    return Kept(values, *(sum(numbers) for numbers in list(zip(*kept, strict=True))[1:]))


def first(op: Op, needs: Needs) -> Kept:
    """The input, or a copy if the output overwrites the input."""
    return operand(op, 0)


def result(op: Op, needs: Needs) -> Kept:
    """The output."""
    return Kept(op.output[:1])


def result_in_place(op: Op, needs: Needs) -> Kept:
    """The input, or the output if it overwrites the input."""
    return result(op, needs) if is_in_place(op) else first(op, needs)


def both(op: Op, needs: Needs) -> Kept:
    """All operands."""
    return together(*[operand(op, i) for i in range(len(op.operands))])


def all_and_result(op: Op, needs: Needs) -> Kept:
    """All operands and the output."""
    return both(op, needs)._replace(values=(*both(op, needs).values, *op.output[:1]))


def others(op: Op, needs: Needs) -> Kept:
    """Of a product of operands, each that the gradient of another one needs."""
    kept = [i for i in range(len(op.operands)) if any(needs[:i] + needs[i + 1 :])]
    return together(*[operand(op, i) for i in kept])


def integers(op: Op, needs: Needs) -> Kept:
    """The indices and masks."""
    return Kept(tuple(value for value in op.operands if not is_float(value)))
